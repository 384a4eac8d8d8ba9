"""Items: what stands in a node frame and in an envelope, as plain objects that pack to arrays and back.

Promises that unpack_item() takes every array whose first member is a kind, keeps kinds from the future as Unknown, and
refuses known kinds of the wrong shape. Leaves to readings.py the rows, to the gateway and the hub what follows.
"""

from balise_wire import checks, readings
from balise_wire.errors import WireError
from balise_wire.readings import Readings

__all__ = [
    "Anchor",
    "Carried",
    "Item",
    "Loss",
    "Manifest",
    "Readings",
    "Receipt",
    "Source",
    "Unknown",
    "Visit",
    "VisitMapping",
    "unpack_item",
]


class Item:
    """What the small kinds have in common: equal when they pack to the same array."""

    kind = -1

    def pack(self) -> list[object]:
        """The array of the wire format."""
        raise WireError("malformed", "an item without a kind")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and self.pack() == other.pack()

    def __repr__(self) -> str:
        return type(self).__name__ + repr(self.pack())


class Manifest(Item):
    """Kind 1: what the columns of one node mean, under a number that this log never reuses."""

    kind = 1

    def __init__(self, number: int, map: dict[object, object]) -> None:
        self.number = number
        self.map = map

    def pack(self) -> list[object]:
        return [self.kind, self.number, self.map]


class Anchor(Item):
    """Kind 2: at `boot_ms` of the clock domain `boot`, UTC was `utc_ms`, give or take `uncertainty_ms`."""

    kind = 2

    def __init__(self, boot: int, boot_ms: int, utc_ms: int, source: str, uncertainty_ms: int) -> None:
        self.boot = boot
        self.boot_ms = boot_ms
        self.utc_ms = utc_ms
        self.source = source
        self.uncertainty_ms = uncertainty_ms

    def pack(self) -> list[object]:
        return [self.kind, self.boot, self.boot_ms, self.utc_ms, self.source, self.uncertainty_ms]


class Loss(Item):
    """Kind 3: what was lost and why. `first` and `last` are numbers, or [boot, number] each."""

    kind = 3

    def __init__(self, node: str, what: str, first: int | list[int], last: int | list[int], reason: str) -> None:
        self.node = node
        self.what = what
        self.first = first
        self.last = last
        self.reason = reason

    def pack(self) -> list[object]:
        return [self.kind, self.node, self.what, self.first, self.last, self.reason]


class _OfMap(Item):
    def __init__(self, map: dict[object, object]) -> None:
        self.map = map

    def pack(self) -> list[object]:
        return [self.kind, self.map]


class Visit(_OfMap):
    """Kind 4: a badge visit record."""

    kind = 4


class VisitMapping(_OfMap):
    """Kind 8: what was found out later about badge visits of this log."""

    kind = 8


class Receipt(_OfMap):
    """Kind 5: a contribution receipt, one stream and one day."""

    kind = 5


class Source(_OfMap):
    """Kind 6: where a recipient's log comes from."""

    kind = 6


class Carried(Item):
    """Kind 7: an envelope that a node signed itself, whole and unchanged."""

    kind = 7

    def __init__(self, envelope: bytes) -> None:
        self.envelope = envelope

    def pack(self) -> list[object]:
        return [self.kind, self.envelope]


class Unknown(Item):
    """A kind that this version does not know: kept, told on, never refused. `rest` is all after the kind."""

    def __init__(self, kind: int, rest: list[object]) -> None:
        self.kind = kind
        self.rest = rest

    def pack(self) -> list[object]:
        return [self.kind] + self.rest  # noqa: RUF005 (MicroPython has no star in a list)


def unpack_item(array: object) -> Item | Readings:
    """The item that an array stands for."""
    members = checks.array(array, "item")
    kind = checks.uint(members[0] if members else None, "kind of an item")
    if kind == 0:
        return readings.unpack(members)
    if kind >= len(_UNPACK):
        return Unknown(kind, members[1:])
    size, unpack = _UNPACK[kind]
    if len(members) != size:
        raise WireError("malformed", f"item of kind {kind} with {len(members)} members, not {size}")
    return unpack(members)


def _manifest(members: list[object]) -> Manifest:
    number = checks.uint(members[1], "manifest number")
    told = checks.mapping(members[2], "manifest")
    checks.text(told.get("node"), "node of a manifest")
    if not checks.uint(told.get("tick_ms", 1000), "tick_ms of a manifest", 0xFFFFFFFF):
        raise WireError("malformed", "tick_ms of a manifest is 0")
    for channel in checks.array(told.get("channels", []), "channels of a manifest"):
        entry = checks.mapping(channel, "channel of a manifest")
        checks.text(entry.get("n"), "name of a channel")
        checks.text(entry.get("u"), "unit of a channel")
        scale = entry.get("s")
        if checks.int32(scale, "scale of a channel") not in range(-9, 19):
            raise WireError("malformed", f"scale {scale} of a channel is not in -9 to 18")
    return Manifest(number, told)


def _anchor(members: list[object]) -> Anchor:
    return Anchor(
        checks.uint(members[1], "boot of an anchor"),
        checks.uint(members[2], "boot_ms of an anchor"),
        checks.uint(members[3], "utc_ms of an anchor"),
        checks.text(members[4], "source of an anchor"),
        checks.uint(members[5], "uncertainty_ms of an anchor"),
    )


def _loss(members: list[object]) -> Loss:
    return Loss(
        checks.text(members[1], "node of a loss"),
        checks.text(members[2], "kind of a loss"),
        _edge(members[3]),
        _edge(members[4]),
        checks.text(members[5], "reason of a loss"),
    )


def _edge(value: object) -> int | list[int]:
    if isinstance(value, list):
        return [checks.uint(part, "edge of a loss") for part in checks.array(value, "edge of a loss", 2)]
    return checks.uint(value, "edge of a loss")


def _visit(members: list[object]) -> Visit:
    return Visit(checks.mapping(members[1], "visit"))


def _visit_mapping(members: list[object]) -> VisitMapping:
    return VisitMapping(checks.mapping(members[1], "mapping of visits"))


def _receipt(members: list[object]) -> Receipt:
    return Receipt(checks.mapping(members[1], "receipt"))


def _source(members: list[object]) -> Source:
    return Source(checks.mapping(members[1], "source"))


def _carried(members: list[object]) -> Carried:
    return Carried(checks.binary(members[1], "carried envelope"))


_UNPACK = (  # by kind: members of the array, and who unpacks it; kind 0 has no fixed size
    (0, _manifest),
    (3, _manifest),
    (6, _anchor),
    (6, _loss),
    (2, _visit),
    (2, _receipt),
    (2, _source),
    (2, _carried),
    (2, _visit_mapping),
)
