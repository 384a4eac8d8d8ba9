"""The uplink: everything is delivered in the end, whatever the hub does, and nothing holds up the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balise_gateway.delivery.uplink import Patience, Uplink, freight_of
from balise_gateway.errors import HubAway, HubError, HubRefused, HubTooLarge, HubUntrusted
from balise_gateway.hubs import Holding, HubSettings, Stored, Traits
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import COUNTER, HOME_LOG
from balise_gateway.logbook import logs
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.logs import Log
from balise_wire import cbor
from balise_wire.envelope import Signer
from balise_wire.items import Loss, unpack_item
from gateway.support import FakeClock, played, until, views

LOG = 1
ORIGIN = "balise/test"


@dataclass
class FarHub:
    """A hub at the other end of the contract: keeps what it gets, and misbehaves as `moods` say, one per request."""

    moods: list[str] = field(default_factory=list)
    poison: set[int] = field(default_factory=set)
    held: dict[int, bytes] = field(default_factory=dict)
    batches: list[list[int]] = field(default_factory=list)
    most: int = 1_000
    names_poison: bool = True
    closed: int = 0
    traits: Traits = field(default_factory=lambda: Traits(True, True, False, 10_000))

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        await asyncio.sleep(0)
        self.batches.append([stored.seq for stored in batch])
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "away":
            raise HubAway("away")
        if mood == "untrusted":
            raise HubUntrusted("who are you?")
        if len(batch) > self.most:
            raise HubTooLarge("413")
        refused = {index: "poison" for index, stored in enumerate(batch) if stored.seq in self.poison}
        if refused and not self.names_poison:
            raise HubRefused("400", {})
        for index, stored in enumerate(batch):
            if index not in refused:
                assert self.held.setdefault(stored.seq, stored.cose) == stored.cose
        if mood == "forgets":
            raise HubAway("stored, but the answer was lost")
        if mood == "loses all":
            self.held.clear()
        if refused:
            raise HubRefused("400", refused)
        return self.holding()

    def holding(self) -> Holding:
        next_seq, ranges = 1, list[tuple[int, int]]()
        for seq in sorted(self.held):
            if seq == next_seq:
                next_seq += 1
            elif ranges and ranges[-1][1] == seq - 1:
                ranges[-1] = (ranges[-1][0], seq)
            else:
                ranges.append((seq, seq))
        return Holding(next_seq, tuple(ranges))

    async def close(self) -> None:
        self.closed += 1


def journal_with(folder: Path, count: int, size: int = 100) -> Journal:
    """A journal whose log 1 has that many envelopes."""
    journal = Journal(folder, ORIGIN)
    journal.open()
    with journal.transaction() as db:
        logs.ensure(db, (HOME_LOG, LOG))
    append(journal, count, size)
    return journal


def append(journal: Journal, count: int, size: int = 100) -> None:
    with journal.transaction() as db:
        log = Log.read(db, LOG)
        for _ in range(count):
            log.append(db, log.next_seq.to_bytes(4, "big") * (size // 4), 1, None)
        log.save(db)


@contextlib.asynccontextmanager
async def delivering(journal: Journal, hub: FarHub) -> AsyncIterator[Uplink]:
    made, closed = uplink_of(journal, hub, Patience(0.001, 0.004)), hub.closed
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait([task])
    assert hub.closed == closed + 1


def uplink_of(journal: Journal, hub: FarHub, patience: Patience) -> Uplink:
    freight = freight_of(hub, LOG, journal, ORIGIN, FakeClock())
    return Uplink(HubSettings(name="far", kind="fake", log=LOG), hub, freight, Random(1), patience)


def delivered(journal: Journal, hub: FarHub, count: int, check: Callable[[Uplink], None] | None = None) -> None:
    """Runs the uplink until the hub holds `count` envelopes."""

    async def scene() -> None:
        async with delivering(journal, hub) as made:
            await until(lambda: len(hub.held) == count and not made._freight.next(1_000))
            if check is not None:
                check(made)

    played(scene)


def held_below(journal: Journal) -> int:
    return Log.read(journal.db, LOG).hub_next


def parked(journal: Journal) -> dict[int, str]:
    return {seq: reason for _, seq, reason in tables.PARKED.read(journal.db)}


def test_oldest_first_in_few_requests(tmp_path: Path) -> None:
    journal, hub = journal_with(tmp_path, 250), FarHub()
    delivered(journal, hub, 250)
    assert hub.batches == [list(range(1, 101)), list(range(101, 201)), list(range(201, 251))]  # 10,000 bytes each
    assert held_below(journal) == 251


def test_an_envelope_larger_than_the_limit_goes_alone(tmp_path: Path) -> None:
    journal, hub = journal_with(tmp_path, 1, size=50_000), FarHub()
    append(journal, 2)
    delivered(journal, hub, 3)
    assert hub.batches == [[1], [2, 3]]


def test_something_new_is_sent_when_told(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, hub = journal_with(tmp_path, 0), FarHub()
        async with delivering(journal, hub) as made:
            await asyncio.sleep(0.01)
            assert hub.batches == []
            append(journal, 2)
            made.wake()
            await until(lambda: len(hub.held) == 2)

    played(scene)


@pytest.mark.parametrize("mood", ["away", "untrusted", "forgets", "loses all"])
def test_trouble_is_outwaited(tmp_path: Path, mood: str) -> None:
    journal, hub = journal_with(tmp_path, 5), FarHub(moods=[mood] * 4)

    def check(made: Uplink) -> None:
        assert made.state.error is None
        assert made.state.failures == 0

    delivered(journal, hub, 5, check)
    assert len(hub.batches) == 5
    assert held_below(journal) == 6


def test_trouble_is_told(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, hub = journal_with(tmp_path, 1), FarHub(moods=["away"] * 1_000)
        async with delivering(journal, hub) as made:
            await until(lambda: made.state.failures > 3)
            assert made.state.error == "away"
            assert held_below(journal) == 1

    played(scene)


def test_back_off_doubles_up_to_a_limit_with_jitter(tmp_path: Path) -> None:
    async def scene() -> None:
        made = uplink_of(journal_with(tmp_path, 0), FarHub(), Patience())
        waits = []
        for _ in range(20):
            made._failed("away")
            waits.append(made._back_off_s())
        for number, wait_s in enumerate(waits):
            full_s = min(300.0, 2.0**number)
            assert full_s / 2 <= wait_s <= full_s
        assert len(set(waits)) == len(waits)

    played(scene)


def test_a_hub_may_be_asked_again_as_seldom_as_its_host_wants(tmp_path: Path) -> None:
    """Five minutes were the longest wait, whatever `retry_s` said."""

    async def scene() -> None:
        settings = HubSettings(name="far", kind="fake", log=LOG, retry_s=7_200)
        freight = freight_of(FarHub(), LOG, journal_with(tmp_path, 0), ORIGIN, FakeClock())
        made = Uplink(settings, FarHub(), freight, Random(1))
        for _ in range(20):
            made._failed("away")
        assert 3_600 <= made._back_off_s() <= 7_200

    played(scene)


def test_a_hub_may_say_how_long(tmp_path: Path) -> None:
    async def scene() -> None:
        made = uplink_of(journal_with(tmp_path, 1), _Later(), Patience())
        assert await made._step() == 77.0

    played(scene)


class _Later(FarHub):
    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        raise HubAway("later", 77.0)


def test_too_large_is_halved_until_it_fits(tmp_path: Path) -> None:
    journal, hub = journal_with(tmp_path, 40), FarHub(most=5)
    delivered(journal, hub, 40)
    assert [len(batch) for batch in hub.batches[:4]] == [40, 20, 10, 5]
    assert parked(journal) == {}


def test_one_envelope_that_is_too_large_is_parked(tmp_path: Path) -> None:
    journal, hub = journal_with(tmp_path, 3), FarHub(most=0)

    async def scene() -> None:
        async with delivering(journal, hub):
            await until(lambda: len(parked(journal)) == 3)
            hub.most = 10

    played(scene)
    delivered(journal, hub, 3)  # a restart tries again
    assert parked(journal) == {}


@pytest.mark.parametrize("names_poison", [True, False])
def test_poison_is_parked_and_blocks_nothing(tmp_path: Path, names_poison: bool) -> None:
    journal, hub = journal_with(tmp_path, 30), FarHub(poison={7, 20}, names_poison=names_poison)
    delivered(journal, hub, 28)
    assert set(parked(journal)) == {7, 20}
    assert held_below(journal) == 7
    append(journal, 3)
    delivered(journal, hub, 31)
    assert set(parked(journal)) == {7, 20}
    hub.poison.clear()
    delivered(journal, hub, 33)
    assert held_below(journal) == 34


def test_parked_envelopes_are_tried_again_after_a_while(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, hub = journal_with(tmp_path, 3), FarHub(poison={2})
        made = uplink_of(journal, hub, Patience(0.001, 0.004, parked_s=0.05))
        task = asyncio.create_task(made.run())
        await until(lambda: parked(journal) == {2: "poison"})
        made.wake()  # news do not put it off
        hub.poison.clear()
        await until(lambda: len(hub.held) == 3)
        assert parked(journal) == {}
        task.cancel()
        await asyncio.wait([task])

    played(scene)


def test_a_log_that_only_the_hub_remembers_waits_for_its_answer(tmp_path: Path) -> None:
    """After a salvage without the log's own row: nothing is signed under a number that may have been given."""
    journal, hub = journal_with(tmp_path, 3), FarHub()
    hub.held = {seq: seq.to_bytes(4, "big") * 25 for seq in range(1, 6)}  # two more than the journal still has
    with journal.transaction() as db:
        db.execute("DELETE FROM log WHERE log = ?", (LOG,))
        COUNTER.put(db, [(tables.ask_hub(LOG), 1), ("next_entry", 2)])
        body = cbor.encode(Loss(ORIGIN, "journal", 1, 1, "test").pack())
        tables.ENTRY.put(db, [(1, b"", 0, Loss.kind, None, None, 0, body)])
    closer = Closer(journal, Signer(b"s" * 32), FakeClock(), views([HOME_LOG, LOG]))
    assert not closer.close(LOG, "rice")
    assert Log.read(journal.db, LOG).next_seq == 1
    with journal.transaction() as db:
        Log(LOG, next_seq=4).save(db)  # what the salvage makes of the envelopes that are left
    delivered(journal, hub, 5)
    assert closer.close(LOG, "rice")
    assert [row[1] for row in tables.ENVELOPE.read(journal.db, "log = ? ORDER BY seq", (LOG,))] == [1, 2, 3, 6]


