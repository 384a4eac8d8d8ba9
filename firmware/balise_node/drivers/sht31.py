"""SHT30, SHT31, SHT35: temperature, humidity and status over I2C, one measurement of high repeatability per sample.

DS = Sensirion "Datasheet SHT3x-DIS", version 5 (2018-05). Promises both values of one moment, rounded to 1/100, by the
data sheet's formulas in integers, the status word as it stands, and doubt
(flag 3) about both values while the heater warms the chip. Leaves to others the heat of the housing.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._sensirion import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "sht31"

_MEASURE, _MEASURE_MS = 0x2400, 16  # DS 4.3: high repeatability, no clock stretching; DS 2.2: at most 15 ms
_STATUS, _CLEAR = 0xF32D, 0x3041  # DS 4.11
_RESET, _BOOT_MS = 0x30A2, 2  # DS 4.9; DS 2.2: soft reset and power-up take at most 1.5 ms
_HEATER, _EVENTS = 0x2000, 0x8C10  # DS 4.11: bit 13; bits 15, 11, 10 and 4, which stay until they are cleared
_SUSPECT = 3


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("temperature", "humidity", "sht31_status")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x44) -> None:
        """`address` is 0x44 with ADDR at ground, 0x45 with ADDR at 3.3 V (DS 3.4)."""
        self._chip = Commands(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._is_new = True
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """The first time a reset: heater off, no periodic measurement of another program. The chip sleeps by itself."""
        if self._is_new:
            self._chip.tell(_RESET, _BOOT_MS)
            self._chip.tell(_CLEAR, 1)
            self._is_new = False

    def sample(self) -> tuple[int, int, int]:
        """1/100 Cel (-4000 to 12500), 1/100 %RH (0 to 10000): DS 1; then the status, whose events are cleared."""
        raw_t, raw_rh = self._chip.ask(_MEASURE, 2, _MEASURE_MS)
        status = self._chip.ask(_STATUS, 1, 1)[0]
        if status & _EVENTS:
            self._chip.tell(_CLEAR, 1)
        centi_c = (17500 * raw_t + 32767) // 65535 - 4500  # DS 4.13
        if not -4000 <= centi_c <= 12500:
            raise SensorError(MODEL, "implausible", raw_t.to_bytes(2, "big"))
        self.flags = {0: _SUSPECT, 1: _SUSPECT} if status & _HEATER else {}
        return centi_c, (10000 * raw_rh + 32767) // 65535, status

    def sleep(self) -> None:
        """Nothing to do: between measurements the chip idles at 0.2 uA (DS 2.1)."""
