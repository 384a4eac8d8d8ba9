"""Rows out of the raw pages of an SQLite file, however damaged, without asking SQLite.

Promises to look at every page that can be read, with the committed frames of a write-ahead log laid over, and to give
each row that a table page still points at. It cannot tell which table a row belongs to, nor a live row from one that
was deleted with its page: its caller knows rows by their checksums. Section numbers: sqlite.org/fileformat2.html.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

PAGE_BYTES = 1024  # of a new journal: a commit changes a few bytes of each of four pages, and a card wears by pages
OLD_PAGE_BYTES = 4096  # of a journal that was made under schema 1: it keeps its size
_SIZES = (PAGE_BYTES, OLD_PAGE_BYTES)  # both are tried, so that a damaged header cannot tell us otherwise
MAX_ROW_BYTES = 1 << 24

_FILE_HEADER_BYTES = 100  # section 1.3
_TABLE_LEAF = 0x0D  # section 1.6
_WAL_HEADER_BYTES, _WAL_FRAME_HEADER_BYTES = 32, 24  # section 4.1
_WAL_MAGIC = (0x377F0682, 0x377F0683)

Values = list[int | float | bytes | str | None]


class Damaged(ValueError):
    """This cell is not a row."""


def read_rows(database: Path, wal: Path) -> Iterator[tuple[int, Values]]:
    """(rowid, values) of each row in the file, as its last commit left it; some may come twice, some be no rows."""
    for page_bytes in _SIZES:
        yield from _rows_of(_Pages(database, page_bytes, _committed_frames(wal, page_bytes)))


def _rows_of(pages: "_Pages") -> Iterator[tuple[int, Values]]:
    for number in range(1, pages.count + 1):
        page = pages.read(number)
        start = _FILE_HEADER_BYTES if number == 1 else 0
        if page is None or page[start] != _TABLE_LEAF:
            continue
        cells = int.from_bytes(page[start + 3 : start + 5], "big")
        for index in range(min(cells, pages.page_bytes // 4)):
            at = start + 8 + 2 * index
            try:
                yield _row(pages, page, int.from_bytes(page[at : at + 2], "big"))
            except Damaged:
                continue


class _Pages:
    def __init__(self, database: Path, page_bytes: int, newer: dict[int, bytes]) -> None:
        self._database, self._newer, self.page_bytes = database, newer, page_bytes
        size = database.stat().st_size if database.exists() else 0
        self.count = max([size // page_bytes, *newer])

    def read(self, number: int) -> bytes | None:
        """The page, or None when the disk will not give it or it is not there."""
        if number in self._newer:
            return self._newer[number]
        try:
            with self._database.open("rb") as file:
                file.seek((number - 1) * self.page_bytes)
                page = file.read(self.page_bytes)
        except OSError:
            return None
        return page if len(page) == self.page_bytes else None


def _row(pages: _Pages, page: bytes, at: int) -> tuple[int, Values]:
    """The cell of a table leaf page, section 1.6: payload size, rowid, payload."""
    size, at = _varint(page, at)
    rowid, at = _varint(page, at)
    if not 0 < size <= MAX_ROW_BYTES:
        raise Damaged(f"a row of {size} bytes")
    local = _local_bytes(size, pages.page_bytes)
    payload = page[at : at + local]
    if local < size:
        payload += _overflow(pages, int.from_bytes(page[at + local : at + local + 4], "big"), size - local)
    if len(payload) != size:
        raise Damaged("a row that ends early")
    return rowid - (1 << 64) if rowid >> 63 else rowid, _values(payload)


def _local_bytes(size: int, page_bytes: int) -> int:
    """How much of a payload stands on its leaf page, section 1.6."""
    most = page_bytes - 35
    if size <= most:
        return size
    least = (page_bytes - 12) * 32 // 255 - 23
    kept = least + (size - least) % (page_bytes - 4)
    return kept if kept <= most else least


def _overflow(pages: _Pages, number: int, size: int) -> bytes:
    """The rest of a payload, section 1.7: a chain of pages, each with the number of the next."""
    rest = bytearray()
    while len(rest) < size:
        page = pages.read(number) if number else None
        if page is None:
            raise Damaged("a chain of pages that breaks")
        number = int.from_bytes(page[:4], "big")
        rest += page[4 : 4 + min(pages.page_bytes - 4, size - len(rest))]
    return bytes(rest)


def _values(payload: bytes) -> Values:
    """A record, section 2.1: a header of serial types, then the values."""
    end, at = _varint(payload, 0)
    body = end
    values: Values = []
    while at < end <= len(payload):
        serial, at = _varint(payload, at)
        value, body = _value(payload, serial, body)
        values.append(value)
    if at != end or body != len(payload):
        raise Damaged("a record whose header does not fit")
    return values


_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)


def _value(payload: bytes, serial: int, at: int) -> tuple[int | float | bytes | str | None, int]:
    if serial == 0:
        return None, at
    if serial in (8, 9):
        return serial - 8, at
    size = _INTEGER_BYTES[serial] if serial < 7 else 8 if serial == 7 else (serial - 12) // 2
    raw = payload[at : at + size]
    if size < 0 or len(raw) != size:
        raise Damaged("a value that ends early")
    if serial < 7:
        return int.from_bytes(raw, "big", signed=True), at + size
    if serial == 7:
        return float(struct.unpack(">d", raw)[0]), at + size
    return (raw if serial % 2 == 0 else raw.decode("utf-8", "replace")), at + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Section 1.6: up to nine bytes, seven bits each, all eight of the ninth."""
    value = 0
    for index in range(9):
        if at + index >= len(data):
            raise Damaged("a number that ends early")
        byte = data[at + index]
        if index == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    raise Damaged("a number without an end")


def _committed_frames(wal: Path, page_bytes: int) -> dict[int, bytes]:
    """The pages of a write-ahead log up to its last whole commit, sections 4.1 to 4.3."""
    data = wal.read_bytes() if wal.exists() else b""
    if len(data) < _WAL_HEADER_BYTES or int.from_bytes(data[:4], "big") not in _WAL_MAGIC:
        return {}
    order = ">" if data[3] & 1 else "<"
    sums = _checksum(data[:24], (0, 0), order)
    committed: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    step = _WAL_FRAME_HEADER_BYTES + page_bytes
    for at in range(_WAL_HEADER_BYTES, len(data) - step + 1, step):
        head, page = data[at : at + _WAL_FRAME_HEADER_BYTES], data[at + _WAL_FRAME_HEADER_BYTES : at + step]
        sums = _checksum(page, _checksum(head[:8], sums, order), order)
        if head[8:16] != data[16:24] or struct.unpack(">II", head[16:24]) != sums:
            break
        pending[int.from_bytes(head[:4], "big")] = page
        if head[4:8] != b"\0\0\0\0":  # the frame that ends a commit names the file's size
            committed.update(pending)
            pending.clear()
    return committed


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Section 4.2."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first, second
