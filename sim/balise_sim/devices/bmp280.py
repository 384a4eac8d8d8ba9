"""BMP280 temperature and pressure chip: what _bosch.py says, with its own id and constants.

DS = Bosch BST-BMP280-DS001-11, revision 1.14 (2015-05). The factory constants are those of its worked example (3.12).
Not played: SPI, the IIR filter.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._bosch import ID, PressureChip, Trim
from balise_sim.devices.base import Register


class Model(PressureChip):
    CHIP_ID, SOLD_AS = 0x58, 0x60  # DS 4.3.1; BST-BME280-DS002 5.4.1
    TRIM = Trim(  # DS 3.12
        t=(27504, 26435, -1000),
        p=(36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000),
    )
    FAULTS = PressureChip.FAULTS | {
        "wrong_chip": "a BME280 (id 60) sold as BMP280",
    }
    REGISTERS: ClassVar[Mapping[int, Register]] = {
        **PressureChip.REGISTERS,
        ID: Register(0x58, "r", "DS 4.3.1"),
    }
