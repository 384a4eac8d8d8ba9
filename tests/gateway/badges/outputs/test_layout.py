"""Pictures for small displays: all texts fit, in both languages, with the letters of either kind of machine."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from balise_gateway.badges.outputs import _layout, _letters, _words
from balise_gateway.badges.outputs._layout import COLOUR, MONO, Layout
from balise_gateway.badges.outputs._letters import Source
from balise_gateway.badges.outputs._look import LOOKS
from balise_gateway.badges.outputs._words import Said
from balise_gateway.badges.showing import Showing
from gateway.badges.outputs.showings import every

LAYOUTS = {"colour": COLOUR, "mono": MONO}
SOURCES = {"found": _letters.found, "brought": _letters.brought}
ACCENTED = "éàçèêùôîûâëïüÀÉÇÈÊÔ"


def sayings() -> list[Said]:
    texts = {_words.said(showing, language) for showing, language in itertools.product(every(), ("fr", "en"))}  # type: ignore[arg-type]
    return sorted(texts | {_words.away("fr"), _words.away("en")}, key=repr)


@pytest.fixture(params=SOURCES)
def letters(request: pytest.FixtureRequest) -> Source:
    return SOURCES[request.param]()


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    return LAYOUTS[request.param]


def test_every_text_fits(layout: Layout, letters: Source) -> None:
    """No line leaves the display, none lies on another or on the symbol, and no word is lost."""
    for said in sayings():
        lines = _layout.plan(said, layout, letters)
        boxes = [box(line) for line in lines]
        for left, top, right, bottom in boxes:
            assert left >= 0, said
            assert top >= 0, said
            assert right <= layout.width, said
            assert bottom <= layout.height, said
        for one, other in itertools.combinations([*boxes, layout.symbol], 2):
            assert not overlap(one, other), (said, one, other)
        words = " ".join(line.text for line in lines).split(" ")
        what = said.short if layout is MONO else said.text
        assert all(word in words for word in f"{said.headline} {what}".split(" "))


def box(line: _layout.Line) -> _layout.Box:
    return line.x, line.y, line.x + line.letters.width(line.text), line.y + line.letters.height


def overlap(one: _layout.Box, other: _layout.Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_the_drawn_dots_stay_where_the_plan_says(layout: Layout, letters: Source) -> None:
    """Accents and descenders too: each line alone leaves nothing outside its box but a dot of smoothing."""
    for said in sayings()[::7]:
        for line in _layout.plan(said, layout, letters):
            image = Image.new("L", (layout.width + 40, layout.height + 40))
            pen = ImageDraw.Draw(image)
            pen.fontmode = "L" if layout.colours else "1"
            line.letters.draw(pen, (line.x + 20, line.y + 20), line.text, "white")
            left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
            assert left >= line.x + 19
            assert top >= line.y + 19, (line.text, top - 20 - line.y)
            assert right <= line.x + 21 + line.letters.width(line.text) + 1
            assert bottom <= line.y + 21 + line.letters.height, (line.text, bottom - 20 - line.y - line.letters.height)


def drawn(letters: Source, text: str, size: int) -> bytes:
    image = Image.new("L", (80, 80))
    letters(size, False).draw(ImageDraw.Draw(image), (20, 20), text, "white")
    return image.tobytes()


@pytest.mark.parametrize("size", [11, 20])
def test_accents_are_really_drawn(letters: Source, size: int) -> None:
    missing = drawn(letters, "\U0001f984", size)  # no font of ours has a unicorn: the sign for a letter that is missing
    seen = {letter: drawn(letters, letter, size) for letter in ACCENTED + "eacuoiEACO«»'?!:;"}
    assert missing not in seen.values()
    assert len(set(seen.values())) == len(seen), "two letters look the same"


def test_an_accent_is_over_its_letter_and_a_cedilla_under_it(letters: Source) -> None:
    def rows(letter: str) -> tuple[int, int]:
        image = Image.frombytes("L", (80, 80), drawn(letters, letter, 24))
        _, top, _, bottom = image.getbbox() or (0, 0, 0, 0)
        return top, bottom

    assert rows("é")[0] < rows("e")[0]
    assert rows("é")[1] == rows("e")[1]
    assert rows("ç")[1] > rows("c")[1]
    assert rows("ç")[0] == rows("c")[0]


def test_a_machine_without_dejavu_draws_all_the_same(tmp_path: Path) -> None:
    """In a process that finds no font of the system; its picture has the accents that the fallback draws."""
    code = (
        "from balise_gateway.badges.outputs import _layout, _letters, _words\n"
        "from balise_gateway.badges.showing import Showing\n"
        "said = _words.said(Showing('unplugged'), 'fr')\n"
        "found = _layout.picture(said, _layout.COLOUR, _letters.found())\n"
        "assert found.tobytes() == _layout.picture(said, _layout.COLOUR, _letters.brought()).tobytes()\n"
        "print('drawn')"
    )
    bare = {**os.environ, "XDG_DATA_DIRS": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=bare, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "drawn", done.stderr


@pytest.mark.parametrize("state", LOOKS)
def test_each_state_has_its_colour_and_its_symbol(state: str, letters: Source) -> None:
    said = _words.away("fr") if state == "away" else _words.said(Showing(state), "fr")  # type: ignore[arg-type]
    image = _layout.picture(said, COLOUR, letters)
    assert image.size == (320, 240)
    red, green, blue = image.getpixel((319, 239))  # type: ignore[misc]
    assert f"#{red:02x}{green:02x}{blue:02x}" == LOOKS[state].background


def test_symbols_of_one_bit_differ(letters: Source) -> None:
    """By at least a tenth of their dots, pair by pair."""
    pictures = {}
    for state in LOOKS:
        said = _words.away("fr") if state == "away" else _words.said(Showing(state), "fr")  # type: ignore[arg-type]
        pictures[state] = _layout.picture(said, MONO, letters).crop(MONO.symbol).convert("L").tobytes()
    for one, other in itertools.combinations(pictures, 2):
        differing = sum(a != b for a, b in zip(pictures[one], pictures[other], strict=True))
        assert differing > 24 * 24 / 10, (one, other, differing)
