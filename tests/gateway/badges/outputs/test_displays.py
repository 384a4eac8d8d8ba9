"""Small displays: what luma sends lands in the display's memory, and is the picture that was drawn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from balise_gateway.badges.outputs import _layout, _letters, _override, _words, oled_128x64, spi_320x240
from balise_gateway.badges.outputs._layout import COLOUR, MONO
from balise_gateway.badges.showing import Showing
from gateway.badges.outputs.edges import LcdSpi, OledBus, Pins, until
from gateway.badges.outputs.showings import KNOWN_UTC_S, STATES

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
ACCEPTED = Showing("accepted", direction="in", credit_half_days=3, credit_utc_s=KNOWN_UTC_S)


def drawn(showing: Showing, layout: _layout.Layout, door: str = "") -> Any:
    said = _words.with_door(_words.said(showing, "fr"), door)
    return _layout.picture(said, layout, _letters.found())


def dots(image: Any) -> list[list[bool]]:
    return [[bool(image.getpixel((x, y))) for x in range(image.width)] for y in range(image.height)]


@pytest.fixture
def bus() -> OledBus:
    return OledBus()


@pytest.fixture
def oled(bus: OledBus) -> Iterator[oled_128x64.Output]:
    made = oled_128x64.Output(oled_128x64.Settings(kind="oled_128x64"), bus)
    yield made
    made.close()


def test_the_oled_shows_what_was_drawn(oled: oled_128x64.Output, bus: OledBus) -> None:
    """Dot by dot, through luma's driver and our model of the chip, which knows the data sheet and neither of both."""
    for state in STATES:
        oled.show(Showing(state))
        wanted = dots(drawn(Showing(state), MONO))
        until(lambda wanted=wanted: bus.lit() == wanted)
    assert oled.status()["state"] == "up"


def test_an_oled_that_is_turned_shows_the_same_upside_down(bus: OledBus) -> None:
    made = oled_128x64.Output(oled_128x64.Settings(kind="oled_128x64", upside_down=True), bus)
    made.show(ACCEPTED)
    wanted = dots(drawn(ACCEPTED, MONO).rotate(180))
    until(lambda: bus.lit() == wanted)
    made.close()


def test_an_oled_that_is_not_there_is_told_and_shown_when_it_comes(oled: oled_128x64.Output, bus: OledBus) -> None:
    bus.is_there = False
    oled.show(Showing("ready"))
    until(lambda: str(oled.status()["state"]).startswith("away: "))
    assert "0x3C" in str(oled.status()["state"])
    bus.is_there = True
    oled.show(ACCEPTED)  # a card is reason enough to try again at once
    wanted = dots(drawn(ACCEPTED, MONO))
    until(lambda: bus.lit() == wanted)
    assert oled.status()["state"] == "up"


def test_an_oled_that_is_torn_away_is_begun_anew(oled: oled_128x64.Output, bus: OledBus) -> None:
    oled.show(Showing("ready"))
    until(lambda: oled.status()["state"] == "up")
    bus.is_there = False
    oled.show(ACCEPTED)
    until(lambda: str(oled.status()["state"]).startswith("away: "))
    bus.chip.reset(0)  # it had no power meanwhile
    bus.is_there = True
    oled.show(Showing("ready"))
    wanted = dots(drawn(Showing("ready"), MONO))
    until(lambda: bus.lit() == wanted)


def test_the_oled_is_tried_again_without_a_card(bus: OledBus) -> None:
    """After ten seconds, as in the field."""
    bus.is_there = False
    made = oled_128x64.Output(oled_128x64.Settings(kind="oled_128x64"), bus)
    made.show(ACCEPTED)
    until(lambda: str(made.status()["state"]).startswith("away: "))
    bus.is_there = True
    wanted = dots(drawn(ACCEPTED, MONO))
    until(lambda: bus.lit() == wanted)
    made.close()


def test_a_door_held_by_hand_stands_at_the_foot(bus: OledBus, tmp_path: Path) -> None:
    _override.Override(tmp_path).write("lock")
    made = oled_128x64.Output(oled_128x64.Settings(kind="oled_128x64", data_dir=tmp_path), bus)
    made.show(Showing("ready"))
    wanted = dots(drawn(Showing("ready"), MONO, "Porte tenue fermée"))
    until(lambda: bus.lit() == wanted)
    made.close()


@pytest.mark.parametrize("chip", ["ili9341", "st7789"])
def test_the_colour_display_shows_what_was_drawn(chip: str) -> None:
    """Dot by dot, in the memory behind CASET, RASET and RAMWR."""
    pins = Pins()
    settings = spi_320x240.Settings(kind="spi_320x240", chip=chip)  # type: ignore[arg-type]
    spi = LcdSpi(pins, settings.pin_dc)
    made = spi_320x240.Output(settings, spi, pins.factory)
    for state in ("ready", "accepted", "unknown"):
        made.show(replace(ACCEPTED, state=state))
        wanted = drawn(replace(ACCEPTED, state=state), COLOUR).tobytes()
        until(lambda wanted=wanted: bytes(spi.dots) == wanted)
    assert (spi.is_on, pins.level(settings.pin_light), spi.max_speed_hz) == (True, True, 24_000_000)
    made.close()
    assert not spi.is_on
    assert not spi.is_open
    assert pins.is_free(settings.pin_light)


def test_a_colour_display_without_a_bus_is_told_and_lets_its_pins_go() -> None:
    pins = Pins()
    settings = spi_320x240.Settings(kind="spi_320x240")
    spi = LcdSpi(pins, settings.pin_dc)
    spi.is_there = False
    made = spi_320x240.Output(settings, spi, pins.factory)
    made.show(ACCEPTED)
    until(lambda: str(made.status()["state"]).startswith("away: "))
    assert "SPI" in str(made.status()["state"])
    until(lambda: pins.is_free(settings.pin_dc))
    spi.is_there = True
    made.show(Showing("ready"))
    wanted = drawn(Showing("ready"), COLOUR).tobytes()
    until(lambda: bytes(spi.dots) == wanted)
    made.close()


def test_a_machine_without_such_a_bus_is_told_in_words() -> None:
    """This machine's own /dev, with no display on it."""
    made = spi_320x240.Output(spi_320x240.Settings(kind="spi_320x240", bus=9, select=9), None, Pins().factory)
    other = oled_128x64.Output(oled_128x64.Settings(kind="oled_128x64", bus=99))
    for output in (made, other):
        output.show(Showing("ready"))
        until(lambda output=output: str(output.status()["state"]).startswith("away: "))
        output.close()
        assert output.status()["state"] == "closed"


def test_the_drawn_pictures_are_no_blank_sheets() -> None:
    for state in STATES:
        lit = sum(map(sum, dots(drawn(Showing(state), MONO))))
        assert 300 < lit < 4_000
        colours = Image.Image.getcolors(drawn(Showing(state), COLOUR), 1 << 16)
        assert len(colours) >= 3
