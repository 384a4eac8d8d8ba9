"""What somebody decided of the doors by hand: held open, held shut, or left to the cards; a small file in data_dir.

Promises that it is replaced as a whole, that only its owner can write it (0600), that it ends when it said it would,
and that a file which is damaged, or which others could have written, decides nothing and is told. Leaves the relay to
`door.py`.
"""

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILE = "badge-door.json"
MODES = ("open", "lock", "auto")
MAX_BYTES = 1_000


@dataclass(frozen=True)
class Decision:
    """`until_utc_s` is when it ends by itself (None: when another is taken); `problem` says why none was found."""

    mode: str = "auto"
    until_utc_s: int | None = None
    problem: str = ""


class Override:
    """The file in this folder."""

    def __init__(self, data_dir: Path, now_s: Callable[[], float] = time.time) -> None:
        self.path = data_dir / FILE
        self._now_s = now_s

    def mode(self) -> str:
        """ "open", "lock" or "auto", now."""
        return self.read().mode

    def read(self) -> Decision:
        """What stands in the file and still holds."""
        try:
            with self.path.open("rb") as file:
                is_ours = not os.fstat(file.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return Decision()
        except OSError as error:
            return Decision(problem=f"{FILE} cannot be read ({error.strerror}); the cards decide")
        if not is_ours:
            return Decision(problem=f"{FILE}: others may write it, so it decides nothing; chmod 600, or delete it")
        return self._held(_parsed(data))

    def write(self, mode: str, minutes: float | None = None) -> Decision:
        """Decides. Raises OSError when the folder takes no file."""
        until = None if minutes is None else round(self._now_s() + minutes * 60)
        decision = Decision(mode, until)
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:  # the gateway has another user, who must be able to read it: the folder's
                owner = self.path.parent.stat()
                os.fchown(fd, owner.st_uid, owner.st_gid)
            json.dump({"mode": mode, "until_utc_s": until}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        return decision

    def _held(self, decision: Decision) -> Decision:
        over = decision.until_utc_s is not None and self._now_s() >= decision.until_utc_s
        return Decision() if over else decision


def _parsed(data: bytes) -> Decision:
    damaged = Decision(problem=f"{FILE} is damaged; the cards decide; run `balise badge door auto` to write it anew")
    try:
        table = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        return damaged
    if not isinstance(table, dict):
        return damaged
    mode, until = table.get("mode"), table.get("until_utc_s")
    is_whole = until is None or (isinstance(until, int) and not isinstance(until, bool))
    return Decision(mode, until) if mode in MODES and is_whole else damaged
