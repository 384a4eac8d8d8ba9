"""A battery behind a divider of two resistors, at an analogue pin.

DS = Espressif ESP32 series data sheet v4.7, 4.1.2 "ADC" (effective range 150 to 2450 mV at 11 dB of attenuation). The
range is what an ESP32 tells well at its pin; with a divider (`ratio_milli`) the battery may have as much more.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._analog import AnalogDevice
from balise_sim.devices.base import Quantity


class Model(AnalogDevice):
    # DS 4.1.2; the step is what is left of the noise when sixteen readings are taken together
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {"battery": Quantity(0.2, 2.4, 0.012, 2.0)}

    def __init__(self, ratio_milli: int = 1000, seed: int = 0) -> None:
        super().__init__(seed)
        self._ratio_milli = ratio_milli

    def reset(self, now_us: int) -> None:
        """A divider remembers nothing."""

    def range(self, name: str) -> tuple[float, float]:
        low, high = super().range(name)
        return low * self._ratio_milli / 1000, high * self._ratio_milli / 1000

    def measure(self, name: str, at_us: int) -> float:
        value, (low, high) = self._values[name], self.range(name)
        return min(max(value(at_us) if callable(value) else value, low), high)

    def steady_uv(self, now_us: int) -> int:
        return round(self.measure("battery", now_us) * 1_000_000_000 / self._ratio_milli)
