"""Rows on their way to hubs with a form of their own: real frames, journal and envelopes; the hub is the far end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.delivery.freight_rows import LIVE_MS, OUT_OF_ORDER, Rows, position
from balise_gateway.delivery.uplink import Patience, Uplink
from balise_gateway.errors import HubAway, HubDenied, HubRefused, HubTooLarge, JournalUnavailable
from balise_gateway.hubs import HubSettings, Traits
from balise_gateway.journal import tables
from balise_gateway.logbook.logs import Log
from balise_gateway.logbook.rows import HubRow
from gateway.closing_bench import Bench
from gateway.support import CHANNELS, START_UTC_MS, AirNode, played, until

LOG = 1
START_S = START_UTC_MS // 1000
ANY = Traits(accepts_past=True, idempotent=False, ordered=False, batch_limit_bytes=10_000, batch_limit_rows=7)


@dataclass
class Far:
    """A hub that takes rows, and misbehaves as `moods` say, one per request."""

    traits: Traits = ANY
    moods: list[str] = field(default_factory=list)
    poison: set[int] = field(default_factory=set)  # UTC s of rows that it will not have
    names_poison: bool = True
    got: list[HubRow] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    async def send(self, rows: Sequence[HubRow]) -> int:
        await asyncio.sleep(0)
        self.requests.append(len(rows))
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "away":
            raise HubAway("away")
        if mood == "denied":
            raise HubDenied("401: the token is not known here")
        if mood == "too large" and len(rows) > 1:
            raise HubTooLarge("413")
        refused = {index: "poison" for index, row in enumerate(rows) if row.utc_ms // 1000 in self.poison}
        if refused and not self.names_poison:
            raise HubRefused("400", {})
        self.got += [row for index, row in enumerate(rows) if index not in refused]
        if refused:
            raise HubRefused("400", refused)
        return 100 * len(rows)

    async def close(self) -> None:
        pass


def seconds(rows: Sequence[HubRow]) -> list[int]:
    return [row.utc_ms // 1000 - START_S for row in rows]


def bench_with(folder: Path, count: int, per_envelope: int = 4) -> Bench:
    """A journal whose log 1 has that many rows of one node, a minute apart from START_S on."""
    bench, node = Bench(folder), AirNode()
    frames = [node.row(START_S + 60 * number) for number in range(count)]
    close(bench, node.hello())
    for first in range(0, count, per_envelope):
        close(bench, *frames[first : first + per_envelope])
    return bench


def close(bench: Bench, *frames: bytes) -> None:
    """These frames, in an envelope."""

    async def scene() -> None:
        bench.take(*frames)
        bench.close()

    played(scene)


def deliver(bench: Bench, hub: Far, enough: int) -> Uplink:
    """Runs an uplink of its own, as after a restart, until the hub has that many rows and nothing more is due."""
    freight = Rows(hub, LOG, bench.journal, bench.clock)
    patience = Patience(0.001, 0.004, denied_s=0.004)
    uplink = Uplink(HubSettings(name="far", kind="fake", log=LOG), hub, freight, Random(1), patience)

    def is_done() -> bool:
        db = bench.journal.db
        return len(hub.got) >= enough and position(db, LOG) >= (Log.read(db, LOG).next_seq, 0)

    async def scene() -> None:
        task = asyncio.create_task(uplink.run())
        await until(is_done)
        task.cancel()
        await asyncio.wait([task])

    played(scene)
    return uplink


def send(freight: Rows, limit: int) -> None:
    """One batch."""

    async def scene() -> None:
        await freight.send(freight.next(limit))

    played(scene)


def parked(bench: Bench) -> list[str]:
    return [row[3] for row in tables.PARKED_ROW.read(bench.journal.db, "log = ? ORDER BY seq, row", (LOG,))]


def test_every_row_is_sent_once_in_order_with_exact_values(tmp_path: Path) -> None:
    bench, hub = bench_with(tmp_path, 20), Far()
    deliver(bench, hub, 20)
    assert seconds(hub.got) == [60 * number for number in range(20)]
    assert max(hub.requests) <= 7
    first = hub.got[0]
    assert [value.channel for value in first.values] == list(CHANNELS)
    assert all(value.text == f"{value.decimal:f}" and "e" not in value.text.lower() for value in first.values)
    assert first.about["trust"] == "gateway-witnessed"


def test_after_a_restart_it_goes_on_behind_the_last_row_that_arrived(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, 12)
    one = Far()
    send(Rows(one, LOG, bench.journal, bench.clock), 5)
    again = Far()
    deliver(bench, again, 7)
    assert seconds(one.got + again.got) == [60 * number for number in range(12)]


@pytest.mark.parametrize("names_poison", [True, False])
def test_a_poison_row_is_parked_with_its_reason_and_blocks_nothing(tmp_path: Path, names_poison: bool) -> None:
    bench = bench_with(tmp_path, 20)
    hub = Far(poison={START_S + 300, START_S + 660}, names_poison=names_poison)
    deliver(bench, hub, 18)
    assert sorted(seconds(hub.got)) == [60 * number for number in range(20) if number not in (5, 11)]
    assert parked(bench) == (["poison", "poison"] if names_poison else ["400", "400"])


def test_what_was_parked_is_tried_again_and_forgotten_when_it_arrives(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, 8)
    deliver(bench, Far(poison={START_S + 60}), 7)
    mended = Far()
    deliver(bench, mended, 1)
    assert seconds(mended.got) == [60]
    assert parked(bench) == []


def test_a_hub_that_does_not_let_us_in_keeps_everything_waiting(tmp_path: Path) -> None:
    bench, hub = bench_with(tmp_path, 8), Far(moods=["denied"] * 5)
    uplink = deliver(bench, hub, 8)
    assert seconds(hub.got) == [60 * number for number in range(8)]
    assert uplink.state.error is None
    assert uplink.state.sent_bytes == 800


def test_a_row_without_a_time_waits_for_its_anchor_and_holds_up_nobody(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, 3)
    lost = AirNode(boot=2)
    close(bench, lost.hello(), lost.row(90, since_boot=True))
    hub = Far()
    deliver(bench, hub, 3)
    assert parked(bench) == ["its time is not known yet"]
    close(bench, lost.anchor(100_000, START_UTC_MS + 100_000))
    deliver(bench, hub, 4)
    assert seconds(hub.got)[-1] == 90
    assert hub.got[-1].uncertainty_ms == 50
    assert parked(bench) == []


def test_a_hub_that_takes_no_past_gets_the_newest_row_only_and_never_an_old_one(tmp_path: Path) -> None:
    live = Traits(accepts_past=False, idempotent=True, ordered=True, batch_limit_bytes=10_000)
    bench, hub = bench_with(tmp_path, 20), Far(live)
    bench.clock.now_ms = START_UTC_MS + 60_000 * 19 + 1_000
    deliver(bench, hub, 1)
    assert seconds(hub.got) == [60 * 19]
    late = AirNode(boot=3)
    close(bench, late.hello(), late.row(START_S + 60 * 20))
    bench.clock.now_ms += LIVE_MS + 120_000
    freight = Rows(hub, LOG, bench.journal, bench.clock)
    assert not freight.next(7)
    assert tables.count(bench.journal.db, f"passed over {LOG}") == 20


def test_a_hub_that_wants_order_never_gets_a_row_behind_one_it_has(tmp_path: Path) -> None:
    ordered = Traits(accepts_past=True, idempotent=True, ordered=True, batch_limit_bytes=10_000)
    bench, node = Bench(tmp_path), AirNode()
    close(bench, node.hello(), node.row(START_S + 600))
    hub = Far(ordered)
    freight = Rows(hub, LOG, bench.journal, bench.clock)
    send(freight, 7)
    close(bench, node.row(START_S), node.row(START_S + 660))
    send(freight, 7)
    assert seconds(hub.got) == [600, 660]
    assert parked(bench) == [OUT_OF_ORDER]


def test_what_a_hub_has_no_word_for_is_left_out_and_counted(tmp_path: Path) -> None:
    traits = Traits(True, False, False, 10_000, channels=frozenset({CHANNELS[0]}))
    bench, hub = bench_with(tmp_path, 4), Far(traits)
    deliver(bench, hub, 4)
    assert all([value.channel for value in row.values] == [CHANNELS[0]] for row in hub.got)
    assert tables.count(bench.journal.db, f"left out {LOG}") >= 4 * (len(CHANNELS) - 1)


@settings(max_examples=25, deadline=None)
@given(
    moods=st.lists(st.sampled_from(["ok", "away", "too large", "denied"]), max_size=12),
    poison=st.sets(st.integers(0, 19), max_size=4),
    names_poison=st.booleans(),
)
def test_whatever_the_hub_does_each_row_arrives_once_or_is_parked(
    tmp_path_factory: pytest.TempPathFactory, moods: list[str], poison: set[int], names_poison: bool
) -> None:
    bench = bench_with(tmp_path_factory.mktemp("rows"), 20)
    hub = Far(moods=list(moods), poison={START_S + 60 * number for number in poison}, names_poison=names_poison)
    deliver(bench, hub, 20 - len(poison))
    assert sorted(seconds(hub.got)) == [60 * number for number in range(20) if number not in poison]
    assert len(parked(bench)) == len(poison)
    bench.journal.close()


@pytest.mark.parametrize("poison", [set(), {START_S + 60}])
def test_what_arrived_while_the_disk_refuses_is_not_sent_again(poison: set[int], tmp_path: Path) -> None:
    """A full disk shows itself when the answer is to be remembered, again and again: the hub must not pay for it."""
    bench, hub = bench_with(tmp_path, 6), Far(poison=poison)
    freight = Rows(hub, LOG, bench.journal, bench.clock)
    batch = freight.next(7)
    bench.journal.db.execute("PRAGMA query_only = ON")  # as a disk that cannot be written

    async def scene() -> None:
        try:
            await freight.send(batch)
        except HubRefused as error:
            freight.park(batch, error.reasons)

    with pytest.raises(JournalUnavailable):
        played(scene)
    for _ in range(3):
        with pytest.raises(JournalUnavailable):
            freight.next(7)
    bench.journal.db.execute("PRAGMA query_only = OFF")
    assert freight.next(7) == []
    assert hub.requests == [6]
    assert len(parked(bench)) == len(poison)
