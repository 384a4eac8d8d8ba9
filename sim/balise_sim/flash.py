"""A board's flash: a folder of the host that behaves as littlefs does when power goes.

Promises: `lose_power` gives back every file as it was when it was last closed or flushed, because littlefs commits a
file then and not before; a power cut between two changes leaves the first done and the second not begun. Writing wears
blocks as littlefs spreads it, and what does not fit is refused with ENOSPC.
Leaves to others: when power goes (node.py). Nothing outside the root can be written.
"""

import errno
import random
from dataclasses import dataclass
from pathlib import Path

from balise_sim.bridge import Reply, Request

BLOCK_BYTES = 4096
INLINE_BYTES = 128  # a file up to MicroPython's littlefs cache size lies in its directory's own blocks
COMMIT_BYTES = 96  # chosen: a change of a directory, with name, attributes and checksum
ENDURANCE = 100_000  # erases of a block, as the flash chips of all our boards promise
OPEN, SYNC, CHANGE, USAGE = range(4)  # as overlays/_flash.py numbers them
COST_US = {OPEN: 500, SYNC: 3_000, CHANGE: 3_000, USAGE: 500}  # a page program is 0.7 ms, a sector erase up to 45 ms


@dataclass(frozen=True)
class Wear:
    """What writing has cost: blocks erased, files' bytes written, and the share of a block's life that is gone."""

    erases: int
    written_bytes: int
    life_used: float

    def years(self, span_s: float) -> float:
        """How long the flash lasts at this rate, if `span_s` is what it was measured in."""
        return span_s / (365.25 * 86_400) / self.life_used if self.life_used else float("inf")


class Flash:
    """`changes` counts what the firmware did; `cut_at` is the number of the change that power does not let happen."""

    def __init__(self, root: Path, capacity_bytes: int) -> None:
        self._root = root.resolve()
        self._blocks = capacity_bytes // BLOCK_BYTES
        self._data_erases = self._commits = self._written_bytes = 0
        self._reserved_bytes = 0
        self._room_bytes = 0  # at least so much is free: who looks no closer saves looking through all files
        self._before: dict[Path, bytes | int | None] = {}  # content or length to go back to; None: no such file
        self._appends: set[Path] = set()
        self._inside: set[Path] = set()
        self.changes = 0
        self.cut_at: int | None = None

    def request(self, request: Request) -> Reply | None:
        """Answers the overlay; None when power goes now."""
        kind = request.small
        if kind == USAGE:
            return Reply(self._used_bytes(), b"", COST_US[kind])
        path = self._root / request.payload.decode().lstrip("/")
        if not self._is_inside(path.parent) or path.is_symlink():
            return Reply(-errno.EROFS)
        self.changes += 1
        if self.cut_at is not None and self.changes >= self.cut_at:
            self.cut_at = None
            return None
        if kind == OPEN and not path.is_dir():
            self._opened(path, appends=request.value == 1)
        elif kind == SYNC and not self._synced(path, closed=request.value == 1):
            return Reply(-errno.ENOSPC)
        return Reply(0, b"", COST_US[kind])

    def _is_inside(self, folder: Path) -> bool:
        """Asked of the host once for each folder: firmware makes no links."""
        if folder not in self._inside and folder.resolve().is_relative_to(self._root):
            self._inside.add(folder)
        return folder in self._inside

    def _opened(self, path: Path, appends: bool) -> None:
        """Files that are only appended to go back to a length; others need their content."""
        (self._appends.add if appends else self._appends.discard)(path)
        self._before.setdefault(path, self._state(path))

    def _synced(self, path: Path, closed: bool) -> bool:
        """False when there was no room: then the file is as it was."""
        if not self._has_room(self._grown_bytes(path)):
            self._restore(path, self._before[path])
            return False
        self._wear(path)
        self._before.pop(path, None)
        if not closed:
            self._before[path] = self._state(path)
        return True

    def _grown_bytes(self, path: Path) -> int:
        before = self._before.get(path)
        old_bytes = before if isinstance(before, int) else len(before or b"")
        return path.stat().st_size - old_bytes if path.exists() else 0

    def _wear(self, path: Path) -> None:
        """littlefs never writes in place: an append copies the last block, anything else all blocks from the start."""
        self._commits += 1
        size = path.stat().st_size if path.exists() else 0
        begun = size - self._grown_bytes(path) if path in self._appends else 0
        if size == begun and path in self._appends:
            return
        self._written_bytes += size - begun
        if size > INLINE_BYTES:
            self._data_erases += -(-size // BLOCK_BYTES) - begun // BLOCK_BYTES

    def wear(self) -> Wear:
        """Since this board was made. littlefs levels wear, so that all blocks age alike."""
        erases = self._data_erases + (self._commits + self.changes) * COMMIT_BYTES // BLOCK_BYTES
        return Wear(erases, self._written_bytes, erases / (self._blocks * ENDURANCE))

    def reserve(self, count: int) -> None:
        """So many bytes are taken by something else: a scenario fills the flash so."""
        self._reserved_bytes, self._room_bytes = count, 0

    def _has_room(self, grown_bytes: int) -> bool:
        """Whether a file that has just grown still fits."""
        if grown_bytes <= 0:
            return True
        self._room_bytes -= grown_bytes + BLOCK_BYTES
        if self._room_bytes < 0:
            self._room_bytes = max(0, free_bytes := self.free_bytes())
            return free_bytes >= 0
        return True

    def free_bytes(self) -> int:
        return self._blocks * BLOCK_BYTES - self._used_bytes()

    def rot(self, name: str, seed: int = 0) -> None:
        """One bit of a file flips while nobody looks."""
        path = self._root / name
        data = bytearray(path.read_bytes())
        bit = random.Random(f"{seed}/{name}").randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)

    def _state(self, path: Path) -> bytes | int | None:
        if not path.exists():
            return None
        return path.stat().st_size if path in self._appends else path.read_bytes()

    def lose_power(self) -> None:
        for path, before in self._before.items():
            self._restore(path, before)
        self._before.clear()

    def _restore(self, path: Path, before: bytes | int | None) -> None:
        if before is None:
            path.unlink(missing_ok=True)
        elif isinstance(before, bytes):
            path.write_bytes(before)
        elif path.exists():
            with path.open("r+b") as file:
                file.truncate(before)

    def _used_bytes(self) -> int:
        files = (f for f in self._root.rglob("*") if f.is_file() and not f.is_symlink())
        return self._reserved_bytes + sum(-(-f.stat().st_size // BLOCK_BYTES) * BLOCK_BYTES for f in files)
