"""Puts the gateway on a machine: user, folders, a first configuration, the unit; and takes it away again.

Promises to say each step before it is taken, to take none with `dry`, never to overwrite a configuration, and that what
was measured stays when the gateway is taken away. Root is needed for the real thing, not below another `root` folder.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.badges.needs import Need
from balise_gateway.config import Config, load
from balise_gateway.errors import ConfigError, InstallError
from balise_gateway.operation import devices, machine_files, unit

UNIT_DIR = "/etc/systemd/system"
CONFIG = """\
# The gateway of this place. What each key means: gateway/README.md
[gateway]
data_dir = "/var/lib/balise"

[page]
host = "127.0.0.1"

[[ingest]]
kind = "mqtt_listener"
port = 1883
[ingest.users]
{user} = "{password}"

# Nodes follow, one [[node]] each, with the name and key that they were given:
#[[node]]
#name = "urn:dev:ops:b4115e-air-01"
#key = "32 hex digits"

# Hubs follow, one [[hub]] each. Without a [hub.grant] below it nothing leaves.
"""


@dataclass(frozen=True)
class Step:
    """One step: what it says, and how it is done."""

    says: str
    do: Callable[[], object]
    by_hand: bool = False  # `do` does nothing: somebody must


@dataclass(frozen=True)
class Machine:
    """Where to: `root` is "/" for this machine, or a folder that will be another one's; `python` runs the gateway."""

    root: Path
    python: str
    password: str  # of the first MQTT user: made for this machine, there is no default

    @property
    def is_this_one(self) -> bool:
        return self.root == Path("/")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def install(machine: Machine) -> Iterator[Step]:
    """The steps that are still to be taken."""
    if machine.is_this_one and not _has_user():
        words = ["useradd", "--system", "--no-create-home", "--home-dir", unit.STATE_DIR, "--user-group", unit.USER]
        yield Step(f"make the system user {unit.USER}", lambda: _run(*words, "--shell", "/usr/sbin/nologin"))
    folder, config = machine.at(unit.CONFIG_DIR), machine.at(f"{unit.CONFIG_DIR}/gateway.toml")
    if not folder.is_dir():
        yield Step(f"make the folder {unit.CONFIG_DIR}", lambda: folder.mkdir(parents=True, mode=0o750))
    if not config.exists():
        yield Step(f"write a first configuration, {unit.CONFIG_DIR}/gateway.toml", lambda: _write_config(machine))
    need = Need()
    found: Config | None = None
    place = machine.at(f"{UNIT_DIR}/{unit.NAME}")
    try:
        found = load(config) if config.exists() else None
    except ConfigError as error:
        yield _by_hand(f"mend the configuration ({error}); then run this again, for what it needs of the machine")
    if found is not None:
        need = devices.of(found)
        yield from _for_badges(machine, found, need)
    text = unit.text(machine.python, need, groups_of(machine.root))
    is_known = found is not None or not config.exists()  # else the unit that is there may be right
    if not place.exists() or (is_known and place.read_text(encoding="utf-8") != text):
        yield Step(f"write the unit {UNIT_DIR}/{unit.NAME}", lambda: _write(place, text, 0o644))
    if machine.is_this_one and _has_systemd():
        yield Step("start it now and with the machine", _enable)


def uninstall(machine: Machine) -> Iterator[Step]:
    """The steps that take it away, with what else it wrote; configuration, keys and journal stay."""
    place = machine.at(f"{UNIT_DIR}/{unit.NAME}")
    if machine.is_this_one and _has_systemd() and place.exists():
        yield Step("stop it", lambda: _run("systemctl", "disable", "--now", unit.NAME))
    if place.exists():
        yield Step(f"remove {UNIT_DIR}/{unit.NAME}", place.unlink)
    for path in (machine_files.MODPROBE, machine_files.POLKIT):
        if machine.at(path).exists():
            yield Step(f"remove {path}", machine.at(path).unlink)


def groups_of(root: Path) -> set[str]:
    """The groups of a machine."""
    path = root / "etc/group"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return {line.partition(":")[0] for line in lines}


def _for_badges(machine: Machine, config: Config, need: Need) -> Iterator[Step]:
    """What readers and outputs need of the machine beside the unit."""
    missing = [group for group in need.groups if group not in groups_of(machine.root)]
    if missing:
        yield _by_hand(f"this machine has no group {', '.join(missing)}: see who owns the devices, and add a udev rule")
    if need.pcscd:
        yield from _for_pcscd(machine)
    consoles = machine_files.consoles(machine.root, devices.console_ports(config))
    if consoles:
        yield _by_hand(
            f"take the login console off {', '.join(consoles)}, where a reader hangs: sudo raspi-config nonint"
            " do_serial_cons 1 && sudo raspi-config nonint do_serial_hw 0, then restart"
        )


def _for_pcscd(machine: Machine) -> Iterator[Step]:
    modprobe, rule = machine.at(machine_files.MODPROBE), machine.at(machine_files.POLKIT)
    if machine_files.modules_in_the_way(machine.root):
        modules = ", ".join(machine_files.MODULES)
        says = f"keep the kernel's modules {modules} away from card readers: {machine_files.MODPROBE}"
        yield Step(says, lambda: _write(modprobe, machine_files.BLACKLIST, 0o644))
    loaded = machine_files.modules_loaded(machine.root)
    if loaded:
        yield _by_hand(f"restart, or: sudo modprobe -r {' '.join(loaded)}")
    if not rule.exists():
        says = f"let {unit.USER} ask pcscd for cards: {machine_files.POLKIT}"
        yield Step(says, lambda: _write(rule, machine_files.POLKIT_RULE, 0o644))


def _by_hand(says: str) -> Step:
    return Step(says, lambda: None, by_hand=True)


def _write_config(machine: Machine) -> None:
    path = machine.at(f"{unit.CONFIG_DIR}/gateway.toml")
    _write(path, CONFIG.format(user="node", password=machine.password), 0o640)
    if machine.is_this_one:
        for each in (path.parent, path):
            shutil.chown(each, "root", unit.USER)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    draft.chmod(mode)
    os.replace(draft, path)


def _enable() -> None:
    _run("systemctl", "daemon-reload")
    _run("systemctl", "enable", "--now", unit.NAME)


def _has_user() -> bool:
    return subprocess.run(["id", unit.USER], capture_output=True, check=False).returncode == 0


def _has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InstallError(f"{words[0]} cannot be run ({error.strerror}); is it installed?") from error
    if done.returncode:
        raise InstallError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
