"""What the host has done with each grant, and when: given, paused, resumed, withdrawn. A small file in the data folder.

Promises that an event, once added, stays; that the file is whole or as before after a power cut; that the gateway and a
command may add at the same time; and that a file which cannot be read lets nothing leave. The configuration stays the
host's own text and is never written. Leaves what follows from the events to `standings.py`.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from balise_gateway.disk import make_private, sync_folder
from balise_gateway.errors import JournalUnavailable

FILE_NAME, LOCK_NAME = "grants.json", "grants.lock"
VERSION = 1
GIVEN, PAUSED, RESUMED, WITHDRAWN = "given", "paused", "resumed", "withdrawn"


@dataclass(frozen=True)
class Event:
    """`terms` are the grant's own words when it was given, `outdoors` the nodes that were said to be outdoors then."""

    at_utc_ms: int
    hub: str
    log: int
    grant: str
    what: str
    terms: dict[str, object] = field(default_factory=dict)
    outdoors: list[str] = field(default_factory=list)


class Record:
    """The events of one data folder, read again when the file has changed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._stamp: tuple[int, int, int] | None = None
        self._events: tuple[Event, ...] = ()

    def events(self) -> Sequence[Event]:
        """All events, oldest first; the same object while nothing has changed. Raises JournalUnavailable."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._events = None, self._events if self._stamp is None else ()
            return self._events
        except OSError as error:
            raise JournalUnavailable(f"{self.path}: {error.strerror}; until it can be read nothing leaves") from error
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            self._events, self._stamp = self._read(), stamp
        return self._events

    def add(self, *events: Event) -> None:
        """Adds events behind those that are there. Raises JournalUnavailable."""
        try:
            with self._locked():
                told = [asdict(event) for event in (*self.events(), *events)]
                aside = self.path.with_suffix(".new")
                make_private(aside)
                with aside.open("w", encoding="utf-8") as file:
                    json.dump({"version": VERSION, "events": told}, file, ensure_ascii=False, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(aside, self.path)
                sync_folder(self.path.parent)
        except OSError as error:
            raise JournalUnavailable(f"{self.path}: {error.strerror}; check the folder and its disk") from error

    def _read(self) -> tuple[Event, ...]:
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            return tuple(Event(**event) for event in told["events"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JournalUnavailable(
                f"{self.path}: cannot be read ({error}); nothing leaves: restore it from a backup"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self.path.with_name(LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
