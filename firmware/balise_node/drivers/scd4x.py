"""SCD40, SCD41: CO2, temperature and humidity over I2C, measured by the sensor itself every 5 s.

DS = Sensirion "Datasheet SCD4x", version 1.3 (2022-09). Promises the first measurement that ends after the call, so a
sample takes up to 5 s. The sensor goes on measuring between samples: its answer to a step takes minutes (DS 1.1: 63 %
after 60 s) and its self-calibration counts the hours that it measures (DS 3.7.3), so neither sleep() nor a second
wake() stops it. Leaves to others the air pressure, which moves CO2 by about 1 % for 10 hPa.
Self-calibration (`asc`) takes the lowest values of a week for fresh air: a room that never sees any then reads too low,
and lower each week. It is set at each start, for the sensor may keep what another program wanted.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._sensirion import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "scd4x"

_START = 0x21B1  # DS 3.5.1
_READ, _READ_MS = 0xEC05, 1  # DS 3.5.2
_STOP, _STOP_MS = 0x3F86, 500  # DS 3.5.3
_SET_ASC, _SET_MS = 0x2416, 1  # DS 3.7.2
_READY, _READY_BITS = 0xE4B8, 0x07FF  # DS 3.8.2: ready when one of the lowest eleven bits is set
_BOOT_MS = 1000  # DS 2.4: power-up time
_LOOK_MS, _LOOKS = 500, 11  # DS 3.5.1: a measurement takes 5 s


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("co2", "temperature", "humidity")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x62, asc: bool = True) -> None:
        self._chip = Commands(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._sleep_ms = sleep_ms
        self._asc = int(asc)
        self._measures = False

    def wake(self) -> None:
        """The first time it is stopped, set up and started."""
        if not self._measures:
            self._chip.tell(_STOP, _STOP_MS)
            self._chip.tell(_SET_ASC, _SET_MS, (self._asc,), nack="refused")  # DS 3.4: not while it measures
            self._chip.tell(_START, 1, nack="refused")
            self._measures = True

    def sample(self) -> tuple["int | None", int, int]:
        """ppm (DS: 0 to 40000; 0 is what it says when it did not measure CO2), 1/100 Cel, 1/100 %RH."""
        is_old = self._ready()
        if self._chip.takes(_START):  # DS 3.4: only when it idles; so it was without power since
            self._measures = False
            self.wake()
        elif is_old:
            self._read()  # was measured before the call
        self._await()
        co2_ppm, raw_t, raw_rh = self._read()
        centi_c = (17500 * raw_t + 32767) // 65535 - 4500  # DS 3.5.2
        return co2_ppm or None, centi_c, (10000 * raw_rh + 32767) // 65535

    def sleep(self) -> None:
        """Nothing to do: it goes on measuring."""

    def _read(self) -> list[int]:
        return self._chip.ask(_READ, 3, _READ_MS)

    def _ready(self) -> bool:
        return bool(self._chip.ask(_READY, 1, 1)[0] & _READY_BITS)

    def _await(self) -> None:
        for _ in range(_LOOKS):
            self._sleep_ms(_LOOK_MS)
            if self._ready():
                return
        raise SensorError(MODEL, "not ready")
