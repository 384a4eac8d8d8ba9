"""Rows of boots without a clock: UTC by the node's anchor, or between what is known, never guessed."""

from pathlib import Path

import pytest

from balise_gateway.nodes import dating
from balise_gateway.nodes.boots import DATED_MS
from balise_wire.items import Anchor, Readings
from gateway.closing_bench import OTHER_KEY, OTHER_NAME, Bench, bench
from gateway.support import START_UTC_MS, AirNode, utc_rows

T0 = START_UTC_MS // 1000


def test_an_anchor_that_is_known_makes_utc_of_ticks(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(60, since_boot=True), node.row(120, since_boot=True))
        b.take(node.anchor(150_000, START_UTC_MS + 150_400), node.row(T0 + 180))
        b.close()
        (readings,) = [item for item in b.items() if isinstance(item, Readings)]
        assert (readings.boot, readings.times) == (None, [T0 + 60, T0 + 120, T0 + 180])
        assert not [item for item in b.items() if isinstance(item, Anchor)]

    bench(tmp_path, scene)


def test_an_anchor_that_comes_late_follows(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode(boot=7)
        b.take(node.hello(), node.row(60, since_boot=True))
        b.close()
        b.take(node.row(120, since_boot=True))
        b.close()
        b.take(node.anchor(150_000, START_UTC_MS + 150_000))
        b.close()
        b.take(node.row(180, since_boot=True))
        b.close()
        kinds = [[type(item).__name__ for item in envelope.items] for envelope in b.log()]
        assert kinds == [["Source", "Manifest", "Readings"], ["Readings"], ["Anchor"], ["Readings"]]
        anchor = b.items()[4]
        assert anchor == Anchor(1, 150_000, START_UTC_MS + 150_000, "gateway", 50)  # domain 1 of this log, not boot 7
        assert [item.boot for item in b.items() if isinstance(item, Readings)] == [1, 1, None]
        assert [tick for _, tick, _ in utc_rows(b.log())] == [T0 + 60, T0 + 120, T0 + 180]
        b.close()
        assert len(b.log()) == 4  # told once

    bench(tmp_path, scene)


def test_two_nodes_with_the_same_boot_number_have_domains_of_their_own(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        one, two = AirNode(), AirNode(OTHER_KEY, OTHER_NAME)
        for node in (one, two):
            b.take(node.hello(), node.row(60, since_boot=True))
        b.close()
        assert [item.boot for item in b.items() if isinstance(item, Readings)] == [1, 2]

    bench(tmp_path, scene)


def test_a_boot_without_an_anchor_is_between_its_neighbours(tmp_path: Path) -> None:
    """Boot 1 was seen until T0+600; boot 2 had no clock and ran 300 s; boot 3 began at T0+5000."""

    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0 + 600))
        b.close()
        node.reboot()
        b.take(node.hello(), node.row(60, since_boot=True), node.row(300, since_boot=True))
        b.close()
        assert not [item for item in b.items() if isinstance(item, Anchor)]  # it may still be running
        b.clock.now_ms = START_UTC_MS + 9_000_000
        node.reboot()
        b.take(node.hello(), node.anchor(10_000, START_UTC_MS + 5_010_000))
        b.close()
        (anchor,) = [item for item in b.items() if isinstance(item, Anchor)]
        assert (anchor.boot, anchor.boot_ms, anchor.source) == (1, 0, "between")
        low, high = T0 + 600, T0  # the boot's frames had arrived at the clock of then, START_UTC_MS
        assert anchor.utc_ms - anchor.uncertainty_ms <= min(low, high) * 1000
        assert anchor.utc_ms + anchor.uncertainty_ms >= (high - 300) * 1000

    bench(tmp_path, scene)


def test_a_bracket_is_as_wide_as_what_is_not_known(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0 + 600))
        b.close()
        b.clock.now_ms = START_UTC_MS + 9_000_000  # the second boot's frames arrive then
        node.reboot()
        b.take(node.hello(), node.row(300, since_boot=True))
        b.close()
        node.reboot()
        b.take(node.hello(), node.anchor(10_000, START_UTC_MS + 5_010_000))
        b.close()
        (anchor,) = [item for item in b.items() if isinstance(item, Anchor)]
        assert anchor.utc_ms - anchor.uncertainty_ms == (T0 + 600) * 1000 - DATED_MS
        assert anchor.utc_ms + anchor.uncertainty_ms == START_UTC_MS + 5_000_000 - 300_000 + 50  # as sure as the anchor

    bench(tmp_path, scene)


def test_a_true_anchor_after_a_bracket_is_told_too(tmp_path: Path) -> None:
    """It was in a frame that came late."""

    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(300, since_boot=True))
        late = node.anchor(400_000, START_UTC_MS + 400_000)
        b.close()
        b.take(AirNode(boot=2).hello())
        b.close()
        b.take(late)
        b.close()
        anchors = [item for item in b.items() if isinstance(item, Anchor)]
        assert [anchor.source for anchor in anchors] == ["between", "gateway"]
        assert anchors[0].boot == anchors[1].boot
        b.close()
        assert len([item for item in b.items() if isinstance(item, Anchor)]) == 2

    bench(tmp_path, scene)


def test_a_first_boot_without_an_anchor_is_after_the_beginning_of_all(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(300, since_boot=True))
        b.close()
        b.take(node.reboot().hello())
        b.close()
        (anchor,) = [item for item in b.items() if isinstance(item, Anchor)]
        assert anchor.utc_ms - anchor.uncertainty_ms <= dating.EARLIEST_UTC_MS
        assert anchor.utc_ms + anchor.uncertainty_ms >= START_UTC_MS - 300_000

    bench(tmp_path, scene)


def test_without_a_clock_a_bracket_waits(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.clock.unsure_ms = 2**31 - 1
        b.take(node.hello(), node.row(300, since_boot=True))
        b.take(node.reboot().hello())
        b.close()
        assert not [item for item in b.items() if isinstance(item, Anchor)]
        b.clock.unsure_ms = 10
        b.close()
        assert len([item for item in b.items() if isinstance(item, Anchor)]) == 1

    bench(tmp_path, scene)


@pytest.mark.parametrize("better", [True, False])
def test_the_better_anchor_is_used(tmp_path: Path, better: bool) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(60, since_boot=True))
        b.take(node.anchor(0, START_UTC_MS, 500), node.anchor(0, START_UTC_MS + 7_000, 50 if better else 5_000))
        b.close()
        assert [tick for _, tick, _ in utc_rows(b.log())] == [T0 + 60 + (7 if better else 0)]

    bench(tmp_path, scene)
