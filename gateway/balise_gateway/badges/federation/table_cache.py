"""The table of places as this gateway holds it (wire/BADGES.md section 7).

Promises that only a table of the federation's key is taken, never an older one than is held, and that a table that was
refused is counted by its reason and changes nothing. Leaves fetching in time to `rounds.py`.
"""

import os
from collections import Counter
from pathlib import Path

from balise_gateway.badges.files import replace_file
from balise_gateway.errors import BadgeError, PaperError
from balise_gateway.log import event
from balise_wire.errors import WireError
from balise_wire.places import Place, Table, read_table

FILE_NAME = "places.cose"


class TableCache:
    """The table in the data folder. A constructor that reads nothing: `load` does."""

    def __init__(self, data_dir: Path, key: bytes | None) -> None:
        self._path, self._key = data_dir / FILE_NAME, key
        self._data = b""
        self.table: Table | None = None
        self.refused: Counter[str] = Counter()
        self.error = ""

    def load(self) -> Table | None:
        """Reads what is held; None when there is nothing, or nothing that holds (`error` says what)."""
        try:
            data = self._path.read_bytes()
            self.table, self._data, self.error = self._read(data), data, ""
        except FileNotFoundError:
            self.error = "no table of places yet: set table_url, or 'balise badge table import FILE'"
        except (OSError, PaperError) as error:
            self.error = f"{self._path.name}: {error}"
        return self.table

    def take(self, data: bytes) -> bool:
        """Takes this table if it is newer; False when it is the one that is held. Raises PaperError."""
        try:
            new = self._newer(data)
        except PaperError as error:
            self.refused[error.reason] += 1
            event("table of places refused", reason=error.reason, why=error)
            raise
        if not new:
            return False
        replace_file(self._path, data)
        self.table, self._data, self.error = new, data, ""
        event("table of places taken", number=new.number, places=len(new.places))
        return True

    def note_checked(self, utc_s: int) -> None:
        """The table was asked for and is still this one: the file's date says so. Raises BadgeError."""
        try:
            os.utime(self._path, (utc_s, utc_s))
        except OSError as error:
            raise BadgeError(f"{self._path}: its date cannot be set ({error.strerror})") from error

    def checked_utc_s(self) -> int | None:
        """When the table was last fetched or brought; None when there is none."""
        try:
            return int(self._path.stat().st_mtime)
        except FileNotFoundError:
            return None

    def place(self, name: str) -> Place | None:
        """What the table says of a place."""
        return self.table.by_id.get(name) if self.table else None

    def signed(self) -> bytes:
        """The table as it was signed; empty when there is none."""
        return self._data

    def status(self, now_utc_s: int | None) -> dict[str, object]:
        """For the status document and the page."""
        checked_s = self.checked_utc_s()
        told: dict[str, object] = {"error": self.error or None, "refused": dict(self.refused)}
        if self.table is None:
            return told
        age_s = None if now_utc_s is None or checked_s is None else max(0, now_utc_s - checked_s)
        places = [place.id for place in self.table.places]
        return told | {"number": self.table.number, "signed_utc_s": self.table.utc_s, "age_s": age_s, "places": places}

    def _newer(self, data: bytes) -> Table | None:
        new, held = self._read(data), self.table or self.load()
        if held is None or new.number > held.number:
            return new
        if new.number < held.number:
            what = f"this table has number {new.number}, the one here {held.number}; ask who keeps the table for newer"
            raise PaperError("rollback", what)
        if data != self._data:
            what = f"two different tables have number {new.number}; tell who keeps the table"
            raise PaperError("fork", what)
        return None

    def _read(self, data: bytes) -> Table:
        if self._key is None:
            raise PaperError("unknown key", "[badge] has no table_key: nobody could tell whether the table is right")
        try:
            return read_table(data, self._key)
        except WireError as error:
            raise PaperError(error.reason, f"table of places: {error.detail}") from error
