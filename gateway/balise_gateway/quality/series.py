"""Rows of one node in UTC, column by column: what checks, corrections and aggregates look at.

Promises plain lists and nothing more. Leaves where rows come from to its callers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from balise_wire.items import Readings


@dataclass(frozen=True)
class Series:
    """`columns[c][row]` is an integer (value * 10**scales[c]) or None; `flags[c][row]` stands where it is not 1."""

    names: tuple[str, ...]
    scales: tuple[int, ...]
    times_ms: list[int]
    columns: list[list[int | None]]
    flags: dict[int, dict[int, int]] = field(default_factory=dict)

    def column(self, name: str) -> list[int | None] | None:
        """The values of the channel of this name; None when the node has none."""
        return self.columns[self.names.index(name)] if name in self.names else None

    def flags_of(self, number: int) -> dict[int, int]:
        return self.flags.get(number, {})


def of_readings(readings: Readings, names: Sequence[str], scales: Sequence[int], tick_ms: int) -> Series:
    """Rows of an item that is in UTC. Raises ValueError for ticks since a boot: they wait for their anchor."""
    if readings.boot is not None:
        raise ValueError("rows without UTC: wait for their anchor")
    flags = {number: {row: flag for row, flag in pairs} for number, pairs in readings.flags.items()}  # noqa: C416
    times_ms = [tick * tick_ms for tick in readings.times]
    return Series(tuple(names), tuple(scales), times_ms, readings.columns, flags)
