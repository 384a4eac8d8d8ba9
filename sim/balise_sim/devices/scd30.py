"""SCD30 CO2 module on the wire: continuous measurement, settings that outlive the power, calibrations, a held clock.

DS = Sensirion "Interface Description SCD30", version 1.0 (2020-05). Not specified, so chosen here: 3 ms from any
command to its answer, in which the clock is held; the first measurement ends one interval after the start; stopping
empties the buffer; air pressure and altitude move nothing. Not played: Modbus, the PWM output, the week of the
self-calibration.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from balise_sim.devices._command import Command, CommandDevice, float_words
from balise_sim.devices.base import Quantity

ANSWER_US, HOLD_US, RESET_US = 3_000, 150_000, 2_000_000  # DS 1.4.4, 1.1, 1.1
FIRMWARE = 0x0342  # DS 1.4: 3.66, its example
DEFAULTS = {"pressure_hpa": 0, "interval_s": 2, "asc": 0, "forced_ppm": 400, "offset": 0, "altitude_m": 0}  # DS 1.4
RANGES = {"pressure_hpa": range(700, 1401), "interval_s": range(2, 1801), "forced_ppm": range(400, 2001)}  # DS 1.4


def setting(name: str) -> Callable[["Model", Sequence[int], int], Sequence[int] | None]:
    """What a command does that sets a value with an argument, and tells it without one (DS 1.4)."""

    def act(model: "Model", words: Sequence[int], at_us: int) -> Sequence[int] | None:
        if not words:
            return (model.kept[name],)
        if words[0] in RANGES.get(name, range(0x10000)):
            model.kept[name] = words[0]
            model.changed(name, at_us)
        return None

    return act


class Model(CommandDevice):
    CHANNELS = {  # noqa: RUF012 - data sheet of the module; 0 to 40000 ppm is said, but no open air is below 400
        "co2": Quantity(400.0, 40000.0, 1.0, 600.0),
        "temperature": Quantity(-40.0, 70.0, 0.01, 21.0),
        "humidity": Quantity(0.0, 100.0, 0.01, 45.0),
    }
    FAULTS: ClassVar[dict[str, str]] = CommandDevice.FAULTS | {
        "holds_clock": "every command ends only after 150 ms with the clock held, as in its daily calibration",
        "never_ready": "it measures, and no measurement ends",
    }
    HOLDS_CLOCK = True
    POWER_UP_US = RESET_US

    def __init__(self, address: int = 0x61, seed: int = 0) -> None:
        self.kept = dict(DEFAULTS)  # DS 1.4: outlives the power, as does whether it measures
        self._measures = False
        self._correction_ppm = 0.0
        super().__init__(address, seed)

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self._data: Sequence[int] = ()
        self._due_us = self.busy_until_us + self._interval_us()

    def settle(self, now_us: int) -> None:
        if not self._measures or now_us < self._due_us or self.has("never_ready"):
            return
        passed = (now_us - self._due_us) // self._interval_us()
        at_us = self._due_us + passed * self._interval_us()
        self._due_us = at_us + self._interval_us()
        co2_ppm = max(self.measure("co2", at_us) + self._correction_ppm, 0.0)
        shown_c = self.measure("temperature", at_us) - self.kept["offset"] / 100  # DS 1.4: hundredths of a kelvin
        self._data = float_words(co2_ppm, shown_c, self.measure("humidity", at_us))

    def on_write(self, data: bytes, now_us: int) -> None:
        super().on_write(data, now_us)
        if self.has("holds_clock"):
            self.busy_until_us = now_us + HOLD_US

    def changed(self, name: str, at_us: int) -> None:
        """A setting was written that does more than being kept."""
        if name == "interval_s":
            self._due_us = at_us + self._interval_us()
        elif name == "forced_ppm":
            self._correction_ppm = self.kept[name] - self.measure("co2", at_us)

    def _interval_us(self) -> int:
        return self.kept["interval_s"] * 1_000_000

    def _begin(self, words: Sequence[int], at_us: int) -> None:
        """DS 1.4.1: an air pressure from 700 to 1400 hPa, or 0 for none."""
        if words[0] == 0 or words[0] in RANGES["pressure_hpa"]:
            self.kept["pressure_hpa"] = words[0]
            self._due_us = self._due_us if self._measures else at_us + self._interval_us()
            self._measures = True

    def _stop(self, words: Sequence[int], at_us: int) -> None:
        self._measures, self._data = False, ()

    def _ready(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (int(bool(self._data)),)

    def _read(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        data, self._data = self._data, ()
        return data or None

    def _firmware(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (FIRMWARE,)

    def _reset(self, words: Sequence[int], at_us: int) -> None:
        self.reset(at_us)

    COMMANDS: ClassVar[Mapping[int, Command]] = {
        0x0010: Command(_begin, ANSWER_US, "DS 1.4.1", words=1),
        0x0104: Command(_stop, ANSWER_US, "DS 1.4.2"),
        0x4600: Command(setting("interval_s"), ANSWER_US, "DS 1.4.3", words=1, asks=True),
        0x0202: Command(_ready, ANSWER_US, "DS 1.4.4"),
        0x0300: Command(_read, ANSWER_US, "DS 1.4.5"),
        0x5306: Command(setting("asc"), ANSWER_US, "DS 1.4 (ASC)", words=1, asks=True),
        0x5204: Command(setting("forced_ppm"), ANSWER_US, "DS 1.4 (FRC)", words=1, asks=True),
        0x5403: Command(setting("offset"), ANSWER_US, "DS 1.4 (temperature offset)", words=1, asks=True),
        0x5102: Command(setting("altitude_m"), ANSWER_US, "DS 1.4 (altitude)", words=1, asks=True),
        0xD100: Command(_firmware, ANSWER_US, "DS 1.4 (firmware version)"),
        0xD304: Command(_reset, ANSWER_US, "DS 1.4 (soft reset)"),
    }
