"""The hub protocol of the wire format (section 7) over HTTP: the gateway's end.

One request is `POST <url>/v1/batches` with a CBOR sequence of envelopes and a header `Balise-Nonce`: 8 random bytes in
hex. Promises to move envelopes unchanged and to wait no longer than `timeout_s`. Leaves what an answer proves to
`hub_answers.py`, and what to send when to `uplink.py`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

from balise_gateway.delivery.http_hub import PLAIN, refuse_packed
from balise_gateway.delivery.hub_answers import MAX_ANSWER_BYTES, NONCE_BYTES, Answer, Answers
from balise_gateway.errors import HubAway, HubUntrusted, MissingExtra
from balise_gateway.hubs import Holding, HubSettings, KeysBeside, Stored, Traits
from balise_gateway.settings import Key

if TYPE_CHECKING:
    import httpx

PATH = "/v1/batches"
MEDIA_TYPE = "application/cose-seq"
NONCE_HEADER = "Balise-Nonce"


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
        self._settings, self._transport, self._dice = settings, transport, dice
        self.keys_beside: KeysBeside = lambda key: ()
        self._answers = Answers(settings.public_key, identity, settings.log, lambda key: self.keys_beside(key))
        self._client: httpx.AsyncClient | None = None

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        httpx = _library()
        nonce = self._dice.randbytes(NONCE_BYTES)
        body = b"".join(envelope.cose for envelope in batch)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                answer = await self._post(body, nonce)
        except TimeoutError as error:
            raise HubAway(f"no answer within {self._settings.timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HubAway(f"no connection: {error or type(error).__name__}") from error
        return self._answers.holding(answer, nonce, len(batch))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post(self, body: bytes, nonce: bytes) -> Answer:
        """The answer; a body beyond all reason is not read to its end."""
        if self._client is None:
            self._client = _library().AsyncClient(transport=self._transport, timeout=None, follow_redirects=False)
        url = self._settings.url.rstrip("/") + PATH
        headers = {"Content-Type": MEDIA_TYPE, NONCE_HEADER: nonce.hex(), **PLAIN}
        async with self._client.stream("POST", url, content=body, headers=headers) as response:
            refuse_packed(response.headers)
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise HubUntrusted(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            return Answer(response.status_code, bytes(answer), response.headers.get("Retry-After", ""))


def _library() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra('a hub of kind "native"', "httpx", "gateway") from error
    return httpx
