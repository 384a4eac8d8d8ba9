"""Sensirion's particle sensors on I2C: started once, then a new value every second, a flag that says so, and a status.

Promises values that were measured after the call. Leaves to the drivers what the words mean. The commands are the same
for SPS30, SEN5x and SEN6x; a driver's own class of this one says how it is started and read.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._sensirion import Commands

_STOP, _READY, _STATUS, _CLEAR = 0x0104, 0x0202, 0xD206, 0xD210
PERIOD_MS = 1040  # SPS30 1.1: 1.00 +/- 0.04 s
_LOOKS, _LOOK_MS = 5, 50
_UNKNOWN, _UNKNOWN_SIGNED = 0xFFFF, 0x7FFF  # SEN5x 6.1.5


def words_to_values(words: "list[int]") -> "list[int | None]":
    """What SEN5x and SEN6x begin with (SEN5x 6.1.5), by the channels' scales, halves up; None where it is unknown.

    Four masses in tenths, humidity in hundredths, temperature in two-hundredths, two indices in tenths; what comes
    after them is as it is.
    """
    made: list[int | None] = []
    for at, word in enumerate(words):
        if word == (_UNKNOWN_SIGNED if 4 <= at < 8 else _UNKNOWN):
            made.append(None)
            continue
        if 4 <= at < 8 and word & 0x8000:
            word -= 0x10000
        made.append((word + 1) >> 1 if at == 5 else (word + 5) // 10 if at in (6, 7) else word)
    return made


def flagged(
    made: "list[int | None]",
    status: int,
    doubts: "tuple[tuple[int, tuple[int, ...], int], ...]",
    restarted: "tuple[int, ...]",
) -> "dict[int, int]":
    """QARTOD flags of the values that are there: by (bits of the status, positions, flag), the worst one counts.

    `restarted` are those that have not had their start-up time since the power came back.
    """
    flags = {at: 3 for at in restarted if made[at] is not None}
    for bits, positions, flag in doubts:
        for at in positions:
            if status & bits and made[at] is not None:
                flags[at] = max(flag, flags.get(at, 0))
    return flags


def strings(words: "list[int]") -> str:
    """ASCII, two letters a word, ended by zero."""
    return "".join([chr(byte) for word in words for byte in (word >> 8, word & 0xFF) if byte])


class Particles(Commands):
    START, START_MS = 0x0021, 50
    START_WORDS: "tuple[int, ...]" = ()
    STOP_MS = 200
    READ, COUNT, READ_MS = 0x0300, 0, 20

    def attempt(self, command: int, wait_ms: int, words: "tuple[int, ...]" = ()) -> None:
        """As tell(), of an order that the chip may refuse in the mode that it is in."""
        try:
            self.tell(command, wait_ms, words)
        except SensorError as error:
            if error.what != "nack":
                raise

    def start(self) -> None:
        """Fan and laser on; the chip is brought to its idle mode first, for nobody knows how it was left."""
        self.attempt(_STOP, self.STOP_MS)
        self.tell(self.START, self.START_MS, self.START_WORDS)

    def stop(self) -> None:
        self.attempt(_STOP, self.STOP_MS)

    def fresh(self) -> "tuple[list[int], bool]":
        """The words of the next value, and whether the chip had to be started for it: its power was cut."""
        if self._is_ready():
            self.ask(self.READ, self.COUNT, self.READ_MS)  # what was measured before this call
        restarted = not self._comes()
        if restarted:
            self.attempt(self.START, self.START_MS, self.START_WORDS)  # a chip that cleans its fan is not disturbed
            if not self._comes():
                raise SensorError(self._model, "not ready")
        return self.ask(self.READ, self.COUNT, self.READ_MS), restarted

    def status(self) -> int:
        """The status register since it was read last."""
        high, low = self.ask(_STATUS, 2, self.READ_MS)
        if high or low:
            self.tell(_CLEAR, self.READ_MS)
        return high << 16 | low

    def _is_ready(self) -> bool:
        return self.ask(_READY, 1, self.READ_MS)[0] & 1 == 1

    def _comes(self) -> bool:
        self._sleep_ms(PERIOD_MS)
        for _ in range(_LOOKS):
            if self._is_ready():
                return True
            self._sleep_ms(_LOOK_MS)
        return False
