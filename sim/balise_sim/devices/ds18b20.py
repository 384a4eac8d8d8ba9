"""DS18B20 thermometer on a 1-Wire bus: scratchpad, resolution, time to convert, the value at power-on.

DS = Maxim/Analog Devices DS18B20 data sheet 19-7487, revision 6 (2019). Not specified, so chosen here: the bits that a
lower resolution leaves undefined read as ones; a conversion takes nine tenths of the time that DS allows. Colder than
-40 and hotter than 84.9 Cel is not played: no air of ours is, and 85 is what a chip shows that has not converted.
Not played: copying to and recalling from EEPROM, alarms, the power supply's own command.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._onewire import OneWireDevice, Talk, crc8
from balise_sim.devices.base import Quantity

CONVERT, WRITE, READ = 0x44, 0x4E, 0xBE  # DS "function commands"
AT_POWER_ON = 0x0550  # DS table 1: 85 Cel
ALARMS, RESERVED = b"\x4b\x46", b"\xff\x0c\x10"  # DS figure 8: as the factory leaves them
TWELVE_BITS = 0x7F  # DS figure 10: R1 and R0 are bits 6 and 5, the others read 0 and 1
SLOWEST_US = 675_000


class Model(OneWireDevice):
    FAMILY = 0x28  # DS "64-bit lasered ROM code"
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {"temperature": Quantity(-40.0, 84.9, 0.0625, 15.0)}
    FAULTS = OneWireDevice.FAULTS | {
        "brown_out": "the power fails while it converts, as on a parasitic supply without pull-up: 85 Cel remains",
    }

    def __init__(self, rom: str = "", seed: int = 0) -> None:
        super().__init__(rom, seed)
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._talk, self._out = None, 1
        self._forget()

    def _forget(self) -> None:
        self._raw = AT_POWER_ON
        self._settings = ALARMS + bytes((TWELVE_BITS,))
        self._done_us: int | None = None

    def function(self, code: int) -> Talk:
        if code == CONVERT:
            self._done_us = self.now_us + (SLOWEST_US >> 3 - self._step())
            while True:  # DS "convert T": read slots give 0 while it converts, and then 1
                yield self._is_done
        elif code == WRITE:
            for at in range(3):
                value = yield from self.hear(8)
                if at == 2:
                    value = value & 0x60 | 0x1F
                self._settings = self._settings[:at] + bytes((value,)) + self._settings[at + 1 :]
        elif code == READ:
            yield from self.say(self._scratchpad())

    def _step(self) -> int:
        """0 for 9 bits to 3 for 12."""
        return self._settings[2] >> 5 & 3

    def _is_done(self, now_us: int) -> int:
        self._settle(now_us)
        return 0 if self._done_us is not None else 1

    def _settle(self, now_us: int) -> None:
        if self._done_us is None or now_us < self._done_us:
            return
        if self.has("brown_out"):
            self._forget()
            return
        undefined = (1 << 3 - self._step()) - 1
        sixteenths = round(self.measure("temperature", self._done_us) * 16)
        self._raw = (sixteenths | undefined) & 0xFFFF
        self._done_us = None

    def _scratchpad(self) -> bytes:
        self._settle(self.now_us)
        data = self._raw.to_bytes(2, "little") + self._settings + RESERVED
        return data + bytes((crc8(data),))
