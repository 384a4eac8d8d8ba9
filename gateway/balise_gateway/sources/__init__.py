"""What foreign devices say. The contract `Source`, and one module per kind, found by its name.

A source turns one message of somebody else's protocol into `Heard`: which device, when, and values as scaled integers.
It carries nothing and keeps nothing: ingests bring messages (`ingests/`), `foreign.py` gathers rows and knows repeats.

A kind is a module with two names: `Settings`, a frozen dataclass of its configuration keys that inherits
`SourceSettings`, and `Source`, a class that fulfils the contract and is made with `Source(settings, boot_ms)`: a clock
that never jumps, for kinds that limit how often a device may speak. It imports heavy libraries when it is used, not
before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol
from urllib.parse import quote

from balise_gateway.errors import GatewayError
from balise_gateway.settings import Key
from balise_wire.channels import channel

NODE_URN = "urn:dev:"  # RFC 9039
UNKNOWN_MODEL = "unknown"
INT32_LOW, INT32_HIGH = -0x80000000, 0x7FFFFFFF
MAX_DEVICE_CHARACTERS = 64


class SourceError(GatewayError):
    """A message that cannot be used: `reason` is a short name to count by, the text says what is wrong."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """What every [[source]] has."""

    kind: Annotated[str, Key("whose messages these are")]
    prefix: Annotated[str, Key("what stands before a device's id in its node's URN, such as urn:dev:ops:b4115e-")]
    indoor: Annotated[
        bool | None, Key("true: its devices stand inside a building, false: outdoors; unset: not known")
    ] = None

    def problem(self) -> str | None:
        if self.prefix.startswith(NODE_URN) and self.prefix.isprintable() and " " not in self.prefix:
            return None
        return f"prefix = {self.prefix!r}: must be the beginning of a URN that starts with {NODE_URN} (RFC 9039)"


@dataclass(frozen=True, slots=True)
class Column:
    """One value of a row: value = integer / 10 ** scale, in a SenML unit."""

    name: str
    unit: str
    scale: int
    resolution: int = 1
    model: str = UNKNOWN_MODEL

    @classmethod
    def of_channel(cls, name: str, model: str = UNKNOWN_MODEL) -> "Column":
        """The column of a channel of the table; raises WireError for another name."""
        row = channel(name)
        return cls(row.name, row.unit, row.scale, row.resolution, model)


class Shape:
    """What the rows of one kind of message look like. Compared by identity: a source makes each of its shapes once."""

    __slots__ = ("columns", "tick_ms")

    def __init__(self, columns: Sequence[Column], tick_ms: int = 1) -> None:
        self.columns, self.tick_ms = tuple(columns), tick_ms


class Heard(NamedTuple):
    """One row of one device."""

    device: str  # as its source calls it
    utc_ms: int | None  # when it was measured; None where the message does not say
    shape: Shape
    values: Sequence[int | None]  # one for each column, at least one of them present
    id: bytes | None = None  # what tells this message from all others, where its protocol has such a thing


class Source(Protocol):
    """One kind of foreign message. One method and one attribute; a constructor that only builds."""

    wants: Sequence[str]  # MQTT topic filters, and paths of HTTP requests, which start with "/"

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        """The rows of one message. `address` is its MQTT topic, or its HTTP path and query.

        The same message read twice gives equal rows, in one order. Raises SourceError and nothing else, whatever the
        bytes.
        """
        ...


def urn_part(device: str) -> str:
    """A device's id as it may stand in a URN (RFC 8141): other characters than letters, digits and -._~ as %XX."""
    if not 0 < len(device) <= MAX_DEVICE_CHARACTERS:
        raise SourceError("device", f"a device's id of {len(device)} characters; 1 to {MAX_DEVICE_CHARACTERS}")
    return quote(device, safe="")


def scaled(value: object, factor: float, offset: float = 0.0) -> int | None:
    """`value` * factor + offset as a whole number of 32 bits; None for what is no number, or none that fits.

    Text is taken where it is a number: several protocols write their values so.
    """
    if value is None or value is True or value is False:
        return None
    try:
        number = round(float(value) * factor + offset)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinite
        return None
    return number if INT32_LOW <= number <= INT32_HIGH else None


# What others measure in, as (SenML unit, factor, offset). Units that are SenML's own (RFC 8428, RFC 8798) need no line.
_CONVERSIONS: dict[str, tuple[str, float, float]] = {
    "hPa": ("Pa", 100.0, 0.0),
    "mbar": ("Pa", 100.0, 0.0),
    "kPa": ("Pa", 1000.0, 0.0),
    "mmHg": ("Pa", 133.322387415, 0.0),
    "inHg": ("Pa", 3386.389, 0.0),
    "psi": ("Pa", 6894.757293, 0.0),
    "\N{DEGREE SIGN}C": ("Cel", 1.0, 0.0),
    "C": ("Cel", 1.0, 0.0),
    "\N{DEGREE SIGN}F": ("Cel", 5 / 9, -160 / 9),
    "F": ("Cel", 5 / 9, -160 / 9),
    "K": ("Cel", 1.0, -273.15),
    "%": ("%RH", 1.0, 0.0),
    "\N{MICRO SIGN}g/m\N{SUPERSCRIPT THREE}": ("ug/m3", 1.0, 0.0),
    "\N{GREEK SMALL LETTER MU}g/m\N{SUPERSCRIPT THREE}": ("ug/m3", 1.0, 0.0),
    "\N{MICRO SIGN}g/m3": ("ug/m3", 1.0, 0.0),
    "mg/m3": ("ug/m3", 1000.0, 0.0),
    "dBA": ("dB", 1.0, 0.0),
    "dB(A)": ("dB", 1.0, 0.0),
    "mV": ("V", 0.001, 0.0),
    "mA": ("A", 0.001, 0.0),
    "mW": ("W", 0.001, 0.0),
    "kW": ("W", 1000.0, 0.0),
    "\N{GREEK CAPITAL LETTER OMEGA}": ("Ohm", 1.0, 0.0),
    "\N{OHM SIGN}": ("Ohm", 1.0, 0.0),
}


class Measure(NamedTuple):
    """How a foreign number becomes the value of a column: value * factor + offset."""

    column: Column
    factor: float
    offset: float

    def value(self, number: object) -> int | None:
        """The scaled integer, or None (see `scaled`)."""
        return scaled(number, self.factor, self.offset)


def measure(column: Column, unit: str | None) -> Measure | None:
    """From numbers in `unit` to this column; None where the two measure different things. No unit: the column's own."""
    step = 10.0**column.scale
    if unit is None or unit == column.unit:
        return Measure(column, step, 0.0)
    told = _CONVERSIONS.get(unit)
    if told is None or told[0] != column.unit:
        return None
    return Measure(column, told[1] * step, told[2] * step)
