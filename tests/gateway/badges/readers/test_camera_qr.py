"""Pictures out of a stream, and the program that writes it. A small script plays the camera, with real JPEG files."""

import asyncio
import io
import os
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from balise_gateway.badges.readers._mjpeg import Pictures
from balise_gateway.badges.readers.camera_qr import Reader, Settings, _decoder
from balise_gateway.badges.seen import Seen
from gateway.badges.readers.code_benches import CameraBench, picture
from gateway.support import played, until


def jpeg(colour: str = "white", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "JPEG", **options)
    return file.getvalue()


def test_the_newest_whole_picture_is_given() -> None:
    one, two, three = jpeg("red"), jpeg("green"), jpeg("blue")
    pictures = Pictures()
    assert pictures.feed(one + two + three[:100]) == two
    assert pictures.feed(three[100:-1]) is None
    assert pictures.feed(three[-1:]) == three


def test_a_picture_may_come_byte_by_byte() -> None:
    pictures, data = Pictures(), jpeg(progressive=True)
    got = [made for at in range(len(data)) if (made := pictures.feed(data[at : at + 1]))]
    assert got == [data]


def test_a_thumbnail_inside_is_not_the_end() -> None:
    whole = jpeg("red")
    thumbnail = jpeg("blue")
    segment = b"\xff\xe1" + (2 + len(thumbnail)).to_bytes(2, "big") + thumbnail  # APP1, T.81 B.2.4.6
    data = whole[:2] + segment + whole[2:]
    assert Pictures().feed(data) == data


def test_what_stands_between_pictures_is_skipped() -> None:
    """As the heads of parts in multipart/x-mixed-replace."""
    part = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
    pictures = Pictures()
    assert pictures.feed(part + jpeg("red") + b"\r\n" + part) == jpeg("red")
    assert pictures.feed(jpeg("blue") + b"\r\n") == jpeg("blue")


def test_a_picture_without_an_end_does_not_fill_the_memory() -> None:
    pictures = Pictures(most_bytes=50_000)
    assert pictures.feed(b"\xff\xd8\xff\xe0\x00\x02") is None
    for _ in range(20):
        assert pictures.feed(bytes(10_000)) is None
        assert len(pictures._data) <= 60_000
    assert pictures.dropped == 1
    assert pictures.feed(jpeg()) == jpeg()


def test_a_picture_that_was_torn_off_does_not_take_the_next_with_it() -> None:
    pictures, whole = Pictures(), jpeg("red")
    assert pictures.feed(whole[:-10] + jpeg("blue")) == jpeg("blue")
    assert pictures.dropped == 1


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([jpeg(), jpeg()[:90], b"\xff\xd8\xff", b"\xff\xd9"])))
)
def test_whatever_comes_nothing_but_whole_pictures_is_given(pieces: list[bytes]) -> None:
    pictures = Pictures()
    for piece in pieces:
        made = pictures.feed(piece)
        assert made is None or (made.startswith(b"\xff\xd8\xff") and made.endswith(b"\xff\xd9"))
    pictures.feed(bytes(140_000))  # longer than any segment: whatever had begun is over
    for _ in range(3):
        made = pictures.feed(b"\xff\xd9" + jpeg())
    assert made == jpeg()


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(0, 600))
def test_a_spoilt_picture_is_counted_and_no_more(noise: bytes, at: int) -> None:
    counters: Counter[str] = Counter()
    decode = _decoder(counters)
    whole = jpeg()
    assert list(decode(whole[:at] + noise + whole[at + len(noise) :])) == []


def test_a_picture_that_says_it_is_huge_is_not_decoded() -> None:
    counters: Counter[str] = Counter()
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")  # SOF0, T.81 B.2.2: height and width follow length and precision
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    assert list(_decoder(counters)(bytes(data))) == []
    assert sum(counters.values()) == 1


def test_two_codes_in_one_picture_are_both_read(tmp_path: Path) -> None:
    for name in ("left", "right"):
        picture(f"https://b.example/{name}", tmp_path / f"{name}.png")
    left, right = Image.open(tmp_path / "left.png"), Image.open(tmp_path / "right.png")
    both = Image.new("RGB", (left.width + right.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    file = io.BytesIO()
    both.save(file, "JPEG")
    assert sorted(_decoder(Counter())(file.getvalue())) == ["https://b.example/left", "https://b.example/right"]


def state_of(reader: Reader, wanted: str) -> None:
    async def scene() -> None:
        task = asyncio.create_task(reader.run(lambda *_: None))
        await until(lambda: str(reader.status()["state"]).startswith(wanted))
        task.cancel()
        await asyncio.wait([task])

    played(scene)


def made(*command: str, **options: float) -> Reader:
    return Reader(Settings(kind="camera_qr", command=command, **options))  # type: ignore[arg-type]


def test_a_program_that_is_not_installed_is_named() -> None:
    state_of(made("no-such-program"), "away: cannot be started: is no-such-program installed?")


def test_a_program_that_fails_is_told_with_its_code() -> None:
    state_of(made(sys.executable, "-c", "raise SystemExit(7)"), f"away: ended: {sys.executable} ended with code 7")


def test_a_program_that_writes_no_picture_is_started_again() -> None:
    state_of(made(sys.executable, "-c", "import time; time.sleep(600)", freeze_s=1.0), "away: no picture")


def test_a_program_that_writes_something_else_for_ever_is_started_again() -> None:
    endless = "import os\nwhile True: os.write(1, bytes(65536))"
    state_of(made(sys.executable, "-c", endless, freeze_s=1.0), "away: no picture")


def test_a_password_in_the_command_is_told_nowhere() -> None:
    reader = made("no-such-program", "-i", "rtsp://me:swordfish@camera.example/")
    state_of(reader, "away: cannot be started")
    assert "swordfish" not in f"{reader.status()} {reader!r}"
    assert "swordfish" not in repr(Settings(kind="camera_qr", command=("x", "swordfish")))


def test_a_program_that_will_not_end_is_killed(tmp_path: Path) -> None:
    """And what it has started."""
    stubborn = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "open(sys.argv[1] + '/' + str(os.getpid()), 'w').close()\n"
        "time.sleep(600)\n"
    )
    reader = made(sys.executable, "-c", stubborn, str(tmp_path))

    async def scene() -> None:
        task = asyncio.create_task(reader.run(lambda *_: None))
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: not any(alive(int(path.name)) for path in tmp_path.iterdir()))

    played(scene)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_more_pictures_are_looked_at_than_wanted(tmp_path: Path) -> None:
    """At 0.2 a second the first is looked at, and no second within the time that the camera writes many."""
    bench = CameraBench(tmp_path)
    reader = Reader(Settings(**(bench.settings() | {"per_s": 0.2})))  # type: ignore[arg-type]
    bench.plug()
    seen: list[Seen] = []

    async def scene() -> None:
        await bench.show(1)
        task = asyncio.create_task(reader.run(lambda _, one: seen.append(one)))
        await until(lambda: seen)
        before = os.stat(tmp_path / "written").st_mtime_ns
        await until(lambda: os.stat(tmp_path / "written").st_mtime_ns > before + 1_000_000_000)
        assert reader.status()["counters"]["pictures"] == 1  # type: ignore[index]
        task.cancel()
        await asyncio.wait([task])

    played(scene)
