"""Lights and sounds: rhythms that say the state without colours, on pins of gpiozero's own mock."""

import itertools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from balise_gateway.badges.outputs import _patterns, _pins, buzzer, led
from balise_gateway.badges.outputs._patterns import LIGHTS, RGB, SOUNDS, Rhythm
from balise_gateway.badges.showing import Showing
from gateway.badges.outputs.edges import Pins, until
from gateway.badges.outputs.showings import STATES

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=PARIS)


@pytest.fixture
def pins() -> Pins:
    return Pins()


def rgb_led(pins: Pins) -> led.Output:
    return led.Output(led.Settings(kind="led", red=17, green=27, blue=22), pins.factory)


def three_lamps(pins: Pins) -> led.Output:
    return led.Output(led.Settings(kind="led", red=17, green=27, yellow=22), pins.factory)


def test_the_light_code_in_the_documentation_is_this_one() -> None:
    text = (ROOT / "gateway/BADGES.md").read_text(encoding="utf-8")
    for state, light in LIGHTS.items():
        sound = SOUNDS[state].text() if state in SOUNDS else "silent"
        row = f"| `{state}` | {light.colour} | {light.lamp} | {light.rhythm.text()} | {sound} |"
        assert row in text, row


def test_each_state_has_a_rhythm_of_its_own() -> None:
    assert set(LIGHTS) == set(STATES)
    assert len({light.rhythm for light in LIGHTS.values()}) == len(LIGHTS)
    assert len(set(SOUNDS.values())) == len(SOUNDS)


def test_rhythms_can_be_told_apart_by_counting_and_length() -> None:
    """No two have as many flashes, all within a third of the others' lengths."""
    for one, other in itertools.combinations([*LIGHTS.values()], 2):
        assert differs(one.rhythm, other.rhythm), (one, other)
    for first, second in itertools.combinations(SOUNDS.values(), 2):
        assert differs(first, second)


def differs(one: Rhythm, other: Rhythm) -> bool:
    if len(one.steps_s) != len(other.steps_s) or (one.again_s is None) != (other.again_s is None):
        return True
    return any(max(a, b) / min(a, b) > 1.5 for a, b in zip(one.steps_s[::2], other.steps_s[::2], strict=True))


def test_only_accepted_is_green() -> None:
    for state, light in LIGHTS.items():
        assert (light.lamp == "green") == (light.colour == "green") == (state == "accepted")
    assert [name for name, parts in RGB.items() if parts == (0, 1, 0)] == ["green"]


def test_nothing_sounds_while_nobody_shows_a_card() -> None:
    assert set(SOUNDS) == {"accepted", "desk", "no_credit", "unknown"}


@pytest.mark.parametrize("state", LIGHTS)
def test_a_rhythm_is_played_as_it_is_written(state: str) -> None:
    """Time stands at the edge: it is written down instead of waited for."""
    rhythm = LIGHTS[state].rhythm
    told: list[tuple[bool, float]] = []
    is_on = [False]

    def switch(on: bool) -> None:
        is_on[0] = on

    def pause(limit_s: float) -> bool:
        told.append((is_on[0], limit_s))
        return len(told) < 2 * (len(rhythm.steps_s) + 1)

    _pins.keep(rhythm, switch, pause)
    once = [(number % 2 == 0, step) for number, step in enumerate(rhythm.steps_s)]
    if rhythm.again_s is not None:
        once.append((False, rhythm.again_s))
        assert told == once * 2
    else:
        assert told == once
    assert is_on == [False]


@pytest.mark.parametrize("state", LIGHTS)
def test_an_rgb_led_shows_the_colour_and_is_dark_afterwards(pins: Pins, state: str) -> None:
    made = rgb_led(pins)
    made.show(Showing(state))  # type: ignore[arg-type]
    wanted = [number for number, part in zip((17, 27, 22), RGB[LIGHTS[state].colour], strict=True) if part]
    flashes = (len(LIGHTS[state].rhythm.steps_s) + 1) // 2
    until(lambda: all(pins.levels(number).count(True) >= flashes for number in wanted))
    made.close()
    for number in (17, 27, 22):
        assert pins.is_free(number)
        assert pins.levels(number).count(True) == 0 or number in wanted


@pytest.mark.parametrize("state", LIGHTS)
def test_of_three_lamps_one_is_lit(pins: Pins, state: str) -> None:
    made = three_lamps(pins)
    made.show(Showing(state))  # type: ignore[arg-type]
    lamp = {"red": 17, "green": 27, "yellow": 22}[LIGHTS[state].lamp]
    until(lambda: pins.levels(lamp).count(True) >= 1)
    made.close()
    assert all(pins.levels(other).count(True) == 0 for other in (17, 27, 22) if other != lamp)


