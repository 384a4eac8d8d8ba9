"""SHT40, SHT41, SHT45: temperature and humidity over I2C, one measurement of high precision per sample.

DS = Sensirion "Datasheet SHT4x", version 3 (2022-04), chapter 4 by the names of its sections. Promises both values of
one moment, rounded to 1/100, by the data sheet's formulas in integers. Leaves to others when to heat, and the heat of
the housing.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._sensirion import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "sht4x"

_MEASURE, _MEASURE_MS = 0xFD, 9  # DS "command overview"; high precision takes at most 8.3 ms (DS 3 "timings")
_HEAT, _HEAT_MS = 0x39, 1110  # DS "heater operation": 200 mW for 1 s, at most 1.1 s, then it measures
_SERIAL, _SERIAL_MS = 0x89, 1  # DS "serial number"
_BOOT_MS = 1  # DS 3 "timings": power-up time


class _Chip(Commands):
    WIDTH = 1  # DS "command overview": one byte, in this family alone


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("temperature", "humidity")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x44) -> None:
        """`address` is 0x44, or 0x45 or 0x46 of parts that are ordered so."""
        self._chip = _Chip(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self.serial: int | None = None

    def wake(self) -> None:
        """The first time: its serial number. The chip itself needs no waking."""
        if self.serial is None:
            high, low = self._chip.ask(_SERIAL, 2, _SERIAL_MS)
            self.serial = high << 16 | low

    def sample(self) -> tuple[int, int]:
        """1/100 Cel (-4000 to 12500) and 1/100 %RH (0 to 10000): DS 2.1, 2.2."""
        return self._read(_MEASURE, _MEASURE_MS)

    def sleep(self) -> None:
        """Nothing to do: between measurements the chip idles at 80 nA (DS 3.1)."""

    def heat(self) -> tuple[int, int]:
        """Drives condensed water off (not above 65 Cel, and less than a tenth of the time); the heated values."""
        return self._read(_HEAT, _HEAT_MS)

    def _read(self, command: int, wait_ms: int) -> tuple[int, int]:
        raw_t, raw_rh = self._chip.ask(command, 2, wait_ms)
        centi_c = (17500 * raw_t + 32767) // 65535 - 4500  # DS "conversion of signal output"
        centi_pct = (12500 * raw_rh + 32767) // 65535 - 600
        if not -4000 <= centi_c <= 12500:
            raise SensorError(MODEL, "implausible", raw_t.to_bytes(2, "big"))
        return centi_c, min(max(centi_pct, 0), 10000)  # DS "conversion": the formula leaves 0 to 100 % near its ends
