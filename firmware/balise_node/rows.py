"""What a node says, as the arrays of the wire format (SPEC.md section 2), ready to be sealed.

Packing only, so that a board need not hold `balise_wire.items`, which also reads; a test holds the two to the same
bytes. Leaves to others when what is said.
"""

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    Time = int | list[int]  # ticks since 1970, or [boot, ticks]

MANIFEST = 1  # the number of a boot's only manifest


def readings(manifest: int, time: "Time", values: list[int | None], flags: dict[int, int]) -> list[object]:
    """One row; `flags` is {column: QARTOD flag} of the values that the sensors themselves judge."""
    row: list[object] = [0, manifest, time, 0, 1]
    row.extend([[value] for value in values])
    if flags:
        row.append({column: [[0, flags[column]]] for column in flags})
    return row


def manifest(number: int, node: str, models: list[tuple[str, str]]) -> list[object]:
    """What the columns mean: (channel, sensor model) of each, in order. Raises WireError "channel"."""
    from balise_wire.channels import channel  # a table: needed only here, once

    columns: list[object] = [channel(name).manifest_entry(model) for name, model in models]
    return [1, number, {"node": node, "channels": columns}]


def anchor(boot: int, boot_ms: int, utc_ms: int, uncertainty_ms: int) -> list[object]:
    """At this moment of this boot, UTC was this, says the gateway."""
    return [2, boot, boot_ms, utc_ms, "gateway", uncertainty_ms]


def loss(node: str, what: str, first: "Time", last: "Time", reason: str) -> list[object]:
    """What was lost, and why."""
    return [3, node, what, first, last, reason]
