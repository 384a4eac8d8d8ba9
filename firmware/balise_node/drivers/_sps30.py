"""What an SPS30 says, over UART and over I2C alike: ten values in one of two formats, and a status register.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Leaves to the drivers how the bytes come.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._float32 import scaled

CHANNELS = (  # DS 4.3, in its order
    "pm1",
    "pm2_5",
    "pm4",
    "pm10",
    "n0_5_per_cm3",
    "n1_per_cm3",
    "n2_5_per_cm3",
    "n4_per_cm3",
    "n10_per_cm3",
    "typical_particle_size",
    "sps30_status",
)
WARMUP_S = 30  # DS 1.1 "typical start-up time": with as few as 50 particles per cm3
PERIOD_MS = 1040  # DS 1.1: sampling interval 1.00 +/- 0.04 s
VALUES = 10
FLOATS, INTEGERS = 3, 5  # DS 4.3: names of the formats in the order to start

_STOPPED, _LASER, _SPEED = 1 << 4, 1 << 5, 1 << 21  # DS 4.4; all other bits are to be ignored
_FAIL, _SUSPECT = 4, 3  # QARTOD


def values(model: str, numbers: "list[int]", whole: bool) -> "list[int]":
    """Ten numbers to the channels' scales: ug/m3 in tenths, particles per cm3 in thousandths, size in nm (DS 4.3).

    As floats the size is in um; as `whole` numbers it is in nm.
    """
    made = []
    for at in range(VALUES):
        factor = 10 if at < 4 else 1 if whole and at == 9 else 1000
        value = numbers[at] * factor if whole else scaled(numbers[at], factor)
        if value is None:
            raise SensorError(model, "implausible", numbers[at].to_bytes(4, "big"))
        made.append(value)
    return made


def known(status: int) -> int:
    """The status register without the bits that the sheet says nothing of (DS 4.4)."""
    return status & (_STOPPED | _LASER | _SPEED)


def flags(status: int, restarted: bool) -> "dict[int, int]":
    """How far the ten values are to be believed: no air or no light, or too much or too little air.

    `restarted`: the sensor had lost its power and has measured for a second, not for its start-up time.
    """
    flag = _FAIL if status & (_STOPPED | _LASER) else _SUSPECT if status & _SPEED or restarted else 0
    return dict.fromkeys(range(VALUES), flag) if flag else {}
