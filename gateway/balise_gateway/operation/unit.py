"""The gateway's systemd unit.

Promises an exposure of at most 2.0 by `systemd-analyze security` (systemd 252; a test holds it): what is left is the
network, which it is for, and serial ports and buses, which sensors hang on. Leaves where it goes to `install.py`.
"""

USER = "balise"
NAME = "balise-gateway.service"
CONFIG_DIR, STATE_DIR = "/etc/balise", "/var/lib/balise"

_UNIT = """\
# Written by `balise gateway install`. Changes of your own go into a drop-in: systemctl edit {name}
[Unit]
Description=Balise gateway: keeps, signs and forwards what sensors measure
Documentation=https://www.freedesktop.org/software/systemd/man/systemd.exec.html
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -m balise_gateway {config}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
TimeoutStartSec=600
WatchdogSec=60
TimeoutStopSec=30
User={user}
Group={user}
SupplementaryGroups=dialout
StateDirectory=balise
StateDirectoryMode=0700
WorkingDirectory={state}
UMask=0077
Environment=PYTHONUNBUFFERED=1

# What it cannot do
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateTmp=yes
PrivateUsers=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
ProtectSystem=strict
ReadOnlyPaths={folder}
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# The clock's error is read with adjtimex, which ProtectClock= and @privileged forbid; to set it needs CAP_SYS_TIME.
SystemCallFilter=adjtimex clock_adjtime clock_adjtime64
SystemCallErrorNumber=EPERM
DevicePolicy=closed
DeviceAllow=char-ttyUSB rw
DeviceAllow=char-ttyACM rw
DeviceAllow=char-ttyAMA rw
DeviceAllow=char-ttyS rw
DeviceAllow=char-i2c rw
DeviceAllow=char-spidev rw
MemoryMax=256M
TasksMax=64

[Install]
WantedBy=multi-user.target
"""


def text(python: str) -> str:
    """The unit for this Python, in which Balise is installed."""
    config = f"{CONFIG_DIR}/gateway.toml"
    return _UNIT.format(name=NAME, python=python, config=config, user=USER, state=STATE_DIR, folder=CONFIG_DIR)
