"""SSD1306 display: commands, three ways to address its memory, and the picture that somebody in front of it sees.

DS = Solomon Systech SSD1306, revision 1.1 (2008-04), with its application note on the charge pump. The module is wired
as most are: the first dot is column 127 and the last row of the chip (A1, C8), alternative COM pins (DA 12). Not
played: scrolling, the display offset, what a wrong clock or precharge looks like.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices.base import I2CDevice, Quantity

WIDTH, HEIGHT, PAGES = 128, 64, 8
ONE_MORE = 0x80  # DS 8.1.5.2: Co, one byte follows and then another control byte
DATA = 0x40
# DS table 9: how many bytes follow a command; all others have none
FOLLOWING = {0x20: 1, 0x21: 2, 0x22: 2, 0x26: 6, 0x27: 6, 0x29: 5, 0x2A: 5, 0x81: 1, 0x8D: 1, 0xA3: 2, 0xA8: 1}
FOLLOWING |= {0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1}
HORIZONTAL, VERTICAL, BY_PAGE = 0, 1, 2  # DS 10.1.3
PUMP = 0x04  # application note: enable charge pump
WIRED_PINS = 0x12


class Model(I2CDevice):
    """`memory` is the chip's GDDRAM, page by page."""

    CHANNELS: ClassVar[Mapping[str, Quantity]] = {}
    FAULTS = I2CDevice.FAULTS | {"dark": "nothing is lit, as with a broken panel; the bus does not tell"}

    def __init__(self, address: int = 0x3C, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self.memory = bytearray(self._random.randbytes(WIDTH * PAGES))  # DS 8.7: not cleared
        self._is_on, self._is_inverse, self._is_all_lit = False, False, False
        self._has_pump, self._pins = False, WIRED_PINS
        self._mirrors_columns, self._mirrors_rows = False, False
        self._start_line, self._rows = 0, HEIGHT
        self._mode = BY_PAGE
        self._columns, self._pages = (0, WIDTH - 1), (0, PAGES - 1)
        self._column, self._page = 0, 0
        self._order = bytearray()

    def on_write(self, data: bytes, now_us: int) -> None:
        at = 0
        while at < len(data) - 1:
            control = data[at]
            end = at + 2 if control & ONE_MORE else len(data)
            for byte in data[at + 1 : end]:
                self._store(byte) if control & DATA else self._command(byte)
            at = end

    def on_read(self, n: int, now_us: int) -> bytes:
        """DS 8.1.5: the status, whose bit 6 says that the display is off."""
        return bytes((0x00 if self._is_on else 0x40,)) * n

    def picture(self) -> list[list[bool]]:
        """What is lit, by rows from the top, as somebody in front of the module sees it."""
        return [[self._is_lit(row, column) for column in range(WIDTH)] for row in range(HEIGHT)]

    def drawn(self) -> str:
        """The picture as text, two rows of dots to a line."""
        rows = self.picture()
        pairs = zip(rows[::2], rows[1::2], strict=True)
        lines = ("".join(" ▀▄█"[top + 2 * low] for top, low in zip(*pair, strict=True)).rstrip() for pair in pairs)
        return "\n".join(lines)

    def _is_lit(self, row: int, column: int) -> bool:
        if not (self._is_on and self._has_pump and self._pins == WIRED_PINS) or self.has("dark"):
            return False
        if self._is_all_lit:
            return True
        column = column if self._mirrors_columns else WIDTH - 1 - column
        row = row if self._mirrors_rows else HEIGHT - 1 - row
        if row >= self._rows:
            return False
        row = (row + self._start_line) % HEIGHT
        bit = self.memory[row // 8 * WIDTH + column] >> row % 8 & 1
        return bool(bit) != self._is_inverse

    def _store(self, byte: int) -> None:
        """DS 10.1.3: the place for the next byte moves on as the mode says."""
        self.memory[self._page * WIDTH + self._column] = byte
        if self._mode == BY_PAGE:
            self._column = (self._column + 1) % WIDTH
            return
        fast, slow = (self._columns, self._pages) if self._mode == HORIZONTAL else (self._pages, self._columns)
        first, second = (self._column, self._page) if self._mode == HORIZONTAL else (self._page, self._column)
        if first == fast[1]:
            second = slow[0] if second == slow[1] else second + 1
            first = fast[0]
        else:
            first += 1
        first, second = first % (WIDTH if self._mode == HORIZONTAL else PAGES), second % WIDTH
        self._column, self._page = (first, second % PAGES) if self._mode == HORIZONTAL else (second, first)

    def _command(self, byte: int) -> None:
        self._order.append(byte)
        if len(self._order) <= FOLLOWING.get(self._order[0], 0):
            return
        order, self._order = bytes(self._order), bytearray()
        if order[0] in FOLLOWING:
            self._set(order[0], order[1:])
        else:
            self._switch(order[0])

    def _switch(self, code: int) -> None:
        """DS table 9: commands of one byte."""
        if code < 0x10:
            self._column = self._column & 0xF0 | code & 0x0F
        elif code < 0x20:
            self._column = (self._column & 0x0F | code << 4) % WIDTH
        elif 0x40 <= code < 0x80:
            self._start_line = code & 63
        elif code in (0xA0, 0xA1):
            self._mirrors_columns = code == 0xA1
        elif code in (0xA4, 0xA5):
            self._is_all_lit = code == 0xA5
        elif code in (0xA6, 0xA7):
            self._is_inverse = code == 0xA7
        elif code in (0xAE, 0xAF):
            self._is_on = code == 0xAF
        elif 0xB0 <= code < 0xB8:
            self._page = code & 7
        elif 0xC0 <= code < 0xD0:
            self._mirrors_rows = bool(code & 8)

    def _set(self, code: int, values: bytes) -> None:
        """DS table 9: commands with what follows them; those that change nothing of the picture are only taken."""
        if code == 0x20:
            self._mode = values[0] & 3 if values[0] & 3 < 3 else self._mode
        elif code == 0x21:
            self._columns = values[0] & 127, values[1] & 127
            self._column = self._columns[0]
        elif code == 0x22:
            self._pages = values[0] & 7, values[1] & 7
            self._page = self._pages[0]
        elif code == 0x8D:
            self._has_pump = bool(values[0] & PUMP)
        elif code == 0xA8:
            self._rows = (values[0] & 63) + 1
        elif code == 0xDA:
            self._pins = values[0]
