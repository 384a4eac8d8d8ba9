"""openSenseMap: measurements of boxes, `POST /boxes/<box>/data` as CSV, in which no digit is rounded.

One request per box, at most 2,500 values; a line is sensor, value, time with milliseconds (of a window its start). The
box's owner chooses the unit that is shown: give each sensor the unit of our channel table (temperature in degrees
Celsius, pressure in Pa). Times more than a minute ahead of the hub's clock are refused (422), as is a value it cannot
read: the uplink halves until it has found the row.

A repeat is a second measurement. What the hub said yes to is not repeated after an outage; a kill between its answer
and the journal's commit repeats the one batch in flight.

Sources: sensebox/openSenseMap-API 953c476 (tests/006-submit-measurements; models/src/measurement/decoding: limit,
times, ids of 24 hex digits, later of CUID2); docs.opensensemap.org.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any

from balise_gateway.delivery.http_hub import Http, HttpHubSettings, Part, Parts, header_problem, told_of, without_place
from balise_gateway.delivery.row_parts import iso
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow
from balise_gateway.settings import Key

MAX_VALUES = 2_500


@dataclass(frozen=True, kw_only=True)
class NodeAt:
    """[hub.nodes."<name of the node>"]: where its values go."""

    box: Annotated[str, Key("the id of the senseBox, 24 letters and digits")]
    token: Annotated[str, Key("the box's access token; empty when it asks for none")] = field(default="", repr=False)
    sensors: Annotated[dict[str, str], Key('the sensor id of each channel, such as pm2_5 = "5b4de0…"')]

    def problem(self) -> str | None:
        for name, text in {"box": self.box, **self.sensors}.items():
            if not (20 <= len(text) <= 32 and text.isascii() and text.isalnum() and text == text.lower()):
                return f"{name} = {text!r}: an id of openSenseMap has 24 small letters and digits"
        return header_problem(token=self.token)


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "opensensemap"."""

    url: Annotated[str, Key("where measurements go")] = "https://ingress.opensensemap.org"
    nodes: Annotated[dict[str, NodeAt], Key("the box of each node")] = field(default_factory=dict)


class Hub:
    """The boxes of one gateway."""

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self.traits = Traits(
            accepts_past=True,
            idempotent=False,
            ordered=False,
            batch_limit_bytes=256 * 1024,
            batch_limit_rows=1_000,
            channels=frozenset(channel for node in settings.nodes.values() for channel in node.sensors),
        )
        self._settings, self._parts = settings, Parts()
        tokens = [node.token for node in settings.nodes.values()]
        self._http = Http(transport, settings.timeout_s, f'a hub of kind "{settings.kind}"', tokens)

    async def send(self, rows: Sequence[HubRow]) -> int:
        refused = without_place(rows, self._settings.nodes, "box, token and sensors")
        parts = list(parts_of(rows, self._settings.nodes, refused))
        return await self._parts.send(parts, self._post, refused)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, parts: Sequence[Part]) -> int:
        node = self._settings.nodes[parts[0].group[0]]
        body = "".join(part.payload for part in parts).encode()
        headers = {"Content-Type": "text/csv"} | ({"Authorization": node.token} if node.token else {})
        with told_of(parts[0].group[0]):
            await self._http.ask("POST", f"{self._settings.base}/boxes/{node.box}/data", headers, body, ok=(201,))
        return len(body)


def parts_of(rows: Sequence[HubRow], nodes: Mapping[str, NodeAt], refused: dict[int, str]) -> Iterator[Part]:
    """The lines of each row that has a place; rows without any are put into `refused`."""
    counts: dict[str, int] = {}
    for index, row in enumerate(rows):
        if index in refused:
            continue
        sensors = nodes[row.node].sensors
        told = [value for value in row.values if value.channel in sensors]
        if not told:
            names = ", ".join(value.channel for value in row.values)
            refused[index] = f'no sensor for {names}: add one of them to sensors of [hub.nodes."{row.node}"]'
            continue
        number = counts.get(row.node, 0)
        if number // MAX_VALUES != (number + len(told) - 1) // MAX_VALUES:
            number = -(-number // MAX_VALUES) * MAX_VALUES  # a row is never cut in two
        counts[row.node] = number + len(told)
        lines = (f"{sensors[value.channel]},{value.text},{iso(row.utc_ms)}\n" for value in told)
        yield Part(index, (row.seq, row.index), (row.node, number // MAX_VALUES), "".join(lines))
