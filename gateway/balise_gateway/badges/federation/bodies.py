"""The bodies of requests from other places and of forms: read within bounds of size, time and number.

Promises that whoever sends slowly, or much, or at many places at once, costs a few megabytes and one minute at most,
before anybody knows who it is. Leaves what stands in them to those who asked.
"""

import asyncio
import ipaddress
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from balise_gateway.errors import BadgeError

if TYPE_CHECKING:
    from starlette.requests import Request

LIMIT_S = 60.0  # for a whole body: our own uplinks give up after 30
AT_ONCE, OF_ONE = 16, 4  # bodies at a time: of everybody, and of one address
MAX_FORM_BYTES, MAX_FIELDS, MAX_FIELD_CHARS = 4_096, 20, 200


class BodyRefused(BadgeError):
    """A body that was not read to its end: the status to answer with, its name and what to tell."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason = status, reason


class Bodies:
    """Who is sending now. One for all paths that take bodies."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._sending: Counter[str] = Counter()

    async def read(self, request: "Request", most_bytes: int) -> bytes:
        """The body. Raises BodyRefused."""
        address = address_of(request)
        if self._sending.total() >= AT_ONCE or self._sending[address] >= OF_ONE:
            raise BodyRefused(503, "later", "others are sending; later, please")
        self._sending[address] += 1
        try:
            async with asyncio.timeout(self._limit_s):
                body = await bounded(request, most_bytes)
        except TimeoutError as error:
            raise BodyRefused(408, "later", f"the body did not come within {self._limit_s:g} s") from error
        finally:
            self._sending[address] -= 1
            self._sending += Counter()  # drops those at zero
        if len(body) > most_bytes:
            raise BodyRefused(413, "too large", f"at most {most_bytes} bytes in one request")
        return body


async def bounded(request: "Request", most_bytes: int) -> bytes:
    """The body; one that is too large is cut, and still too large; of a sender who went away, empty."""
    from starlette.requests import ClientDisconnect

    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most_bytes:
                break
    except ClientDisconnect:
        return b""  # nobody is there to hear the answer
    return bytes(body)


async def form_of(request: "Request") -> dict[str, str]:
    """The fields of a form, the first of each name; what is too large, or has too many of them, is empty."""
    body = await bounded(request, MAX_FORM_BYTES)
    if len(body) > MAX_FORM_BYTES or body.count(b"&") >= MAX_FIELDS:
        return {}
    told = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0][:MAX_FIELD_CHARS] for name, values in told.items()}


def address_of(request: "Request") -> str:
    """Whom a request is counted for; of IPv6 the network of 64 bits, which one sender has whole (RFC 6177)."""
    host = request.client.host if request.client else ""
    if ":" not in host:
        return host
    try:
        packed = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(packed.ipv4_mapped or ipaddress.IPv6Network((int(packed), 64), strict=False))
