"""The journal within its bounds: what goes first, what is told, and that proofs stay as they were."""

import asyncio
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway import keys
from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.hubs import Holding
from balise_gateway.journal import Journal, schema, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import logs
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.keeping import SETTLED_MS, Bounds, Keeper, used_bytes
from balise_gateway.logbook.logs import Log
from balise_tools.gateway import app
from balise_wire import cbor, log
from balise_wire.checkpoint import Checkpoint, verify_checkpoint
from balise_wire.envelope import Signer
from balise_wire.items import Loss, Readings, unpack_item
from gateway.support import CHANNELS, KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, toml, views

SIGNER = Signer(b"s" * 32)
ORIGIN = f"balise/{SIGNER.kid.hex()}"
DAY_MS = 86_400_000
DAYS = 40
HUB = 1
SMALL = 1 << 16  # smaller than any journal: everything that may go goes
UNBOUNDED = 1 << 40
NEVER = Bounds(UNBOUNDED, None, None)


class Home:
    """A gateway's past of one envelope a day in the home log and in each hub's."""

    def __init__(self, folder: Path, hubs: int = 1, boot: int = 1) -> None:
        self.folder = folder
        self.clock, self.logs = FakeClock(), [HOME_LOG, *range(1, hubs + 1)]
        self.journal = Journal(folder, ORIGIN)
        self.intake = Intake(self.journal, [NodeSettings(name=NAME, key=KEY)], self.clock, 1e6)
        self.closer = Closer(self.journal, SIGNER, self.clock, views(self.logs))
        self.node, self.carrier = AirNode(boot=boot), FakeIngest()
        self.noise = random.Random(1)
        self.intake.ready()
        self.take(self.node.hello())

    def take(self, frame: bytes) -> None:
        self.intake.take(self.carrier, "t", frame, None)

    def live(self, days: int = DAYS) -> "Home":
        for _ in range(days):
            for half in range(2):
                self.take(self.node.frame(self.half_day(half)))
            assert self.intake.commit()
            self.close()
            self.clock.now_ms += DAY_MS
        return self

    def half_day(self, half: int) -> Readings:
        """144 rows that nothing can shorten: the rows, not the empty tables, shall be what takes room."""
        times = [self.clock.now_ms // 1000 + 300 * row + half for row in range(144)]
        return Readings(1, None, times, [[self.noise.randrange(30_000) for _ in times] for _ in CHANNELS])

    def close(self) -> None:
        for number in self.logs:
            while self.closer.close(number, "array"):
                pass

    def hub_holds(self, below: int, *ranges: tuple[int, int], number: int = HUB) -> None:
        with self.journal.transaction() as db:
            logs.note_holding(db, number, Holding(below, ranges), ORIGIN)

    def keep(self, bounds: Bounds, settle: bool = True) -> Keeper:
        keeper = Keeper(self.journal, self.clock, bounds, self.logs[1:], ORIGIN)
        for _ in range(2 if settle else 1):
            while keeper.step():
                pass
            self.clock.now_ms += SETTLED_MS if settle else 0
        return keeper

    def seqs(self, number: int) -> list[int]:
        return [row[1] for row in tables.ENVELOPE.read(self.journal.db, "log = ? ORDER BY seq", (number,))]

    def told(self, number: int) -> Iterator[Loss]:
        """The loss items that wait for a log."""
        for row in tables.ENTRY.read(self.journal.db, "only_log = ? ORDER BY entry", (number,)):
            item = unpack_item(cbor.decode(row[7]))
            assert isinstance(item, Loss)
            yield item

    def leaves(self, number: int) -> list[bytes]:
        return logs.leaf_hashes(self.journal.db, number)


Played = Callable[..., Home]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lived once, copied for each test."""
    folder = tmp_path_factory.mktemp("past")

    async def scene() -> None:
        for hubs in (1, 2):
            home = Home(folder / str(hubs), hubs).live()
            home.intake.abandon()
            home.journal.close()

    asyncio.run(scene())
    return folder


@pytest.fixture
def played(past: Path, tmp_path: Path) -> Played:
    def copied(hubs: int = 1) -> Home:
        folder = shutil.copytree(past / str(hubs), tmp_path / "home")

        async def scene() -> Home:
            home = Home(folder, hubs, boot=2)
            home.clock.now_ms += DAYS * DAY_MS
            home.intake.commit()
            home.intake.abandon()
            return home

        return asyncio.run(scene())

    return copied


def bound(home: Home, share: float) -> Bounds:
    return Bounds(round(used_bytes(home.journal.db) * share), None, None)


def test_within_bounds_nothing_goes(played: Played) -> None:
    home = played()
    before = {number: home.seqs(number) for number in home.logs}
    home.keep(NEVER)
    assert {number: home.seqs(number) for number in home.logs} == before


def test_what_the_hub_holds_goes_first_and_is_no_loss(played: Played) -> None:
    home = played()
    home.hub_holds(DAYS + 1)
    home.keep(bound(home, 0.8))
    assert home.seqs(HUB) == list(range(home.seqs(HUB)[0], DAYS + 1))
    assert home.seqs(HUB)[0] > 1
    assert home.seqs(HOME_LOG) == list(range(1, DAYS + 1))
    assert [*home.told(HOME_LOG), *home.told(HUB)] == []


def test_then_the_oldest_of_the_archive_that_every_hub_has_and_it_is_told(played: Played) -> None:
    home = played()
    home.hub_holds(31)  # ten are still to be sent
    home.keep(bound(home, 0.5))
    first = home.seqs(HOME_LOG)[0]
    assert 1 < first <= 31
    assert home.seqs(HUB) == list(range(30, DAYS + 1))
    assert [(loss.what, loss.first, loss.last) for loss in home.told(HOME_LOG)] == [
        ("envelope", [HOME_LOG, 1], [HOME_LOG, first - 1])
    ]
    assert list(home.told(HUB)) == []


def test_what_is_unsent_goes_last_and_never_in_silence(played: Played) -> None:
    home = played(hubs=2)
    home.hub_holds(31)
    home.keep(Bounds(SMALL, None, None))
    for number in home.logs:
        assert home.seqs(number) == [DAYS]
    lost = {number: sorted((loss.first, loss.last) for loss in home.told(number)) for number in home.logs}
    assert lost[1] == [([1, 31], [1, DAYS - 1])]
    assert lost[2] == [([2, 1], [2, DAYS - 1])]
    assert lost[HOME_LOG] == sorted([([HOME_LOG, 1], [HOME_LOG, DAYS - 1]), *lost[1], *lost[2]])


def test_the_loss_items_reach_the_hub(played: Played) -> None:
    home = played()
    home.keep(Bounds(SMALL, None, None))
    home.close()
    assert home.seqs(HUB) == [DAYS, DAYS + 1]
    with home.journal.reading() as db:
        sent = logs.to_send(db, HUB, logs.holding(db, HUB), 1 << 20, 1000)
    assert [stored.seq for stored in sent] == [DAYS, DAYS + 1]
    assert b"max_journal_bytes" in sent[-1].cose
    home.hub_holds(1, (DAYS, DAYS + 1))  # for this hub envelopes 1 to 39 are missing for ever
    assert Log.read(home.journal.db, HUB).hub_next == DAYS + 2
    home.journal.close()
    home.journal.open()
    with home.journal.reading() as db:
        assert logs.to_send(db, HUB, logs.holding(db, HUB), 1 << 20, 1000) == []


def test_a_refused_envelope_keeps_no_other_from_going(played: Played) -> None:
    home = played()
    home.hub_holds(5, (6, DAYS))
    home.keep(bound(home, 0.7))
    assert home.seqs(HUB)[0] == 5
    assert len(home.seqs(HUB)) < 25
    assert list(home.told(HUB)) == []


def test_rows_that_a_hub_refused_are_not_held(played: Played) -> None:
    home = played()
    home.hub_holds(DAYS + 1)
    with home.journal.transaction() as db:
        tables.PARKED_ROW.put(db, [(HUB, 7, 3, "422")])
    home.keep(Bounds(SMALL, None, None))
    assert ([HUB, 7], [HUB, 7]) in [(loss.first, loss.last) for loss in home.told(HUB)]
    assert list(tables.PARKED_ROW.read(home.journal.db)) == []


def test_refused_frames_go_before_anything(played: Played) -> None:
    home = played()
    with home.journal.transaction() as db:
        tables.REFUSED.put(db, [(number, None, "tag", "t", bytes(4000)) for number in range(1, 250)])
    home.hub_holds(DAYS + 1)
    home.keep(bound(home, 0.8))
    assert list(tables.REFUSED.read(home.journal.db)) == []
    assert home.seqs(HUB) == list(range(1, DAYS + 1))


def test_checkpoints_and_proofs_are_as_before(played: Played) -> None:
    home = played()
    before = {number: home.leaves(number) for number in home.logs}
    home.hub_holds(21)
    home.keep(Bounds(SMALL, None, None))
    after = {number: home.leaves(number) for number in home.logs}
    assert after == before
    root, leaves = log.root(before[HOME_LOG]), after[HOME_LOG]
    log.verify_inclusion(before[HOME_LOG][3], 3, DAYS, log.inclusion_proof(leaves, 3), root)


def test_a_checkpoint_is_the_same_before_and_after(played: Played) -> None:
    home = played()
    (home.folder / keys.FILE_NAME).touch(0o600)
    (home.folder / keys.FILE_NAME).write_bytes(b"s" * 32)
    config = home.folder / "gateway.toml"
    config.write_text(toml(home.folder), encoding="utf-8")

    def told() -> Checkpoint:
        done = CliRunner().invoke(app, ["checkpoint", "-c", str(config)])
        assert done.exit_code == 0, done.output
        return verify_checkpoint(done.stdout, SIGNER.public_key)

    before = told()
    assert (before.size, before.root) == (DAYS, log.root(home.leaves(HOME_LOG)))
    home.hub_holds(21)
    home.keep(Bounds(SMALL, None, None))
    assert told() == before


def test_old_envelopes_go_by_age(played: Played) -> None:
    home = played()
    home.hub_holds(36)
    home.keep(Bounds(UNBOUNDED, 20.5, 10.5))
    assert home.seqs(HOME_LOG)[0] == DAYS - 20 + 1
    assert home.seqs(HUB)[0] == DAYS - 10 + 1
    assert [(loss.first, loss.last) for loss in home.told(HOME_LOG)] == [([HOME_LOG, 1], [HOME_LOG, DAYS - 20])]
    assert list(home.told(HUB)) == []


def test_unsent_envelopes_that_are_too_old_are_told(played: Played) -> None:
    home = played()
    home.keep(Bounds(UNBOUNDED, 20.5, 10.5))
    assert [(loss.first, loss.last) for loss in home.told(HUB)] == [([HUB, 1], [HUB, DAYS - 20])]


@pytest.mark.parametrize("days", [365, -365])
def test_a_clock_that_is_wrong_for_an_hour_drops_nothing(days: int, played: Played) -> None:
    home = played()
    home.hub_holds(DAYS + 1)
    clock = SteppedClock(home.clock)
    keeper = Keeper(home.journal, clock, Bounds(UNBOUNDED, 100, 100), [HUB], ORIGIN)
    for moved_ms in (0, days * DAY_MS, 0):
        clock.moved_ms = moved_ms
        for _ in range(4):
            assert not keeper.step()
            home.clock.now_ms += SETTLED_MS // 5
    assert home.seqs(HOME_LOG) == home.seqs(HUB) == list(range(1, DAYS + 1))


def test_a_clock_that_nobody_knows_drops_nothing_for_its_age(played: Played) -> None:
    home = played()
    home.clock.unsure_ms = 2**31 - 1
    home.keep(Bounds(UNBOUNDED, 1, 1))
    assert home.seqs(HOME_LOG) == list(range(1, DAYS + 1))


def test_envelopes_without_a_date_go_with_the_first_later_one_that_has_one(played: Played) -> None:
    home = played()
    with home.journal.transaction() as db:
        rows = [row for row in tables.ENVELOPE.read(db, "log = 0") if row[1] in (1, 2, 30)]
        tables.ENVELOPE.put(db, [(*row[:3], None, *row[4:]) for row in rows])
    home.keep(Bounds(UNBOUNDED, 20.5, None))
    assert home.seqs(HOME_LOG)[0] == DAYS - 20 + 1


def test_a_bounded_journal_is_sound_and_does_not_grow(played: Played) -> None:
    home = played()
    limit = used_bytes(home.journal.db)

    async def scene() -> None:
        for _ in range(3):
            home.live(15)
            home.hub_holds(Log.read(home.journal.db, HUB).next_seq)
            home.keep(Bounds(limit, None, None), settle=False)
            assert used_bytes(home.journal.db) <= limit
        home.intake.abandon()

    asyncio.run(scene())
    assert list(schema.problems(home.journal.db)) == []
    assert home.seqs(HOME_LOG)[-1] >= DAYS + 45


class SteppedClock:
    """A clock that somebody sets; what it counts since its boot goes on."""

    def __init__(self, true: FakeClock) -> None:
        self._true, self.moved_ms = true, 0

    def utc_ms(self) -> int:
        return self._true.utc_ms() + self.moved_ms

    def boot_ms(self) -> int:
        return self._true.now_ms - START_UTC_MS

    def uncertainty_ms(self) -> int:
        return self._true.uncertainty_ms()
