"""What a kind of reader or output needs of the machine, said once in the kind's own module, as `NEEDS`.

Promises names for what several kinds have in common. Leaves the sum of a configuration to `operation/devices.py`, and
what people are told of a camera or a door to `notices/`.
Groups are those of Raspberry Pi OS and Debian (raspberrypi-sys-mods, 99-com.rules; udev's 50-udev-default.rules).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Need:
    """What the service is let at: devices as in DeviceAllow=, groups, memory and tasks beside the gateway's own."""

    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    memory_mib: int = 0
    tasks: int = 0
    proc: bool = False  # sees /proc beside its processes
    pcscd: bool = False  # asks pcscd, which holds the device itself
    notice: Literal["", "camera", "door"] = ""  # what the sign at the door must tell of


NOTHING = Need()
SERIAL = NOTHING  # sensors hang on serial ports too: the unit has their group, and all serial ports, always
# gpiozero asks /proc/device-tree or /proc/cpuinfo which Pi this is (gpiozero/pins/local.py).
PINS = Need(("char-gpiochip rw",), ("gpio",), proc=True)
SPI_AND_PINS = Need(("char-gpiochip rw", "char-spidev rw"), ("gpio", "spi"), proc=True)
I2C = Need(("char-i2c rw",), ("i2c",))
