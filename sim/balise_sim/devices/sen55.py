"""SEN55 environmental node: idle and two measuring modes, values, VOC state, fan cleaning, settings, status.

DS = Sensirion "Datasheet SEN5x" version 2 (2022-03), firmware 2. With unknown=("nox_index",) it is a SEN54. The indices
are what the world sets, whatever the algorithm has learned. Not specified, so chosen here: settings (temperature
offset, warm start, tuning, acceleration) are kept until power off, and change no value.
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
    NodeDevice,
    Setting,
    readers,
    writers,
)
from balise_sim.devices._seconds import WEEK_S, Trouble
from balise_sim.devices.base import Quantity

CLEANING = 1 << 19  # DS 5.4
PM = ("pm1", "pm2_5", "pm4", "pm10")
ROWS: Mapping[int, Setting] = {
    0x60B2: Setting((0, 0, 0)),  # DS 6.1.6: temperature offset, slope, time constant
    0x60C6: Setting((0,)),  # DS 6.1.7: warm start
    0x60D0: Setting(TUNING[0], TUNING_LIMITS, idle_only=True),  # DS 6.1.8
    0x60E1: Setting(TUNING[1], TUNING_LIMITS, idle_only=True),  # DS 6.1.9
    0x60F7: Setting((0,), ((0, 2),)),  # DS 6.1.10: acceleration
}


class Model(NodeDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        **dict.fromkeys(PM, MASS),
        "humidity": HUMIDITY,
        "temperature": TEMPERATURE,
        "voc_index": INDEX,
        "nox_index": INDEX,
    }
    REPORTS = {"sen5x_status": "bits 4 to 7, 19 and 21 of the status register"}  # noqa: RUF012
    FAULTS = CommandDevice.FAULTS | FAULTS | {"laser_current": "the laser's current is wrong: bit 5 of the status"}
    ROWS = ROWS
    TROUBLES: ClassVar[Mapping[str, Trouble]] = {**TROUBLES, "laser_current": Trouble(1 << 5)}
    SCALES: ClassVar[Mapping[str, int]] = {  # DS 6.1.5
        **dict.fromkeys(PM, 10),
        "humidity": 100,
        "temperature": 200,
        "voc_index": 10,
        "nox_index": 10,
    }

    def __init__(self, address: int = 0x69, seed: int = 0, unknown: Sequence[str] = ()) -> None:
        super().__init__(address, seed, unknown)
        self.NAME = "SEN55" if not unknown else "SEN54" if list(unknown) == ["nox_index"] else "SEN50"

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self.engine.interval_s = WEEK_S  # DS 5.2
        self._with_pm = True

    def is_known(self, name: str, at_us: int) -> bool:
        return super().is_known(name, at_us) and (self._with_pm or name not in PM)

    def _begin(self, with_pm: bool, at_us: int) -> None:
        """DS 5.1: from idle, or from the other mode, whose values go on."""
        if self.engine.mode == "idle" or self._with_pm != with_pm:
            self.on_start((), at_us)
            self._with_pm = with_pm
            self.engine.new = None

    def _start(self, words: Sequence[int], at_us: int) -> None:
        self._begin(True, at_us)

    def _start_without_pm(self, words: Sequence[int], at_us: int) -> None:
        self._begin(False, at_us)

    def _read_values(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.sent(tuple(self.CHANNELS), at_us)

    def _clean(self, words: Sequence[int], at_us: int) -> None:
        if self.engine.mode == "measuring" and self._with_pm:
            self.engine.clean(at_us)
            self.engine.new = None

    def _interval(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return divmod(self.engine.interval_s, 1 << 16)

    def _set_interval(self, words: Sequence[int], at_us: int) -> None:
        self.engine.interval_s = words[0] << 16 | words[1]

    def on_status(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return divmod(self.engine.status | (CLEANING if self.engine.cleans(at_us) else 0), 1 << 16)

    def _version(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        """DS 6.1.16 has one word; the maker's driver reads four, 2.0 for the firmware first."""
        return (0x0200, 0x0004, 0x0001, 0x0000)

    COMMANDS: ClassVar[Mapping[int, Command]] = {  # DS table 12
        0x0021: Command(_start, 50_000, "DS 6.1.1"),
        0x0037: Command(_start_without_pm, 50_000, "DS 6.1.2"),
        0x0104: Command(NodeDevice.on_stop, 200_000, "DS 6.1.3"),
        0x0202: Command(NodeDevice.on_ready, 20_000, "DS 6.1.4"),
        0x03C4: Command(_read_values, 20_000, "DS 6.1.5"),
        **readers(ROWS),
        0x6181: Command(NodeDevice.on_state, 20_000, "DS 6.1.11"),
        0x5607: Command(_clean, 20_000, "DS 6.1.12"),
        0x8004: Command(_interval, 20_000, "DS 6.1.13"),
        0xD014: Command(NodeDevice.on_name, 20_000, "DS 6.1.14"),
        0xD033: Command(NodeDevice.on_serial, 20_000, "DS 6.1.15"),
        0xD100: Command(_version, 20_000, "DS 6.1.16"),
        0xD206: Command(on_status, 20_000, "DS 6.1.17"),
        0xD210: Command(NodeDevice.on_clear, 20_000, "DS 6.1.18"),
        0xD304: Command(NodeDevice.on_reset, 100_000, "DS 6.1.19"),
    }
    SETTINGS: ClassVar[Mapping[int, Command]] = {
        **writers(ROWS),
        0x6181: Command(NodeDevice.set_state, 20_000, "DS 6.1.11", words=4),
        0x8004: Command(_set_interval, 20_000, "DS 6.1.13", words=2),
    }
