"""What a board is, as data: pins, buses, memory, clocks. One TOML file per board, each figure with its source.

Promises: `load_board(name)` gives a frozen `Board`, or a BoardError that names file, key and the known boards.
Leaves to others: what is wired to it (kits), and how it is played (the simulator).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

# What a 64-bit VM is given for each byte of the board's free heap. "bytes": what fits fits on the board for sure, since
# pointers are twice as wide here. "words": what fails fails there for sure. "measured": our own modules, compiled, take
# 0.73 of their 64-bit size on a 32-bit MicroPython (the WebAssembly port); rounded up.
HEAP_GATES = {"bytes": 1.0, "words": 2.0, "measured": 1 / 0.75}


# The pins of each kind of bus, in the order in which wires name them
BUS_PINS = {
    "i2c": ("sda", "scl"),
    "uart": ("tx", "rx"),
    "spi": ("sck", "mosi", "miso"),
    "i2s": ("sck", "ws", "sd"),
    "onewire": ("dq",),
    "adc": ("pin",),
}


class BoardError(ValueError):
    """A board that is not known, or a board file that cannot be used."""


# What a board draws, in `current_ua`: by what its processor does, and what its radio adds
CURRENTS = ("boot", "run", "wait", "light_sleep", "deep_sleep", "wifi_join", "wifi_connected", "wifi_send")
# What takes memory outside Python's heap, in `native_heap`, where a board has such memory
NATIVE = ("free", "python_first", "wifi", "wifi_active", "socket", "tls", "tls_handshake", "ble")


@dataclass(frozen=True)
class Bus:
    """One port with the pins it comes up on; the numbers are the board's GPIO numbers.

    `role_pins` maps the pins of BUS_PINS to their numbers. A 1-Wire bus and an ADC input are known by their pin.
    """

    kind: str
    number: int
    role_pins: Mapping[str, int]


@dataclass(frozen=True)
class Board:
    """Everything the simulator and the tools need to know about a board.

    `current_ua` has the keys of CURRENTS, `native_heap` those of NATIVE; it is empty where all memory is Python's.
    """

    name: str
    title: str
    machine: str
    platform: str
    cpu_hz: int
    free_heap_bytes: int
    heap_gate: str
    flash_bytes: int
    epoch_year: int
    ticks_period: int
    boot_ms: int
    i2c_nack_errno: int
    uart_rx_fifo_bytes: int
    uart_rx_threshold_bytes: int
    uart_rx_idle_symbols: int
    gpio: tuple[int, ...]
    current_ua: Mapping[str, int]
    native_heap: Mapping[str, int]
    buses: tuple[Bus, ...]
    sources: tuple[str, ...]

    def bus(self, kind: str, number: int) -> Bus:
        """The port `number` of `kind` (a kind of BUS_PINS). Raises BoardError."""
        for bus in self.buses:
            if (bus.kind, bus.number) == (kind, number):
                return bus
        known = ", ".join(f"{bus.kind}{bus.number}" for bus in self.buses)
        raise BoardError(f"{self.name}: no {kind}{number}; this board has {known}")

    @property
    def heap_bytes(self) -> int:
        """Heap that a 64-bit VM gets in place of the board's free heap; see `heap_gate` in the board files."""
        return int(self.free_heap_bytes * HEAP_GATES[self.heap_gate])


def board_names() -> tuple[str, ...]:
    folder = files("balise_boards")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_board(name: str) -> Board:
    """The board of that name. Raises BoardError."""
    if name not in board_names():
        raise BoardError(f"no board {name!r}; known boards: {', '.join(board_names())}")
    text = files("balise_boards").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_board(name, text)


def parse_board(name: str, text: str) -> Board:
    """A board from the text of its file. Raises BoardError, naming file and key."""
    where = f"{name}.toml"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise BoardError(f"{where}: {broken}") from broken
    buses = tuple(_bus(where, entry) for entry in table.pop("bus", []))
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    fields.setdefault("native_heap", {})
    known = set(Board.__dataclass_fields__) - {"name", "buses"}
    wrong = sorted(known ^ set(fields))
    if wrong:
        what = "missing" if wrong[0] in known else f"unknown; known keys: {', '.join(sorted(known))}"
        raise BoardError(f"{where}: key {wrong[0]!r} is {what}")
    if fields["heap_gate"] not in HEAP_GATES:
        raise BoardError(f"{where}: heap_gate = {fields['heap_gate']!r}; one of {', '.join(HEAP_GATES)}")
    for key, wanted in (("current_ua", CURRENTS), ("native_heap", NATIVE if fields["native_heap"] else ())):
        if set(fields[key]) != set(wanted):
            odd = sorted(set(fields[key]) ^ set(wanted))[0]
            raise BoardError(f"{where}: {key} needs {', '.join(wanted)}; look at {odd!r}")
    return Board(name=name, buses=buses, **fields)


def _bus(where: str, entry: dict[str, Any]) -> Bus:
    roles = {key: value for key, value in entry.items() if key not in ("kind", "number")}
    wanted = BUS_PINS.get(entry.get("kind", ""))
    if wanted is None or set(roles) != set(wanted) or "number" not in entry:
        known = "; ".join(f"{kind}: {', '.join(pins)}" for kind, pins in BUS_PINS.items())
        raise BoardError(f"{where}: bus {entry}: needs kind, number, and its pins ({known})")
    return Bus(entry["kind"], entry["number"], roles)
