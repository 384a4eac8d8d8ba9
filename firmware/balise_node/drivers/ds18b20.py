"""DS18B20: temperature over 1-Wire, alone on its pin or named by its ROM code.

DS = Maxim/Analog Devices DS18B20 data sheet 19-7487, revision 6 (2019). Promises the value of a conversion that began
with the call, checked by its CRC. Leaves to others where the probe hangs.
What the chip shows when it has not converted, 85.00 Cel (DS table 1), is an error here: a supply that breaks down under
the conversion leaves it, and no air has it. A line at ground reads as zeros, whose CRC is right: an error as well.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import OneWire, SleepMs

MODEL = "ds18b20"

_FAMILY = 0x28  # DS "64-bit lasered ROM code"
_READ_ROM, _MATCH_ROM = b"\x33", b"\x55"  # DS "ROM commands"
_CONVERT, _WRITE, _READ = b"\x44", b"\x4e", b"\xbe"  # DS "function commands"
_ALARMS = b"\x4b\x46"  # DS figure 8: T_H and T_L as the factory leaves them; nobody asks for them
_SCRATCHPAD_BYTES = 9  # DS figure 8
_SETTINGS_AT = 4
_SLOWEST_MS = 750  # DS "AC electrical characteristics": at 12 bits, and half of it for each bit less
_AT_POWER_ON = 0x0550  # DS table 1


class Sensor:
    MODEL = MODEL
    BUS = "onewire"
    CHANNELS = ("temperature",)
    WARMUP_S = 0
    OPTIONS = ("rom", "bits")

    def __init__(self, bus: "OneWire", sleep_ms: "SleepMs", rom: str = "", bits: int = 12) -> None:
        """`rom`: 16 hex digits as they stand on the wire, 28 first, where several share the pin. `bits`: 9 to 12."""
        self._bus = bus
        self._sleep_ms = sleep_ms
        self._is_named = bool(rom)
        self.rom = bytes.fromhex(rom)  # of the chip that was found, when it is not named
        self._step = bits - 9

    def wake(self) -> None:
        """Who is there, when the chip is alone. It needs no waking."""
        if not self._is_named:
            self._tell(_READ_ROM)
            rom = self._answer(8)
            if rom[0] != _FAMILY:
                raise SensorError(MODEL, "wrong chip", rom)
            self.rom = rom

    def sample(self) -> tuple[int]:
        """1/100 Cel; DS: -5500 to 12500 in steps of 1/16 Cel at 12 bits, 1/2 at 9.

        The settings are written each time: a chip that lost its power has lost them, and would take longer.
        """
        if not self.rom:
            self.wake()
        settings = self._step << 5 | 0x1F  # DS figure 10
        self._tell(_MATCH_ROM + self.rom + _WRITE + _ALARMS + bytes((settings,)))
        self._tell(_MATCH_ROM + self.rom + _CONVERT)
        self._sleep_ms((_SLOWEST_MS >> 3 - self._step) + 1)
        self._tell(_MATCH_ROM + self.rom + _READ)
        data = self._answer(_SCRATCHPAD_BYTES)
        if data[_SETTINGS_AT] != settings:
            raise SensorError(MODEL, "bad answer", data)
        raw = data[0] | data[1] << 8
        if raw == _AT_POWER_ON:
            raise SensorError(MODEL, "not ready", data)
        sixteenths = (raw - (raw >> 15 << 16)) >> 3 - self._step << 3 - self._step  # DS figure 4: lower bits undefined
        if not -880 <= sixteenths <= 2000:  # DS table 1: -55 to 125 Cel
            raise SensorError(MODEL, "implausible", data)
        return ((sixteenths * 25 + 2) >> 2,)

    def sleep(self) -> None:
        """Nothing to do: the chip idles until it is addressed."""

    def _tell(self, order: bytes) -> None:
        if not self._bus.reset():
            raise SensorError(MODEL, "silent")
        self._bus.write(order)

    def _answer(self, count: int) -> bytes:
        buffer = bytearray(count)
        self._bus.readinto(buffer)
        data = bytes(buffer)
        if not any(data):
            raise SensorError(MODEL, "bus stuck", data)
        if self._bus.crc8(data):
            what = "silent" if data == b"\xff" * count else "checksum"  # nobody pulled the line low
            raise SensorError(MODEL, what, data)
        return data
