"""SCD40, SCD41: CO2 sensor on the wire: periodic measurement, single shots, settings, calibrations, sleep.

DS = Sensirion "Datasheet SCD4x", version 1.3 (2022-09); codes of the self-calibration's target, of its periods and of
the variant: the maker's driver (github.com/Sensirion/embedded-i2c-scd4x, scd4x_i2c.h). Not specified, so chosen here:
the first measurement ends one period after the start; stopping empties the buffer; the temperature offset moves no
humidity; the self-calibration that never sees fresh air (fault) moves the baseline evenly over its standard period,
until the lowest value that it saw reads as fresh air.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices.base import Nack, Quantity

PERIOD_US, LOW_POWER_US = 5_000_000, 30_000_000  # DS 3.5.1, 3.8.1
HOUR_US = 3_600_000_000
READY, NOT_READY = 0x8006, 0x8000  # DS 3.8.2: the lowest eleven bits
WAKE = 0x36F6
VARIANTS = {"scd40": 0x0440, "scd41": 0x1440}  # the maker's driver: bits 15 to 12
DEFAULTS = {  # DS 3.6, 3.7, and where each setting is written and read
    "offset": (0x241D, 0x2318, round(4 / 175 * 65535)),
    "altitude": (0x2427, 0x2322, 0),
    "asc": (0x2416, 0x2313, 1),
    "asc_target": (0x243A, 0x233F, 400),
    "asc_initial_h": (0x2445, 0x2340, 44),
    "asc_standard_h": (0x244E, 0x234B, 156),
}


def setting(name: str) -> tuple[Command, Command]:
    """The commands that write and read one setting."""

    def write(model: "Model", words: Sequence[int], at_us: int) -> None:
        model.settings[name] = words[0]

    def read(model: "Model", words: Sequence[int], at_us: int) -> Sequence[int]:
        return (model.settings[name],)

    return Command(write, 1_000, "DS 3.6, 3.7", words=1), Command(read, 1_000, "DS 3.6, 3.7")


class Model(CommandDevice):
    CHANNELS = {  # noqa: RUF012 - DS 1.1 to 1.3; 0 to 40000 ppm is said, but no open air is below 400
        "co2": Quantity(400.0, 40000.0, 1.0, 600.0),
        "temperature": Quantity(-10.0, 60.0, 0.01, 21.0),
        "humidity": Quantity(0.0, 100.0, 0.01, 45.0),
    }
    FAULTS: ClassVar[dict[str, str]] = CommandDevice.FAULTS | {
        "deaf_to_stop": "it is told to stop, and goes on measuring: settings are refused",
        "never_ready": "it measures, and no measurement ends",
        "asc_drift": "no fresh air for days: the self-calibration takes the lowest value for 400 ppm",
    }
    POWER_UP_US = 1_000_000  # DS 2.4
    SERIAL: ClassVar[Sequence[int]] = (0xF896, 0x9F07, 0x3BBE)  # DS 3.9.2, its example

    def __init__(self, address: int = 0x62, variant: str = "scd41", seed: int = 0) -> None:
        self._variant = variant
        self._kept = {name: row[2] for name, row in DEFAULTS.items()}  # in the sensor's EEPROM
        self._correction_ppm = 0.0  # of forced and self-calibration: kept as well
        super().__init__(address, seed)

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self.settings = dict(self._kept)
        self._period_us = 0
        self._due_us = 0
        self._sleeps = False
        self._data: Sequence[int] | None = None
        self._lowest_ppm: float | None = None
        self._measured_us = 0  # so long without fresh air
        self._pressure_hpa = 0

    def is_measuring(self) -> bool:
        return self._period_us > 0

    def on_write(self, data: bytes, now_us: int) -> None:
        if self._sleeps and data == WAKE.to_bytes(2, "big"):
            self._sleeps, self.busy_until_us = False, now_us + 30_000  # DS 3.10.4
            raise Nack("waking is not acknowledged")
        super().on_write(data, now_us)

    def admit(self, code: int, row: Command) -> None:
        if self._sleeps:
            raise Nack("asleep")
        super().admit(code, row)
        if row.where.startswith("DS 3.10") and self._variant == "scd40":
            raise Nack("an SCD40 has no single shots")

    def settle(self, now_us: int) -> None:
        if not self._period_us or now_us < self._due_us or self.has("never_ready"):
            return
        passed = (now_us - self._due_us) // self._period_us
        self._latch(self._due_us + passed * self._period_us, (passed + 1) * self._period_us)
        self._due_us += (passed + 1) * self._period_us

    def _latch(self, at_us: int, span_us: int) -> None:
        """The measurement that ended at at_us, the last of those in a span."""
        true_ppm = self.measure("co2", at_us)
        if self.has("asc_drift") and self.settings["asc"]:
            self._lowest_ppm = min(true_ppm, self._lowest_ppm or true_ppm)
            self._measured_us = min(self._measured_us + span_us, self.settings["asc_standard_h"] * HOUR_US)
        self._data = (round(max(true_ppm + self._correction_ppm + self._drift_ppm(), 0)), *self._rht(at_us))

    def _drift_ppm(self) -> float:
        span_us = self.settings["asc_standard_h"] * HOUR_US
        if self._lowest_ppm is None or not self.settings["asc"]:
            return 0.0
        return (self.settings["asc_target"] - self._lowest_ppm) * (self._measured_us / span_us if span_us else 1.0)

    def _rht(self, at_us: int) -> tuple[int, int]:
        """DS 3.5.2 backwards; the channel is what a sensor shows whose offset is as delivered (DS 3.6.1)."""
        shift = DEFAULTS["offset"][2] - self.settings["offset"]
        raw_t = round((self.measure("temperature", at_us) + 45) / 175 * 65535) + shift
        return min(max(raw_t, 0), 65535), round(self.measure("humidity", at_us) / 100 * 65535)

    @staticmethod
    def _start(period_us: int) -> Callable[["Model", Sequence[int], int], None]:
        def act(model: "Model", words: Sequence[int], at_us: int) -> None:
            model._period_us, model._due_us, model._data = period_us, at_us + period_us, None

        return act

    def _stop(self, words: Sequence[int], at_us: int) -> None:
        if not self.has("deaf_to_stop"):
            self._period_us, self._data = 0, None

    def _read(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        data, self._data = self._data, None
        return data

    def _ready(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (NOT_READY if self._data is None else READY,)

    def _pressure(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        if not words:
            return (self._pressure_hpa,)
        self._pressure_hpa = words[0]
        return None

    def _force(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        """DS 3.7.1: the correction + 8000, or FFFF when it had not measured before."""
        shown_ppm = self.measure("co2", at_us) + self._correction_ppm
        if not self._due_us:
            return (0xFFFF,)
        self._correction_ppm += words[0] - shown_ppm
        return (0x8000 + round(words[0] - shown_ppm),)

    def _persist(self, words: Sequence[int], at_us: int) -> None:
        self._kept = dict(self.settings)

    def _serial(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.SERIAL

    def _self_test(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (0,)  # DS 3.9.3: no malfunction

    def _factory_reset(self, words: Sequence[int], at_us: int) -> None:
        self._kept, self._correction_ppm = {name: row[2] for name, row in DEFAULTS.items()}, 0.0
        self.reset(at_us - self.POWER_UP_US)

    def _reinit(self, words: Sequence[int], at_us: int) -> None:
        self.reset(at_us - self.POWER_UP_US)

    def _single(self, words: Sequence[int], at_us: int) -> None:
        self._latch(at_us, 300_000_000)  # DS 3.10: self-calibration takes a single shot for 5 min

    def _single_rht(self, words: Sequence[int], at_us: int) -> None:
        self._data = (0, *self._rht(at_us))

    def _power_down(self, words: Sequence[int], at_us: int) -> None:
        self._sleeps = True

    def _wake(self, words: Sequence[int], at_us: int) -> None:
        """Awake already: nothing happens."""

    def _variant_word(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (VARIANTS[self._variant],)

    COMMANDS: ClassVar[Mapping[int, Command]] = {  # DS 3.4 table 9
        0x21B1: Command(_start(PERIOD_US), 0, "DS 3.5.1"),
        0x21AC: Command(_start(LOW_POWER_US), 0, "DS 3.8.1"),
        0xEC05: Command(_read, 1_000, "DS 3.5.2", measuring=True),
        0x3F86: Command(_stop, 500_000, "DS 3.5.3", measuring=True),
        0xE4B8: Command(_ready, 1_000, "DS 3.8.2", measuring=True),
        0xE000: Command(_pressure, 1_000, "DS 3.6.5", words=1, measuring=True, asks=True),
        0x362F: Command(_force, 400_000, "DS 3.7.1", words=1),
        0x3615: Command(_persist, 800_000, "DS 3.9.1"),
        0x3682: Command(_serial, 1_000, "DS 3.9.2"),
        0x3639: Command(_self_test, 10_000_000, "DS 3.9.3"),
        0x3632: Command(_factory_reset, 1_200_000, "DS 3.9.4"),
        0x3646: Command(_reinit, 30_000, "DS 3.9.5"),
        0x219D: Command(_single, 5_000_000, "DS 3.10.1"),
        0x2196: Command(_single_rht, 50_000, "DS 3.10.2"),
        0x36E0: Command(_power_down, 1_000, "DS 3.10.3"),
        WAKE: Command(_wake, 30_000, "DS 3.10.4"),
        0x202F: Command(_variant_word, 1_000, "the maker's driver"),
        **{
            code: command
            for name, (write, read, _) in DEFAULTS.items()
            for code, command in zip((write, read), setting(name), strict=True)
        },
    }
