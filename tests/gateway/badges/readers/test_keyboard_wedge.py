"""Scanners that type: keys, layouts, both forms of the kernel's events. A FIFO plays the device."""

import asyncio
import os
import string
import struct
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.readers._codes import MOST_CHARS
from balise_gateway.badges.readers._keys import LAYOUTS, Events, KeyEvent, Typing
from balise_gateway.badges.readers.keyboard_wedge import Reader, Settings
from balise_gateway.badges.seen import Seen
from gateway.badges.readers.code_benches import WedgeBench, events
from gateway.support import played, until

URL = "https://b.coroutine.example/t?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086#1"
# Numbers of keys as a scanner sends them, by hand from the kernel's input-event-codes.h: (Shift, KEY_…)
AZERTY = {
    "h": (0, 35),
    "t": (0, 20),
    "p": (0, 25),
    "s": (0, 31),
    ":": (0, 52),
    "/": (42, 52),
    "a": (0, 16),
    "z": (0, 17),
}
AZERTY |= {
    "m": (0, 39),
    "M": (42, 39),
    "q": (0, 30),
    "w": (0, 44),
    "?": (42, 50),
    "&": (0, 2),
    "=": (0, 13),
    "1": (42, 2),
}
AZERTY |= {
    ".": (42, 51),
    "-": (0, 7),
    "_": (0, 9),
    "%": (42, 40),
    "@": (100, 11),
    "#": (100, 4),
    "0": (42, 11),
    "é": (0, 3),
}
QWERTY = {
    "a": (0, 30),
    "q": (0, 16),
    "z": (0, 44),
    "m": (0, 50),
    "M": (42, 50),
    ":": (42, 39),
    "/": (0, 53),
    "?": (42, 53),
}
QWERTY |= {
    "&": (42, 8),
    "=": (0, 13),
    "%": (42, 6),
    "_": (42, 12),
    "-": (0, 12),
    "1": (0, 2),
    "0": (0, 11),
    "#": (42, 4),
}
QWERTY |= {"]": (0, 27), "}": (42, 27), "~": (42, 41), "\\": (0, 43), '"': (42, 40), " ": (0, 57)}


def typed(keys: list[tuple[int, int]], layout: str) -> tuple[str | None, Counter[str]]:
    counters: Counter[str] = Counter()
    typing = Typing(layout, counters)
    for with_key, key in keys:
        for code, value in ((with_key, 1), (key, 1), (key, 0), (with_key, 0)):
            if code:
                assert typing.feed(KeyEvent(1, code, value)) is None
    return typing.feed(KeyEvent(1, 28, 1)), counters


@pytest.mark.parametrize(("layout", "keys"), [("fr", AZERTY), ("us", QWERTY)])
def test_a_key_is_the_character_of_the_scanners_layout(layout: str, keys: dict[str, tuple[int, int]]) -> None:
    for character, key in keys.items():
        assert typed([(0, 3), key, (0, 3)], layout)[0] == LAYOUTS[layout][0][3] + character + LAYOUTS[layout][0][3]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_every_character_of_a_url(layout: str) -> None:
    has = {character for table in LAYOUTS[layout] for character in table.values()}
    assert set(string.ascii_letters + string.digits + "-._:/?#[]@!$&'()*+,;=%") <= has  # RFC 3986, section 2


def test_the_wrong_layout_gives_another_text() -> None:
    """The trap: nothing warns of it but a code that nobody knows."""
    stream = list(Events().feed(events("https://b.example/a", "fr")))
    typing = Typing("us", Counter())
    assert [code for event in stream if (code := typing.feed(event))] == ["https.>>b<exq;ple>q"]


@pytest.mark.parametrize("long_bytes", [4, 8])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_forms_of_the_kernels_events(long_bytes: int, layout: str) -> None:
    cut, typing = Events(long_bytes), Typing(layout, Counter())
    assert cut.size_bytes == {4: 16, 8: 24}[long_bytes]
    data = events(URL, layout, long_bytes)
    codes = []
    for at in range(0, len(data), 7):  # a pipe may cut anywhere
        codes += [code for event in cut.feed(data[at : at + 7]) if (code := typing.feed(event))]
    assert codes == [URL]