def test_what_the_answer_misses_is_sent_again(tmp_path: Path) -> None:
    journal, hub = journal_with(tmp_path, 10), FarHub()
    delivered(journal, hub, 10)
    for seq in (3, 4, 8):
        del hub.held[seq]  # the hub went back to a backup
    append(journal, 1)
    delivered(journal, hub, 11)
    assert hub.batches == [list(range(1, 11)), [11], [3, 4, 8]]


def test_a_hub_that_answers_and_keeps_nothing_is_not_hammered(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, hub = journal_with(tmp_path, 1), FarHub(moods=["loses all"] * 10_000)
        async with delivering(journal, hub) as made:
            await until(lambda: made.state.failures > 4)
            assert "holds nothing" in str(made.state.error)

    played(scene)


def test_a_hub_that_holds_more_than_the_journal(tmp_path: Path) -> None:
    """The gateway was restored from an old copy: numbers that the hub knows are not given again."""
    journal, hub = journal_with(tmp_path, 5), FarHub()
    hub.held = {seq: seq.to_bytes(4, "big") * 25 for seq in range(1, 5)} | dict.fromkeys(range(6, 41), b"newer")
    delivered(journal, hub, 40)
    state = Log.read(journal.db, LOG)
    assert (state.next_seq, state.hub_next) == (41, 41)
    assert state.next_manifest > 1_000
    losses = [unpack_item(cbor.decode(row[7])) for row in tables.ENTRY.read(journal.db)]
    assert [(loss.node, loss.first, loss.last) for loss in losses if isinstance(loss, Loss)] == [
        (ORIGIN, [LOG, 6], [LOG, 40])
    ] * 2
    assert [row[5] for row in tables.ENTRY.read(journal.db, "TRUE ORDER BY entry")] == [HOME_LOG, LOG]


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    journal, hub = journal_with(tmp_path, 10), FarHub()
    delivered(journal, hub, 10)
    append(journal, 1)
    delivered(journal, hub, 11)
    assert hub.batches[-1] == [11]


def test_a_journal_that_is_closed_for_a_while(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, hub = journal_with(tmp_path, 3), FarHub()
        journal.close()
        async with delivering(journal, hub) as made:
            await until(lambda: made.state.failures > 2)
            journal.open()
            await until(lambda: len(hub.held) == 3)

    played(scene)


MOODS = st.sampled_from(["ok", "away", "untrusted", "forgets", "loses all"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moods=st.lists(MOODS, max_size=12),
    poison=st.sets(st.integers(1, 30), max_size=4),
    most=st.integers(1, 40),
    names_poison=st.booleans(),
)
def test_all_that_is_not_poison_arrives(
    tmp_path_factory: pytest.TempPathFactory, moods: list[str], poison: set[int], most: int, names_poison: bool
) -> None:
    journal = journal_with(tmp_path_factory.mktemp("journal"), 30)
    hub = FarHub(moods=list(moods), poison=poison, most=most, names_poison=names_poison)
    delivered(journal, hub, 30 - len(poison))
    assert set(hub.held) == set(range(1, 31)) - poison
    assert set(parked(journal)) <= poison


def test_every_error_of_a_hub_is_one_that_the_uplink_knows() -> None:
    assert {error.__name__ for error in HubError.__subclasses__()} == {
        "HubAway",
        "HubTooLarge",
        "HubRefused",
        "HubDenied",
        "HubUntrusted",
    }
