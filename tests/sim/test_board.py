"""`balise sim board`: a simulated board on a serial line, and an unmodified mpremote that takes it for one."""

import functools
import hashlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balise_boards import load_board
from balise_sim.world import NAME_TABLE_BYTES

HARDWARE = Path(__file__).parent.parent / "hardware"
PATIENCE_S = 60.0  # what a step may take on a busy machine; it takes half a second
SCRIPT = """
import time
start = time.ticks_ms()
time.sleep_ms(300)
print('ran for', time.ticks_diff(time.ticks_ms(), start) >= 300)
"""
COUNTER = """
import time
n = 0
while True:
    n += 1
    print('alive', n)
    time.sleep_ms(50)
"""

Remote = Callable[..., str]


@contextmanager
def board(folder: Path, *options: str, kit: str = "air-esp32") -> Iterator[str]:
    """The path of a running board's terminal."""
    command = [sys.executable, "-m", "balise_tools", "sim", "board", kit, "--files", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        assert process.stdout.readline().endswith(")\n")  # such as: sds011 on uart2 (tx 17, rx 16)
        try:
            yield path
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def mpremote(line: str, *words: str, cwd: Path | None = None) -> str:
    """What mpremote prints; it must succeed."""
    command = [sys.executable, "-m", "mpremote", "connect", line, *words]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode().replace("\r\n", "\n")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[str]:
    with board(tmp_path / "files") as path:
        yield path


@pytest.fixture
def remote(line: str) -> Remote:
    return functools.partial(mpremote, line)


def test_mpremote_takes_it_for_a_board(remote: Remote, tmp_path: Path) -> None:
    """One board for all steps, as on a desk."""
    assert remote("eval", "1 + 2") == "3\n"
    assert remote("exec", "import sys; print(sys.platform, __name__)") == "esp32 __main__\n"
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    assert remote("run", str(tmp_path / "script.py")) == "ran for True\n"

    data = bytes(range(256)) * 30  # every byte, and more than one of mpremote's chunks
    (tmp_path / "up").write_bytes(data)
    remote("mkdir", ":data", "+", "cp", str(tmp_path / "up"), ":data/up", "+", "cp", ":data/up", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == data
    assert hashlib.sha256(data).hexdigest() in remote("sha256sum", ":data/up")
    assert "7680 up" in remote("ls", ":data")
    assert "└── up" in remote("tree", ":data")
    assert "2097152" in remote("df")
    remote("rm", "-r", ":data")
    assert "data" not in remote("ls")

    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "there.py").write_text("print('read over the line', len(10 * '\\n'))\n", encoding="utf-8")
    assert "read over the line 10" in remote("mount", str(tmp_path / "mounted"), "exec", "import there")

    (tmp_path / "package.json").write_text('{"urls": [["hi.py", "hi.py"]], "version": "1"}', encoding="utf-8")
    (tmp_path / "hi.py").write_text("WORD = 'installed'\n", encoding="utf-8")
    remote("mip", "install", "package.json", cwd=tmp_path)
    assert remote("exec", "import hi; print(hi.WORD)") == "installed\n"

    remote("resume", "exec", "kept = 5")
    assert remote("resume", "eval", "kept") == "5\n"
    remote("soft-reset")
    assert remote("resume", "exec", "import machine; print('kept' in globals(), machine.reset_cause())") == "False 5\n"
    remote("rtc", "--set")
    assert remote("rtc").startswith(f"({time.localtime().tm_year}, ")


def test_a_running_main_py_is_seen_interrupted_and_started_again(remote: Remote, line: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(COUNTER, encoding="utf-8")
    remote("cp", str(tmp_path / "main.py"), ":main.py")
    remote("reset")
    heard(line, b"alive 3\r\n")
    cause = "import machine; print(machine.reset_cause(), n >= 3)"
    assert remote("resume", "exec", cause) == "2 True\n"  # Ctrl-C came where main.py waited
    assert remote("eval", "'n' in globals()") == "False\n"  # a raw prompt runs boot.py alone
    remote("exec", "--no-follow", "import machine; machine.reset()")
    heard(line, b"alive 3\r\n")
    assert remote("resume", "eval", "n >= 3") == "True\n"


def test_a_flash_image_keeps_what_was_copied_to_it(tmp_path: Path) -> None:
    data = bytes(range(256)) * 30
    (tmp_path / "up").write_bytes(data)
    options = ("--image", str(tmp_path / "flash.img"))
    with board(tmp_path / "files", *options) as line:
        mpremote(line, "cp", str(tmp_path / "up"), ":up")
        assert "balise_wire/" in mpremote(line, "ls", ":lib")
        assert "7680 up" in mpremote(line, "ls")
    with board(tmp_path / "files", *options) as line:
        mpremote(line, "cp", ":up", str(tmp_path / "down"))
        assert "2097152" in mpremote(line, "df")
    assert (tmp_path / "down").read_bytes() == data
    assert not (tmp_path / "files" / "up").exists()


def test_firmware_at_the_prompt_finds_the_boards_heap(remote: Remote) -> None:
    free = remote("exec", "import gc; gc.collect(); print(gc.mem_free() + gc.mem_alloc())")
    assert abs(int(free) - NAME_TABLE_BYTES - load_board("esp32").heap_bytes) < 4096


def typed(descriptor: int, what: bytes, until: bytes) -> bytes:
    """What comes, up to that, after something was typed."""
    os.write(descriptor, what)
    answer = b""
    while until not in answer:
        assert select.select([descriptor], [], [], PATIENCE_S)[0], answer
        answer += os.read(descriptor, 4096)
    return answer


def heard(line: str, until: bytes) -> None:
    """Listens without a word until that comes."""
    descriptor = os.open(line, os.O_RDWR | os.O_NOCTTY)
    typed(descriptor, b"", until)
    os.close(descriptor)


def test_what_a_person_sees(line: str) -> None:
    """The prompt in its friendly form, with a board's line ends; Ctrl-C and Ctrl-D at any moment."""
    descriptor = os.open(line, os.O_RDWR | os.O_NOCTTY)
    typed(descriptor, b"\r\x03", b">>> ")
    assert b"\r\n5\r\n>>> " in typed(descriptor, b"print(2 + 3)\r", b"5\r\n>>> ")
    banner = typed(descriptor, b"\x04", b'Type "help()" for more information.\r\n>>> ')
    assert b"MPY: soft reboot\r\n" in banner
    assert b"linux" not in banner
    typed(descriptor, b"import time\r", b">>> ")
    for endless in (b"time.sleep_ms(1)", b"time.ticks_ms()", b"pass", b"time.sleep(60)"):
        for _ in range(3):
            loop = b"exec(\"print('go' * 2)\\nwhile True: " + endless + b'")\r'
            typed(descriptor, loop, b"gogo\r\n")
            assert b"KeyboardInterrupt" in typed(descriptor, b"\x03", b">>> ")
        typed(descriptor, b"time.ticks_ms() > 0\r", b"True\r\n>>> ")
    os.close(descriptor)


def test_the_shell_is_mpremotes_prompt() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "balise_tools", "sim", "board", "pico_w+bme280", "--shell"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        typed(ours, b"", b"Use Ctrl-] or Ctrl-x to exit this shell")
        typed(ours, b"\r", b">>> ")
        assert b"rp2" in typed(ours, b"import sys; sys.platform\r", b"'\r\n>>> ")
        os.write(ours, b"\x1d")
        assert process.wait(PATIENCE_S) == 0
    os.close(ours)
    os.close(theirs)


def hardware_tests(*options: str) -> str:
    """How the tests in tests/hardware end: pytest-embedded runs in a process of its own, with its own settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(HARDWARE), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=clean, timeout=3 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_hardware_tests_pass_on_a_board_of_their_own() -> None:
    assert "4 passed" in hardware_tests()


def test_the_hardware_tests_pass_on_a_board_that_is_known_by_its_port(tmp_path: Path) -> None:
    """As on a real one: all they have is the path."""
    with board(tmp_path, kit="pico_w+bme280") as line:
        assert "4 passed" in hardware_tests("--port", line, "--kit", "pico_w+bme280")


def test_a_kit_that_is_not_there_is_told() -> None:
    command = [sys.executable, "-m", "balise_tools", "sim", "board", "arduino"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no kit 'arduino'; there are air-esp32, air-pico" in done.stderr
