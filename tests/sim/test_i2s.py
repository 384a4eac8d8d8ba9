"""I2S on a simulated board: sound at its own pace, in the three modes of machine.I2S, and what nobody takes is lost."""

import asyncio
import hashlib
from array import array
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from balise_boards import load_board
from balise_sim.buses import Bench, Wire, WiringError
from balise_sim.devices.inmp441 import Model
from balise_sim.devices.sph0645 import Model as Sph0645
from balise_sim.node import Node
from balise_sim.world import World
from sim.noise_bench import listen

Run = Callable[..., Node]
PINS = (32, 25, 33)
WIRES = [Wire("inmp441", "i2s0", {"sound": "tone"}, pins=PINS)]
OPEN = """
import hashlib, time
from array import array
from machine import I2S, Pin
def opened(format=I2S.MONO, bits=32, ws=25, ibuf=32768):
    return I2S(0, sck=Pin(32), ws=Pin(ws), sd=Pin(33), mode=I2S.RX, bits=bits, format=format, rate=48000, ibuf=ibuf)
def digest(data):
    return hashlib.sha256(bytes(data)).digest().hex()[:16]
block = array("i", bytes(4 * 4800))
def slot(first):
    return array("i", [block[i] for i in range(first, 4800, 2)])
"""
CLOCK = (0, 48_000)


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def digest(words: bytes) -> str:
    return hashlib.sha256(words).hexdigest()[:16]


def heard(first: int, count: int, model: type[Model] = Model, **options: object) -> bytes:
    """What a board reads that never misses a frame."""
    return model(sound="tone", **options).words(0, CLOCK, first, count)  # type: ignore[arg-type]


def test_a_blocking_read_takes_as_long_as_the_sound(run: Run) -> None:
    node = run(
        OPEN + "i2s = opened()\nstart = time.ticks_us()\n"
        "for _ in range(3):\n    print(i2s.readinto(block), digest(block), time.ticks_diff(time.ticks_us(), start))\n",
        WIRES,
    )
    told = [line.split() for line in texts(node)]
    assert [line[0] for line in told] == ["19200"] * 3
    assert [line[1] for line in told] == [digest(heard(4800 * i, 4800)) for i in range(3)]
    assert [abs(int(line[2]) - 100_000 * (i + 1)) < 20 for i, line in enumerate(told)] == [True] * 3
    assert node.bench.ports["i2s"][0].overrun_frames == 0


def test_it_begins_with_zeros_and_then_hears(run: Run) -> None:
    """DS INMP441: 2**18 clocks, 64 in a frame."""
    words = array("i", heard(0, 4800))
    assert set(words[:4096]) == {0}
    assert max(words[4096:]) > 1 << 16


def test_what_nobody_reads_in_time_is_lost_and_counted(run: Run) -> None:
    """Processor time is not modelled: firmware says with a sleep what its work costs."""
    node = run(OPEN + "i2s = opened()\ntime.sleep_ms(1000)\ni2s.readinto(block)\nprint(digest(block))\n", WIRES)
    lost = 48_000 - 4096
    assert abs(node.bench.ports["i2s"][0].overrun_frames - lost) <= 2
    first = node.bench.ports["i2s"][0].overrun_frames
    assert texts(node) == [digest(heard(first, 4800))]


def test_stereo_and_16_bits(run: Run) -> None:
    node = run(
        OPEN + "i2s = opened(I2S.STEREO)\ni2s.readinto(block)\ni2s.readinto(block)\n"
        "print(digest(slot(0)), set(slot(1)))\ni2s.deinit()\n"
        "i2s = opened(bits=16)\nhalves = array('h', bytes(2 * 9600))\nprint(i2s.readinto(halves))\n"
        "print(digest(halves))\n",
        [Wire("inmp441", "i2s0", {"sound": "tone"})],
    )
    upper = array("h", heard(0, 9600))[1::2].tobytes()
    assert texts(node) == [f"{digest(heard(2400, 2400))} {{0}}", "19200", digest(upper)]


def test_a_microphone_on_the_right_is_heard_in_stereo_only(run: Run) -> None:
    node = run(
        OPEN + "i2s = opened()\ni2s.readinto(block)\nprint(set(block))\n"
        "i2s.init(sck=Pin(32), ws=Pin(25), sd=Pin(33), mode=I2S.RX, bits=32, format=I2S.STEREO, rate=48000,"
        " ibuf=4096)\n"
        "i2s.readinto(block)\ni2s.readinto(block)\nprint(set(slot(0)), max(slot(1)) > 0)\n",
        [Wire("inmp441", "i2s0", {"right": True})],
    )
    assert texts(node) == ["{0}", "{0} True"]


