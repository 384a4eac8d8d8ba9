"""Time, whatever the clocks do: no clock at boot, steps of a year, NTP lost and found, reboots of either side, hubs
whose answers are the only clock. Each row at the hub is right within what is stated, or says between what it lies.

What is stated: a row in UTC is right within DATED_MS and a tick; a row of a clock domain within its anchors'.
"""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from balise_gateway.clock import UNKNOWN_MS, GuidedClock, known_utc_ms
from balise_gateway.nodes.boots import DATED_MS
from balise_gateway.nodes.dating import BETWEEN_SOURCE
from balise_wire.items import Anchor, Readings
from gateway.closing_bench import Bench
from gateway.support import ROW, START_UTC_MS, AirNode

YEAR_MS = 365 * 86_400_000
TICK_MS = 1000
Event = tuple[str, int]

waits = st.tuples(st.just("wait"), st.one_of(st.integers(1, 90_000), st.integers(1, 3 * 86_400_000)))
known = st.tuples(st.just("known"), st.integers(-600_000, 600_000))  # a clock that is as wrong as it says, either way
lost = st.tuples(st.just("lost"), st.sampled_from([-YEAR_MS, YEAR_MS, -START_UTC_MS, 0]))
hub = st.tuples(st.just("hub"), st.integers(1, 400_000))
simple = st.tuples(st.sampled_from(["row", "row", "ack", "reboot", "restart", "close"]), st.integers(0, 30_000))
histories = st.lists(st.one_of(waits, known, lost, hub, simple, simple), max_size=30)


class World:
    """The true time, a gateway whose clock is as good as it says, and a node that has none."""

    def __init__(self, folder: Path) -> None:
        self.now_ms, self.wrong_ms, self.unsure_ms = START_UTC_MS, -START_UTC_MS, UNKNOWN_MS
        self.bench = Bench(folder)
        self.node, self.rows = AirNode(), dict[int, int]()  # the true time of each row, by its first value
        self.restart(0)
        self.node_boot_ms = self.now_ms
        self.bench.take(self.node.hello())

    # The gateway's clock underneath

    def utc_ms(self) -> int:
        return self.now_ms + self.wrong_ms

    def boot_ms(self) -> int:
        return self.now_ms - self.boot_at_ms

    def uncertainty_ms(self) -> int:
        return self.unsure_ms

    # What happens

    def wait(self, ms: int) -> None:
        self.now_ms += ms

    def known(self, wrong_ms: int) -> None:
        self.wrong_ms, self.unsure_ms = wrong_ms, abs(wrong_ms)

    def lost(self, wrong_ms: int) -> None:
        """NTP is lost, or was never there; the date steps by a year, or is that of 1970."""
        self.wrong_ms, self.unsure_ms = wrong_ms, UNKNOWN_MS

    def hub(self, round_trip_ms: int) -> None:
        """A hub's answer, made at some moment of the round trip."""
        sent_ms = self.clock.boot_ms()
        self.now_ms += round_trip_ms // 3
        told_ms = self.now_ms
        self.now_ms += round_trip_ms - round_trip_ms // 3
        self.clock.note_hub(told_ms, sent_ms)

    def row(self, _: int) -> None:
        number = len(self.rows)
        self.rows[number] = self.now_ms
        ticks = (self.now_ms - self.node_boot_ms) // TICK_MS
        self.bench.take(self.node.row(ticks, (number, *ROW[1:]), since_boot=True))

    def ack(self, round_trip_ms: int) -> None:
        """The gateway tells the node the time, as far as it knows; the node makes an anchor of it."""
        self.bench.intake.commit()
        utc_ms, uncertainty_ms = known_utc_ms(self.clock), self.clock.uncertainty_ms()
        self.now_ms += round_trip_ms
        if utc_ms is not None:
            anchor = (self.now_ms - self.node_boot_ms, utc_ms, uncertainty_ms + round_trip_ms)
            self.bench.take(self.node.anchor(*anchor))

    def reboot(self, off_ms: int) -> None:
        self.now_ms += off_ms
        self.node.reboot()
        self.node_boot_ms = self.now_ms
        self.bench.take(self.node.hello())

    def restart(self, off_ms: int) -> None:
        """Of the gateway's computer: what hubs said, and what was not committed, is forgotten."""
        self.bench.intake.commit()
        self.bench.crash()
        self.now_ms += off_ms
        self.boot_at_ms = self.now_ms
        self.clock = GuidedClock(self)
        self.bench.clock = self.clock  # type: ignore[assignment]
        self.bench.start()

    def close(self, _: int) -> None:
        self.bench.close()


def play(folder: Path, history: list[Event]) -> World:
    async def whole() -> World:
        world = World(folder)
        for what, how in history:
            getattr(world, what)(how)
        world.known(0)  # in the end NTP comes back, and the node, in its next boot, hears of it
        world.wait(60_000)
        world.reboot(1000)
        world.ack(10)
        world.close(0)
        world.close(0)
        return world

    return asyncio.run(whole())


def check(world: World) -> None:
    items = world.bench.items()
    anchors: dict[int, list[Anchor]] = {}
    for item in items:
        if isinstance(item, Anchor):
            anchors.setdefault(item.boot, []).append(item)
    found: dict[int, int] = {}
    for item in items:
        for row, ticks in enumerate(item.times) if isinstance(item, Readings) else ():
            number = item.columns[0][row]
            true_ms = world.rows[number]
            found[number] = found.get(number, 0) + 1
            if item.boot is None:
                assert abs(ticks * TICK_MS - true_ms) <= DATED_MS + TICK_MS, (number, ticks)
                continue
            assert item.boot in anchors, f"row {number} says nothing of its time"
            for anchor in anchors[item.boot]:
                told_ms = anchor.utc_ms + ticks * TICK_MS - anchor.boot_ms
                assert abs(told_ms - true_ms) <= anchor.uncertainty_ms + TICK_MS, (number, anchor)
                assert anchor.source != BETWEEN_SOURCE or anchor.boot_ms == 0
    assert found == dict.fromkeys(world.rows, 1)


@given(histories)
@example([("row", 0), ("wait", 86_400_000), ("known", -600_000), ("ack", 0), ("row", 0)])
@example([("known", 500_000), ("ack", 0), ("reboot", 0), ("row", 0), ("known", 0), ("close", 0)])
@example([("hub", 300_000), ("ack", 10), ("reboot", 0), ("row", 0), ("restart", 0), ("lost", YEAR_MS), ("reboot", 0)])
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_the_time_of_every_row_is_right_as_far_as_is_said(history: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = play(Path(folder), history)
        check(world)
        world.bench.crash()
