"""Pause, resumption and withdrawal of a grant, the ledger of what has left, and the consent record."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from balise_gateway import backup, keys
from balise_gateway.config import load
from balise_gateway.errors import HubAway, JournalUnavailable
from balise_gateway.grants import ledger
from balise_gateway.grants.consent import Facts, Stream, record_of
from balise_gateway.grants.desk import standings_of
from balise_gateway.grants.gate import Gate
from balise_gateway.grants.grant import Grant, of_terms
from balise_gateway.grants.record import GIVEN, PAUSED, RESUMED, WITHDRAWN, Event, Record
from balise_gateway.grants.rules import Site
from balise_gateway.grants.standings import Standings
from balise_gateway.grants.withdrawal import REASON
from balise_gateway.hubs import HubSettings, Stored
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.logs import Log
from balise_tools.main import app
from balise_wire.frames import FrameKeys
from balise_wire.items import Loss, Readings
from gateway.closing_bench import SIGNER, SITES, Bench, bench
from gateway.support import KEY, NAME, START_UTC_MS, ZONE, AirNode, FakeClock, played, toml, until
from gateway.test_daemon import Sender, station
from gateway.test_grants import grant_of

T0 = START_UTC_MS // 1000
LOG = 1
HUB = HubSettings(name="hub 1", kind="fake", log=LOG)


def standings_in(folder: Path, grant: Grant | None) -> Standings:
    grants = {} if grant is None else {LOG: grant}
    return Standings({LOG: HUB.name}, grants, SITES, ZONE, Record(folder))


def done(standings: Standings, b: Bench, what: str, grant: str = "1") -> None:
    """As a command does it: another process with a record of its own."""
    Record(standings.record.path.parent).add(Event(b.clock.now_ms, HUB.name, LOG, grant, what))


def with_standings(b: Bench, grant: Grant) -> Standings:
    """The bench's log 1 is a hub whose grant can be paused; log 2 is one without a grant."""
    standings = Standings({LOG: HUB.name, 2: "other"}, {LOG: grant}, SITES, ZONE, Record(b.folder))
    b.closer = Closer(b.journal, SIGNER, b.clock, standings)
    return standings


def ticks_of(b: Bench) -> list[int]:
    return [tick for item in b.items(LOG) if isinstance(item, Readings) for tick in item.times]


