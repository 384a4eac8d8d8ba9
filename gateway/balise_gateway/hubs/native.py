"""The hub protocol of the wire format (section 7) over HTTP: the gateway's end.

One request is `POST <url>/v1/batches` with a CBOR sequence of envelopes and a header `Balise-Nonce`: 8 random bytes in
hex. The hub's answer is believed only when it is signed with the hub's key, names this gateway and this log, and holds
that nonce: so an old answer cannot be played back, and nothing but the hub can say "delivered".

    200           a CBOR sequence of signed answers, one per log
    400, 409      {"refused": [{"index": 0, "reason": "..."}]}: these are refused, the others are kept (409: the hub
                  holds other bytes under the same name); without that list it is an answer like any other below
    413           less in one request, please
    429, 503 ...  later; Retry-After in seconds is honoured

Promises to move envelopes unchanged and to wait no longer than `timeout_s`. Leaves what to send when to `uplink.py`.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

from balise_gateway.errors import HubAway, HubError, HubRefused, HubTooLarge, HubUntrusted, MissingExtra
from balise_gateway.hubs import Holding, HubSettings, Stored, Traits
from balise_gateway.settings import Key
from balise_wire import cose
from balise_wire.envelope import HubAnswer, split_sequence, verify_answer
from balise_wire.errors import WireError

if TYPE_CHECKING:
    import httpx

PATH = "/v1/batches"
MEDIA_TYPE = "application/cose-seq"
NONCE_HEADER, NONCE_BYTES = "Balise-Nonce", 8
MAX_ANSWER_BYTES = 1 << 20
MAX_SEQ = 1 << 53
LONGEST_RETRY_AFTER_S = 3_600.0
_MAX_REASON_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Settings(HubSettings):
    """[[hub]] with kind = "native"."""

    url: Annotated[str, Key('where the hub is, such as "https://hub.example"')]
    public_key: Annotated[bytes, Key("the hub's public key: only answers signed with it count", size_bytes=32)]
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 30.0

    def problem(self) -> str | None:
        if self.url.startswith(("https://", "http://")):
            return None
        return f"url = {self.url!r}: must start with https:// (or http://, where the network is yours)"


class Hub:
    """One hub. `identity` is the key id of this gateway; `dice` gives nonces."""

    traits = Traits(accepts_past=True, idempotent=True, ordered=False, batch_limit_bytes=512 * 1024)

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings, self._identity = settings, identity
        self._transport, self._dice = transport, dice
        self._keys = {cose.kid_of(settings.public_key): settings.public_key}
        self._client: httpx.AsyncClient | None = None

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        httpx = _library()
        nonce = self._dice.randbytes(NONCE_BYTES)
        body = b"".join(envelope.cose for envelope in batch)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                status, headers, answer = await self._post(body, nonce)
        except TimeoutError as error:
            raise HubAway(f"no answer within {self._settings.timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HubAway(f"no connection: {error or type(error).__name__}") from error
        if status != 200:
            raise _refusal(status, headers, answer, len(batch))
        return self._holding(answer, nonce)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post(self, body: bytes, nonce: bytes) -> "tuple[int, httpx.Headers, bytes]":
        """(status, headers, body) of the answer; a body beyond all reason is cut."""
        if self._client is None:
            self._client = _library().AsyncClient(transport=self._transport, timeout=None, follow_redirects=False)
        url = self._settings.url.rstrip("/") + PATH
        headers = {"Content-Type": MEDIA_TYPE, NONCE_HEADER: nonce.hex()}
        async with self._client.stream("POST", url, content=body, headers=headers) as response:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise HubUntrusted(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            return response.status_code, response.headers, bytes(answer)

    def _holding(self, answer: bytes, nonce: bytes) -> Holding:
        """What the one answer says that is signed, fresh, and about this log."""
        try:
            answers = [verify_answer(part, self._keys) for part in split_sequence(answer)]
        except WireError as error:
            raise HubUntrusted(f"the answer is not signed by this hub ({error}); is public_key right?") from error
        for found in answers:
            if self._is_for_us(found, nonce):
                return Holding(found.next, found.ranges)
        raise HubUntrusted(f"signed answers, but none for this gateway, log {self._settings.log} and this request")

    def _is_for_us(self, found: HubAnswer, nonce: bytes) -> bool:
        ours = (found.kid, found.log, found.nonce) == (self._identity, self._settings.log, nonce)
        return ours and 1 <= found.next <= MAX_SEQ and all(last <= MAX_SEQ for _, last in found.ranges)


def _refusal(status: int, headers: "httpx.Headers", answer: bytes, count: int) -> HubError:
    if status == 413:
        return HubTooLarge("413: too many bytes in one request")
    reasons = _reasons(answer, count) if status in (400, 409) else {}
    if reasons:
        return HubRefused(f"{status}: {len(reasons)} of {count} envelopes refused", reasons)
    return HubAway(f"the hub answered {status}", _retry_after_s(headers.get("Retry-After", "")))


def _reasons(answer: bytes, count: int) -> dict[int, str]:
    """The refused envelopes by their index in the request; empty when the answer does not say."""
    try:
        told = json.loads(answer)
    except ValueError:
        return {}
    reasons = {}
    refused = told.get("refused") if isinstance(told, dict) else None
    for entry in refused if isinstance(refused, list) else []:
        index = entry.get("index") if isinstance(entry, dict) else None
        if isinstance(index, int) and 0 <= index < count:
            text = ": ".join(str(entry[name]) for name in ("reason", "detail") if entry.get(name))
            reasons[index] = text[:_MAX_REASON_CHARS] or "no reason given"
    return reasons


def _retry_after_s(text: str) -> float:
    """Seconds; the form with a date is not used by hubs of this protocol and counts as none."""
    return min(float(text), LONGEST_RETRY_AFTER_S) if text.isascii() and text.isdigit() else 0.0


def _library() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra('a hub of kind "native"', "httpx", "gateway") from error
    return httpx
