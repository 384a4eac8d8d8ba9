"""Starts a node and stands above it: config.json first, then its life; after a fault the board starts again.

Promises that a wrong config.json is told and nothing else happens, and that a fault nobody foresaw is shown and ends in
a restart. Modules are imported when they are needed and forgotten when not: memory is what a board has least of.
"""

import asyncio
import gc
import sys

from balise_node.errors import ConfigError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

    from balise_node.board import Watchdog
    from balise_node.node import Node
    from balise_node.sender import Sender

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


def start(top: Top) -> "tuple[Node, Sender]":
    """The node of config.json; what only the start needs is forgotten again. Raises ConfigError, OSError."""
    from balise_node.build import build  # first what stays, while memory is in one piece
    from balise_node.config import load

    config = load()
    del load
    forget("balise_node.config")
    top.restart_s = config["restart_s"]
    node, sender = build(config)
    del build
    top.watchdog = node.watchdog
    forget("balise_node.build")
    gc.threshold(-1)  # from here on memory is taken and given back in small pieces
    return node, sender


async def live(top: Top) -> None:
    """From config.json to measuring, for ever; returns only when config.json is wrong."""
    try:
        node, sender = start(top)
    except ConfigError as error:
        print(error)
        asyncio.get_event_loop().stop()
        return
    gc.collect()
    print(f"boot {sender.boot}: kid {sender.kid.hex()}, {gc.mem_free()} bytes free")
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
