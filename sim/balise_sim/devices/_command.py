"""A chip of Sensirion's kind on I2C: commands of 8 or 16 bits, words of 16 bits, a checksum after each word.

Promises what all their data sheets say: a command takes its time, and until then the chip acknowledges nothing (or
holds the clock); an answer is read once; a command that does not fit the moment, an argument too many or with a wrong
checksum is not acknowledged. Leaves to the models the commands, and to the bus what holding the clock costs.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from balise_sim.devices.base import I2CDevice, Nack


class Command(NamedTuple):
    """One row of a data sheet's list of commands.

    act(model, words, at_us) is done when the command ends, at_us, and gives the words to be read (None: none).
    """

    act: Callable[[Any, Sequence[int], int], Sequence[int] | None]
    takes_us: int
    where: str
    words: int = 0  # of argument
    measuring: bool = False  # is also taken while the chip measures by itself
    asks: bool = False  # sent without argument it is a question: act is given no words


def crc8(data: bytes) -> int:
    """Polynomial x8 + x5 + x4 + 1, start FF: by division of the whole number, as it is defined."""
    rest = int.from_bytes(data, "big") << 8 ^ 0xFF << 8 * len(data)
    for shift in range(8 * len(data) - 1, -1, -1):
        if rest >> shift + 8 & 1:
            rest ^= 0x131 << shift
    return rest


def coded(words: Sequence[int]) -> bytes:
    """Words as they are sent, each with its checksum."""
    pairs = [word.to_bytes(2, "big") for word in words]
    return b"".join(pair + bytes((crc8(pair),)) for pair in pairs)


def float_words(*values: float) -> list[int]:
    """Each value as two words: a big-endian single-precision number."""
    return list(struct.unpack(f">{2 * len(values)}H", struct.pack(f">{len(values)}f", *values)))


class CommandDevice(I2CDevice):
    """A model has COMMANDS, and what is_measuring(), settle() and admit() say of it; reset() begins with its own."""

    COMMANDS: ClassVar[Mapping[int, Command]]
    SETTINGS: ClassVar[Mapping[int, Command]] = {}  # what a command that reads does when it comes with arguments
    COMMAND_BYTES: ClassVar[int] = 2
    POWER_UP_US: ClassVar[int] = 1_000
    HOLDS_CLOCK: ClassVar[bool] = False  # what comes while a command is done is held instead of not acknowledged
    FAULTS: ClassVar[dict[str, str]] = I2CDevice.FAULTS | {
        "crc_word_2": "the checksum of the second word of every answer is wrong",
    }

    def __init__(self, address: int, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.reset(-self.POWER_UP_US)

    def reset(self, now_us: int) -> None:
        self.busy_until_us = now_us + self.POWER_UP_US
        self._boots_until_us = self.busy_until_us
        self._answer = b""

    def is_measuring(self) -> bool:
        """Whether the chip measures by itself now, and takes few commands."""
        return False

    def settle(self, now_us: int) -> None:
        """Brings the chip to what it is at now_us; called before every transaction."""

    def admit(self, code: int, row: Command) -> None:
        """Raises Nack where the chip does not take this command now."""
        if self.is_measuring() and not row.measuring:
            raise Nack(f"0x{self.address:02x} measures and does not take {code:04x}")

    def hold_us(self, now_us: int) -> int:
        holds = self.HOLDS_CLOCK and now_us >= self._boots_until_us
        return max(self.busy_until_us - now_us, 0) if holds else 0

    def on_write(self, data: bytes, now_us: int) -> None:
        self._be_free(now_us)
        code = int.from_bytes(data[: self.COMMAND_BYTES], "big")
        rows = self.SETTINGS if code in self.SETTINGS and len(data) > self.COMMAND_BYTES else self.COMMANDS
        row = rows.get(code)
        if row is None or len(data) < self.COMMAND_BYTES:
            raise Nack(f"0x{self.address:02x} has no command {data.hex()}")
        self.admit(code, row)
        words = self._words(data[self.COMMAND_BYTES :])
        if len(words) != row.words and not (row.asks and not words):
            raise Nack(f"0x{self.address:02x} takes {row.words} words after {code:04x}, not {len(words)}")
        self._answer = b""
        self.busy_until_us = now_us + row.takes_us
        answer = row.act(self, words, self.busy_until_us)
        if answer is not None:
            self._answer = self._deformed(coded(answer))

    def on_read(self, n: int, now_us: int) -> bytes:
        self._be_free(now_us)
        if not self._answer:
            raise Nack(f"0x{self.address:02x} has nothing to say")
        answer, self._answer = self._answer, b""
        return answer[:n].ljust(n, b"\xff")  # beyond its end nobody pulls the line low

    def _be_free(self, now_us: int) -> None:
        self.settle(now_us)
        if now_us < self.busy_until_us:
            raise Nack(f"0x{self.address:02x} is busy")

    def _words(self, data: bytes) -> list[int]:
        if len(data) % 3 or any(crc8(data[at : at + 2]) != data[at + 2] for at in range(0, len(data), 3)):
            raise Nack(f"0x{self.address:02x} takes no argument {data.hex()}")
        return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 3)]

    def _deformed(self, answer: bytes) -> bytes:
        if self.has("crc_word_2") and len(answer) >= 6:
            return answer[:5] + bytes((answer[5] ^ 0x01,)) + answer[6:]
        return answer
