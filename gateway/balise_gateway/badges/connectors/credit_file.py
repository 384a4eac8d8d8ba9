"""A table that somebody keeps by hand: what each member has left, for a place without any other software.

Promises that a balance is what stands there, with the day that stands beside it; that a line which cannot be read is
named, with what to try, and takes no other line with it; and that nothing is ever written into the file. Leaves
counting down to whoever keeps the table: a connector of kind `csv_mail` tells them what was used.

A CSV file with a head line `member;half_days;as_of` (semicolons or commas, as spreadsheets in France and elsewhere
write them; UTF-8). It is read again when it has changed.
"""

import csv
import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from balise_gateway.badges.connectors import Balance, ConnectorSettings, Tapped, Usage, Want
from balise_gateway.clock import Clock
from balise_gateway.errors import ConnectorError
from balise_gateway.settings import Key

HEAD = ("member", "half_days", "as_of")
NOT_WANTED = "not wanted: the table is kept by hand; csv_mail tells whoever keeps it"
_MOST = 1 << 31


@dataclass(frozen=True, kw_only=True)
class Settings(ConnectorSettings):
    """[[connector]] with kind = "credit_file"."""

    file: Annotated[Path, Key("the table, such as credit.csv")]


class Connector:
    """One table."""

    wants: frozenset[Want] = frozenset({"balance"})

    def __init__(self, settings: Settings, transport: Any, clock: Clock | None = None) -> None:
        self._path = settings.file
        self._state = "not read yet"
        self._stamp: tuple[int, int] | None = None
        self._balances: dict[str, Balance] = {}

    async def balance(self, member: str) -> Balance | None:
        try:
            self._look()
        except ConnectorError as error:
            self._state, self._stamp = str(error), None  # the very same file may be back next time
            raise
        return self._balances.get(member)

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        return {usage.key: NOT_WANTED for usage in usages}

    async def tapped(self, tap: Tapped) -> None:
        """A table has no use for it."""

    def status(self) -> dict[str, object]:
        return {"kind": "credit_file", "state": self._state, "where": str(self._path), "members": len(self._balances)}

    async def close(self) -> None:
        """Nothing is open."""

    def _look(self) -> None:
        """Reads the file if it has changed. Raises ConnectorError."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return
            text = self._path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConnectorError(
                f"{self._path}: cannot be read ({error.strerror}); is it there?", retry=True
            ) from error
        except UnicodeDecodeError as error:
            what = f"{self._path}: is not UTF-8; save it again as CSV in UTF-8"
            raise ConnectorError(what, retry=False) from error
        self._balances, wrong = _read(text)
        self._stamp = stamp
        self._state = "up" if not wrong else f"up, but for {'; '.join(wrong[:3])}"
        if not self._balances:
            what = f"{self._path}: no line can be used; the first must be {';'.join(HEAD)}"
            raise ConnectorError(what, retry=False)


def _read(text: str) -> tuple[dict[str, Balance], list[str]]:
    """(balances by member, what is wrong with which line); a member is named to nobody."""
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",")
    balances: dict[str, Balance] = {}
    wrong: list[str] = []
    for number, row in enumerate(rows, start=1):
        if number == 1 and tuple(cell.strip() for cell in row) != HEAD:
            return {}, ["line 1"]
        if number == 1 or not any(row):
            continue
        try:
            member, half_days, as_of = (cell.strip() for cell in row)
            balances[member] = Balance(_half_days(half_days), _utc_s(as_of))
        except ValueError:
            wrong.append(f"line {number}: a member, a whole number, and a day such as 2026-11-26 are needed")
    return balances, wrong


def _half_days(text: str) -> int:
    number = int(text)
    if abs(number) >= _MOST:
        raise ValueError(text)
    return number


def _utc_s(day: str) -> int:
    """Noon of that day: a day, not a moment, is what was written down."""
    noon = datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time(12), datetime.UTC)
    return int(noon.timestamp())
