"""SEN66 environmental node: values, particle numbers, raw values, fan cleaning, settings of the CO2 part, status.

DS = Sensirion "Datasheet SEN6x" version 0.91 (2025-08), as far as Sensirion's own driver (sensirion-i2c-sen66 1.3) says
the same. The indices are what the world sets. Not specified, so chosen here: raw gas ticks fall by ten for each point
of the index; settings are kept, and change no value; the heater changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices._nodes import (
    FAULTS,
    HUMIDITY,
    INDEX,
    MASS,
    TEMPERATURE,
    TROUBLES,
    TUNING,
    TUNING_LIMITS,
    UNKNOWN,
    NodeDevice,
    Setting,
    readers,
    text,
    writers,
)
from balise_sim.devices._seconds import CLEANING_US, Trouble
from balise_sim.devices.base import Quantity

PM = ("pm1", "pm2_5", "pm4", "pm10")
NUMBERS = ("n0_5_per_cm3", "n1_per_cm3", "n2_5_per_cm3", "n4_per_cm3", "n10_per_cm3")
VALUES = (*PM, "humidity", "temperature", "voc_index", "nox_index", "co2")  # DS 4.8, in this order
CO2_AFTER_US = 6_000_000  # since power on, by the maker's driver
ROWS: Mapping[int, Setting] = {  # DS 4.8
    0x60D0: Setting(TUNING[0], TUNING_LIMITS, idle_only=True),
    0x60E1: Setting(TUNING[1], TUNING_LIMITS, idle_only=True),
    0x6711: Setting((1,), ((0, 1),)),  # self-calibration of CO2
    0x6720: Setting((1013,), ((700, 1200),)),  # pressure in hPa
    0x6736: Setting((0,), ((0, 3000),)),  # altitude in m
}
HIDDEN: Mapping[int, Setting] = {  # DS 4.8: these can be set, but not read
    0x60B2: Setting((0, 0, 0, 0)),  # temperature offset, slope, time constant, slot
    0x6100: Setting((0, 0, 0, 0)),  # acceleration
}


class Model(NodeDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        **dict.fromkeys(PM, MASS),
        "humidity": HUMIDITY,
        "temperature": TEMPERATURE,
        "voc_index": INDEX,
        "nox_index": INDEX,
        "co2": Quantity(400.0, 40000.0, 1.0, 600.0),  # DS 2: from 0, but no air has less
        **dict.fromkeys(NUMBERS, Quantity(0.0, 3000.0, 0.1, 50.0)),
    }
    REPORTS = {"sen66_status": "bits 4, 6, 7, 9, 11, 12 and 21 of the status register"}  # noqa: RUF012
    FAULTS = (
        CommandDevice.FAULTS
        | FAULTS
        | {
            "co2_error": "the CO2 chip inside fails: bit 9 of the status, its value as it is",
            "pm_error": "the particle part inside fails: bit 11 of the status, its values as they are",
        }
    )
    ROWS: ClassVar[Mapping[int, Setting]] = {**ROWS, **HIDDEN}
    KEEPS_VOC_STATE = True
    TROUBLES: ClassVar[Mapping[str, Trouble]] = {
        **TROUBLES,
        "co2_error": Trouble(1 << 9),
        "pm_error": Trouble(1 << 11),
    }
    SCALES: ClassVar[Mapping[str, int]] = {  # DS 4.8
        **dict.fromkeys((*PM, *NUMBERS, "voc_index", "nox_index"), 10),
        "humidity": 100,
        "temperature": 200,
        "co2": 1,
    }
    NAME = "SEN66"
    POWER_UP_US = 100_000

    def __init__(self, address: int = 0x6B, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.engine.interval_s = 0  # DS 4.8: it does not clean by itself

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self._cleaning_until_us = now_us

    def is_known(self, name: str, at_us: int) -> bool:
        if name == "co2" and at_us - self.engine.powered_us < CO2_AFTER_US:
            return False
        return super().is_known(name, at_us)

    def _read_values(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.sent(VALUES, at_us)

    def _numbers(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.sent(NUMBERS, at_us)

    def _raw(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        rh, t, voc, nox, co2 = self.sent(VALUES[4:], at_us)
        ticks = [UNKNOWN if index == 0x7FFF else 30_000 - index for index in (voc, nox)]
        return [rh, t, *ticks, co2]

    def _clean(self, words: Sequence[int], at_us: int) -> None:
        """DS 4.8: in idle mode, for 10 s, in which nothing can be started."""
        if self.engine.mode == "idle":
            self._cleaning_until_us = at_us + CLEANING_US

    def _start(self, words: Sequence[int], at_us: int) -> None:
        if at_us >= self._cleaning_until_us:
            self.on_start(words, at_us)

    def _calibrate(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        """DS 4.8: the correction in ppm and 8000, FFFF where it failed; here it fits already."""
        return (0x8000 if self.engine.mode == "idle" else UNKNOWN,)

    def _heat(self, words: Sequence[int], at_us: int) -> None:
        return None

    def _heated(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.sent(("humidity", "temperature"), at_us)

    def _product_type(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return text("00085300")

    def _version(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (0x0400,)

    COMMANDS: ClassVar[Mapping[int, Command]] = {  # DS 4.8
        0x0021: Command(_start, 50_000, "DS 4.8"),
        0x0104: Command(NodeDevice.on_stop, 1_000_000, "DS 4.8"),
        0x0202: Command(NodeDevice.on_ready, 20_000, "DS 4.8"),
        0x0300: Command(_read_values, 20_000, "DS 4.8"),
        0x0316: Command(_numbers, 20_000, "DS 4.8"),
        0x0405: Command(_raw, 20_000, "DS 4.8"),
        0x5607: Command(_clean, 20_000, "DS 4.8"),
        0x6181: Command(NodeDevice.on_state, 20_000, "DS 4.8"),
        0x6707: Command(_calibrate, 500_000, "DS 4.8", words=1),
        **readers(ROWS),
        0x6765: Command(_heat, 20_000, "DS 4.8"),
        0x6790: Command(_heated, 20_000, "DS 4.8"),
        0xD002: Command(_product_type, 20_000, "DS 4.8"),
        0xD014: Command(NodeDevice.on_name, 20_000, "DS 4.8"),
        0xD033: Command(NodeDevice.on_serial, 20_000, "DS 4.8.19"),
        0xD100: Command(_version, 20_000, "DS 4.8"),
        0xD206: Command(NodeDevice.on_status, 20_000, "DS 4.8"),
        0xD210: Command(NodeDevice.on_clear, 20_000, "DS 4.8"),
        0xD304: Command(NodeDevice.on_reset, 1_200_000, "DS 4.8"),
    }
    SETTINGS: ClassVar[Mapping[int, Command]] = {
        **writers({**ROWS, **HIDDEN}),
        0x6181: Command(NodeDevice.set_state, 20_000, "DS 4.8", words=4),
    }
