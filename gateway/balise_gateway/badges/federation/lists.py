"""The lists of cards that this host has from each home, and the question "whose card is this?".

Promises that a list is taken whole and in its order or not at all, that it is on disk before `take` returns, that what
was refused is counted by its reason, and that a question is one look into an index. Leaves fetching in time to
`rounds.py`, and what a card may do to the desk.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.badges.billing.days import LAST_UTC_S
from balise_gateway.badges.database import open_database, transaction
from balise_gateway.badges.turns import Steps, at_once
from balise_gateway.errors import PaperError
from balise_gateway.log import event
from balise_wire.card_list import REASONS, CardList, open_list, peek_list
from balise_wire.cose import kid_of
from balise_wire.envelope import split_sequence
from balise_wire.errors import WireError
from balise_wire.places import Place, PlaceKeys, Table, number_token, uid_card_token, uid_token
from balise_wire.visits import place_of

FILE_NAME = "lists.db"
DAY_S, YEAR_S = 86_400, 31_557_600
_EPOCH_YEAR = 1970
MAX_CARDS = 100_000  # of one home: by number and by UID, in two years; 25,000 people
_STEPS = (
    """
    CREATE TABLE list (
      home TEXT PRIMARY KEY, number INTEGER NOT NULL, utc_s INTEGER NOT NULL, scan_key BLOB NOT NULL) STRICT;
    CREATE TABLE card (
      home TEXT NOT NULL, token BLOB NOT NULL, year INTEGER NOT NULL, who BLOB NOT NULL, credit INTEGER, client TEXT,
      PRIMARY KEY (home, token, year)) STRICT, WITHOUT ROWID;
    CREATE TABLE gone (
      home TEXT NOT NULL, token BLOB NOT NULL, reason INTEGER NOT NULL,
      PRIMARY KEY (home, token)) STRICT, WITHOUT ROWID;
    CREATE TABLE refused (
      home TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (home, reason)) STRICT, WITHOUT ROWID;
    """,
)


@dataclass(frozen=True)
class Found:
    """What a home says of one card: `who` by year, or why it counts no more (`revoked`, a name of REASONS)."""

    home: str
    token: bytes
    who: Mapping[int, bytes]
    credit: int | None
    client: str
    revoked: str
    list_utc_s: int


class CardLists:
    """All lists of this host. `table` gives the table of places as it is now."""

    def __init__(self, data_dir: Path, place: str, keys: PlaceKeys, table: Callable[[], Table | None]) -> None:
        self._place, self._keys, self._table = place, keys, table
        self._db = open_database(data_dir / FILE_NAME, _STEPS)
        self._pair_keys: dict[tuple[str, bytes, bytes], bytes] = {}
        self._claimed: set[frozenset[str]] = set()
        self._scan_keys: dict[str, bytes] = dict(self._db.execute("SELECT home, scan_key FROM list"))

    def close(self) -> None:
        self._db.close()

    def version(self) -> object:
        """Another one whenever a list has changed, here or by a command beside the gateway; costs next to nothing."""
        (elsewhere,) = self._db.execute("PRAGMA data_version").fetchone()
        return elsewhere, self._db.total_changes

    def by_number(self, home: str, number: str) -> Found | None:
        """The card with this number (ten characters); None when the home's list does not have it."""
        token = self.token_of(home, number)
        return None if token is None else self._best({home: token})

    def by_any_number(self, number: str) -> Found | None:
        """The card with this number, of whichever home: a typed number does not say whose it is."""
        tokens = {home: self.token_of(home, number) for home in self._scan_keys}
        return self._best({home: token for home, token in tokens.items() if token is not None})

    def by_uid(self, uid: bytes) -> Found | None:
        """The card with this UID, of whichever home; one that counts before one that was revoked."""
        tokens = {}
        for home, scan_key in self._scan_keys.items():
            pair_key = self._pair_key(home)
            if pair_key is not None:
                tokens[home] = uid_card_token(pair_key, uid_token(scan_key, uid))
        return self._best(tokens)

    def by_token(self, home: str, token: bytes) -> Found | None:
        """The card of this token; None when the home's list does not have it."""
        return self._best({home: token})

    def token_of(self, home: str, number: str) -> bytes | None:
        """The card token of a number of this home; None when the table does not have the home."""
        pair_key = self._pair_key(home)
        return None if pair_key is None else number_token(pair_key, number)

    def number_of(self, home: str) -> int:
        """The number of the newest list of this home; 0 when there is none."""
        row = self._db.execute("SELECT number FROM list WHERE home = ?", (home,)).fetchone()
        return row[0] if row else 0

    def list_utc_s(self, home: str) -> int | None:
        """As of when the list of this home is; None when there is none."""
        row = self._db.execute("SELECT utc_s FROM list WHERE home = ?", (home,)).fetchone()
        return row[0] if row else None

    def take(self, data: bytes, now_utc_s: int | None) -> bool:
        """Takes one list, or several that follow each other; False when all of them are held. Raises PaperError."""
        return at_once(self.taking(data, now_utc_s))

    def taking(self, data: bytes, now_utc_s: int | None) -> Steps[bool]:
        """The same, a step for each message; in the end all are taken at once."""
        home, opened, news = "", list[CardList](), False
        try:
            for message in split_sequence(data):
                home, host, *_ = peek_list(message)
                opened.append(self._opened(message, home, host, now_utc_s))
                yield
            told = sum(len(cards.entries) + len(cards.revoked) for cards in opened)
            if told > MAX_CARDS:  # they are written in one step, and a card at the door waits
                raise PaperError("too large", f"{told} entries at a time: at most {MAX_CARDS}")
            with transaction(self._db):
                for cards in opened:
                    home = cards.home
                    news = self._take_one(cards) or news
        except WireError as error:
            refusal = PaperError(error.reason, f"list of {home or 'nobody'}: {error.detail}")
            raise self._counted(home, refusal) from error
        except PaperError as error:
            raise self._counted(home, error) from error
        self._scan_keys = dict(self._db.execute("SELECT home, scan_key FROM list"))
        if news:
            event("list of cards taken", home=home, number=self.number_of(home))
        return news

    def ages(self, now_utc_s: int | None, stale_s: float) -> list[dict[str, object]]:
        """Each home of the table, or with a list: number, date, age, whether it is old, what was refused."""
        rows = {home: told for home, *told in self._db.execute("SELECT home, number, utc_s FROM list")}
        counts: dict[str, dict[str, int]] = {}
        for home, reason, n in self._db.execute("SELECT home, reason, n FROM refused"):
            counts.setdefault(home, {})[reason] = n
        table = self._table()
        homes = {place.id for place in table.places} - {self._place} if table else set()
        told: list[dict[str, object]] = []
        for home in sorted(homes | rows.keys() | (counts.keys() - {"", self._place})):
            number, utc_s = rows.get(home, [0, None])
            age_s = None if utc_s is None or now_utc_s is None else max(0, now_utc_s - utc_s)
            row = {"home": home, "number": number, "utc_s": utc_s, "age_s": age_s, "refused": counts.get(home, {})}
            told.append(row | {"stale": age_s is None or age_s > stale_s})
        return told

    def _opened(self, message: bytes, home: str, host: str, now_utc_s: int | None) -> CardList:
        if host != self._place:
            raise PaperError("not for us", f"a list of {home} for {host}; this is {self._place}")
        place, pair_key = self._home(home), self._pair_key(home)
        if pair_key is None:
            raise PaperError("malformed", f"the box key of {home} in the table of places is none")
        cards = open_list(message, {kid_of(key): key for key in place.sign}, pair_key)
        if cards.utc_s > (LAST_UTC_S if now_utc_s is None else now_utc_s + DAY_S):
            raise PaperError("from the future", f"the list of {home} is dated {cards.utc_s}; now it is {now_utc_s}")
        return cards

    def _take_one(self, cards: CardList) -> bool:
        home, held = cards.home, self.number_of(cards.home)
        if cards.number == held:
            return False
        if cards.number < held:
            raise PaperError("rollback", f"list {cards.number} of {home}: list {held} is here already")
        if cards.base not in (0, held):
            raise PaperError("gap", f"list {cards.number} of {home} follows list {cards.base}, and here is list {held}")
        self._apply(cards)
        return True

    def _apply(self, cards: CardList) -> None:
        db, home = self._db, cards.home
        if not cards.base:
            db.execute("DELETE FROM card WHERE home = ?", (home,))
            db.execute("DELETE FROM gone WHERE home = ?", (home,))
        rows = [(home, e.token, e.year, e.who, e.credit, e.client) for e in cards.entries]
        db.executemany("DELETE FROM gone WHERE home = ? AND token = ?", [row[:2] for row in rows])
        db.executemany("INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?, ?, ?)", rows)
        revoked = [(home, token, reason) for token, reason in cards.revoked.items()]
        db.executemany("DELETE FROM card WHERE home = ? AND token = ?", [row[:2] for row in revoked])
        db.executemany("INSERT OR REPLACE INTO gone VALUES (?, ?, ?)", revoked)
        oldest_year = _EPOCH_YEAR + cards.utc_s // YEAR_S - 1
        db.execute("DELETE FROM card WHERE home = ? AND year < ?", (home, oldest_year))
        for table in ("card", "gone"):
            (held,) = db.execute(f"SELECT count(*) FROM {table} WHERE home = ?", (home,)).fetchone()
            if held > MAX_CARDS:
                raise PaperError("too large", f"{held} entries of {home}: at most {MAX_CARDS}")
        row = (home, cards.number, cards.utc_s, cards.scan_key)
        db.execute("INSERT OR REPLACE INTO list VALUES (?, ?, ?, ?)", row)

    def _best(self, tokens: Mapping[str, bytes]) -> Found | None:
        if not tokens:
            return None
        pairs = [value for pair in tokens.items() for value in pair]
        wanted = f"WITH wanted (home, token) AS (VALUES {', '.join(['(?, ?)'] * len(tokens))})"
        rows = self._db.execute(
            f"{wanted} SELECT home, token, year, who, credit, client FROM wanted CROSS JOIN card USING (home, token)",
            pairs,
        )
        cards = rows.fetchall()
        if cards:
            self._tell_claims({row[0] for row in cards})
            home, token, _, _, credit, client = max(cards, key=lambda row: (row[0], row[2]))
            whos = {year: who for other, _, year, who, _, _ in cards if other == home}
            return Found(home, token, whos, credit, client or "", "", self.list_utc_s(home) or 0)
        gone = self._db.execute(
            f"{wanted} SELECT home, token, reason FROM wanted CROSS JOIN gone USING (home, token)", pairs
        ).fetchone()
        if gone is None:
            return None
        home, token, reason = gone
        return Found(home, token, {}, None, "", REASONS.get(reason, "revoked"), self.list_utc_s(home) or 0)

    def _tell_claims(self, homes: Set[str]) -> None:
        """A card without a signature can be claimed by a home that has seen it elsewhere; told once for these homes."""
        if len(homes) > 1 and homes not in self._claimed:
            self._claimed.add(frozenset(homes))
            event("card claimed by several homes", homes=", ".join(sorted(homes)))

    def _home(self, home: str) -> Place:
        table = self._table()
        found = table.by_id.get(home) if table else None
        if found is None:
            raise PaperError("unknown place", f"the table of places has no home {home!r}; bring its newest one")
        return found

    def _pair_key(self, home: str) -> bytes | None:
        table = self._table()
        place = table.by_id.get(home) if table else None
        if place is None:
            return None
        name = (home, place.box, self._keys.box_public)
        try:
            if name not in self._pair_keys:
                self._pair_keys[name] = self._keys.pair_key(home, self._place, place.box)
        except WireError:
            event("table of places has a bad box key", home=home)
            return None
        return self._pair_keys[name]

    def _counted(self, home: str, error: PaperError) -> PaperError:
        """The error, counted; a name that is none of the table's counts as nobody's, so that the count stays small."""
        table = self._table()
        known = home if table and home in table.by_id else ""
        sql = "INSERT INTO refused VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1"
        with transaction(self._db) as db:
            db.execute(sql, (known, error.reason))
        event("list of cards refused", home=known or "?", reason=error.reason)
        return error


def checked_host(value: str) -> str:
    """A place's name out of a request. Raises PaperError."""
    try:
        return place_of(value, "host")
    except WireError as error:
        raise PaperError(error.reason, error.detail) from error
