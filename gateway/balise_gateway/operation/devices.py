"""What the service must be let at for the readers and outputs of a configuration, and nothing else: one table.

Promises that a kind that is not configured opens no device, and that every kind stands here (a test asks for it).
Groups are those of Raspberry Pi OS and Debian (raspberrypi-sys-mods, 99-com.rules; udev's 50-udev-default.rules).
Leaves the unit's text to `unit.py`, and machine files to `install.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.config import Config

SERIAL_GROUP = "dialout"  # sensors hang on serial ports too: the unit has it, and all serial ports, always


_OWN_UART = ("serial", "ttyAMA", "ttyS")


@dataclass(frozen=True)
class Need:
    """What one kind needs: devices as in DeviceAllow=, groups, memory beside the gateway's own."""

    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    memory_mib: int = 0
    tasks: int = 0
    proc: bool = False  # sees /proc beside its processes
    pcscd: bool = False  # asks pcscd, which holds the device itself


_SERIAL = _NOTHING = Need()
# gpiozero asks /proc/device-tree or /proc/cpuinfo which Pi this is (gpiozero/pins/local.py).
_PINS = Need(("char-gpiochip rw",), ("gpio",), proc=True)
_SPI_AND_PINS = Need(("char-gpiochip rw", "char-spidev rw"), ("gpio", "spi"), proc=True)
_I2C = Need(("char-i2c rw",), ("i2c",))
# A Pi's camera is a chain of video and media devices, with memory of dma_heap; a program of its own reads it.
_CAMERA = Need(("char-video4linux rw", "char-media rw", "char-dma_heap rw"), ("video",), 256, 64, proc=True)

KINDS: dict[str, dict[str, Need]] = {
    "reader": {
        "camera_qr": _CAMERA,
        "keyboard_wedge": Need(("char-input r",), ("input",)),
        "pcsc": Need(pcscd=True),
        "pn532": _SERIAL,
        "serial_qr": _SERIAL,
    },
    "output": {
        "buzzer": _PINS,
        "door": _PINS,
        "led": _PINS,
        "oled_128x64": _I2C,
        "screen_page": _NOTHING,
        "spi_320x240": _SPI_AND_PINS,
    },
}


def of(config: Config) -> Need:
    """All that this configuration needs, together."""
    needs = [*_of_kinds("reader", config.readers), *_of_kinds("output", config.outputs)]
    return Need(
        tuple(dict.fromkeys(device for need in needs for device in need.devices)),
        tuple(dict.fromkeys(group for need in needs for group in need.groups)),
        sum(need.memory_mib for need in needs),
        sum(need.tasks for need in needs),
        any(need.proc for need in needs),
        any(need.pcscd for need in needs),
    )


def console_ports(config: Config) -> list[str]:
    """The ports of a Pi's own UART that readers use: a login console must not stand there."""
    paths = [path for reader in config.readers if isinstance(path := getattr(reader, "path", None), Path)]
    return [str(path) for path in paths if path.parent == Path("/dev") and path.name.startswith(_OWN_UART)]


def _of_kinds(section: str, settings: Iterable[object]) -> Iterator[Need]:
    for each in settings:
        yield KINDS[section].get(str(getattr(each, "kind", "")), _NOTHING)
