"""A board's buses, with the device models wired to them: one module per kind, found by its name.

A module of this folder whose name is a kind of bus holds `class Port(BusPort)`; port.py has the contract. Promises: bus
time by the bus's own speed, the board's errno, and a bus that firmware opens on other pins than the wires is empty.
Leaves to others: what devices answer (devices/), and when (they have no clock).
"""

from balise_sim.buses.bench import Bench, Wire
from balise_sim.buses.port import WiringError

__all__ = ("Bench", "Wire", "WiringError")
