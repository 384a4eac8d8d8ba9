"""Board files are complete, and a wrong one is refused with its key."""

from importlib.resources import files

import pytest

from balise_boards import BoardError, board_names, load_board, parse_board


@pytest.mark.parametrize("name", board_names())
def test_a_board_is_plausible_and_says_where_its_figures_are_from(name: str) -> None:
    board = load_board(name)
    assert 20_000 < board.free_heap_bytes < board.flash_bytes
    assert board.epoch_year in (1970, 2000)
    assert board.ticks_period & (board.ticks_period - 1) == 0
    assert board.sources
    assert {bus.kind for bus in board.buses} >= {"adc", "i2c", "onewire", "spi", "uart"}
    pins = {pin for bus in board.buses for pin in bus.role_pins.values()}
    assert pins <= set(board.gpio) | {9, 10} or name == "esp32", "the ESP32's default pins of UART 1 are its flash's"
    current = board.current_ua
    assert current["deep_sleep"] <= current["light_sleep"] < current["wait"] <= current["run"] < 100_000
    assert current["wifi_connected"] < current["wifi_join"] < current["wifi_send"] < 500_000
    if native := board.native_heap:
        grown_bytes = board.free_heap_bytes - native["python_first"]
        left_bytes = native["free"] - grown_bytes - native["wifi"] - native["wifi_active"] - native["socket"]
        assert left_bytes > -4096, "free_heap_bytes is what Python has with Wi-Fi up and a socket open"
    assert board.bus("i2c", 0).role_pins.keys() == {"sda", "scl"}


def test_unknown_boards_and_buses_name_the_known_ones() -> None:
    with pytest.raises(BoardError, match="known boards: esp32, esp32_c3, esp32_s3, pico_2_w, pico_w"):
        load_board("esp33")
    with pytest.raises(BoardError, match="no uart7; this board has i2c0, i2c1, i2s0, uart1, uart2, "):
        load_board("esp32").bus("uart", 7)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("epoch_year", "epoch", r"x\.toml: key 'epoch' is unknown"),
        ("boot_ms = 350", "", r"x\.toml: key 'boot_ms' is missing"),
        ('heap_gate = "measured"', 'heap_gate = "bits"', "one of bytes, words, measured"),
        ("scl = 18", "", "needs kind"),
        ("current_ua.run", "current_ua.runs", r"x\.toml: current_ua needs boot, run"),
        ("native_heap.tls =", "native_heap.ssl =", r"x\.toml: native_heap needs free"),
        ("cpu_hz =", "cpu_hz", r"x\.toml: "),
    ],
)
def test_a_wrong_board_file_names_the_key(old: str, new: str, why: str) -> None:
    text = files("balise_boards").joinpath("esp32.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(BoardError, match=why):
        parse_board("x", text.replace(old, new))


@pytest.mark.parametrize(("gate", "factor"), [("bytes", 1.0), ("measured", 1 / 0.75), ("words", 2.0)])
def test_the_gate_decides_what_a_64_bit_vm_gets(gate: str, factor: float) -> None:
    text = files("balise_boards").joinpath("esp32.toml").read_text(encoding="utf-8")
    board = parse_board("x", text.replace('heap_gate = "measured"', f'heap_gate = "{gate}"'))
    assert board.heap_bytes == int(board.free_heap_bytes * factor)
