"""A board's flash: a folder of the host that behaves as littlefs does when power goes.

Promises: `lose_power` gives back every file as it was when it was last closed or flushed, because littlefs commits a
file then and not before; a power cut between two changes leaves the first done and the second not begun.
Leaves to others: when power goes (node.py). Nothing outside the root can be written.
"""

import errno
from pathlib import Path

from balise_sim.bridge import Reply, Request

OPEN, SYNC, CHANGE, USAGE = range(4)  # as overlays/_flash.py numbers them
COST_US = {OPEN: 500, SYNC: 3_000, CHANGE: 3_000, USAGE: 500}  # a page program is 0.7 ms, a sector erase up to 45 ms


class Flash:
    """`changes` counts what the firmware did; `cut_at` is the number of the change that power does not let happen."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._before: dict[Path, bytes | int | None] = {}  # content or length to go back to; None: no such file
        self._appends: set[Path] = set()
        self.changes = 0
        self.cut_at: int | None = None

    def request(self, request: Request) -> Reply | None:
        """Answers the overlay; None when power goes now."""
        kind = request.small
        if kind == USAGE:
            return Reply(self._used_bytes(), b"", COST_US[kind])
        path = self._root / request.payload.decode().lstrip("/")
        if not path.parent.resolve().is_relative_to(self._root) or path.is_symlink():
            return Reply(-errno.EROFS)
        self.changes += 1
        if self.cut_at is not None and self.changes >= self.cut_at:
            self.cut_at = None
            return None
        if kind == OPEN and not path.is_dir():
            self._opened(path, appends=request.value == 1)
        elif kind == SYNC:
            self._synced(path, closed=request.value == 1)
        return Reply(0, b"", COST_US[kind])

    def _opened(self, path: Path, appends: bool) -> None:
        """Files that are only appended to go back to a length; others need their content."""
        (self._appends.add if appends else self._appends.discard)(path)
        self._before.setdefault(path, self._state(path))

    def _synced(self, path: Path, closed: bool) -> None:
        self._before.pop(path, None)
        if not closed:
            self._before[path] = self._state(path)

    def _state(self, path: Path) -> bytes | int | None:
        if not path.exists():
            return None
        return path.stat().st_size if path in self._appends else path.read_bytes()

    def lose_power(self) -> None:
        for path, before in self._before.items():
            if before is None:
                path.unlink(missing_ok=True)
            elif isinstance(before, bytes):
                path.write_bytes(before)
            elif path.exists():
                with path.open("r+b") as file:
                    file.truncate(before)
        self._before.clear()

    def _used_bytes(self) -> int:
        return sum(f.stat().st_size for f in self._root.rglob("*") if f.is_file() and not f.is_symlink())
