"""What a hub holds after a street was played, as the tests look at it."""

from typing import Any

from balise_sim.hub import HubStore
from balise_sim.street import Street
from balise_wire.envelope import verify_envelope
from balise_wire.items import Manifest, Readings


def items_at_hub(street: Street) -> list[Any]:
    """All items that the hub holds, in order, verified."""
    store = HubStore(street.site.hub_db)
    signed = [cose for kid, log in store.logs() for _, cose in store.envelopes(kid, log)]
    store.close()
    return [item for cose in signed for item in verify_envelope(cose, street.site.gateway_keys).items]


def dated_readings(street: Street, node: str) -> list[tuple[Readings, list[str]]]:
    """One node's readings that bear UTC, each with the names of its columns."""
    columns: dict[int, list[str]] = {}
    found = []
    for item in items_at_hub(street):
        if isinstance(item, Manifest) and item.map["node"] == node:
            columns[item.number] = [entry["n"] for entry in item.map["channels"]]
        if isinstance(item, Readings) and item.manifest in columns and item.boot is None:
            found.append((item, columns[item.manifest]))
    return found


def values_at_hub(street: Street, node: str) -> dict[float, dict[str, float | None]]:
    """What the hub holds of one node, by UTC in seconds and channel."""
    found: dict[float, dict[str, float | None]] = {}
    for item, names in dated_readings(street, node):
        for row, time_s in enumerate(item.times):
            found[time_s] = {name: item.columns[at][row] for at, name in enumerate(names)}
    return found


def flags_at_hub(street: Street, node: str) -> dict[float, dict[str, int]]:
    """What the node doubts, by UTC in seconds and channel; a row without a doubt is not there."""
    found: dict[float, dict[str, int]] = {}
    for item, names in dated_readings(street, node):
        for at, runs in item.flags.items():
            for row, flag in runs:
                found.setdefault(item.times[row], {})[names[at]] = flag
    return found
