"""The flash wears, fills up and rots, as littlefs on a chip does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from balise_sim.flash import BLOCK_BYTES
from balise_sim.node import Node
from balise_sim.world import World
from node.yard import Yard

Run = Callable[..., Node]
DAY_MIN = 24 * 60


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


@pytest.mark.parametrize(
    ("what", "erases", "written"),
    [
        ("f = open('a', 'w')\nf.write('x' * 100)\nf.close()\n", 0, 100),  # in the directory's own block
        ("f = open('a', 'w')\nf.write('x' * 9000)\nf.close()\n", 3, 9000),
        ("f = open('a', 'w')\nf.write('x' * 5000)\nf.close()\nf = open('a', 'a')\nf.write('y')\nf.close()\n", 3, 5001),
        ("for n in range(50):\n    f = open('a', 'a')\n    f.write('y' * 100)\n    f.close()\n", 53, 5000),
        ("f = open('a', 'a')\nf.close()\n", 0, 0),
    ],
)
def test_each_write_erases_what_littlefs_would(run: Run, what: str, erases: int, written: int) -> None:
    node = run(what)
    wear = node.flash.wear()
    assert (wear.erases, wear.written_bytes) == (erases, written)
    assert wear.life_used == pytest.approx(erases / (2_097_152 // 4096 * 100_000))


def test_a_full_flash_refuses_and_keeps_what_it_has(world: World, run: Run, tmp_path: Path) -> None:
    node = run(
        "import os, time\nf = open('kept', 'a')\nf.write('old')\nf.close()\ntime.sleep(20)\n"
        "for name in ('kept', 'new'):\n    f = open(name, 'a')\n    f.write('x' * 9000)\n"
        "    try:\n        f.close()\n    except OSError as error:\n        print(error.errno)\n"
        "print(os.listdir('/'), open('kept').read(), os.statvfs('/')[3])\n"
    )
    node.flash.reserve(node.flash.free_bytes())
    world.loop.run_until_complete(world.run_for(20))
    assert texts(node) == ["28", "28", "['kept', 'main.py'] old 0"]


def test_the_air_node_lives_long_enough(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(DAY_MIN / 4)
        wear = yard.node.flash.wear()
        assert wear.erases > 10
        assert wear.years(DAY_MIN / 4 * 60) > 20


def test_an_unused_flash_lasts_for_ever(run: Run) -> None:
    assert run("pass").flash.wear().years(3600) > 1e3


def test_rot_flips_one_bit(run: Run, tmp_path: Path) -> None:
    node = run("f = open('a', 'w')\nf.write('x' * 100)\nf.close()\n")
    node.flash.rot("a", seed=3)
    data = (tmp_path / "air-01" / "a").read_bytes()
    assert sum((byte ^ ord("x")).bit_count() for byte in data) == 1
    node.flash.rot("a", seed=3)
    assert (tmp_path / "air-01" / "a").read_bytes() == b"x" * 100


@pytest.mark.parametrize("seed", range(6))
def test_a_rotten_store_is_told_and_gives_no_wrong_row(tmp_path: Path, seed: int) -> None:
    """Frames are sealed: a bit that flips costs the frame it is in, never a value."""
    with Yard(tmp_path) as yard:
        yard.peer.takes = False
        yard.run(10)
        yard.node.power_cut()
        yard.node.flash.rot("frames.bin", seed)
        yard.node.power_on()
        yard.peer.takes = True
        yard.run(10)
        values = {row.values for row in yard.peer.rows()}
        assert len(values) == 1
        assert yard.node.fault is None
        assert yard.node.boots == 2


def test_blocks_are_counted_whole(run: Run) -> None:
    node = run("f = open('a', 'w')\nf.write('x')\nf.close()\n")
    assert node.flash.free_bytes() == 2_097_152 - 2 * BLOCK_BYTES  # main.py and this one


def test_a_flash_that_others_filled_is_told_and_costs_no_kept_row(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.peer.takes = False
        yard.run(5)
        yard.node.flash.reserve(yard.node.flash.free_bytes())
        yard.run(40)
        assert yard.said("not kept: the store is full")
        yard.node.flash.reserve(0)
        yard.peer.takes = True
        yard.run(10)
        yard.check_nothing_lost()
        assert [loss.reason for loss in yard.peer.losses()] == ["store full"]
        assert yard.node.boots == 1
