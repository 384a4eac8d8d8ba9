"""The service is let at what the configured readers and outputs need, and at nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway.config import Config, parse
from balise_gateway.operation import devices, machine_files, unit
from balise_tools.gateway import app

HEAD = '[gateway]\ndata_dir = "/var/lib/balise"\n[page]\n[badge]\nplace = "coroutine.example"\n'
SECTIONS = {
    "serial": '[[reader]]\nkind = "pn532"\npath = "/dev/serial0"\n',
    "usb": '[[reader]]\nkind = "serial_qr"\npath = "/dev/serial/by-id/usb-Scanner-if00"\n',
    "typing": '[[reader]]\nkind = "keyboard_wedge"\npath = "/dev/input/by-id/usb-Scanner-event-kbd"\n',
    "pcsc": '[[reader]]\nkind = "pcsc"\n',
    "camera": '[[reader]]\nkind = "camera_qr"\n',
    "lamps": '[[output]]\nkind = "led"\nred = 17\ngreen = 27\nblue = 22\n',
    "oled": '[[output]]\nkind = "oled_128x64"\n',
    "display": '[[output]]\nkind = "spi_320x240"\n',
    "screen": '[[output]]\nkind = "screen_page"\n',
}
MORE = {  # lines of the unit that are there with this part and not without
    "serial": set(),  # sensors have serial ports anyway
    "usb": set(),
    "typing": {"DeviceAllow=char-input r", "SupplementaryGroups=dialout input"},
    "pcsc": set(),
    "camera": {
        "DeviceAllow=char-video4linux rw",
        "DeviceAllow=char-media rw",
        "DeviceAllow=char-dma_heap rw",
        "SupplementaryGroups=dialout video",
        "ProcSubset=all",
        "MemoryMax=512M",
        "TasksMax=128",
    },
    "lamps": {"DeviceAllow=char-gpiochip rw", "SupplementaryGroups=dialout gpio", "ProcSubset=all"},
    "oled": {"SupplementaryGroups=dialout i2c"},
    "display": {"DeviceAllow=char-gpiochip rw", "SupplementaryGroups=dialout gpio spi", "ProcSubset=all"},
    "screen": set(),
}
EXPOSURE = 20  # tenths, as without badges


def config(*names: str) -> Config:
    return parse(HEAD + "".join(SECTIONS[name] for name in names), Path("gateway.toml"))


@pytest.mark.parametrize("name", SECTIONS)
def test_each_kind_gets_what_it_needs_and_nothing_else(name: str) -> None:
    plain = set(unit.text("python3").splitlines())
    told = set(unit.text("python3", devices.of(config(name))).splitlines())
    assert told - plain == MORE[name]


@pytest.mark.parametrize("names", [("serial",), ("typing",), ("camera",), ("lamps", "oled", "pcsc"), tuple(SECTIONS)])
def test_systemd_understands_it_and_calls_it_little_exposed(names: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / unit.NAME
    file.write_text(unit.text(sys.executable, devices.of(config(*names))), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.NAME in line and "is not executable" not in line] == []
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}"]
    done = subprocess.run([*words, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


def run(*words: str) -> str:
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == 0, found.output
    return found.output


def machine(root: Path, *names: str, groups: str = "dialout gpio input video i2c spi") -> Path:
    (root / "etc/balise").mkdir(parents=True)
    (root / "etc/balise/gateway.toml").write_text(HEAD + "".join(SECTIONS[n] for n in names), encoding="utf-8")
    (root / "etc/group").write_text("".join(f"{name}:x:9:\n" for name in groups.split()), encoding="utf-8")
    return root


def test_pcscd_gets_its_reader_and_lets_the_gateway_in(tmp_path: Path) -> None:
    root = machine(tmp_path, "pcsc")
    (root / "sys/module/pn533").mkdir(parents=True)
    planned = run("install", "--dry-run", "--root", str(root))
    assert (
        f"would keep the kernel's modules pn533_usb, pn533, nfc away from card readers: {machine_files.MODPROBE}"
        in planned
    )
    assert "by hand: restart, or: sudo modprobe -r pn533\n" in planned
    assert not (root / "etc/modprobe.d").exists()
    run("install", "--root", str(root))
    assert machine_files.modules_in_the_way(root) == []
    rule = (root / "etc/polkit-1/rules.d/50-balise.rules").read_text(encoding="utf-8")
    assert 'subject.user == "balise"' in rule
    assert "would keep" not in run("install", "--dry-run", "--root", str(root))
    run("uninstall", "--root", str(root))
    assert list((root / "etc/modprobe.d").iterdir()) == list((root / "etc/polkit-1/rules.d").iterdir()) == []


def test_a_blacklist_of_somebody_else_is_enough(tmp_path: Path) -> None:
    root = machine(tmp_path, "pcsc")
    (root / "etc/modprobe.d").mkdir()
    (root / "etc/modprobe.d/nfc.conf").write_text("blacklist pn533_usb\nblacklist pn533\n blacklist nfc\n")
    assert "kernel's modules" not in run("install", "--dry-run", "--root", str(root))


@pytest.mark.parametrize(("name", "is_told"), [("serial", True), ("usb", False)])
def test_a_console_on_the_readers_port_is_told(name: str, is_told: bool, tmp_path: Path) -> None:
    root = machine(tmp_path, name)
    (root / "boot/firmware").mkdir(parents=True)
    (root / "boot/firmware/cmdline.txt").write_text("console=serial0,115200 console=tty1 root=PARTUUID=1 rootwait\n")
    told = run("install", "--dry-run", "--root", str(root))
    assert ("by hand: take the login console off serial0" in told) is is_told


def test_a_group_that_the_machine_lacks_does_not_stop_the_service(tmp_path: Path) -> None:
    root = machine(tmp_path, "lamps", "typing", groups="dialout input")
    assert "by hand: this machine has no group gpio" in run("install", "--root", str(root))
    text = (root / "etc/systemd/system" / unit.NAME).read_text(encoding="utf-8")
    assert "SupplementaryGroups=dialout input\n" in text


def test_a_configuration_that_cannot_be_read_leaves_the_unit_and_stops_no_upgrade(tmp_path: Path) -> None:
    root = machine(tmp_path, "lamps")
    run("install", "--root", str(root))
    place = root / "etc/systemd/system" / unit.NAME
    before = place.read_text(encoding="utf-8")
    (root / "etc/balise/gateway.toml").write_text("[gateway\n", encoding="utf-8")
    assert "by hand: mend the configuration" in run("install", "--root", str(root))
    assert place.read_text(encoding="utf-8") == before
    place.unlink()
    run("install", "--root", str(root))
    assert "char-gpiochip" not in place.read_text(encoding="utf-8")
