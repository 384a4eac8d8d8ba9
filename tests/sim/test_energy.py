"""What a node draws from its battery follows from what it does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from balise_boards import board_names, load_board
from balise_sim.energy import Ledger
from balise_sim.node import Node
from balise_sim.world import World
from node.yard import Yard

Run = Callable[..., Node]
PERIODIC = "import machine, time\ntime.sleep_ms(650)\nmachine.deepsleep(299_000)\n"
WAITING = "import time\nwhile True:\n    time.sleep(300)\n"
DAY_S = 86_400


@pytest.mark.parametrize("name", board_names())
def test_a_node_that_sleeps_deeply_draws_a_fraction(run: Run, world: World, name: str) -> None:
    node = run(PERIODIC, board=name, for_s=6 * 3600)
    asleep = node.energy.report()
    current, boot_s = node.board.current_ua, node.board.boot_ms / 1000
    cycle_s = 299 + boot_s + 0.65
    mean_ua = (current["boot"] * boot_s + current["wait"] * 0.65 + current["deep_sleep"] * 299) / cycle_s
    assert asleep.mah_per_day == pytest.approx(mean_ua / 1000 * 24, rel=0.01)
    awake_mah = current["wait"] / 1000 * 24
    assert asleep.mah_per_day < awake_mah / 10
    assert sum(asleep.seconds.values()) == pytest.approx(asleep.span_s, abs=1), "but for a VM that is ahead"


def test_an_always_on_node_draws_its_waiting_current(run: Run) -> None:
    node = run(WAITING, for_s=3600)
    draw = node.energy.report()
    assert draw.mah_per_day == pytest.approx(30 * 24, rel=0.01)
    assert draw.seconds["boot"] == pytest.approx(0.35)
    assert max(draw.mah, key=lambda state: draw.mah[state]) == "wait"
    assert draw.lines()[-1].endswith("mAh a day, without its sensors")


def test_light_sleep_is_told_from_waiting(run: Run) -> None:
    node = run("import machine, time\nwhile True:\n    machine.lightsleep(90_000)\n    time.sleep(10)\n", for_s=1000)
    draw = node.energy.report()
    assert draw.seconds["light_sleep"] / draw.seconds["wait"] == pytest.approx(9, rel=0.02)


def test_power_that_is_off_draws_nothing(run: Run, world: World) -> None:
    node = run(WAITING, for_s=100)
    node.power_cut()
    node.energy.restart()
    world.loop.run_until_complete(world.run_for(100))
    draw = node.energy.report()
    assert (draw.total_mah, draw.mah_per_day, draw.span_s) == (0, 0, 100)


def test_the_radio_comes_on_top(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(60)
        draw = yard.node.energy.report()
        assert draw.seconds["wifi_join"] == pytest.approx(1.8, abs=0.1)
        assert draw.seconds["wifi_connected"] > 3590
        assert 0 < draw.seconds["wifi_send"] < 5
        yard.node.link.down("wifi")
        yard.run(60)
        searching = yard.node.energy.report()
        assert searching.seconds["wifi_join"] > draw.seconds["wifi_join"] + 200, "looking for a network costs most"
        assert searching.mah["wifi_join"] > 10 * draw.mah["wifi_join"]


def test_bytes_on_the_air_take_time_and_the_world_may_end_a_state_early() -> None:
    now_us = 0
    ledger = Ledger(load_board("esp32").current_ua, lambda: now_us)
    ledger.sent(1460)
    ledger.processor("run", 5_000)
    ledger.processor("off", 2_000)
    now_us = 10_000
    draw = ledger.report()
    assert dict(draw.seconds) == {"wifi_send": pytest.approx(0.00176)}
