"""One air node in a small world: a simulated ESP32 with real device models, and a scripted gateway (peer.py)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balise_boards import load_board
from balise_sim.buses import Wire
from balise_sim.clocks import VirtualLoop
from balise_sim.node import Node
from balise_sim.world import Environment, World, install_firmware
from balise_wire.frames import FrameKeys
from node.peer import Peer, Row, Speech

START_UTC_MS = 1_790_000_000_000
NODE = "urn:dev:ops:b4115e-air-01"
KEY = bytes.fromhex("6b1f0c52e9a4d3870f5e2c9ab8d71e34")
HOST, PORT = "192.168.4.1", 1883
AIR: dict[str, float] = {"pm2_5": 12.0, "pm10": 20.0, "temperature": 21.5, "humidity": 50.0, "pressure": 101_325.0}
CALM = (120, 200, 2150, 5000, 101_325)  # AIR in the scales of the channel table

CONFIG: dict[str, Any] = {
    "node": NODE,
    "key": KEY.hex(),
    "wifi": {"ssid": "street", "password": "correct horse"},
    "mqtt": {"host": HOST, "user": "air-01", "password": "staple-staple"},
    "sensors": [
        {"model": "sds011", "uart": 2, "tx": 17, "rx": 16},
        {"model": "bme280", "i2c": 0, "sda": 21, "scl": 22},
    ],
}
WIRES = (Wire("sds011", "uart2"), Wire("bme280", "i2c0", {"address": 0x76}))


@dataclass(frozen=True)
class Kept:
    """One `kept` line of the console."""

    boot: int
    count: int
    utc_s: int | None
    ticks_s: int
    values: tuple[int | None, ...]


class Air:
    """What there is to measure: the same all the time."""

    def channel(self, name: str) -> Callable[[int], float] | None:
        return (lambda _us: AIR[name]) if name in AIR else None


class Yard:
    """The world, its node and its peer; `config` changes keys of CONFIG, `wires` and `air` what there is."""

    def __init__(
        self,
        folder: Path,
        seed: int = 1,
        wires: Sequence[Wire] = WIRES,
        air: Environment | None = None,
        core: int | None = None,
        board: str = "esp32",
        **config: Any,
    ) -> None:
        self.world = World(VirtualLoop(), START_UTC_MS, seed=seed, core=core)
        self.root = folder / "air-01"
        self.root.mkdir(parents=True)
        install_firmware(self.root)
        (self.root / "main.py").write_text("import balise_node.main\n", encoding="utf-8")
        (self.root / "config.json").write_text(json.dumps(CONFIG | {"board": board} | config), encoding="utf-8")
        self.utc_shift_ms: int | None = 0  # of the gateway's clock; None: it has none
        self.peer = Peer(FrameKeys(KEY), self._gateway_utc_ms)
        self.node: Node = self.world.add_node("air-01", load_board(board), self.root, wires, air or Air())
        self._server: Any = None
        self.replace_peer(None)

    def __enter__(self) -> "Yard":
        self.node.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.world.close()
        self.world.loop.close()

    def run(self, minutes: float) -> None:
        """So much of the world's time."""
        self._run(self.world.run_for(minutes * 60))

    def replace_peer(self, pieces: list[bytes] | None) -> None:
        """From now on somebody else listens at the gateway's address, who says these; None: the peer again."""
        if self._server is not None:
            self._server.crash()
        speaker = self.peer.listener.connect if pieces is None else lambda: Speech(pieces)
        self._server = self._run(self.world.network.listen(speaker, HOST, PORT))

    def replace_gateway(self) -> None:
        """Another gateway with the same configuration and an empty disk."""
        self.peer = Peer(FrameKeys(KEY), self._gateway_utc_ms, came_late=True)
        self.replace_peer(None)

    def kept(self) -> list[Kept]:
        """What the node said it kept."""
        found = []
        for _, line in self.node.console.lines:
            words = line.split()
            if words[:1] == ["kept"]:
                values = tuple(None if word == "-" else int(word) for word in words[5:])
                utc_s = None if words[3] == "-" else int(words[3])
                found.append(Kept(int(words[1]), int(words[2]), utc_s, int(words[4]), values))
        return found

    def said(self, beginning: str) -> list[str]:
        """The console's lines that begin so."""
        return [line for _, line in self.node.console.lines if line.startswith(beginning)]

    def check_nothing_lost(self) -> list[Row]:
        """Every row that was kept is at the peer, once, with its values; returns the peer's rows."""
        rows = self.peer.rows()
        at_peer = {(boot, count): frame for (boot, count), frame in self.peer.frames.items()}
        for line in self.kept():
            assert (line.boot, line.count) in at_peer, f"{line} was kept and never came"
        by_time = [(row.utc_s, row.boot if row.utc_s is None else 0, row.ticks_s) for row in rows]
        assert len(set(by_time)) == len(by_time), "two rows for one slot"
        said = {(line.utc_s, None if line.utc_s else line.ticks_s, line.values) for line in self.kept()}
        assert said <= {(row.utc_s, row.ticks_s, row.values) for row in rows}
        return rows

    def _gateway_utc_ms(self) -> int | None:
        return None if self.utc_shift_ms is None else self.world.utc_ms + self.utc_shift_ms

    def _run(self, coroutine: Any) -> Any:
        return self.world.loop.run_until_complete(coroutine)