def test_a_newer_verdict_ends_the_older_one_at_once(pins: Pins) -> None:
    made = rgb_led(pins)
    made.show(Showing("accepted"))
    until(lambda: pins.level(27))
    made.show(Showing("unknown"))
    until(lambda: pins.level(17))
    assert not pins.level(27)
    made.close()


def test_a_lamp_with_a_common_anode_is_lit_by_a_low_pin(pins: Pins) -> None:
    settings = led.Settings(kind="led", red=17, green=27, blue=22, active_high=False)
    made = led.Output(settings, pins.factory)
    made.show(Showing("accepted"))
    until(lambda: pins.levels(27)[-1:] == [False] and pins.levels(17)[-1:] == [True])
    made.close()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"red": 1, "green": 2}, "give blue"),
        ({"red": 1, "green": 2, "blue": 3, "yellow": 4}, "give blue"),
        ({"red": 1, "green": 1, "blue": 3}, "a pin of its own"),
    ],
)
def test_lamps_that_do_not_fit_are_told(keys: dict[str, int], words: str) -> None:
    assert words in str(led.Settings(kind="led", **keys).problem())  # type: ignore[arg-type]


def test_a_machine_without_pins_is_told_in_words() -> None:
    """This machine has no GPIO: gpiozero finds no way to one, and says so. On a Pi the pins would simply work."""
    made = led.Output(led.Settings(kind="led", red=17, green=27, blue=22))
    made.show(Showing("ready"))
    until(lambda: made.status()["state"] != "not used yet")
    state = str(made.status()["state"])
    made.close()
    assert state == "up" or "group gpio" in state


def test_a_pin_that_is_taken_is_told(pins: Pins) -> None:
    first, second = rgb_led(pins), buzzer.Output(buzzer.Settings(kind="buzzer", pin=17), pins.factory)
    first.show(Showing("ready"))
    until(lambda: first.status()["state"] == "up")
    second.show(Showing("ready"))
    until(lambda: "GPIO17" in str(second.status()["state"]))
    first.close()
    second.show(Showing("accepted"))
    until(lambda: pins.levels(17).count(True) > 0)
    second.close()


@pytest.fixture
def sounding(pins: Pins) -> Iterator[buzzer.Output]:
    made = buzzer.Output(buzzer.Settings(kind="buzzer", pin=18), pins.factory)
    yield made
    made.close()


@pytest.mark.parametrize("state", SOUNDS)
def test_each_verdict_sounds(pins: Pins, sounding: buzzer.Output, state: str) -> None:
    sounding.show(Showing(state))  # type: ignore[arg-type]
    beeps = (len(SOUNDS[state].steps_s) + 1) // 2
    until(lambda: pins.levels(18) == [True, False] * beeps)


def silent_through(made: buzzer.Output, pins: Pins, sounds: bool) -> None:
    """A verdict, then another state: what was played of the verdict is over when the second is taken."""
    made.show(Showing("ready"))
    until(lambda: made.status()["state"] == "up")
    made.show(Showing("accepted"))
    if sounds:
        until(lambda: pins.levels(18).count(True) == 1)
    made.close()
    assert (pins.levels(18).count(True) > 0) == sounds


@pytest.mark.parametrize(
    ("hour", "sounds"), [(7, False), (8, True), (12, True), (20, True), (21, False), (23, False), (0, False)]
)
def test_quiet_hours_are_quiet(pins: Pins, hour: int, sounds: bool) -> None:
    settings = buzzer.Settings(kind="buzzer", pin=18, quiet=("mon-sun 21:00-08:00",))
    made = buzzer.Output(settings, pins.factory, lambda: NOON.replace(hour=hour))
    assert made.status()["silent"] == (not sounds)
    silent_through(made, pins, sounds)


def test_a_buzzer_that_is_switched_off_is_silent(pins: Pins) -> None:
    made = buzzer.Output(buzzer.Settings(kind="buzzer", pin=18, sound=False), pins.factory)
    silent_through(made, pins, sounds=False)


def test_wrong_hours_are_told() -> None:
    assert "mon-fri" in str(buzzer.Settings(kind="buzzer", pin=18, quiet=("nights",)).problem())


def test_a_rhythm_in_words() -> None:
    assert _patterns.Rhythm((0.6, 0.3, 0.6)).text() == "on 0.6, off 0.3, on 0.6"
    assert _patterns.Rhythm((0.1,), 3.0).text() == "on 0.1; again after 3"
