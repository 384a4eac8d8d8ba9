"""Puts one boot of a node together from its config.json. Forgotten when that is done.

Leaves to others what the parts do, and running them.
"""

import time

from balise_node.app import forget
from balise_wire.frames import FrameKeys

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node._shapes import Config
    from balise_node.node import Node
    from balise_node.sender import Sender

_FRAMES, _BOOT, _BOOT_COPY = "/frames.bin", "/boot", "/boot.bak"


def build(config: "Config") -> "tuple[Node, Sender]":
    """Puts a node together, counts its boot and keeps its hello. Raises ConfigError, OSError.

    A module takes three times its size while it is compiled, so the large ones come while most memory is free.
    """
    keys = FrameKeys(config["key"])
    from balise_node.store import FrameStore

    store = FrameStore(_FRAMES, keys.kid, config["store_bytes"])
    store.open()
    from balise_node import links

    link = links.load(config, keys.kid)
    from balise_node.board import Buses, Watchdog
    from balise_node.sensors import Sensors

    sensors = Sensors(config["sensors"], Buses(), config["period_s"])
    from balise_node.boots import next_boot
    from balise_node.clock import BootClock
    from balise_node.keeper import Keeper

    boot = next_boot((_BOOT, _BOOT_COPY), store.highest_boot)
    period_ms = config["period_s"] * 1000
    keeper = Keeper(keys, store, config["node"], boot, period_ms)
    keeper.say_hello(sensors.models)
    forget("balise_wire.channels")
    from balise_node.node import Node
    from balise_node.sender import Sender

    clock = BootClock(time.ticks_ms, time.ticks_diff)
    sender = Sender(keys, store, link, clock, boot)
    sender.first_wait_ms = config["ack_wait_s"] * 1000
    node = Node(keeper, sender, sensors, clock, period_ms)
    node.watchdog = Watchdog(config["watchdog_s"])
    if store.set_aside:
        print("store: frames of another key were put aside as", _FRAMES + ".old")
    print(f"store: {store.waiting} frames wait")
    return node, sender