def test_without_waiting_a_handler_is_called_when_the_block_is_full(run: Run) -> None:
    node = run(
        OPEN + "i2s = opened()\n"
        "def full(i2s):\n    print('full', time.ticks_ms() - start, digest(block))\n"
        "i2s.irq(full)\nstart = time.ticks_ms()\nprint(i2s.readinto(block))\n"
        "print('on', time.ticks_ms() - start)\ntime.sleep(1)\n",
        WIRES,
    )
    assert texts(node) == ["19200", "on 0", f"full 100 {digest(heard(0, 4800))}"]


def test_a_stream_gives_what_is_there(run: Run) -> None:
    node = run(
        OPEN + "import asyncio\n"
        "async def main():\n    i2s = opened()\n    reader = asyncio.StreamReader(i2s)\n    view = memoryview(block)\n"
        "    await asyncio.sleep_ms(50)\n    first = await reader.readinto(view)\n    print(first)\n"
        "    at = first // 4\n    while at < 4800:\n        at += (await reader.readinto(view[at:])) // 4\n"
        "    print(digest(block))\nasyncio.run(main())\n",
        WIRES,
    )
    first, whole = texts(node)
    assert abs(int(first) - 9600) < 100
    assert whole == digest(heard(0, 4800))
    assert node.requests < 60  # firmware is woken for 256 frames, not for each


def test_other_pins_are_silent_and_wrong_arguments_are_refused(run: Run) -> None:
    node = run(
        OPEN + "i2s = opened(ws=26)\ni2s.readinto(block)\ni2s.readinto(block)\nprint(set(block))\n"
        "for options in ({'bits': 24}, {'ibuf': 100}):\n    try:\n        opened(**options)\n"
        "    except ValueError as error:\n        print(error)\n",
        WIRES,
    )
    assert texts(node) == ["{0}"] + ["I2S(0) does not exist or cannot be so"] * 2


def test_on_a_pico_ws_is_the_pin_after_sck(run: Run) -> None:
    node = run(
        "from machine import I2S, Pin\nfor ws in (17, 19):\n    try:\n"
        "        I2S(0, sck=Pin(16), ws=Pin(ws), sd=Pin(18), mode=I2S.RX, bits=32, format=I2S.MONO, rate=48000,"
        " ibuf=9000)\n"
        "        print('ok')\n    except ValueError as error:\n        print('no')\n",
        board="pico_w",
    )
    assert texts(node) == ["ok", "no"]


def test_a_reset_stops_the_clock(world: World, boot: Callable[..., Node], tmp_path: Path) -> None:
    node = boot(OPEN + "i2s = opened()\nwhile True:\n    i2s.readinto(block)\n", WIRES)
    world.loop.run_until_complete(world.run_for(2))
    node.power_cut()
    world.loop.run_until_complete(asyncio.sleep(5))
    node.power_on()
    world.loop.run_until_complete(world.run_for(2))
    assert node.bench.ports["i2s"][0].overrun_frames == 0


def test_an_i2s_port_has_one_microphone() -> None:
    bench = Bench(load_board("esp32"), lambda: None)
    bench.attach(WIRES[0])
    with pytest.raises(WiringError, match="microphone on this I2S port already"):
        bench.attach(WIRES[0])


def test_the_loop_has_no_seam() -> None:
    """A tone goes on through the loop's end, and its level changes at no other place."""
    model = Model(sound="tone")
    model.set_channel("laeq", lambda now_us: 60.0 if now_us < 300_000 else 80.0)
    words = array("i", model.words(0, CLOCK, 9600, 9600))
    quiet = Model(sound="tone")
    quiet.set_channel("laeq", 60.0)
    steps = [abs(b - a) for a, b in pairwise(array("i", quiet.words(0, CLOCK, 4800, 9600)))]
    assert max(steps[4790:4810]) <= max(steps[:4790])
    loud = max(words[4900:])
    assert loud == pytest.approx(10 * max(words[:4800]), rel=0.2)


def test_the_benchmark_measures_what_it_says() -> None:
    listened = listen(simulated_s=125, level=65.0)
    assert listened.levels == (pytest.approx(6500, abs=5),) * 2
    assert listened.overruns == 0
    assert listened.requests == pytest.approx(125 / 0.128, abs=10)


def test_too_slow_a_clock_does_not_run_an_sph0645() -> None:
    """DS: 2.048 MHz and more, so 16 kHz gives nothing; an INMP441 goes on."""
    assert set(Sph0645().words(0, (0, 16_000), 9600, 100)) == {0}
    assert any(Model().words(0, (0, 16_000), 9600, 100))
    assert {word & 0x3FFF for word in array("i", Sph0645().words(0, CLOCK, 9600, 4800))} == {0}
