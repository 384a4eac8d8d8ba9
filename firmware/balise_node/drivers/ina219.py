"""INA219: voltage, current and power of a supply over I2C, by the voltage at a shunt; one conversion a sample.

DS = Texas Instruments SBOS448G, revision G (2015-12). Promises the mean of 128 samples of both voltages, and current
and power from them by integer arithmetic of our own: the chip's calibration register, which it loses with its power, is
not used. Leaves to others the shunt's own error. A shunt voltage at the end of its range, or the chip's overflow bit,
makes current and power fail (flag 4): they are at least what is said.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "ina219"

_CONFIGURATION, _SHUNT, _BUS = 0, 1, 2  # DS 8.6.1 table 2
# DS 8.6.2: 32 V, shunt +-320 mV, 128 samples of each, both voltages once
_ONCE = b"\x3f\xfb"
_CONVERT_MS = 152  # DS table 5: twice 68.1 ms, and a tenth more as for a single conversion (DS 7.5: 532 to 586 us)
_LOOKS = 3
_READY, _OVERFLOW = 0x02, 0x01  # DS 8.6.3.2: CNVR, OVF
_SHUNT_END = 32000  # DS table 7: 320 mV in 10 uV
_FAIL = 4


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("supply_voltage", "supply_current", "supply_power")
    WARMUP_S = 0
    OPTIONS = ("shunt_milliohm",)

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x40, shunt_milliohm: int = 100) -> None:
        """`address` 0x40 to 0x4F by A0 and A1 (DS table 1); most modules have a shunt of 100 milliohm."""
        self._registers = Registers(MODEL, bus, address)
        self._sleep_ms = sleep_ms
        self._shunt_milliohm = shunt_milliohm
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Nothing to do: each sample triggers its own conversion."""

    def sample(self) -> tuple[int, int, int]:
        """mV, 0.1 mA, mW: with 100 milliohm to 3.2 A in steps of 0.1 mA, to 26 V in steps of 4 mV."""
        bus = self._converted()
        shunt = int.from_bytes(self._registers.read(_SHUNT, 2), "big")
        shunt -= shunt >> 15 << 16
        millivolts = (bus >> 3) * 4
        # 10 uV over one milliohm are 10 mA
        tenths_ma = _rounded(shunt * 100, self._shunt_milliohm)
        milliwatts = _rounded(millivolts * tenths_ma, 10000)
        beyond = bus & _OVERFLOW or abs(shunt) >= _SHUNT_END
        self.flags = {1: _FAIL, 2: _FAIL} if beyond else {}
        return millivolts, tenths_ma, milliwatts

    def sleep(self) -> None:
        """Nothing to do: after a triggered conversion the chip waits for the next (DS 8.4)."""

    def _converted(self) -> int:
        """The bus voltage register of a new conversion: writing the configuration clears CNVR (DS 8.6.3.2)."""
        self._registers.write(_CONFIGURATION, _ONCE)
        found = b""
        for _ in range(_LOOKS):
            self._sleep_ms(_CONVERT_MS)
            found = self._registers.read(_BUS, 2)
            if found[1] & _READY:
                return found[0] << 8 | found[1]
        raise SensorError(MODEL, "not ready", found)


def _rounded(number: int, divisor: int) -> int:
    """To the nearest, halves away from zero."""
    half = divisor // 2
    return (number + half) // divisor if number >= 0 else -((half - number) // divisor)
