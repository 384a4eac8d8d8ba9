"""The frame store: a sealed frame that was appended stays in flash until it is released, whatever happens to the power.

One file: a header (b"BNF1", the key id), then records (records.py) that are only appended, one write each. One that
is torn or damaged is left out at start and told as lost; those after it are still found. What is read back is checked
again, so a wrong frame never leaves. Only frames read back from here are ever sent: one (boot, count), one content.

Released space at the front is given back by starting the file afresh when it is empty, or by copying the rest to a
second file, step by step, and renaming. The size is fixed. When it is used up, nothing that is kept is dropped for
something newer: the newest is refused (StoreFull), and whoever asked counts it. In RAM there are at most FRONT entries.
Leaves to others: sealing, sending, what an acknowledgement is worth.
"""

import os

from balise_node.records import MAX_FRAME_BYTES, RECORD_BYTES, exists, find_record, pack_record, read_record, replace
from balise_wire.window import Window

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from balise_node.records import Record

ROW, HELLO, LOSS = (
    0,
    1,
    2,
)  # kinds: rows; the boot's manifest, sent first; told losses. The last two may use the reserve.

FRONT = 16  # entries in RAM, so frames in flight: a day without a gateway is caught up with in two hours
RESERVE_BYTES = 4096  # kept free of rows, for hellos and losses: a full store can still say that it is full
_MAGIC = b"BNF1"
_FILE_HEADER_BYTES = 8
_DEAD_BYTES = 4096  # released space below this is not worth a write: one flash block
_PIECE_BYTES, _PIECES = 256, 8  # so much is copied at a time, so that measuring never waits long
_MAX_LOST = 8
_ACKED_BOOTS = 4  # boots whose acknowledgement is remembered for frames that are not in RAM yet


class StoreFull(Exception):
    """The frame was not kept: the fixed size is used up, or the file system has no room."""


class Entry:
    """A kept frame: where it lies in the file. The last three fields are the sender's notes."""

    def __init__(self, at: int, length: int, boot: int, count: int) -> None:
        self.at = at
        self.length = length
        self.boot = boot
        self.count = count
        self.tries = 0
        self.first_sent_ms = 0
        self.due_ms = 0

    def __repr__(self) -> str:
        return f"Entry({self.boot}, {self.count})"