def test_what_is_measured_in_a_pause_never_leaves(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        standings = with_standings(b, grant_of(indoor=True))
        node = AirNode()
        b.take(node.hello())
        for minute in range(10):
            b.clock.now_ms = START_UTC_MS + 60_000 * minute
            if minute in (3, 7):
                done(standings, b, PAUSED if minute == 3 else RESUMED)
            assert standings.may_send(LOG) == (not 3 <= minute < 7)
            b.take(node.row(T0 + 60 * minute))
            b.close()
        assert ticks_of(b) == [T0 + 60 * minute for minute in (0, 1, 2, 7, 8, 9)]

    bench(tmp_path, scene)


def test_a_withdrawn_grant_does_not_come_back_and_what_was_not_sent_is_erased(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        standings = with_standings(b, grant_of(indoor=True))
        node = AirNode()
        for minute in range(3):
            b.take(node.hello() if not minute else node.row(T0), node.row(T0 + 60 * minute))
            b.close()
        with b.journal.transaction() as db:
            state = Log.read(db, LOG)
            state.hub_next = 2  # the hub has the first one
            state.save(db)
        done(standings, b, WITHDRAWN)
        b.take(node.row(T0 + 300))
        b.close()
        assert [envelope.seq for envelope in b.log(LOG)] == [1]
        assert (standings.state(LOG), standings.may_send(LOG)) == (WITHDRAWN, False)
        done(standings, b, RESUMED)
        assert standings.state(LOG) == WITHDRAWN

        again = with_standings(b, grant_of(indoor=True, id="2"))
        assert again.state(LOG) == GIVEN
        b.take(node.row(T0 + 360))
        b.close()
        assert [envelope.seq for envelope in b.log(LOG)] == [1, 4]
        assert ticks_of(b)[-1] == T0 + 360
        (loss,) = [item for item in b.items(LOG) if isinstance(item, Loss)]
        assert (loss.what, loss.first, loss.last, loss.reason) == ("envelope", [LOG, 2], [LOG, 3], REASON)
        assert [row[1] for row in tables.LEAF.read(b.journal.db)] == [2, 3]
        assert len(b.log(HOME_LOG)) == 5  # the home log keeps all

    bench(tmp_path, scene)


def test_what_was_signed_under_a_wider_grant_does_not_leave_under_a_narrower_one(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_standings(b, grant_of(indoor=True)).note_given(1)
        node = AirNode()
        b.take(node.hello(), node.row(T0))
        b.close()
        with_standings(b, grant_of(indoor=True, delay_s=0, place="exact")).note_given(2)  # wider: it may go on
        b.close()
        assert [envelope.seq for envelope in b.log(LOG)] == [1]
        with_standings(b, grant_of(indoor=True, channels=("pm10",))).note_given(3)
        b.close(LOG)
        assert [envelope.seq for envelope in b.log(LOG)] == [2]
        assert [type(item).__name__ for item in b.items(LOG)] == ["Source", "Loss"]
        b.take(node.row(T0 + 60))
        b.close()
        assert [envelope.seq for envelope in b.log(LOG)] == [2, 3]
        assert ticks_of(b) == [T0 + 60]

    bench(tmp_path, scene)


def test_a_withdrawal_holds_also_when_no_gateway_ran_meanwhile(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        standings = with_standings(b, grant_of(indoor=True))
        standings.note_given(1)
        node = AirNode()
        b.take(node.hello(), node.row(T0))
        b.close()
        done(standings, b, WITHDRAWN)
        with_standings(b, grant_of(indoor=True, id="2")).note_given(2)
        b.close()
        assert ticks_of(b) == []
        b.take(node.row(T0 + 60))
        b.close()
        b.close()
        assert ticks_of(b) == [T0 + 60]

    bench(tmp_path, scene)


def test_a_node_that_is_said_to_be_indoors_after_all_does_not_leave_with_what_was_signed(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        for indoor in (False, True):
            sites = {FrameKeys(KEY).kid: Site(NAME, indoor)}
            standings = Standings({LOG: HUB.name, 2: "other"}, {LOG: grant_of()}, sites, ZONE, Record(b.folder))
            standings.note_given(1)
            b.closer = Closer(b.journal, SIGNER, b.clock, standings)
            b.take(node.row(T0 + 60) if indoor else node.hello(), node.row(T0))
            b.close()
            assert ticks_of(b) == ([] if indoor else [T0])

    bench(tmp_path, scene)


@pytest.mark.parametrize(
    ("before", "after", "covered"),
    [
        ({}, {}, True),
        ({"channels": ("pm10",)}, {"channels": ("*",)}, True),
        ({}, {"channels": ("pm10",)}, False),
        ({"resolution_s": 60}, {"resolution_s": 0}, True),
        ({"resolution_s": 60}, {"resolution_s": 90}, False),
        ({"place": "exact"}, {"place": "1km"}, False),
        ({"place": "commune"}, {"place": "1km"}, False),
        ({"indoor": True}, {}, False),
        ({"delay_s": 60}, {"delay_s": 0.5}, True),
        ({"last_day": datetime.date(2026, 1, 1)}, {"last_day": datetime.date(2026, 2, 1)}, True),
        ({}, {"last_day": datetime.date(2026, 2, 1)}, False),
        ({}, {"licence": "CC0-1.0"}, False),
    ],
)
def test_whether_a_grant_covers_the_one_before(before: dict[str, Any], after: dict[str, Any], covered: bool) -> None:
    assert grant_of(**after).covers(grant_of(**before)) == covered
    assert of_terms(grant_of(**after).terms()) == grant_of(**after)


def test_given_grants_are_recorded_once_and_again_when_they_change(tmp_path: Path) -> None:
    standings_in(tmp_path, grant_of()).note_given(1)
    standings_in(tmp_path, grant_of()).note_given(2)
    standings_in(tmp_path, grant_of(delay_s=60)).note_given(3)
    events = Record(tmp_path).events()
    assert [(event.at_utc_ms, event.what) for event in events] == [(1, GIVEN), (3, GIVEN)]
    assert events[1].terms["delay_s"] == 60


def test_a_record_that_cannot_be_read_lets_nothing_leave(tmp_path: Path) -> None:
    standings = standings_in(tmp_path, grant_of())
    (tmp_path / "grants.json").write_text('{"events": [')
    for look in (lambda: standings.may_send(LOG), lambda: standings[LOG]):
        with pytest.raises(JournalUnavailable, match="nothing leaves"):
            look()


@dataclass
class FakeFreight:
    """Envelopes for a hub that is away, or takes all."""

    away: bool = False
    sent: list[int] = field(default_factory=list)

    def next(self, limit: int, *, visits_only: bool = False) -> Sequence[Any]:
        return [Stored(1, b"12345"), Stored(2, b"67890")]

    async def send(self, batch: Sequence[Any]) -> int | None:
        if self.away:
            raise HubAway("no connection")
        self.sent += [stored.seq for stored in batch]
        return sum(len(stored.cose) for stored in batch)

    def park(self, batch: Sequence[Any], reasons: object) -> None:
        raise AssertionError

    def unpark(self) -> None:
        raise AssertionError


def test_the_ledger_knows_before_anything_leaves(tmp_path: Path) -> None:
    async def scene() -> None:
        journal = Journal(tmp_path, "balise/test")
        journal.open()
        with journal.transaction() as db:
            tables.ENVELOPE.put(db, [(LOG, seq, 0, None, 10 * seq, b"12345") for seq in (1, 2)])
        freight, standings, clock = FakeFreight(away=True), standings_in(tmp_path, grant_of()), FakeClock()
        gate = Gate(freight, HUB, standings, journal, clock)
        for _ in range(3):
            with pytest.raises(HubAway):
                await gate.send(gate.next(9))
            clock.now_ms += 1_000
        tried = ledger.Entry(START_UTC_MS, "hub 1", "research", LOG, 1, 2, 30, 0)
        assert list(ledger.entries(journal.db)) == [tried]
        freight.away = False
        assert await gate.send(gate.next(9)) == 10
        await gate.send(gate.next(9))
        found = list(ledger.entries(journal.db))
        assert [(entry.rows, entry.size_bytes) for entry in found] == [(30, 10), (30, 10)]
        standings.record.add(Event(clock.now_ms, HUB.name, LOG, "1", PAUSED))
        assert gate.next(9) == []
        journal.close()

    played(scene)


def test_a_running_gateway_obeys(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            node, record = AirNode(), Record(tmp_path)

            async def measured(*minutes: int) -> None:
                sender = Sender(node)
                for minute in minutes:
                    made.clock.now_ms = START_UTC_MS + 60_000 * minute
                    sender.keep(node.row(T0 + 60 * minute) if minute else node.hello())
                await sender.run(made)

            def grant_state() -> object:
                assert made.gateway is not None
                logs: Any = made.gateway.status()["logs"]
                return logs[1]["hub"]["grant"]

            await measured(0, 1, 2)
            await until(lambda: len(made.rows_at_hub()) == 2)
            made.clock.now_ms = START_UTC_MS + 150_000
            record.add(Event(made.clock.now_ms, "hub 1", LOG, "1", PAUSED))
            assert grant_state() == PAUSED
            await measured(3, 4)
            made.clock.now_ms = START_UTC_MS + 270_000
            record.add(Event(made.clock.now_ms, "hub 1", LOG, "1", RESUMED))
            await measured(5)
            await until(lambda: T0 + 300 in made.rows_at_hub())
            assert sorted(made.rows_at_hub()) == [T0 + 60 * minute for minute in (1, 2, 5)]
            record.add(Event(made.clock.now_ms, "hub 1", LOG, "1", WITHDRAWN))
            await measured(6)
            assert grant_state() == WITHDRAWN
            await made.clean_stop()
            await made.start()
            assert grant_state() == WITHDRAWN
            assert sorted(made.rows_at_hub())[-1] == T0 + 300

    played(scene)


def test_a_withdrawal_is_in_the_backup(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        keys.load_or_make(b.folder)
        standings = standings_in(b.folder, grant_of())
        done(standings, b, WITHDRAWN)
        backup.write(b.folder, tmp_path / "b.zip", None, "long enough")
        backup.restore(tmp_path / "b.zip", tmp_path / "new", [], passphrase="long enough")
        assert standings_in(tmp_path / "new", grant_of()).state(LOG) == WITHDRAWN
        done(standings_in(tmp_path / "new", grant_of()), b, WITHDRAWN, "2")
        backup.restore(tmp_path / "b.zip", tmp_path / "new", [], replace=True)
        assert len(Record(tmp_path / "new").events()) == 2  # what is there is newer, and stays

    bench(tmp_path / "old", scene)


def test_commands(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(toml(tmp_path))
    journal = Journal(tmp_path, "balise/test")
    journal.open()
    with journal.transaction() as db:
        ledger.note(db, ledger.Entry(START_UTC_MS, "hub 1", "research", LOG, 1, 2, 30, 400))
        ledger.note(db, ledger.Entry(None, "a neighbour", "research", None, None, None, 7, 90))

    def balise(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["gateway", *words, "-c", str(path)])
        assert done.exit_code == code, done.output
        return done.output

    balise("key")
    assert "hub 1, log 1: given (grant 1)" in balise("grant", "list")
    assert "hub 1 reçoit *" in balise("grant", "list")
    balise("grant", "resume", "hub 1", code=1)
    balise("grant", "pause", "hub 1")
    assert standings_of(load(path)).state(LOG) == PAUSED
    assert "there are: 'hub 1'" in balise("grant", "pause", "hub 2", code=1)
    balise("grant", "resume", "hub 1")
    _, paused, resumed = Record(tmp_path).events()
    assert resumed.at_utc_ms >= paused.at_utc_ms + 40  # the clock is known within 20 ms: rather too long
    path.write_text(toml(tmp_path, clock_uncertainty_ms=10_000_000))  # as good as not known
    balise("grant", "pause", "hub 1")
    assert Record(tmp_path).events()[-1].at_utc_ms == resumed.at_utc_ms
    assert "does not know the time" in balise("grant", "resume", "hub 1", code=1)
    balise("grant", "withdraw", "hub 1")
    balise("grant", "withdraw", "hub 1", code=1)
    record = json.loads(balise("consent", "hub 1"))
    assert record["@type"] == "dpv:ConsentRecord"
    kinds = ["dpv:ConsentGiven", "balise:paused", "balise:resumed", "balise:paused", "dpv:ConsentWithdrawn"]
    assert [status["@type"] for status in record["dpv:hasConsentStatus"]] == kinds
    assert [text["@language"] for text in record["dct:description"]] == ["fr", "en"]
    assert "2018-12-09T00:00:00+00:00  hub 1 (research): log 1, envelopes 1 to 2, 30 rows, 400 bytes" in balise(
        "ledger"
    )
    assert [entry["size_bytes"] for entry in json.loads(balise("ledger", "--json"))] == [400, 90]
    journal.close()


def test_each_stream_has_a_word_of_the_cnil(tmp_path: Path) -> None:
    grant = grant_of(channels=("pm10",), indoor=True, first_day=datetime.date(2026, 1, 1), purpose="service")
    streams = [Stream("n", "pm10", True), Stream("n", "co2", False)]
    told = record_of(Facts("k", "hub 1", LOG, grant, GIVEN, (), streams))
    assert [stream["balise:cnil"] for stream in told["balise:streams"]] == ["IN->OUT->IN", "IN->IN"]
    french, english = (text["@value"] for text in told["dct:description"])
    assert "à partir du 01/01/2026" in french
    assert "from 2026-01-01 on" in english
    (process,) = told["dpv:hasProcess"]
    assert process["dct:license"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert (
        record_of(Facts("k", "hub 1", LOG, None, "none", (), streams))["balise:streams"][0]["balise:cnil"] == "IN->IN"
    )
