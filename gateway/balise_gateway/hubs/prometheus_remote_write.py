"""Prometheus remote write 1.0: to Prometheus itself, Mimir, Thanos, VictoriaMetrics and others.

One series per node, channel and window, named as `prometheus_names.py` says; samples in rising order of time, stamped
with the row's time, of a window its start. Values are 64-bit floats, as the protocol wants. The body is a protobuf
message in Snappy's block format, whose literals alone are a valid encoding ("format_description.txt", section 2.1): it
is written here in a few lines, larger than it could be, because the known libraries are compiled ones without a wheel
for every Pi.

A receiver takes no sample older than its newest of the series, nor older than its own window (0 by default): what is
too old is answered 400, is never sent again by itself, and is told as refused. `takes_past` says that the receiver is
set up for old samples; without it only the newest values are sent. A 4xx other than 429 is never tried again as if
the hub were away; 401, 403 and 404 wait for the host.

Source: prometheus.io/docs/specs/remote_write_spec (1.0, April 2023).
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any

from balise_gateway.delivery.http_hub import Http, HttpHubSettings, header_problem
from balise_gateway.delivery.prometheus_names import labels_of, metric_of
from balise_gateway.errors import HubRefused, HubTooLarge
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import Key

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_LITERAL_BYTES = 1 << 16
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "prometheus_remote_write"."""

    url: Annotated[str, Key('the whole address, such as "http://prometheus.example:9090/api/v1/write"')]
    user: Annotated[str, Key("the user name (Basic); empty: the token is sent alone (Bearer)")] = ""
    token: Annotated[str, Key("the token or password; empty where none is asked for")] = field(default="", repr=False)
    tenant: Annotated[str, Key("the tenant (X-Scope-OrgID), where there are several")] = ""
    takes_past: Annotated[bool, Key("the receiver takes old samples (out_of_order_time_window of a week or more)")] = (
        False
    )

    def problem(self) -> str | None:
        return header_problem(tenant=self.tenant, token=self.token) or super().problem()


class Hub:
    """One receiver."""

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self.traits = Traits(
            accepts_past=settings.takes_past,
            idempotent=True,
            ordered=not settings.takes_past,
            batch_limit_bytes=1 << 20,
            batch_limit_rows=500,
        )
        self._settings = settings
        part, cut = f'a hub of kind "{settings.kind}"', [settings.token, _basic(settings)]
        self._http = Http(transport, settings.timeout_s, part, cut)

    async def send(self, rows: Sequence[HubRow]) -> int:
        body = snappy_literals(write_request(rows))
        if len(body) > self.traits.batch_limit_bytes:
            raise HubTooLarge(f"{len(body)} bytes are more than one request takes")
        answer = await self._http.ask(
            "POST", self._settings.url, self._headers(), body, ok=(*range(200, 300), 408, 425)
        )
        if answer.status >= 300:
            raise HubRefused(f"the hub answered {answer.status}", {})
        return len(body)

    async def close(self) -> None:
        await self._http.close()

    def _headers(self) -> dict[str, str]:
        said, headers = self._settings, dict(HEADERS)
        if said.token:
            headers["Authorization"] = f"Basic {_basic(said)}" if said.user else f"Bearer {said.token}"
        if said.tenant:
            headers["X-Scope-OrgID"] = said.tenant
        return headers


def write_request(rows: Sequence[HubRow]) -> bytes:
    """The protobuf message prometheus.WriteRequest: each series once, its samples by time."""
    series: dict[Labels, dict[int, float]] = {}
    for row in rows:
        for value in row.values:
            series.setdefault(_labels(row, value), {})[row.utc_ms] = value.number
    return b"".join(_field(1, _time_series(labels, samples)) for labels, samples in sorted(series.items()))


def _labels(row: HubRow, value: Value) -> Labels:
    """The labels of a value's series, sorted by name as the protocol wants; an empty one is no label."""
    told = {"__name__": metric_of(value), **labels_of(row, value)}
    return tuple(sorted((name, text) for name, text in told.items() if text))


def snappy_literals(data: bytes) -> bytes:
    """Snappy's block format without any copy: the length, then literals of up to 64 KiB."""
    blocks = [data[start : start + _LITERAL_BYTES] for start in range(0, len(data), _LITERAL_BYTES)]
    return _varint(len(data)) + b"".join(_literal_head(len(block)) + block for block in blocks)


def _literal_head(size_bytes: int) -> bytes:
    """The tag of a literal: its length in the tag up to 60, as some decoders insist on, else in two bytes after it."""
    return bytes(((size_bytes - 1) << 2,)) if size_bytes <= 60 else b"\xf4" + struct.pack("<H", size_bytes - 1)


def _time_series(labels: Labels, samples: dict[int, float]) -> bytes:
    told = b"".join(_field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in labels)
    return told + b"".join(_field(2, _sample(utc_ms, number)) for utc_ms, number in sorted(samples.items()))


def _sample(utc_ms: int, number: float) -> bytes:
    return b"\x09" + struct.pack("<d", number) + b"\x10" + _varint(utc_ms % (1 << 64))


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    return bytes((number << 3 | 2,)) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _basic(settings: Settings) -> str:
    return base64.b64encode(f"{settings.user}:{settings.token}".encode()).decode()
