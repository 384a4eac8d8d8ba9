"""Puts one boot of a node together from its config.json. Forgotten when that is done.

What stays is imported first, while memory is in one piece; what only the start needs is imported where it is needed,
and forgotten. Leaves to others what the parts do, and running them.
"""

import time

from balise_node import links, rows
from balise_node.app import forget
from balise_node.board import Watchdog
from balise_node.clock import BootClock
from balise_node.keeper import Keeper
from balise_node.node import Node
from balise_node.rows import MANIFEST
from balise_node.sender import Sender
from balise_node.store import FrameStore
from balise_wire import cbor
from balise_wire.frames import FrameKeys

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node._shapes import Config
    from balise_node.sensors import Sensors

_FRAMES, _BOOT, _BOOT_COPY = "/frames.bin", "/boot", "/boot.bak"


def build(config: "Config") -> "tuple[Node, Sender]":
    """Puts a node together, counts its boot and keeps its hello. Raises ConfigError, OSError."""
    keys = FrameKeys(config["key"])
    store = FrameStore(_FRAMES, keys.kid, config["store_bytes"])
    store.open()
    link = links.load(config, keys.kid)
    sensors = _sensors(config)
    manifest = _manifest(config["node"], sensors)
    boot = _count_boot(store)
    period_ms = config["period_s"] * 1000
    keeper = Keeper(keys, store, config["node"], boot, period_ms)
    keeper.say_hello(manifest)
    clock = BootClock(time.ticks_ms, time.ticks_diff)
    sender = Sender(keys, store, link, clock, boot)
    sender.first_wait_ms = config["ack_wait_s"] * 1000
    node = Node(keeper, sender, sensors, clock, period_ms)
    node.watchdog = Watchdog(config["watchdog_s"])
    if store.set_aside:
        print("store: frames of another key were put aside as", _FRAMES + ".old")
    print(f"store: {store.waiting} frames wait")
    return node, sender


def _sensors(config: "Config") -> "Sensors":
    from balise_node.fitting import fit

    sensors = fit(config["sensors"], config["period_s"])
    del fit  # a function keeps its module
    forget("balise_node.fitting", "balise_node.buses")
    return sensors


def _manifest(node: str, sensors: "Sensors") -> bytes:
    """What the columns mean, packed: as objects it takes ten times as much."""
    manifest = cbor.encode(rows.manifest(MANIFEST, node, sensors.models))
    forget("balise_wire.channels")
    return manifest


def _count_boot(store: FrameStore) -> int:
    from balise_node.boots import next_boot

    boot = next_boot((_BOOT, _BOOT_COPY), store.highest_boot)
    del next_boot
    forget("balise_node.boots")
    return boot
