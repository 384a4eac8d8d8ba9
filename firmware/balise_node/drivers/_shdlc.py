"""SHDLC, the frames of Sensirion's UART sensors: an order, and one answer that says whether it was carried out.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06) 5.2. Promises data from a sound frame, or a SensorError. Leaves
to the drivers what orders mean.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._uart import Dialogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

_STUFFED = b"\x7e\x7d\x11\x13"  # DS table 5
_NOT_NOW = 0x43  # DS table 6: "command not allowed in current state"
_FIRST_MS = 30  # DS table 7: at most 20 ms, and the bytes on the line
_TIMEOUT_MS = 500


def order(number: int, data: bytes = b"") -> bytes:
    """7E, address 0, number, length, data, inverted sum, 7E; four bytes are sent as 7D and the byte xor 20 (DS 5.2)."""
    body = bytes((0, number, len(data))) + data
    frame = b"\x7e"
    for byte in body + bytes((~sum(body) & 0xFF,)):
        frame += bytes((0x7D, byte ^ 0x20)) if byte in _STUFFED else bytes((byte,))
    return frame + b"\x7e"


def content(frame: bytes) -> bytes:
    """What stands between the two 7E: address, number, state, length, data, inverted sum."""
    if frame.find(b"\x7d") < 0:
        return frame[1:-1]
    plain = bytearray()
    flip = 0
    for byte in frame[1:-1]:
        if byte == 0x7D:
            flip = 0x20
        else:
            plain.append(byte ^ flip)
            flip = 0
    return bytes(plain)


class Frames:
    """7E at both ends and nowhere else (DS 5.2)."""

    HEAD = b"\x7e"

    @staticmethod
    def size(data: bytes, at: int) -> int:
        end = data.find(b"\x7e", at + 1)
        if end < 0:
            return len(data) - at + 1  # more than is there: the rest is on its way
        return 0 if end == at + 1 else end + 1 - at

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        plain = content(frame)
        if len(plain) < 5:
            return "garbage"
        if ~sum(plain[:-1]) & 0xFF != plain[-1]:
            return "checksum"
        return None if plain[3] == len(plain) - 5 else "bad answer"


class Line:
    """One sensor on a UART."""

    def __init__(self, model: str, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._model = model
        self._dialogue = Dialogue(model, bus, sleep_ms, Frames, _TIMEOUT_MS)

    def tell(self, data: bytes) -> None:
        """Sends bytes whose answer, if any, does not matter."""
        self._dialogue.tell(data)

    def ask(self, number: int, data: bytes = b"") -> "bytes | None":
        """The data of the answer; None where the sensor does not do this in the mode that it is in."""
        plain = content(self._dialogue.ask(order(number, data), lambda frame: content(frame)[1] == number, _FIRST_MS))
        state = plain[2] & 0x7F  # DS 5.2: the bit above says that there are errors in the status register
        if state == _NOT_NOW:
            return None
        if state:
            raise SensorError(self._model, "refused", plain)
        return plain[4:-1]
