"""Memory outside Python's heap runs out in the simulator as it does on a board."""

from collections.abc import Callable

import pytest

from balise_boards import load_board
from balise_sim.native_heap import NativeHeap
from balise_sim.node import Node

Run = Callable[..., Node]
OPEN_MANY = (
    "import socket, network\nwlan = network.WLAN()\nwlan.active(True)\nheld = []\n{before}\n"
    "try:\n    while len(held) < 15:\n        held.append(socket.socket())\n"
    "except OSError as error:\n    print(error.errno)\n"
    "print(len(held))\nheld.pop().close()\nheld.append(socket.socket())\nprint('again')\n"
)


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def test_sockets_end_before_their_table_does(run: Run) -> None:
    node = run(OPEN_MANY.format(before=""))
    assert texts(node) == ["12", "8", "again"]  # (94,256 - 31,232) // 7,168
    assert node.native_heap.refused[0][0] == "socket"
    assert node.native_heap.lowest_bytes < 7168


def test_what_python_takes_beyond_its_first_piece_is_missing_there(run: Run) -> None:
    node = run(OPEN_MANY.format(before="big = bytearray(100_000)"))
    count = int(texts(node)[1])
    assert count < 4


def test_garbage_is_collected_before_anything_is_refused(run: Run) -> None:
    node = run(OPEN_MANY.format(before="big = bytearray(100_000)\ndel big"))
    assert texts(node)[1] == "8"


def test_a_pico_has_one_memory(run: Run) -> None:
    node = run(OPEN_MANY.format(before=""), board="pico_w")
    assert texts(node) == ["15", "again"]


@pytest.mark.parametrize(
    ("board", "line"), [("esp32", "joins"), ("esp32_s3", "joins"), ("esp32_c3", "WiFi Out of Memory")]
)
def test_wifi_beside_bluetooth(run: Run, board: str, line: str) -> None:
    """micropython#18859; Bluetooth is asked for as its own overlay will."""
    node = run(
        "import _memory, network\n_memory.take(_memory.BLE)\n_memory.take(_memory.BLE)\n"
        "try:\n    network.WLAN().active(True)\n    print('joins')\nexcept OSError as error:\n    print(error)\n",
        board=board,
    )
    assert texts(node) == [line]


def test_a_boot_begins_with_all_of_it() -> None:
    heap = NativeHeap(load_board("esp32").native_heap)
    while heap.take("tls", 0):
        pass
    assert heap.refused == [("tls", 94_256 % 20_480)]
    heap.give("tls")
    assert heap.take("tls", 0)
    heap.clear()
    assert heap.free_bytes(0) == 94_256
    heap.give("tls")
    assert heap.free_bytes(40_288 + 1000) == 93_256