def test_this_machines_form_is_the_one_of_its_kernel() -> None:
    assert Events().size_bytes == struct.calcsize("llHHi")


def test_digits_of_the_key_pad_and_its_enter() -> None:
    typing = Typing("fr", Counter())
    for key in (79, 80, 81, 82):
        typing.feed(KeyEvent(1, key, 1))
    assert typing.feed(KeyEvent(1, 96, 1)) == "1230"


def test_a_code_with_an_unknown_key_is_dropped_not_guessed() -> None:
    code, counters = typed([(0, 30), (0, 120), (0, 31)], "us")
    assert code is None
    assert counters == {"unreadable": 1, "unknown key": 1}


def test_a_code_with_lost_events_is_dropped_and_the_next_one_is_read() -> None:
    counters: Counter[str] = Counter()
    typing = Typing("us", counters)
    stream = [KeyEvent(1, 42, 1), KeyEvent(1, 30, 1), KeyEvent(0, 3, 0), KeyEvent(1, 31, 1), KeyEvent(1, 28, 1)]
    assert [typing.feed(event) for event in stream] == [None] * 5
    assert counters == {"unreadable": 1, "events lost": 1}
    typing.feed(KeyEvent(1, 30, 1))
    assert typing.feed(KeyEvent(1, 28, 1)) == "a"  # Shift is not held any more


def test_a_key_that_is_held_types_once() -> None:
    typing = Typing("us", Counter())
    for value in (1, 2, 2, 2, 0):
        typing.feed(KeyEvent(1, 30, value))
    assert typing.feed(KeyEvent(1, 28, 1)) == "a"


@given(st.binary(max_size=3000), st.sampled_from([4, 8]), st.sampled_from(["us", "fr"]))
def test_whatever_bytes_come_it_goes_on_in_bounded_memory(data: bytes, long_bytes: int, layout: str) -> None:
    cut, typing = Events(long_bytes), Typing(layout, Counter())
    for event in cut.feed(data):
        typing.feed(event)
        assert len(typing._text) <= MOST_CHARS
    assert len(cut._rest) < cut.size_bytes


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 260), st.integers(0, 2)), max_size=3000))
def test_whatever_keys_are_pressed_a_code_is_printable(keys: list[tuple[int, int, int]]) -> None:
    typing = Typing("fr", Counter())
    for key in keys:
        code = typing.feed(KeyEvent(*key))
        assert code is None or (code.isprintable() and 0 < len(code) <= MOST_CHARS)


def test_half_a_code_is_forgotten_after_a_pause(tmp_path: Path) -> None:
    bench = WedgeBench(tmp_path)
    bench.plug()
    seen: list[Seen] = []

    async def scene() -> None:
        task = asyncio.create_task(bench.reader.run(lambda _, one: seen.append(one)))
        await until(lambda: bench.reader.status()["state"] == "up")
        os.write(bench.fd, events("https://half", end=57))
        await until(lambda: bench.counter("cut off") == 1)
        await bench.show(1)
        await until(lambda: seen)
        task.cancel()
        await asyncio.wait([task])

    played(scene)
    bench.close()
    assert [bench.is_it(one, 1) for one in seen] == [True]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_device_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "event0"
    path.touch(mode=0)
    reader = Reader(Settings(kind="keyboard_wedge", path=path))

    async def scene() -> None:
        task = asyncio.create_task(reader.run(lambda *_: None))
        await until(lambda: "group input" in str(reader.status()["state"]))
        task.cancel()
        await asyncio.wait([task])

    played(scene)


def test_a_character_device_that_cannot_be_grabbed_is_not_read() -> None:
    """/dev/null is no input device: the kernel refuses the grab, and without it codes would be typed into a console."""
    reader = Reader(Settings(kind="keyboard_wedge", path=Path("/dev/null")))

    async def scene() -> None:
        task = asyncio.create_task(reader.run(lambda *_: None))
        await until(lambda: str(reader.status()["state"]).startswith("away: taken"))
        task.cancel()
        await asyncio.wait([task])

    played(scene)
