"""SHT4x temperature and humidity chip: three precisions, the heater, serial number, reset.

DS = Sensirion "Datasheet SHT4x", version 3 (2022-04), chapter 4 by the names of its sections. Not specified, so chosen
here: the heater warms by a quarter of a kelvin per milliwatt, in the short pulse by half of that, and the humidity
falls as warm air can hold more.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices.base import Quantity

KELVIN_PER_MW = 0.25


def saturation(temperature_c: float) -> float:
    """Magnus: how much water air can hold, relative."""
    return math.exp(17.62 * temperature_c / (243.12 + temperature_c))


def tick(value: float, low: float, span: float) -> int:
    """DS "conversion of signal output", backwards: 65536 steps of a span."""
    return round(min(max((value - low) / span, 0.0), 1.0) * 65535)


def heat(milliwatts: int, takes_us: int) -> Command:
    """Heating, then a measurement while the chip is hot (DS "heater operation")."""
    heated_k = milliwatts * KELVIN_PER_MW * (1 if takes_us > 1_000_000 else 0.5)

    def act(model: "Model", words: Sequence[int], at_us: int) -> Sequence[int]:
        return model.counts(at_us, heated_k)

    return Command(act, takes_us, "DS heater operation")


class Model(CommandDevice):
    CHANNELS = {  # noqa: RUF012 - DS 2.1, 2.2
        "temperature": Quantity(-40.0, 85.0, 0.01, 20.0),
        "humidity": Quantity(0.0, 100.0, 0.01, 55.0),
    }
    COMMAND_BYTES = 1
    SERIAL: ClassVar[Sequence[int]] = (0x0F5A, 0x31C7)

    def __init__(self, address: int = 0x44, seed: int = 0) -> None:
        super().__init__(address, seed)

    def counts(self, at_us: int, heated_k: float = 0.0) -> Sequence[int]:
        """Both words of a chip that is so much warmer than the air."""
        air_c = self.measure("temperature", at_us)
        rh_pct = self.measure("humidity", at_us) * saturation(air_c) / saturation(air_c + heated_k)
        return tick(air_c + heated_k, -45, 175), tick(rh_pct, -6, 125)

    def _measure(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.counts(at_us)

    def _serial(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.SERIAL

    def _reset(self, words: Sequence[int], at_us: int) -> None:
        self.reset(at_us - self.POWER_UP_US)

    COMMANDS = {  # noqa: RUF012 - times: DS 3 "timings"
        0xFD: Command(_measure, 8_300, "DS command overview"),
        0xF6: Command(_measure, 4_500, "DS command overview"),
        0xE0: Command(_measure, 1_600, "DS command overview"),
        0x89: Command(_serial, 500, "DS serial number"),
        0x94: Command(_reset, 1_000, "DS reset"),
        0x39: heat(200, 1_100_000),
        0x32: heat(200, 110_000),
        0x2F: heat(110, 1_100_000),
        0x24: heat(110, 110_000),
        0x1E: heat(20, 1_100_000),
        0x15: heat(20, 110_000),
    }
