"""What every chip on a 1-Wire bus does: presence, ROM commands, one bit per slot.

DS = Maxim/Analog Devices DS18B20 data sheet 19-7487, revision 6 (2019), "1-Wire signaling" and "ROM commands". Promises
a chip that hears only what is on the wire: in each slot it pulls the line low or leaves it, then sees the line. Leaves
to the models what a chip does once it is addressed. Not played: the alarm search, overdrive speed.
"""

from collections.abc import Callable, Generator
from typing import ClassVar

from balise_sim.devices.base import DeviceModel

READ_ROM, MATCH_ROM, SKIP_ROM, SEARCH_ROM = 0x33, 0x55, 0xCC, 0xF0  # DS "ROM commands"

Level = int | Callable[[int], int]  # 1: the line is left alone; a function of now_us for what depends on the time
Talk = Generator[Level, int, None]
Heard = Generator[Level, int, int]


def crc8(data: bytes) -> int:
    """DS "CRC generation": x8 + x5 + x4 + 1, bits in the order of the wire, start 0."""
    crc = 0
    for byte in data:
        for bit in range(8):
            carry = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ (0x8C if carry else 0)
    return crc


def bits(data: bytes) -> list[int]:
    """In the order of the wire: the lowest bit of the first byte first."""
    return [byte >> at & 1 for byte in data for at in range(8)]


class OneWireDevice(DeviceModel):
    """A chip with a ROM code: a model has FAMILY and function(code), which says what follows its own commands."""

    BUS = "onewire"
    FAMILY: ClassVar[int]
    FAULTS: ClassVar[dict[str, str]] = {
        "absent": "no presence pulse and no answer, as if unplugged",
        "shorted": "DQ is held at ground: looks like a presence pulse, then reads as zeros",
        "crc": "one bit of every answer of a byte or more is wrong, as on a long wire",
    }

    def __init__(self, rom: str = "", seed: int = 0) -> None:
        """`rom`: 16 hex digits in the order of the wire (family, serial number, CRC); made from the seed when empty."""
        super().__init__(seed)
        made = bytes((self.FAMILY,)) + self._random.randbytes(6)
        self.rom = bytes.fromhex(rom) if rom else made + bytes((crc8(made),))
        self._talk: Talk | None = None
        self._out: Level = 1
        self.now_us = 0

    def presence(self, now_us: int) -> bool:
        """A reset pulse ended; whether the chip now holds the line low."""
        self.now_us = now_us
        self._talk = None if self.has("absent") else self._conversation()
        self._out = next(self._talk) if self._talk else 1
        return not self.has("absent")

    def level(self, now_us: int) -> int:
        """What the chip does to the line in the next slot."""
        if self.has("shorted"):
            return 0
        if self.has("absent"):
            return 1
        return self._out(now_us) if callable(self._out) else self._out

    def slot(self, line: int, now_us: int) -> None:
        """A slot ended, in which the line had this level."""
        self.now_us = now_us
        if self._talk is None:
            return
        try:
            self._out = self._talk.send(line)
        except StopIteration:
            self._talk, self._out = None, 1

    def function(self, code: int) -> Talk:
        """What follows a command of the chip's own; ends when the chip falls silent."""
        raise NotImplementedError

    def hear(self, count: int) -> Heard:
        """So many bits of the master, as a number."""
        value = 0
        for at in range(count):
            value |= (yield 1) << at
        return value

    def say(self, data: bytes) -> Talk:
        said = bits(data)
        if self.has("crc"):
            said[self._random.randrange(len(said))] ^= 1
        for bit in said:  # noqa: UP028 - a list takes no send()
            yield bit

    def _conversation(self) -> Talk:
        code = yield from self.hear(8)
        if code == READ_ROM:
            yield from self.say(self.rom)
        elif code in (MATCH_ROM, SEARCH_ROM):
            for bit in bits(self.rom):
                if code == SEARCH_ROM:
                    yield bit
                    yield 1 - bit
                if (yield 1) != bit:
                    return
        elif code != SKIP_ROM:
            return
        code = yield from self.hear(8)
        yield from self.function(code)
