"""Which boots of a node are still believed."""

from pathlib import Path

from balise_gateway.nodes.boots import KEPT_BOOTS, Boot
from balise_wire.frames import open_ack
from balise_wire.items import Anchor
from gateway.intake_bench import T0, Bench, bench
from gateway.support import START_UTC_MS, AirNode


def test_a_replay_of_a_retired_boot_is_refused(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        old = AirNode(boot=1)
        first = old.hello()
        b.take(first)
        b.intake.commit()
        for boot in range(2, KEPT_BOOTS + 2):
            b.take(AirNode(boot=boot).hello())
        b.intake.commit()
        assert b.journal.db.execute("SELECT count(*), min(boot) FROM boot").fetchone() == (KEPT_BOOTS, 2)
        b.take(first, old.row(T0))
        b.intake.commit()
        assert b.count("refused replay") == 2
        assert [open_ack(old.keys, sealed)[1].boot for _, sealed in b.carrier.answers].count(1) == 1

    bench(tmp_path, scene)


def test_of_two_anchors_the_better_one_counts_and_of_two_that_differ_the_later_one() -> None:
    """A gateway whose clock was a year ahead for a while must not date by that what comes afterwards."""
    year_ms = 365 * 86_400_000
    right = Anchor(1, 1_000, START_UTC_MS, "gateway", 18)
    ahead = Anchor(1, 5_000_000, START_UTC_MS + 4_999_000 + year_ms, "gateway", 17)
    back = Anchor(1, 6_000_000, START_UTC_MS + 5_999_010, "gateway", 20)
    late = Anchor(1, 2_000, START_UTC_MS + 1_010, "gateway", 5)  # better, and on its way for long
    drifted = Anchor(1, 6_500_000, START_UTC_MS + 6_499_300, "gateway", 30)  # 46 ppm in two hours
    for told, kept in (
        ((right, ahead), ahead),
        ((right, ahead, back), back),
        ((right, back), right),
        ((back, ahead), back),
        ((right, late), late),
        ((right, drifted), right),
    ):
        boot = Boot(b"node", 1)
        for anchor in told:
            boot.note_anchor(anchor)
        assert boot.anchor is kept, told


def test_a_node_that_drew_a_lower_boot_number_is_heard(tmp_path: Path) -> None:
    """As after an erased flash: far below is not old."""

    async def scene(b: Bench) -> None:
        b.take(AirNode(boot=1_000_000_000).hello())
        b.intake.commit()
        erased = AirNode(boot=77)
        b.take(erased.hello(), erased.row(T0))
        b.intake.commit()
        assert b.count("refused replay") == 0
        assert len(b.carrier.answers) == 2

    bench(tmp_path, scene)
