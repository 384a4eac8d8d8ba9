"""Lays out a street on disk: node roots with their configuration, the gateway's configuration, keys.

Promises: the same scenario and seed give the same files. The keys are made from the seed, so they are for the
simulator only: a real gateway makes its own on first run. Leaves to others: starting anything.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from balise_boards import Bus, load_board
from balise_sim.kits import WANTED, KitError, model_of
from balise_wire.envelope import Signer

if TYPE_CHECKING:
    from balise_sim.scenario import Home, Scenario

PASSWORD_CHARS = 16
GATEWAY_HOST = "192.168.4.1"  # where the nodes' network has the gateway, in memory or relayed
MQTT_PORT = 1883
HUB_LOG = 1
FIRST_SELECT_PIN = 4  # those below start an ESP32 or are its console
SHARED_KINDS = ("i2c", "spi", "onewire")
KNOWN_BY_PIN = ("onewire", "adc")  # their number in config.json is their pin
HUB_SEED, GATEWAY_SEED = "hub signing key", "gateway signing key"


@dataclass(frozen=True)
class Ports:
    """Where the gateway listens and whom it calls: host:port of each."""

    mqtt_host: str = GATEWAY_HOST
    mqtt_port: int = MQTT_PORT
    page_port: int = 0  # 0: no page
    hub_url: str = "http://hub.example"


@dataclass(frozen=True)
class Site:
    """Where everything of one street lies."""

    root: Path
    gateway_toml: Path
    data_dir: Path
    hub_db: Path
    hub_signer: Signer
    gateway_keys: dict[bytes, bytes]  # kid to public key: what the hub has enrolled
    node_roots: dict[str, Path]


def secret(seed: int, what: str, size_bytes: int) -> bytes:
    return hashlib.sha256(f"balise simulator {seed} {what}".encode()).digest()[:size_bytes]


def lay_out(scenario: "Scenario", root: Path, seed: int, ports: Ports) -> Site:
    """Writes all files of a street under `root` (made when missing)."""
    data_dir = root / "gateway"
    data_dir.mkdir(parents=True, exist_ok=True)
    signing_seed = secret(seed, GATEWAY_SEED, 32)
    key_file = data_dir / "signing.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(signing_seed)
    gateway, hub = Signer(signing_seed), Signer(secret(seed, HUB_SEED, 32))
    toml = root / "gateway.toml"
    toml.touch(mode=0o600)
    toml.write_text(_gateway_toml(scenario, seed, data_dir, ports, hub.public_key), encoding="utf-8")
    roots = {home.name: _node_root(home, scenario, root / "nodes", seed) for home in scenario.homes}
    return Site(root, toml, data_dir, root / "hub.sqlite", hub, {gateway.kid: gateway.public_key}, roots)


def _short(home: "Home") -> str:
    return home.name.rsplit(":", 1)[-1]


def _password(seed: int, home: "Home") -> str:
    return secret(seed, home.name + " password", 16).hex()[:PASSWORD_CHARS]


def _gateway_toml(scenario: "Scenario", seed: int, data_dir: Path, ports: Ports, hub_key: bytes) -> str:
    lines = ["[gateway]", f'data_dir = "{data_dir}"', "", "[[ingest]]", 'kind = "mqtt_listener"']
    lines += [f'host = "{ports.mqtt_host}"', f"port = {ports.mqtt_port}", "", "[ingest.users]"]
    lines += [f'{_short(home)} = "{_password(seed, home)}"' for home in scenario.homes]
    for home in scenario.homes:
        lines += ["", "[[node]]", f'name = "{home.name}"', f'key = "{secret(seed, home.name, 16).hex()}"']
    lines += ["", "[[hub]]", 'name = "street"', 'kind = "native"', f'url = "{ports.hub_url}"', f"log = {HUB_LOG}"]
    lines += [f'public_key = "{hub_key.hex()}"', f"batch_s = {scenario.batch_s}", 'form = "rice"', "timeout_s = 600"]
    lines += ["", "[hub.grant]", 'channels = ["*"]', "indoor = true", "resolution_s = 0"]
    lines += ['purpose = "research"', 'licence = "CC-BY-4.0"']
    if ports.page_port:
        lines += ["", "[page]", 'host = "127.0.0.1"', f"port = {ports.page_port}"]
    return "\n".join(lines) + "\n"


def _node_root(home: "Home", scenario: "Scenario", nodes: Path, seed: int) -> Path:
    root = nodes / _short(home)
    root.mkdir(parents=True, exist_ok=True)
    key = secret(seed, home.name, 16)
    config = {
        "node": home.name,
        "board": home.board,
        "key": key.hex(),
        "period_s": scenario.period_s,
        "wifi": {"ssid": "street", "password": secret(seed, "wifi", 8).hex()},
        "mqtt": {
            "host": GATEWAY_HOST,
            "port": MQTT_PORT,
            "user": _short(home),
            "password": _password(seed, home),
            "keepalive_s": 300,
        },
        "sensors": _sensors(home),
    }
    (root / "main.py").write_text("import balise_node.main\n", encoding="utf-8")
    (root / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return root


def wiring(home: "Home") -> list[tuple[str, Bus]]:
    """(sensor model, the board's port it is plugged into): those on I2C, SPI or 1-Wire share one, others have one each.

    No two ports of a home have a pin in common. On SPI the port's pins go with a chip select of the sensor's own.
    """
    board = load_board(home.board)
    usable = [bus for bus in board.buses if set(bus.role_pins.values()) <= set(board.gpio)]  # not the flash chip's pins
    taken = {pin for bus in usable for pin in bus.role_pins.values()}
    selects = [pin for pin in board.gpio if pin >= FIRST_SELECT_PIN and pin not in taken]
    used: list[Bus] = []
    wired = []
    for model in home.sensors:
        kind = model_of(model).BUS
        shared = [bus for bus in used if bus.kind == kind and kind in SHARED_KINDS]
        bus = shared[0] if shared else _free_port(home.board, kind, usable, used)
        if not shared:
            used.append(bus)
        if kind == "spi":
            bus = replace(bus, role_pins={**bus.role_pins, "cs": selects.pop(0)})
        wired.append((model, bus))
    return wired


def _free_port(board: str, kind: str, usable: list[Bus], used: list[Bus]) -> Bus:
    """The board's first port of that kind none of whose pins has a wire yet. Raises KitError."""
    pins = {pin for bus in used for pin in bus.role_pins.values()}
    for bus in usable:
        if bus.kind == kind and not pins & set(bus.role_pins.values()):
            return bus
    raise KitError(f"{board}: no free {kind} port for all these sensors; take fewer of them, or another board")


def _sensors(home: "Home") -> list[dict[str, object]]:
    """The entries of config.json. What two sensors measure is asked of the one named first, as rows have it once."""
    entries, given = [], set[str]()
    for model, bus in wiring(home):
        part = model_of(model)
        whole = (*(name for name in part.CHANNELS if name not in part.COUNTED), *part.REPORTS)
        wanted = [name for name in WANTED.get(model, whole) if name not in given]
        given.update(wanted)
        chosen = {"channels": wanted} if set(wanted) != set(whole) else {}
        pins = {} if bus.kind in KNOWN_BY_PIN else bus.role_pins
        entries.append({"model": model, bus.kind: bus.number, **pins, **chosen})
    return entries
