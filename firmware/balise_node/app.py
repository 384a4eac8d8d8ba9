"""Starts a node and stands above it: config.json first, then its life; after a fault the board starts again.

Promises that a wrong config.json is told and nothing else happens, and that a fault nobody foresaw is shown and ends in
a restart. Modules are imported when they are needed and forgotten when not: memory is what a board has least of.
"""

import asyncio
import gc
import sys
import time

from balise_node.errors import ConfigError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

    from balise_node._shapes import Config
    from balise_node.board import Watchdog
    from balise_node.node import Node
    from balise_node.sender import Sender

_FRAMES, _BOOT, _BOOT_COPY = "/frames.bin", "/boot", "/boot.bak"
_COLLECT_EVERY_BYTES = 4096  # often, or what is free ends up in pieces that are too small for the next module


class Top:
    """What stands above all tasks: whatever nobody foresaw is shown, then the board starts again."""

    def __init__(self) -> None:
        self.restart_s = 60
        self.watchdog: Watchdog | None = None

    def fault(self, _loop: "Any", context: "dict[str, Any]") -> None:
        """asyncio calls this with the exception that ended a task."""
        from balise_node.board import restart

        sys.print_exception(context["exception"])
        restart(self.restart_s, self.watchdog)


def load_config() -> "Config":
    """config.json; the module that reads it is forgotten at once. Raises ConfigError."""
    from balise_node.config import load

    config = load()
    forget("balise_node.config")
    return config


def build(config: "Config") -> "tuple[Node, Sender]":
    """Puts a node together, counts its boot and keeps its hello. Raises ConfigError, OSError.

    A module takes three times its size while it is compiled, so the large ones come while most memory is free.
    """
    from balise_wire.frames import FrameKeys

    keys = FrameKeys(config["key"])
    from balise_node.store import FrameStore

    store = FrameStore(_FRAMES, keys.kid, config["store_bytes"])
    store.open()
    from balise_node import links

    link = links.load(config, keys.kid)
    from balise_node.board import Buses, Watchdog
    from balise_node.sensors import Sensors

    sensors = Sensors(config["sensors"], Buses())
    from balise_node.boots import next_boot
    from balise_node.clock import BootClock
    from balise_node.keeper import Keeper

    boot = next_boot((_BOOT, _BOOT_COPY), store.highest_boot)
    period_ms = config["period_s"] * 1000
    keeper = Keeper(keys, store, config["node"], boot, period_ms)
    keeper.say_hello(sensors.models)
    forget("balise_node.boots", "balise_wire.channels")
    from balise_node.node import Node
    from balise_node.sender import Sender

    clock = BootClock(time.ticks_ms, time.ticks_diff)
    sender = Sender(keys, store, link, clock, boot)
    sender.first_wait_ms = config["ack_wait_s"] * 1000
    node = Node(keeper, sender, sensors, clock, period_ms)
    node.watchdog = Watchdog(config["watchdog_s"])
    if store.set_aside:
        print("store: frames of another key were put aside as", _FRAMES + ".old")
    print(f"boot {boot}: {store.waiting} frames wait, kid {keys.kid.hex()}, {gc.mem_free()} bytes free")
    gc.threshold(-1)  # from here on memory is taken and given back in small pieces
    return node, sender


async def live(top: Top) -> None:
    """From config.json to measuring, for ever; returns only when config.json is wrong."""
    try:
        config = load_config()
        top.restart_s = config["restart_s"]
        node, sender = build(config)
        top.watchdog = node.watchdog
    except ConfigError as error:
        print(error)
        asyncio.get_event_loop().stop()
        return
    sending = asyncio.create_task(sender.run())
    await node.measure()
    sending.cancel()


def forget(*names: str) -> None:
    """Gives back the memory of modules that only the start needs."""
    for name in names:
        sys.modules.pop(name, None)
        package, stem = name.split(".")
        if hasattr(sys.modules[package], stem):
            delattr(sys.modules[package], stem)
    gc.collect()


def main() -> None:
    """Runs until the power goes; returns only when config.json is wrong: nothing would get better by a restart."""
    gc.threshold(_COLLECT_EVERY_BYTES)
    top = Top()
    loop = asyncio.get_event_loop()
    loop.set_exception_handler(top.fault)
    alive = loop.create_task(live(top))
    try:
        loop.run_forever()
    except (MemoryError, OSError) as error:  # out of the loop itself, as when it asks the sockets
        top.fault(loop, {"exception": error})
    alive.cancel()
