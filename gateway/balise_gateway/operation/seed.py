"""The files for a Raspberry Pi's card that make its first boot ask nothing: for cloud-init, and for `custom.toml`.

Raspberry Pi OS of 2025 and later (Trixie) reads `user-data`, `network-config` and `meta-data` by cloud-init; Bookworm
reads `custom.toml` (raspberrypi-sys-mods, init_config: sections system, user, ssh, wlan, locale; version 1).
Promises that each board has a name and, where no configuration is given, a password of its own; that no password is
written, only hashes and the Wi-Fi's derived key; and files that only their owner reads. Leaves what may be said to
`site.py`.
"""

import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

from balise_gateway.errors import MissingExtra
from balise_gateway.operation import install, unit
from balise_gateway.operation.site import Site

BOOT = "/boot/firmware"  # where the card's first partition lies on a running board
CONFIG_NAME = "gateway.toml"
TAIL_LETTERS, TAIL_CHARS = "abcdefghjkmnpqrstuvwxyz23456789", 4  # none that look alike
PASSWORD_BYTES = 12
_GROUPS = "adm,dialout,gpio,i2c,netdev,plugdev,render,spi,sudo,users,video"


def write(site: Site, folder: Path, dice: Random) -> str:
    """Writes one board's files into a folder of its own below `folder`; returns the board's name. Raises OSError."""
    tail = "".join(dice.choice(TAIL_LETTERS) for _ in range(TAIL_CHARS))
    host_name = f"{site.board.host_name}-{tail}"
    config_text = site.config_text or install.CONFIG.format(user="node", password=dice.randbytes(PASSWORD_BYTES).hex())
    place = folder / host_name
    place.mkdir(parents=True, mode=0o700)
    yaml, toml = _libraries()
    texts = {
        "user-data": "#cloud-config\n" + _yaml(yaml, user_data(site, host_name, config_text)),
        "network-config": _yaml(yaml, network_config(site)),
        "meta-data": _yaml(yaml, {"instance-id": f"balise-{host_name}", "local-hostname": host_name}),
        "custom.toml": toml.dumps(custom(site, host_name)),
        CONFIG_NAME: config_text,
    }
    for name, text in texts.items():
        handle = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    if site.package is not None:
        shutil.copyfile(site.package, place / site.package.name)
    return host_name


def user_data(site: Site, host_name: str, config_text: str) -> dict[str, Any]:
    """What cloud-init shall do (cloudinit.readthedocs.io, module reference)."""
    user: dict[str, Any] = {"name": site.user.name, "groups": _GROUPS, "shell": "/bin/bash"}
    user["ssh_authorized_keys"] = list(site.user.ssh_keys)
    user["lock_passwd"] = site.user.password_hash is None
    if site.user.password_hash is None:
        user["sudo"] = "ALL=(ALL) NOPASSWD:ALL"  # there is no password that could be asked for
    else:
        user["passwd"] = site.user.password_hash
    config = {"path": f"{unit.CONFIG_DIR}/{CONFIG_NAME}", "permissions": "0640", "content": config_text}
    return {
        "hostname": host_name,
        "manage_etc_hosts": True,
        "timezone": site.board.time_zone,
        "locale": site.board.locale,
        "keyboard": {"model": "pc105", "layout": site.board.keyboard},
        "users": [user],
        "ssh_pwauth": False,
        "write_files": [config],
        "runcmd": [["systemctl", "enable", "--now", "ssh"], *_installation(site), *_handed_over()],
    }


def network_config(site: Site) -> dict[str, Any]:
    """The network, in netplan's form (version 2): a cable when there is one, the Wi-Fi when there is a section."""
    network: dict[str, Any] = {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
    if site.wifi is not None:
        point: dict[str, Any] = {"password": site.wifi.psk}
        if site.wifi.hidden:
            point["hidden"] = True
        wlan = {"dhcp4": True, "optional": True, "regulatory-domain": site.wifi.country}
        network["wifis"] = {"wlan0": {**wlan, "access-points": {site.wifi.ssid: point}}}
    return {"network": network}


def custom(site: Site, host_name: str) -> dict[str, Any]:
    """`custom.toml` of Bookworm. It cannot write files or install: the host does that once, as the README says."""
    told: dict[str, Any] = {"config_version": 1, "system": {"hostname": host_name}}
    told["user"] = {"name": site.user.name}
    if site.user.password_hash is not None:
        told["user"] |= {"password": site.user.password_hash, "password_encrypted": True}
    told["ssh"] = {"enabled": True, "password_authentication": False, "authorized_keys": list(site.user.ssh_keys)}
    if site.wifi is not None:
        told["wlan"] = {"ssid": site.wifi.ssid, "password": site.wifi.psk, "password_encrypted": True}
        told["wlan"] |= {"hidden": site.wifi.hidden, "country": site.wifi.country}
    told["locale"] = {"keymap": site.board.keyboard, "timezone": site.board.time_zone}
    return told


def _installation(site: Site) -> list[list[str]]:
    """The package's own script makes the user and starts the service; without a package, pipx and `install` do."""
    if site.package is not None:
        return [["apt-get", "install", "--yes", f"{BOOT}/{site.package.name}"]]
    pipx = ["env", "PIPX_HOME=/opt/pipx", "PIPX_BIN_DIR=/usr/local/bin", "pipx", "install"]
    return [
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "pipx"],
        [*pipx, "--pip-args=--prefer-binary", "balise[gateway]"],
        ["/usr/local/bin/balise", "gateway", "install"],
    ]


def _handed_over() -> list[list[str]]:
    """The configuration was there before the user was."""
    folder = unit.CONFIG_DIR
    return [
        ["chown", "-R", f"root:{unit.USER}", folder],
        ["chmod", "0750", folder],
        ["systemctl", "restart", unit.NAME],
    ]


def _yaml(yaml: Any, told: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    return text


def _libraries() -> tuple[Any, Any]:
    """(yaml, tomli_w)"""
    try:
        import tomli_w
        import yaml
    except ImportError as error:
        raise MissingExtra("the files for a first boot", error.name or "yaml", "seed") from error
    return yaml, tomli_w
