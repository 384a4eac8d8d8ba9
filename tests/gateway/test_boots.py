"""Which boots of a node are still believed."""

from pathlib import Path

from balise_gateway.boots import KEPT_BOOTS
from balise_wire.frames import open_ack
from gateway.intake_bench import T0, Bench, bench
from gateway.support import AirNode


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