class FrameStore:
    """Frames in one file, oldest first. Call `open` once before anything else."""

    def __init__(self, path: str, kid: bytes, limit_bytes: int) -> None:
        self._path = path
        self._copy_path = path + ".new"
        self._kid = kid
        self._limit_bytes = limit_bytes
        self._front: list[Entry] = []
        self._hello: Entry | None = None
        self._acked: dict[int, Window] = {}
        self._next_at = self._end = _FILE_HEADER_BYTES  # first record not in RAM; where the next one goes
        self._copied_at = self._copy_from = 0
        self._piece = bytearray(_PIECE_BYTES)
        self._copy: BinaryIO | None = None
        self._tidy_from_bytes = _DEAD_BYTES
        self._torn = False
        self.waiting = 0  # frames kept and not released
        self.lost: list[tuple[int, int, int]] = []  # (boot, first, last count) of what was damaged, until it is told
        self.highest_boot = 0  # of all records found at `open`
        self.set_aside = False  # at `open` the file held another key's frames; they lie in <path>.old now

    def open(self) -> None:
        """Find what is kept; leave out what is torn or damaged, and rewrite the file without it."""
        self._finish_rename()
        self._open_or_create()
        self._survey()
        if self._torn:
            try:
                self._rewrite_whole_records()
            except OSError:
                self._reopen()  # no room for a copy: the damage stays, and is left out again at each reading

    def append(self, kind: int, boot: int, count: int, frame: bytes) -> None:
        """Keep a frame; when this returns, it survives a power cut. Raises StoreFull."""
        end = self._end + RECORD_BYTES + len(frame)
        limit_bytes = self._limit_bytes - (RESERVE_BYTES if kind == ROW else 0)
        if end > limit_bytes or len(frame) > MAX_FRAME_BYTES:
            raise StoreFull(f"{self._end} of {self._limit_bytes} bytes used")
        refused = self._write(pack_record(kind, boot, count, frame))
        if refused:
            raise StoreFull(f"the file system refused: {refused}")
        entry = Entry(self._end, len(frame), boot, count)
        if kind == HELLO:
            self._hello = entry
        if self._next_at == self._end and (kind == HELLO or len(self._front) < FRONT):
            self._next_at = end
            if kind != HELLO:
                self._front.append(entry)
        self._end = end
        self.waiting += 1

    def entries(self) -> list[Entry]:
        """What may be sent now: this boot's hello, then the oldest frames, at most FRONT of them."""
        return ([self._hello] if self._hello else []) + self._front

    def read(self, entry: Entry) -> bytes | None:
        """The frame of an entry; None when flash gave other bytes back (then the entry is dropped and counted)."""
        record = read_record(self._file, entry.at)
        if record is not None and record[1:] == (entry.length, entry.boot, entry.count):
            self._file.seek(entry.at + RECORD_BYTES)
            return self._file.read(entry.length)
        self._lose(entry.boot, entry.count, entry.count)
        self._forget(entry)
        self._refill()
        return None

    def release(self, boot: int, window: Window) -> tuple[int, int]:
        """Let go of what the gateway holds.

        Returns how many entries in RAM this released, and when the youngest of them was first sent (-1: none was).
        """
        released, youngest_ms = 0, -1
        for entry in self.entries():
            if entry.boot == boot and window.holds(entry.count):
                released += 1
                if entry.tries:
                    youngest_ms = max(youngest_ms, entry.first_sent_ms)
                self._forget(entry)
        known = self._acked.get(boot)
        if known is None or window.contiguous >= known.contiguous:
            self._acked[boot] = window
        while len(self._acked) > _ACKED_BOOTS:
            del self._acked[min(self._acked)]
        self._refill()
        if not self._front and self._hello is None and self._dead_bytes() >= _DEAD_BYTES:
            self._start_afresh()
        return released, youngest_ms

    def tidy(self) -> bool:
        """Do one short step of giving released space back; True while there is more to do."""
        if self._copy is None and not self._worth_copying():
            return False
        try:
            return self._copy_step()
        except OSError:
            self._drop_copy()
            self._reopen()
            self._tidy_from_bytes = self._dead_bytes() + _DEAD_BYTES  # no room: not again before more is released
            return False

    def close(self) -> None:
        """Close the file; the store is not used after this."""
        self._drop_copy()
        self._file.close()

    def _finish_rename(self) -> None:
        """FAT renames by removing first: a missing file beside a copy means that the copy was complete."""
        if not exists(self._copy_path):
            return
        if exists(self._path):
            os.remove(self._copy_path)
        else:
            os.rename(self._copy_path, self._path)

    def _open_or_create(self) -> None:
        if not exists(self._path):
            self._create()
            return
        self._reopen()
        header = self._file.read(_FILE_HEADER_BYTES)
        if header == _MAGIC + self._kid:
            return
        self._file.close()
        if header[:4] == _MAGIC and len(header) == _FILE_HEADER_BYTES:
            replace(self._path, self._path + ".old")
            self.set_aside = True
        elif len(header) == _FILE_HEADER_BYTES:  # shorter ones are files whose first write was cut: they held nothing
            self._lose(0, 0, 0)
        self._create()

    def _create(self) -> None:
        self._file: BinaryIO = open(self._path, "w+b")  # noqa: SIM115 (open as long as the store is)
        self._file.write(_MAGIC + self._kid)
        self._file.flush()

    def _reopen(self) -> None:
        try:
            self._file.close()
        except (AttributeError, OSError):
            pass  # not open yet, or failed: either way it is opened again
        self._file = open(self._path, "r+b")  # noqa: SIM115 (open as long as the store is)

    def _write(self, record: bytes) -> str:
        """Writes at the end; returns what went wrong, then what is torn lies beyond the end."""
        try:
            self._file.seek(self._end)
            self._file.write(record)
            self._file.flush()
        except OSError as error:
            self._reopen()  # littlefs does not write again to a file that failed once
            return str(error)
        return ""

    def _survey(self) -> None:
        """Read all records: count them, fill the front, find the end."""
        self._front = []
        self._next_at = self._end = _FILE_HEADER_BYTES
        self.waiting = 0
        for at, length, boot, count in self._scan(_FILE_HEADER_BYTES, self._file.seek(0, 2)):
            self._end = at + RECORD_BYTES + length
            self.waiting += 1
            self.highest_boot = max(self.highest_boot, boot)
            if len(self._front) < FRONT:
                self._front.append(Entry(at, length, boot, count))
                self._next_at = self._end

    def _scan(self, at: int, end: int) -> "Iterator[Record]":
        """The whole records between two places; what is damaged between them is noted as lost."""
        boot = count = 0
        torn = False
        while at < end:
            record = read_record(self._file, at)
            if record is None:
                torn = self._torn = True
                at = find_record(self._file, at + 1, end)
                continue
            if torn:
                self._lose_before(boot, count, record)
            torn, boot, count = False, record[2], record[3]
            yield record
            at += RECORD_BYTES + record[1]
        if torn:
            self._lose(boot, count + 1, count + 1)  # or it was cut while it was written: then this tells it, too

    def _lose_before(self, boot: int, count: int, record: "Record") -> None:
        """Damage between two records: counts rise by one, so their neighbours say what it was."""
        next_boot, next_count = record[2], record[3]
        if next_boot == boot or next_count > 1:
            self._lose(next_boot, count + 1 if next_boot == boot else next_count - 1, next_count - 1)
        else:
            self._lose(boot, count + 1, count + 1)

    def _lose(self, boot: int, first: int, last: int) -> None:
        if len(self.lost) < _MAX_LOST:
            self.lost.append((boot, first, last))

    def _rewrite_whole_records(self) -> None:
        lost = self.lost[:]
        with open(self._copy_path, "wb") as copy:
            copy.write(_MAGIC + self._kid)
            for at, length, _boot, _count in self._scan(_FILE_HEADER_BYTES, self._end):
                self._file.seek(at)
                copy.write(self._file.read(RECORD_BYTES + length))
        self.lost = lost
        self._file.close()
        replace(self._copy_path, self._path)
        self._reopen()
        self._survey()

    def _forget(self, entry: Entry) -> None:
        if entry is self._hello:
            self._hello = None
        else:
            self._front.remove(entry)
        self.waiting -= 1

    def _refill(self) -> None:
        """Take the next frames into RAM, passing over those that an earlier acknowledgement covers."""
        if len(self._front) >= FRONT:
            return
        for at, length, boot, count in self._scan(self._next_at, self._end):
            self._next_at = at + RECORD_BYTES + length
            if self._hello is not None and at == self._hello.at:
                continue
            if boot in self._acked and self._acked[boot].holds(count):
                self.waiting -= 1
                continue
            self._front.append(Entry(at, length, boot, count))
            if len(self._front) >= FRONT:
                return
        self._next_at = self._end
        if not self._front and self._hello is None:
            self.waiting = 0  # damage that was passed over is not waiting any more

    def _head(self) -> int:
        """Where the oldest kept record begins."""
        return min([entry.at for entry in self.entries()] + [self._next_at])

    def _dead_bytes(self) -> int:
        return self._head() - _FILE_HEADER_BYTES

    def _start_afresh(self) -> None:
        self._drop_copy()
        self._file.close()
        self._create()
        self._next_at = self._end = _FILE_HEADER_BYTES
        self._tidy_from_bytes = _DEAD_BYTES

    def _worth_copying(self) -> bool:
        """Copying pays when half of the file is released, or a sixteenth when the file is nearly full."""
        dead_bytes = self._dead_bytes()
        if dead_bytes < self._tidy_from_bytes:
            return False
        crowded = self._end > self._limit_bytes - RESERVE_BYTES - self._limit_bytes // 16
        return dead_bytes >= self._end - self._head() or (crowded and dead_bytes >= self._limit_bytes // 16)

    def _copy_step(self) -> bool:
        if self._copy is None:
            self._copy = open(self._copy_path, "wb")  # noqa: SIM115 (copied step by step)
            self._copy.write(_MAGIC + self._kid)
            self._copy_from = self._copied_at = self._head()
        if self._copied_at < self._end:
            for _ in range(_PIECES):
                self._copy_piece(self._copy)
            return True
        self._copy.close()
        self._copy = None
        self._file.close()
        replace(self._copy_path, self._path)
        self._reopen()
        self._move_up(self._copy_from - _FILE_HEADER_BYTES)
        return False

    def _copy_piece(self, copy: "BinaryIO") -> None:
        """Through the same small buffer each time: a board that has run for long has no large piece of memory."""
        size = min(len(self._piece), self._end - self._copied_at)
        self._file.seek(self._copied_at)
        copy.write(memoryview(self._piece)[: self._file.readinto(memoryview(self._piece)[:size])])
        self._copied_at += size

    def _move_up(self, by_bytes: int) -> None:
        for entry in self.entries():
            entry.at -= by_bytes
        self._next_at -= by_bytes
        self._end -= by_bytes
        self._tidy_from_bytes = _DEAD_BYTES

    def _drop_copy(self) -> None:
        if self._copy is None:
            return
        try:
            self._copy.close()
            os.remove(self._copy_path)
        except OSError:
            pass  # what is left of it is removed at the next start
        self._copy = None
