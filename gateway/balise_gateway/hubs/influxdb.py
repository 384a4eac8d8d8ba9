"""InfluxDB: line protocol over HTTP, `/api/v2/write` of version 2 or `/write` of version 1.

One line per row (and per length of window): measurement `balise`, tags `node`, `trust` and, for windows, `window_s`;
one float field per channel in the unit of our channel table, and `<channel>_flag` (integer, QARTOD) where a value is
not plain good. The stamp is the row's, in milliseconds; of a window its start. The same series and time replaces what
was there, so a repeat does no harm. An error in one line refuses the whole request (version 2) or keeps the others
(version 1): both are told as "something is refused", and the uplink halves.

Sources: docs.influxdata.com, "Line protocol reference" (2.x; escapes, types) and "/api/v2/write", "/write" (1.x).
"""

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from balise_gateway.delivery.http_hub import Http, HttpHubSettings, header_problem
from balise_gateway.delivery.row_parts import trust, window_s
from balise_gateway.errors import HubTooLarge
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import Key

MEASUREMENT = "balise"
PASS = 1
# A backslash at the end of a tag would escape what follows, and a line break ends the line: neither can be written
_ESCAPES = {ord(letter): f"\\{letter}" for letter in ", ="}
_ESCAPES |= {ord(letter): f"%{ord(letter):02X}" for letter in "\\\n\r\t\0"}


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "influxdb"."""

    api: Annotated[Literal["v2", "v1"], Key("which interface: /api/v2/write, or /write of InfluxDB 1")] = "v2"
    org: Annotated[str, Key("the organisation (v2)")] = ""
    bucket: Annotated[str, Key('the bucket (v2), or "database" or "database/retention policy" (v1)')]
    token: Annotated[str, Key('the token (v2), or "user:password" (v1); empty where none is asked for')] = field(
        default="", repr=False
    )

    def problem(self) -> str | None:
        if self.api == "v2" and not self.org:
            return 'org is missing: name your organisation, or say api = "v1" for InfluxDB 1'
        return header_problem(token=self.token) or super().problem()


class Hub:
    """One bucket."""

    traits = Traits(
        accepts_past=True, idempotent=True, ordered=False, batch_limit_bytes=1 << 20, batch_limit_rows=1_000
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings = settings
        part, cut = f'a hub of kind "{settings.kind}"', [settings.token, _basic(settings.token)]
        self._http = Http(transport, settings.timeout_s, part, cut)

    async def send(self, rows: Sequence[HubRow]) -> int:
        body = gzip.compress("".join(map(lines_of, rows)).encode(), compresslevel=6, mtime=0)
        if len(body) > self.traits.batch_limit_bytes:
            raise HubTooLarge(f"{len(body)} bytes are more than one request takes")
        await self._http.ask("POST", self._url(), self._headers(), body, ok=(204,))
        return len(body)

    async def close(self) -> None:
        await self._http.close()

    def _url(self) -> str:
        said = self._settings
        if said.api == "v2":
            return f"{said.base}/api/v2/write?" + urlencode({"org": said.org, "bucket": said.bucket, "precision": "ms"})
        database, _, policy = said.bucket.partition("/")
        query = {"db": database, "precision": "ms"} | ({"rp": policy} if policy else {})
        return f"{said.base}/write?{urlencode(query)}"

    def _headers(self) -> dict[str, str]:
        token = self._settings.token
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        if token:
            headers["Authorization"] = f"Token {token}" if self._settings.api == "v2" else f"Basic {_basic(token)}"
        return headers


def lines_of(row: HubRow) -> str:
    """A line of line protocol, with its line break, for each length of window in the row; samples first."""
    values: dict[int, list[Value]] = {}
    for value in row.values:
        values.setdefault(window_s(row, value), []).append(value)
    return "".join(_line(row, window, found) for window, found in sorted(values.items()))


def _line(row: HubRow, window: int, values: Sequence[Value]) -> str:
    tags = {"node": row.node, "trust": trust(row), "window_s": str(window) if window else ""}
    head = ",".join([MEASUREMENT, *(f"{name}={escaped(value)}" for name, value in tags.items() if value)])
    fields = [f"{escaped(value.channel)}={value.text}" for value in values]
    fields += [f"{escaped(value.channel)}_flag={value.flag}i" for value in values if value.flag != PASS]
    return f"{head} {','.join(fields)} {row.utc_ms}\n"


def escaped(text: str) -> str:
    """A tag's value, or a field's name; what line protocol cannot hold is written as in an URL (%0A)."""
    return text.translate(_ESCAPES)


def _basic(token: str) -> str:
    return base64.b64encode(token.encode()).decode()
