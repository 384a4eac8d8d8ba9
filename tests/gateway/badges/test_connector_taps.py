"""Taps are told at once or not at all, and the desk never waits for that."""

import asyncio
from typing import Any

from balise_gateway.badges.connectors import Tapped
from balise_gateway.errors import ConnectorError
from contracts.connector_ends import NOW_UTC_S
from gateway.badges.connector_scene import Odd, Scene, scene

__all__ = ["scene"]
TAP = Tapped("9f86d081884c7d65", NOW_UTC_S, "porte", "accepted", "in")


def test_a_tap_is_told_at_once_and_an_old_one_not_at_all(scene: Scene) -> None:
    told: list[str] = []
    gate = asyncio.Event()

    async def slow(tap: Any) -> dict[str, str]:
        if isinstance(tap, Tapped):
            await gate.wait()
            told.append(tap.tag)
        return {}

    scene.more = {"odd": Odd(slow)}
    scene.restart()
    for number in range(3):
        scene.runner.tapped(Tapped(str(number), None, "porte", "accepted", "in"))
    scene.pass_time(40)
    scene.runner.tapped(Tapped("new", None, "porte", "accepted", "in"))
    gate.set()
    scene.pass_time(1)
    assert told == ["0", "new"], "the first was on its way, the two behind it are too old"
    assert scene.line("odd")["taps_not_told"] == 2


def test_of_too_many_taps_the_oldest_are_dropped_and_counted(scene: Scene) -> None:
    told: list[str] = []

    async def keep(tap: Any) -> dict[str, str]:
        if isinstance(tap, Tapped):
            told.append(tap.tag)
        return {}

    scene.more = {"odd": Odd(keep)}
    scene.restart()
    for number in range(60):
        scene.runner.tapped(Tapped(str(number), None, "porte", "accepted", "in"))
    scene.pass_time(1)
    assert told == [str(number) for number in range(10, 60)]
    assert scene.line("odd")["taps_not_told"] == 10


def test_a_tap_that_fails_is_counted_and_the_next_one_told(scene: Scene) -> None:
    told: list[str] = []

    async def fails_once(tap: Any) -> dict[str, str]:
        if isinstance(tap, Tapped):
            told.append(tap.tag)
            if len(told) == 1:
                raise ConnectorError("the broker is away", retry=True)
        return {}

    scene.more = {"odd": Odd(fails_once)}
    scene.restart()
    for _ in range(2):
        scene.runner.tapped(TAP)
        scene.pass_time(1)
    assert len(told) == 2
    assert scene.line("odd")["taps_not_told"] == 1
