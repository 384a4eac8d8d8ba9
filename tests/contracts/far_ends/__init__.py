"""The far ends that the hub suite talks to: one file per kind, found by its name, with a class `FarEnd`.

A far end stands on the wire (an httpx transport, a broker, a folder), reads what comes with a decoder that is not ours
where there is one, and can be told to misbehave. It promises to hold only what it answered "yes" to.
"""

import importlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from balise_gateway.errors import HubError
from balise_gateway.hubs import Hub, RowHub
from balise_gateway.logbook.rows import HubRow, Value
from balise_wire.channels import channel
from balise_wire.envelope import Signer

GATEWAY = Signer(b"g" * 32)
LOG = 3
AIR, STREET = "urn:dev:ops:b4115e-air-01", "urn:dev:ops:b4115e-noise-02"
START_UTC_MS = 1_544_313_600_000  # 2018-12-09T00:00:00Z


class Held(NamedTuple):
    """One value at the far end, in our words: `utc_ms` is None at a hub that takes no time."""

    node: str
    channel: str
    utc_ms: int | None
    number: Decimal


class FarEnd(Protocol):
    """What the suite asks of the far end of one kind; made with a folder of its own."""

    answers: Mapping[str, type[HubError]]  # the words for `answer` that make the hub raise, and what it raises
    secrets: tuple[str, ...]  # what no repr and no error may show
    time_step_ms: int  # the fineness of time at this hub; 0: it takes none
    answer: str  # "ok", or one of the words above
    requests: int  # how often anything was sent to it

    def hub(self, **settings: Any) -> Hub | RowHub:
        """A hub that talks to this far end; `settings` replace those that it has chosen."""
        ...

    def held(self) -> list[Held]:
        """Every value that it has said "yes" to, in the order of arrival; of row hubs only."""
        ...

    def captured(self) -> str:
        """What has come over the wire, written as text that people can read; of row hubs only."""
        ...

    def close(self) -> None:
        """Ends what it has started."""
        ...


def far_end(kind: str, folder: Path) -> FarEnd:
    """The far end of this kind."""
    made: FarEnd = importlib.import_module(f"contracts.far_ends.{kind}").FarEnd(folder)
    return made


def row(seq: int, index: int, node: str, utc_ms: int, **integers: int) -> HubRow:
    """A row of these channels, as scaled integers of the channel table."""
    told = {name: channel(name) for name in integers}
    values = tuple(Value(name, told[name].unit, number, told[name].scale) for name, number in integers.items())
    entries = [entry.manifest_entry("bme280") for entry in told.values()]
    about: dict[object, object] = {"node": node, "trust": "node-signed", "channels": entries}
    return HubRow(seq, index, node, utc_ms, 20, values, about)


ROWS = (
    row(7, 0, AIR, START_UTC_MS, pm2_5=27, pm10=41, temperature=-722, humidity=8483, pressure=98797),
    row(7, 2, STREET, START_UTC_MS + 500, laeq=612, pm2_5=80, temperature=5),
    row(8, 0, AIR, START_UTC_MS + 145_250, pm2_5=0, pm10=12345, temperature=-700, humidity=8500, pressure=98801),
)
