"""The gateway's systemd unit.

Promises an exposure of at most 2.0 by `systemd-analyze security` (systemd 252; a test holds it): what is left is the
network, which it is for, and serial ports and buses, which sensors hang on. What badges need beside that is let in
where they are configured, and only then: `devices.py`. Leaves where it goes to `install.py`.
"""

from collections.abc import Collection

from balise_gateway.badges.needs import Need
from balise_gateway.operation.devices import SERIAL_GROUP

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
SupplementaryGroups={groups}
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
ProcSubset={proc}
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
{devices}MemoryMax={memory_mib}M
TasksMax={tasks}

[Install]
WantedBy=multi-user.target
"""


_MEMORY_MIB, _TASKS = 256, 64


def text(python: str, need: Need = Need(), groups: Collection[str] | None = None) -> str:  # noqa: B008 - frozen
    """The unit for this Python, in which Balise is installed, with what its configuration needs.

    `groups`: those that the machine has; the unit would not start with one that it has not. None: all of them.
    """
    told = {"name": NAME, "python": python, "config": f"{CONFIG_DIR}/gateway.toml"}
    told |= {"user": USER, "state": STATE_DIR, "folder": CONFIG_DIR, "proc": "all" if need.proc else "pid"}
    has = [group for group in need.groups if groups is None or group in groups]
    told["groups"] = " ".join((SERIAL_GROUP, *has))
    more = [f"DeviceAllow={device}\n" for device in need.devices if f"DeviceAllow={device}\n" not in _UNIT]
    return _UNIT.format(
        **told, devices="".join(more), memory_mib=_MEMORY_MIB + need.memory_mib, tasks=_TASKS + need.tasks
    )
