"""VEML7700: illuminance over I2C, integrated anew for each sample.

DS = Vishay VEML7700, document 84286, revision 1.8; AN = its application note, document 84323. Promises what fell on the
chip during 100 ms of the call, in 0.1 lx. Leaves to others the window in front of it, and the non-linearity that AN
describes for more than 10,000 lx: raw counts times a constant are what the chip says.
Where the sheet disagrees with itself: older revisions say 0.0036 lx per count at the finest setting, AN since 0.0042.
"""

from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "veml7700"

_CONFIGURATION, _ALS = 0x00, 0x04  # DS table "command register format"
_ON, _OFF = b"\x00\x10", b"\x01\x10"  # DS: ALS_GAIN 10 (1/8), ALS_IT 0000 (100 ms), ALS_SD in bit 0; low byte first
_INTEGRATE_MS = 115  # DS: 100 ms, and 2.5 ms to wake; the oscillator is not specified: a tenth more
_TENTHS_OF_A_COUNT = 5376  # AN: 0.0042 lx at gain 2 and 800 ms, so 0.5376 lx here; in 1/1000 of a tenth
_MOST = 0xFFFF
_SUSPECT = 3


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("illuminance",)
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x10) -> None:
        """`address` is always 0x10 (DS "slave address")."""
        self._registers = Registers(MODEL, bus, address)
        self._sleep_ms = sleep_ms
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Power on."""
        self._registers.write(_CONFIGURATION, _ON)

    def sample(self) -> tuple[int]:
        """0.1 lx, 0 to 35231.6; suspect at the very end, where the counter stops."""
        self._registers.write(_CONFIGURATION, _OFF)  # off and on again: the integration begins with the call
        self._registers.write(_CONFIGURATION, _ON)
        self._sleep_ms(_INTEGRATE_MS)
        data = self._registers.read(_ALS, 2)
        count = data[0] | data[1] << 8
        self.flags = {0: _SUSPECT} if count == _MOST else {}
        return ((count * _TENTHS_OF_A_COUNT + 500) // 1000,)

    def sleep(self) -> None:
        """0.5 uA (DS "shutdown current")."""
        self._registers.write(_CONFIGURATION, _OFF)
