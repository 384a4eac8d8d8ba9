"""A batch of cards on chips: one card after the other is laid on a reader, written, read back, and written down.

Promises that a card counts as made when it is in the register and in the batch's table, both on disk, and is told only
then; that whoever is torn away, interrupted or killed goes on with the same command; and that a card which is
somebody's is left as it is. Leaves the chip to `writing.py`, and the sheet to `sheet.py`.
"""

import asyncio
import csv
import fcntl
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from balise_gateway.badges.cards import sheet, writing
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.writing import Wanted
from balise_gateway.badges.readers import Chip
from balise_gateway.badges.register import Blank, Register
from balise_gateway.errors import BadgeError, CardLost, CardRefused
from balise_wire import card
from balise_wire.errors import WireError

AGAIN_S, GONE_S = 0.25, 0.6  # between two looks whether the card that is done was taken away; then it was
_HEAD = sheet.csv_of("", ())
Say = Callable[[str], None]


class Table:
    """The batch's own list, the CSV that a card printer takes: what stands in it is made. Used by one command."""

    def __init__(self, path: Path, home: str) -> None:
        self._path, self._home, self._file = path, home, -1
        self.numbers: list[str] = []

    def __enter__(self) -> "Table":
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise BadgeError(f"{self._path}: another command is making this batch; name another --out") from error
        except OSError as error:
            raise BadgeError(f"{self._path}: {error.strerror}; is the folder there, and yours?") from error
        try:
            self._read()
        except BadgeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def add(self, number: str) -> None:
        """One card more, on disk afterwards."""
        self._append(sheet.csv_of(self._home, [number]).removeprefix(_HEAD))
        self.numbers.append(number)

    def _read(self) -> None:
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        whole = data[: data.rfind(b"\n") + 1]  # a line that a power cut left unfinished was never told
        os.ftruncate(self._file, len(whole))
        if not whole:
            self._append(_HEAD)
            return
        try:
            text = whole.decode("ascii")
            self.numbers = [card.parse_number(row["number"]) for row in csv.DictReader(io.StringIO(text))]
        except (ValueError, KeyError, WireError) as error:
            raise BadgeError(f"{self._path}: not the table of a batch; name another --out") from error

    def _append(self, text: str) -> None:
        end = os.fstat(self._file).st_size
        os.pwrite(self._file, text.encode(), end)
        os.fsync(self._file)


@dataclass(frozen=True)
class Place:
    """Where the cards are made. A job runs in the reader's thread, and opens a register of its own."""

    keys: HomeKeys = field(repr=False)
    folder: Path
    new_number: Callable[[], str] = field(repr=False)
    today: int


class Series:
    """`make` until enough cards are made. `wanted` is what each of them shall be; `say` tells who lays them down."""

    def __init__(self, place: Place, wanted: Wanted, table: Table, say: Say) -> None:
        self._place, self._wanted, self._table, self._say = place, wanted, table, say
        self._lying = b""  # the UID of the card that was worked on last

    def check_table(self) -> None:
        """Raises BadgeError when the table is of another batch."""
        with Register(self._place.folder, self._place.keys.uid_token) as register:
            for number in self._table.numbers:
                known = register.by_number(number)
                if known is None or known.grade != self._wanted.grade:
                    raise BadgeError(
                        f"the table that is there already names {card.printed(number)}, which is no card of grade "
                        f"{self._wanted.grade} here; name another --out"
                    )

    async def make(self, reader: Any, count: int, patience_s: float) -> None:
        """Raises BadgeError when the reader fails, and TimeoutError when nobody lays a card down for so long."""
        asked = -1
        while (made := len(self._table.numbers)) < count:
            if made != asked:
                self._say(f"card {made + 1} of {count}: lay it on the reader and leave it there")
                asked = made
            if told := await self._next(reader, count, patience_s):
                self._say(told)
            await asyncio.sleep(AGAIN_S)

    async def _next(self, reader: Any, count: int, patience_s: float) -> str:
        """What came of the card that lies there; empty when it is still the one before."""
        before = self._lying
        try:
            told: str = await reader.with_card(lambda chip: self._job(chip, count), GONE_S if before else patience_s)
        except TimeoutError:
            if not before:
                raise
            self._lying, told = b"", ""  # it was taken away: laid down once more, it is looked at again
        except CardLost as error:
            self._lying = b""
            told = f"{error}; what was begun is finished"
        except CardRefused as error:
            if not self._lying or self._lying == before:
                raise  # the reader's own refusal, or one that was told: it would be the same for ever
            told = f"{error}. This card was left out: take it away and lay down another one"
        return told

    def _job(self, chip: Chip, count: int) -> str:
        """In the reader's thread: what is begun here ends here, also after Ctrl-C."""
        if chip.uid == self._lying:
            return ""
        with Register(self._place.folder, self._place.keys.uid_token) as register:
            known = register.by_uid(chip.uid)
            if known is not None and known.state == "blank" and known.number in self._table.numbers:
                self._lying = chip.uid
                return f"this one is made already: {card.printed(known.number)}. Take it away"
            try:
                number = self._written(chip, register, known.number if known and known.state == "blank" else "")
            except CardRefused:
                self._lying = chip.uid
                raise
        self._lying = chip.uid
        if number in self._table.numbers:
            return f"this one is made already: {card.printed(number)}. Take it away"
        self._table.add(number)
        at = f"{len(self._table.numbers)} of {count}"
        return f"card {at} is {card.printed(number)}: written and read back. Take it away and write its number on it"

    def _written(self, chip: Chip, register: Register, number: str) -> str:
        # A new spare number each time: the one before may stand on a card that was torn away.
        wanted = replace(self._wanted, number=number, spare=self._place.new_number())
        done = writing.write(
            chip, self._place.keys, wanted, lambda n: register.may_make(n, chip.uid), lambda s: self._say(f"  {s}")
        )
        register.make_blank(Blank(done.number, wanted.grade, wanted.last_day or None), chip.uid, self._place.today)
        if done.counter is not None:
            register.take_counter(done.number, chip.uid, done.counter)
        return done.number
