"""A board boots, ends and boots again; nothing of one boot is left in the next."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from balise_boards import board_names
from balise_sim import bridge
from balise_sim.buses import Wire
from balise_sim.node import Node
from balise_sim.vm import ForkingSource, ProgramSource, VmError, open_source
from balise_sim.world import NAME_TABLE_BYTES, World

Run = Callable[..., Node]
START_UTC_MS = 1_544_300_000_000


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def test_a_main_py_sees_a_board_and_not_the_host(run: Run) -> None:
    node = run(
        "import os, sys, machine\n"
        "print(sys.platform, sys.implementation._machine, __name__, __file__)\n"
        "print(os.listdir('/'), sys.path, os.uname()[0])\n"
        "print(machine.reset_cause(), machine.freq(), len(machine.unique_id()))\n"
        "print(hasattr(os, 'system'), hasattr(os, 'getenv'))\n"
    )
    assert texts(node) == [
        "esp32 Generic ESP32 module with ESP32 __main__ main.py",
        "['main.py'] ['', '.frozen', '/lib'] esp32",
        "1 160000000 6",
        "False False",
    ]
    assert node.fault == "air-01: main.py ended"


def test_boot_py_runs_first_and_lines_bear_the_worlds_time(world: World, tmp_path: Path, boot: Run) -> None:
    root = tmp_path / "air-01"
    root.mkdir()
    (root / "boot.py").write_text("print('boot')", encoding="utf-8")
    root.rename(tmp_path / "kept")
    node = boot("import time\nprint('main')\ntime.sleep(2)\nprint('later')\n")
    (tmp_path / "kept" / "boot.py").rename(root / "boot.py")
    world.loop.run_until_complete(world.run_for(5))
    start_ms = world.start_utc_ms
    assert node.console.lines == [(start_ms + 350, "boot"), (start_ms + 350, "main"), (start_ms + 2350, "later")]


@pytest.mark.parametrize("name", board_names())
def test_each_board_tells_what_it_is(run: Run, name: str) -> None:
    node = run(
        "import gc, machine, os, sys, time\ngc.collect()\n"
        "print(sys.platform, sys.implementation._machine, machine.freq(), os.statvfs('/')[2] * 4096)\n"
        "print(time.gmtime(0), time.ticks_add(0, -1) + 1)\nprint(gc.mem_free() + gc.mem_alloc())\n",
        board=name,
    )
    board, (told, clock, heap) = node.board, texts(node)
    assert told == f"{board.platform} {board.machine} {board.cpu_hz} {board.flash_bytes}"
    weekday = {1970: 3, 2000: 5}[board.epoch_year]  # a Thursday, a Saturday; eight fields, not the nine of Unix
    assert clock == f"({board.epoch_year}, 1, 1, 0, 0, 0, {weekday}, 1) {board.ticks_period}"
    assert abs(int(heap) - NAME_TABLE_BYTES - board.heap_bytes) < 1024


def test_an_exception_is_shown_as_the_prompt_shows_it_and_told(run: Run) -> None:
    node = run("1 / 0\n")
    assert "ZeroDivisionError" in node.console.text()
    assert "ZeroDivisionError" in (node.fault or "")


def test_a_node_that_does_not_fit_its_board_says_so(run: Run) -> None:
    node = run("held = []\nwhile True:\n    held.append(bytearray(1000))\n")
    assert "does not fit its board" in (node.fault or "")
    assert "98304" in (node.fault or "")
    assert "MemoryError" in node.console.text()


FULL_HEAP = """
import gc, machine, os, time
uart = machine.UART(1, 9600, tx=17, rx=16)
calls = (
    lambda: os.urandom(3000),
    uart.read,
    lambda: os.statvfs('/'),
    lambda: os.listdir('/'),
    lambda: open('main.py', 'a').close(),
    lambda: time.sleep_ms(20),
    lambda: machine.Pin(2).value(),
)
failed = 0
for free in range(400, 6400, 120):
    held = None
    try:
        while gc.mem_free() > free:
            held = (held, bytearray(min(2000, max(8, gc.mem_free() - free - 100))))
    except MemoryError:
        pass
    for call in calls:
        try:
            call()
        except MemoryError:
            failed += 1
    held = None
    gc.collect()
