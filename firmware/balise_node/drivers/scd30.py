"""SCD30: CO2, temperature and humidity over I2C, measured by the sensor itself every 2 s.

DS = Sensirion "Interface Description SCD30", version 1.0 (2020-05). Promises the first measurement that ends after the
call, so a sample takes up to 2 s. The sensor goes on measuring between samples, and after a power cut (DS 1.4.1): its
self-calibration needs a week of it (DS 1.4). Leaves to others the air pressure and the self-calibration, which the
sensor remembers. It holds the clock for up to 150 ms once a day (DS 1.1), longer than a board's I2C may wait: the bus
then reports a timeout, and the answer is read again after that time. DS 1.1 asks for 100 kHz at most, better 50 kHz.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._float32 import scaled
from balise_node.drivers._sensirion import ETIMEDOUT, Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "scd30"

_START = 0x0010  # DS 1.4.1; its argument is the air pressure in hPa, 0 for none
_INTERVAL, _INTERVAL_S = 0x4600, 2  # DS 1.4.3
_READY, _READ = 0x0202, 0x0300  # DS 1.4.4, 1.4.5
_ANSWER_MS = 4  # DS 1.4.4: more than 3 ms between a command and reading its answer
_HOLD_MS = 150  # DS 1.1
_BOOT_MS = 2000  # DS 1.1
_LOOK_MS, _LOOKS = 250, 12


class _Chip(Commands):
    """After a timeout it waits for the clock, and tries once more."""

    def fetch(self, count: int) -> list[int]:
        try:
            return super().fetch(count)
        except SensorError as error:
            problem = error
        if problem.what != "bus stuck":
            raise problem
        self._sleep_ms(_HOLD_MS)
        return super().fetch(count)

    def _write(self, order: bytes) -> int:
        errno = super()._write(order)
        if errno in ETIMEDOUT:
            self._sleep_ms(_HOLD_MS)
            errno = super()._write(order)
        return errno


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("co2", "temperature", "humidity")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x61) -> None:
        self._chip = _Chip(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._sleep_ms = sleep_ms
        self._measures = False

    def wake(self) -> None:
        """The first time it is set up and started."""
        if not self._measures:
            self._chip.tell(_INTERVAL, _ANSWER_MS, (_INTERVAL_S,))
            self._chip.tell(_START, _ANSWER_MS, (0,))
            self._measures = True

    def sample(self) -> tuple["int | None", ...]:
        """ppm (DS: 0 to 40000), 1/100 Cel, 1/100 %RH, rounded; None where the sensor sends no number."""
        if self._ready():
            self._read()  # was measured before the call
        for _ in range(_LOOKS):
            self._sleep_ms(_LOOK_MS)
            if self._ready():
                words = self._read()
                return tuple([scaled(words[at] << 16 | words[at + 1], 100 if at else 1) for at in (0, 2, 4)])
        self._measures = False  # the next wake() starts it again
        raise SensorError(MODEL, "not ready")

    def sleep(self) -> None:
        """Nothing to do: it goes on measuring."""

    def _read(self) -> list[int]:
        return self._chip.ask(_READ, 6, _ANSWER_MS)

    def _ready(self) -> bool:
        return self._chip.ask(_READY, 1, _ANSWER_MS)[0] == 1
