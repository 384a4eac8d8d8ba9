"""A battery's voltage through a divider of two resistors, at an analogue pin.

DS = Espressif ESP32 series data sheet v4.7, 4.1.2 "ADC", and RP2040 data sheet, 4.9. Promises the mean of the middle
half of sixteen readings, so that a spike of the radio does not count. Leaves the divider's own error to whoever
measures it. An ESP32 tells 150 to 2450 mV at the pin well (DS, 11 dB of attenuation), up to 3.05 V badly (flag 3), the
rest not at all; it is noisy: its readings of one voltage differ by some 20 mV. An RP2040 has no read_uv(), and takes
its supply of 3.3 V for the reference.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import ADC, SleepMs

MODEL = "battery"

_READINGS, _PAUSE_MS = 16, 1
_LOWEST_UV, _GOOD_UV, _HIGHEST_UV = 150_000, 2_450_000, 3_050_000  # DS 4.1.2
_SUPPLY_UV = 3_300_000
_WIDEST_UV = 200_000  # of the middle half: more is no voltage, but a pin in the air
_SUSPECT = 3


class Sensor:
    MODEL = MODEL
    BUS = "adc"
    CHANNELS = ("battery",)
    WARMUP_S = 0

    def __init__(self, bus: "ADC", sleep_ms: "SleepMs", ratio_milli: int = 1000) -> None:
        """`ratio_milli`: the battery's voltage over the pin's, in thousandths; 2000 for two equal resistors."""
        self._bus = bus
        self._sleep_ms = sleep_ms
        self._ratio_milli = ratio_milli
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Nothing to do."""

    def sample(self) -> tuple[int]:
        """Millivolts of the battery."""
        readings = []
        for _ in range(_READINGS):
            readings.append(self._read_uv())
            self._sleep_ms(_PAUSE_MS)
        readings.sort()
        middle = readings[_READINGS // 4 : -_READINGS // 4]
        pin_uv = sum(middle) // len(middle)
        is_esp32 = hasattr(self._bus, "read_uv")
        highest_uv = _HIGHEST_UV if is_esp32 else _SUPPLY_UV - 10_000
        if not _LOWEST_UV <= pin_uv <= highest_uv or middle[-1] - middle[0] > _WIDEST_UV:
            raise SensorError(MODEL, "out of range", bytes((pin_uv // 1_000_000, pin_uv // 10_000 % 100)))
        self.flags = {0: _SUSPECT} if is_esp32 and pin_uv > _GOOD_UV else {}
        return ((pin_uv * self._ratio_milli + 500_000) // 1_000_000,)

    def sleep(self) -> None:
        """Nothing to do."""

    def _read_uv(self) -> int:
        bus = self._bus
        return bus.read_uv() if hasattr(bus, "read_uv") else bus.read_u16() * _SUPPLY_UV // 65535
