"""What hangs on an analogue pin: a voltage at every moment.

Leaves to the bus what the board's converter makes of it, and to the models where the voltage comes from.
"""

from typing import ClassVar

from balise_sim.devices.base import DeviceModel

NOISE_UV = 12_000  # half the width; see AnalogDevice


class AnalogDevice(DeviceModel):
    """A voltage at a pin: a model has steady_uv().

    The noise that an ESP32's converter shows is in here, where the seed is. Not specified, so chosen here: an even
    spread of 12 mV to both sides; of the readings that "spikes" spoils, one in eight, 150 mV more or less.
    """

    BUS = "adc"
    FAULTS: ClassVar[dict[str, str]] = {
        "floating": "the pin hangs in the air: every reading is another one",
        "grounded": "the pin is at ground",
        "saturated": "the pin is at the supply, beyond what the converter can tell",
        "spikes": "some readings are far off, as when the radio sends",
    }

    def pin_uv(self, now_us: int) -> int:
        """What one conversion sees."""
        if self.has("floating"):
            return self._random.randrange(3_300_000)
        if self.has("grounded"):
            return 0
        if self.has("saturated"):
            return 3_300_000
        spike_uv = (
            self._random.choice((-150_000, 150_000)) if self.has("spikes") and not self._random.randrange(8) else 0
        )
        return max(0, self.steady_uv(now_us) + spike_uv + self._random.randint(-NOISE_UV, NOISE_UV))

    def steady_uv(self, now_us: int) -> int:
        """The voltage without noise."""
        raise NotImplementedError