time.sleep(2)
print(failed > 20, len(os.urandom(3000)), os.listdir('/'), uart.any() > 0)
"""


def test_a_full_heap_leaves_the_board_in_step(run: Run) -> None:
    """Every call that brings bytes is tried with hardly any memory left, and works again when there is some."""
    node = run(FULL_HEAP, [Wire("sds011", "uart1")], for_s=300)
    assert texts(node) == ["True 3000 ['main.py'] True"]


@pytest.mark.parametrize(
    ("call", "cause", "after_ms"),
    [("machine.reset()", 2, 350), ("machine.soft_reset()", 5, 350), ("machine.deepsleep(5000)", 4, 5350)],
)
def test_a_boot_that_ends_itself(run: Run, world: World, call: str, cause: int, after_ms: int) -> None:
    node = run(
        f"import machine, time\nprint(machine.reset_cause(), time.ticks_ms())\n"
        f"if machine.reset_cause() == 1:\n    {call}\ntime.sleep(60)\n",
        for_s=20,
    )
    assert texts(node) == ["1 350", f"{cause} 350"]  # ticks start again at each boot
    assert node.console.lines[1][0] - node.console.lines[0][0] == after_ms
    assert node.boots == 2


def test_the_watchdog_bites_at_its_time(run: Run) -> None:
    node = run(
        "import machine, time\nprint(machine.reset_cause())\n"
        "if machine.reset_cause() == 1:\n    dog = machine.WDT(timeout=5000)\n"
        "    for _ in range(4):\n        time.sleep(3)\n        dog.feed()\n    time.sleep(3600)\ntime.sleep(60)\n",
        for_s=30,
    )
    assert texts(node) == ["1", "3"]
    assert node.console.lines[1][0] - node.console.lines[0][0] == 4 * 3000 + 5000 + 350


def test_a_busy_loop_ends_and_a_soft_timer_ticks(run: Run) -> None:
    node = run(
        "import machine, time\nticks = []\n"
        "t = machine.Timer(0, mode=machine.Timer.PERIODIC, period=250, callback=lambda t: ticks.append(1))\n"
        "time.sleep(2)\nprint(len(ticks))\nt.deinit()\n"
        "start = time.ticks_ms()\nwhile time.ticks_diff(time.ticks_ms(), start) < 5000:\n    pass\n"
        "print(len(ticks), time.ticks_ms())\n"
    )
    assert texts(node) == ["8", "8 7350"]


@pytest.mark.parametrize(("dog", "lines"), [("", []), ("machine.WDT(timeout=2000)\n", ["3"])])
def test_firmware_that_computes_for_ever(run: Run, monkeypatch: pytest.MonkeyPatch, dog: str, lines: list[str]) -> None:
    """Only a watchdog helps, and at its own time, however long the real wait was."""
    monkeypatch.setattr(bridge, "PATIENCE_S", 1.0)
    node = run(
        f"import machine, time\nif machine.reset_cause() == 1:\n    {dog or 'pass'}\n    while True:\n        pass\n"
        "print(machine.reset_cause())\ntime.sleep(60)\n"
    )
    assert texts(node) == lines
    if dog:
        assert node.console.lines[0][0] == START_UTC_MS + 350 + 2000 + 350
    else:
        assert node.fault == "air-01: its firmware hangs, and no watchdog is set"


def test_ticks_wrap_as_on_the_board_and_asyncio_lives_through_it(run: Run) -> None:
    period_ms = 1 << 30
    node = run(
        f"import asyncio, time\ntime.sleep_ms({period_ms} - 2350)\n"
        "async def main():\n"
        "    for _ in range(4):\n        print(time.ticks_ms())\n        await asyncio.sleep(1)\n"
        "asyncio.run(main())\nprint(time.ticks_diff(5, time.ticks_add(5, -100)))\n",
        for_s=period_ms / 1000 + 10,
    )
    assert texts(node) == [str(period_ms - 2000), str(period_ms - 1000), "0", "1000", "100"]


def test_the_clock_of_each_board_has_its_epoch(run: Run) -> None:
    set_clock = "machine.RTC().datetime((2018, 12, 8, 0, 20, 13, 20, 0))"
    node = run(f"import machine, time\n{set_clock}\nprint(time.time(), time.gmtime())\n")
    assert texts(node) == ["597615200 (2018, 12, 8, 20, 13, 20, 5, 342)"]


def test_the_clock_runs_on_through_a_reset_and_not_through_a_power_cut(world: World, boot: Run) -> None:
    node = boot(
        "import machine, time\nprint(machine.reset_cause(), time.time())\n"
        "if machine.reset_cause() == 1:\n    machine.RTC().datetime((2018, 12, 8, 0, 20, 13, 20, 0))\n"
        "    machine.RTC().memory(b'kept')\n    machine.deepsleep(1000)\n"
        "print(machine.RTC().memory())\n"
    )
    world.loop.run_until_complete(world.run_for(5))
    node.power_cut()
    node.power_on()
    world.loop.run_until_complete(world.run_for(0.5))
    assert texts(node) == ["1 0", "4 597615201", "b'kept'", "1 0"]


def test_power_cut_and_power_on(world: World, boot: Run) -> None:
    node = boot("import time\nn = 0\nwhile True:\n    print(n)\n    n += 1\n    time.sleep(1)\n")
    world.loop.run_until_complete(world.run_for(3))
    node.power_cut()
    assert not node.is_running
    world.loop.run_until_complete(world.run_for(100))
    node.power_on()
    world.loop.run_until_complete(world.run_for(2))
    assert texts(node) == ["0", "1", "2", "0", "1"]


def test_what_was_not_closed_is_lost_with_the_power(world: World, boot: Run, tmp_path: Path) -> None:
    node = boot(
        "import os, time\nwith open('closed', 'w') as f:\n    f.write('all')\n"
        "flushed = open('flushed', 'a')\nflushed.write('first ')\nflushed.flush()\nflushed.write('second')\n"
        "open_one = open('open', 'w')\nopen_one.write('nothing of this')\ntime.sleep(100)\n"
    )
    world.loop.run_until_complete(world.run_for(5))
    node.power_cut()
    root = tmp_path / "air-01"
    assert {f.name: f.read_text(encoding="utf-8") for f in root.iterdir() if f.name != "main.py"} == {
        "closed": "all",
        "flushed": "first ",
    }


@pytest.mark.parametrize("change", range(1, 5))
def test_write_aside_and_rename_survives_a_cut_at_every_change(
    world: World, boot: Run, tmp_path: Path, change: int
) -> None:
    node = boot(
        "import os\nold = int(open('n').read()) if 'n' in os.listdir() else 0\n"
        "with open('n.new', 'w') as f:\n    f.write(str(old + 1))\nos.rename('n.new', 'n')\n"
    )
    world.loop.run_until_complete(world.run_for(1))
    node.power_cut()
    node.flash.cut_at = node.flash.changes + change
    node.power_on()
    world.loop.run_until_complete(world.run_for(1))
    assert node.powered == (change == 4)  # a boot makes three changes: open, close, rename
    assert (tmp_path / "air-01" / "n").read_text(encoding="utf-8") == ("2" if change == 4 else "1")


def test_firmware_on_the_board_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    node = run("import os\ntry:\n    open('/../elsewhere/x', 'w')\nexcept OSError as error:\n    print(error.errno)\n")
    assert texts(node) == ["30"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_no_vm_outlives_its_source() -> None:
    source = ForkingSource()
    vm = source.spawn(["micropython", "-c", "open(3, 'rb').read(1)"])
    source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(vm.pid, 0)
    vm.close()


def test_a_program_is_the_slow_second_source(world: World, boot: Run) -> None:
    quick, world.source = world.source, ProgramSource(str(Path(sys.executable).parent / "micropython"))
    quick.close()
    node = boot("import time\nprint('hello')\ntime.sleep(1)\nprint('again')\n")
    world.loop.run_until_complete(world.run_for(3))
    assert "MicroPython" in world.source.version
    assert texts(node) == ["hello", "again"]


def without_extension(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where the extra is not installed, and with nothing on PATH."""
    (tmp_path / "micropython_module.py").write_text("raise ImportError\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_any_micropython_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_extension(monkeypatch, tmp_path)
    with pytest.raises(VmError, match=r"pip install 'balise\[sim\]'"):
        open_source()


def test_a_micropython_on_path_is_taken_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_extension(monkeypatch, tmp_path)
    program = tmp_path / "micropython"
    real = Path(sys.executable).parent / "micropython"
    program.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {real} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    source = open_source()
    assert isinstance(source, ProgramSource)
    assert f"using {program}" in capsys.readouterr().err
    source.close()
