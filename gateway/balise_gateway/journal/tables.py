"""The journal's tables: their columns, the checksum that ends each row, and how a row is put.

Promises that a row read here is a row that was written here, or JournalDamaged. Leaves what rows mean to the callers.
Columns are those of the `schema_N.sql` files, in their order; a test holds the two against each other.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from balise_gateway.errors import JournalDamaged

Row = tuple[Any, ...]
HOME_LOG = 0  # the archive: everything, in full resolution; a hub's log has a number of its own


@dataclass(frozen=True)
class Table:
    """One table: all columns but `crc`, how many of the first ones name a row, and the schema that brought it.

    `reals` are the columns of floating point numbers: the checksum is over the number that SQLite gives back.
    """

    name: str
    columns: tuple[str, ...]
    keys: int = 1
    since: int = 1
    reals: tuple[str, ...] = ()

    def stored(self, row: Row) -> Row:
        """The row as SQLite gives it back, with whole numbers in columns of reals as floats."""
        if not self.reals:
            return row
        named = zip(self.columns, row, strict=True)
        return tuple(float(value) if name in self.reals and value is not None else value for name, value in named)

    def crc(self, row: Row) -> int:
        """What stands at the end of this row."""
        return zlib.crc32(repr((self.name, *row)).encode())

    def put(self, db: sqlite3.Connection, rows: Iterable[Row]) -> None:
        """Writes these rows over those of the same name, if any."""
        names = (*self.columns, "crc")
        values = ", ".join("?" for _ in names)
        updates = ", ".join(f"{name} = excluded.{name}" for name in names[self.keys :])
        sql = (
            f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({values}) "
            f"ON CONFLICT ({', '.join(self.columns[: self.keys])}) DO UPDATE SET {updates}"
        )
        db.executemany(sql, ((*row, self.crc(row)) for row in map(self.stored, rows)))

    def read(self, db: sqlite3.Connection, where: str = "TRUE", values: Row = ()) -> Iterator[Row]:
        """The rows that fulfil a condition (it may end in ORDER BY and LIMIT), each checked, without their crc."""
        sql = f"SELECT {', '.join(self.columns)}, crc FROM {self.name} WHERE {where}"
        for *row, crc in db.execute(sql, values):
            if self.crc(tuple(row)) != crc:
                raise JournalDamaged(f"a row of table {self.name} is not what was written: {row[: self.keys]}")
            yield tuple(row)

    def one(self, db: sqlite3.Connection, where: str, values: Row) -> Row | None:
        """The first such row, or None."""
        return next(self.read(db, f"{where} LIMIT 1", values), None)


NODE = Table("node", ("node", "ack_next", "top_boot", "floor_boot", "rows", "latest"))
BOOT = Table(
    "boot",
    (
        "node",
        "boot",
        "contiguous",
        "bitmap",
        "first_tag",
        "anchor",
        "last_tick_ms",
        "last_utc_ms",
        "arrived_utc_ms",
    ),
    keys=2,
)
MANIFEST = Table("manifest", ("digest", "map"))
BOOT_MANIFEST = Table("boot_manifest", ("node", "boot", "number", "digest"), keys=3)
ENTRY = Table("entry", ("entry", "node", "boot", "kind", "digest", "only_log", "rows", "body"))
WAITING = Table("waiting", ("node", "boot", "count", "part", "number", "rows", "body"), keys=4)
LOG = Table(
    "log",
    ("log", "next_seq", "cursor", "next_manifest", "next_domain", "hub_next", "rows", "readings", "bytes"),
)
LOG_MANIFEST = Table("log_manifest", ("log", "digest", "number"), keys=2)
LOG_DOMAIN = Table("log_domain", ("log", "node", "boot", "domain", "state"), keys=3)
ENVELOPE = Table("envelope", ("log", "seq", "cursor", "made_utc_ms", "rows", "cose"), keys=2)
PARKED = Table("parked", ("log", "seq", "reason"), keys=2)
REFUSED = Table("refused", ("refused", "arrived_utc_ms", "reason", "source", "data"))
COUNTER = Table("counter", ("name", "value"))
LEDGER = Table(
    "ledger",
    ("ledger", "at_utc_ms", "recipient", "purpose", "log", "first_seq", "last_seq", "rows", "bytes"),
    since=2,
)
PARKED_ROW = Table("parked_row", ("log", "seq", "row", "reason"), keys=3, since=2)
SPAN = Table("span", ("seq", "node", "first_utc_ms", "last_utc_ms", "rows"), keys=2, since=2)
AGGREGATE = Table(
    "aggregate",
    ("node", "channel", "window_s", "start_utc_ms", "n", "expected", "mean", "least", "most"),
    keys=4,
    since=2,
    reals=("mean", "least", "most"),
)
LEAF = Table("leaf", ("log", "seq", "hash"), keys=2, since=2)
HELD = Table("held", ("log", "first_seq", "last_seq"), keys=2, since=2)
WITHHELD = Table("withheld", ("log", "entry", "node", "boot", "digest", "rows", "body"), keys=2, since=2)

TABLES = (
    NODE,
    BOOT,
    MANIFEST,
    BOOT_MANIFEST,
    ENTRY,
    WAITING,
    LOG,
    LOG_MANIFEST,
    LOG_DOMAIN,
    ENVELOPE,
    PARKED,
    REFUSED,
    COUNTER,
    LEDGER,
    PARKED_ROW,
    SPAN,
    AGGREGATE,
    LEAF,
    HELD,
    WITHHELD,
)

NEW_LOG: Row = (1, 0, 1, 1, 1, 0, 0, 0)  # all columns of a new log after its number


def text(raw: bytes) -> str:
    """Text as SQLite has it, also where a flipped bit made text of what was none: the checksum will tell."""
    return raw.decode("utf-8", "replace")


def ask_hub(log: int) -> str:
    """The counter that is 1 while only the hub knows how far this log had gone (after a salvage)."""
    return f"ask_hub {log}"


def count(db: sqlite3.Connection, name: str) -> int:
    """The value of a counter, 0 when it never moved."""
    row = COUNTER.one(db, "name = ?", (name,))
    return 0 if row is None else int(row[1])
