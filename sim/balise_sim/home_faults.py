"""What can go wrong inside one home: its sensors, its board's buses, its board's flash; each by the name of a scenario.

Promises: `names(home)` is every fault that this home has, none that would change nothing; `switch` plays one of them
on a running node. Leaves to others: when (stage.py) and what is then seen (devices, buses, flash.py).
"""

from typing import TYPE_CHECKING

from balise_sim.buses.bench import port_class
from balise_sim.kits import faults_of
from balise_sim.layout import wiring

if TYPE_CHECKING:
    from balise_sim.node import Node
    from balise_sim.scenario import Home

FLASH = "flash"
FLASH_FAULTS = {
    "full": "something else takes all that is free: the node can keep nothing more",
    "bit_rot": "when it begins, one bit of the kept frames flips; it stays so",
}
KEPT_FILE = "frames.bin"


def names(home: "Home") -> list[str]:
    """Such as sds011.silence, i2c0.nack_data and flash.full."""
    found = [f"{model}.{fault}" for model in home.sensors for fault in faults_of(model)]
    ports = sorted({(bus.kind, bus.number) for _, bus in wiring(home)})
    found += [f"{kind}{number}.{fault}" for kind, number in ports for fault in port_class(kind).FAULTS]
    return found + [f"{FLASH}.{fault}" for fault in FLASH_FAULTS]


def switch(node: "Node", what: str, on: bool) -> None:
    """Begins or ends one of the faults on a node. Raises ValueError for a name that this node does not have."""
    part, _, fault = what.partition(".")
    kind = part.rstrip("0123456789")
    port = node.bench.ports.get(kind, {}).get(int(part.removeprefix(kind) or -1))
    if part in node.bench.devices:
        node.bench.devices[part].fault(fault, on)
    elif port is not None:
        port.fault(fault, on)
    elif part == FLASH:
        _switch_flash(node, fault, on)
    else:
        parts = [*node.bench.devices, *(f"{k}{n}" for k, ports in node.bench.ports.items() for n in ports), FLASH]
        raise ValueError(f"{node.name}: no {part!r} to go wrong ({what!r}); it has {', '.join(parts)}")


def _switch_flash(node: "Node", fault: str, on: bool) -> None:
    if fault not in FLASH_FAULTS:
        raise ValueError(f"{FLASH}: no fault {fault!r}; it has {', '.join(FLASH_FAULTS)}")
    if fault == "full":
        node.flash.reserve(0)
        # One byte more than there is: to append, littlefs needs a fresh block even where the last has room
        node.flash.reserve(max(0, node.flash.free_bytes()) + 1 if on else 0)
    elif on and (node.root / KEPT_FILE).exists():
        node.flash.rot(KEPT_FILE, node.world.seed)
