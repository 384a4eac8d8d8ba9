"""SSD1306: a display of 128 by 64 dots over I2C. It measures nothing, and shows eight lines of 21 letters.

DS = Solomon Systech SSD1306, revision 1.1 (2008-04), with its application note on the charge pump. Promises that what
is shown is all that is lit. Leaves to others what is worth showing. The picture stays through sleep(): only its chip
needs power, some 10 mA with half of the dots lit, less by the low contrast that also spares them.
"""

from balise_node.drivers._font import columns
from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "ssd1306"

_COMMANDS, _DATA = 0x00, 0x40  # DS 8.1.5.2: control byte, D/C# in bit 6
# DS table 9, and the application note: rows and columns as modules are wired, horizontal addressing, charge pump, on
_SET_UP = (
    b"\x20\x00\x40\xa1\xa8\x3f\xc8\xd3\x00\xda\x12"  # addressing, start line, columns, rows, offset, pins
    b"\xd5\x80\xd9\xf1\xdb\x20\x81\x10\xa4\xa6\x8d\x14\xaf"  # clock, precharge, VCOMH, contrast, RAM, pump, on
)
_FROM_THE_TOP = b"\x21\x00\x7f\x22\x00\x07"  # DS 10.1.4, 10.1.5: columns 0 to 127, pages 0 to 7
_LINES, _LETTERS, _WIDTH, _PITCH = 8, 21, 128, 6


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ()
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x3C) -> None:
        """`address` is 0x3C or 0x3D, by SA0 (DS 8.1.5.1)."""
        self._registers = Registers(MODEL, bus, address)

    def wake(self) -> None:
        """Sets the chip up, which keeps the picture. After power came its memory holds anything until show()."""
        self._registers.write(_COMMANDS, _SET_UP)

    def sample(self) -> tuple[()]:
        """No value. The chip is set up again: it may have been without power."""
        self.wake()
        return ()

    def sleep(self) -> None:
        """Nothing to do: the picture stays."""

    def show(self, lines: list[str]) -> None:
        """These lines from the top, and nothing else; what is too long is cut."""
        self._registers.write(_COMMANDS, _FROM_THE_TOP)
        for number in range(_LINES):
            row = bytearray(_WIDTH)
            text = lines[number] if number < len(lines) else ""
            for at, letter in enumerate(text[:_LETTERS]):
                row[at * _PITCH : at * _PITCH + 5] = columns(letter)
            self._registers.write(_DATA, row)
