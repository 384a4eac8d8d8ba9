"""The hub protocol of the wire format (section 7) over NATS JetStream: the gateway's end.

    balise.v1.<kid>.batches   one envelope per message, `Nats-Msg-Id: <kid>-<log>-<seq>`; the stream answers by PubAck
    balise.v1.<kid>.held      a plain request: CBOR `[log, stream seq, [seq, ...]]` and a header `Balise-Nonce`; the hub
                              answers once it has read the stream so far; `Balise-Status` as in HTTP (absent: 200)

Promises that "held" is the hub's own signed word: a PubAck proves only that the stream has an envelope, so nothing
moves while the hub is away, and what the stream has taken is not published again until the hub has spoken. A repeat has
the same message id, which the stream drops within its window and the hub knows beyond. Leaves answers to
`hub_answers.py`.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

from balise_gateway.delivery.hub_answers import NONCE_BYTES, Answer, Answers
from balise_gateway.errors import HubAway, HubDenied, HubRefused, MissingExtra
from balise_gateway.hubs import Holding, HubSettings, Stored, Traits
from balise_gateway.settings import Key
from balise_wire import cbor

if TYPE_CHECKING:
    from nats.aio.client import Client

BATCHES, HELD = "balise.v1.{kid}.batches", "balise.v1.{kid}.held"
_MESSAGE_TOO_LARGE = 10_054  # JetStream: "message size exceeds maximum allowed"


@dataclass(frozen=True, kw_only=True)
class Settings(HubSettings):
    """[[hub]] with kind = "native_nats"."""

    url: Annotated[str, Key('where the NATS server is, such as "tls://hub.example:4222"')]
    public_key: Annotated[bytes, Key("the hub's public key: only answers signed with it count", size_bytes=32)]
    user: Annotated[str | None, Key("the gateway's user name at the server")] = None
    password: Annotated[str | None, Key("the gateway's password at the server")] = field(default=None, repr=False)
    token: Annotated[str | None, Key("the gateway's token, where the server asks for one")] = field(
        default=None, repr=False
    )
    ca_file: Annotated[Path | None, Key("trust the certificates in this file instead of the system's")] = None
    stream: Annotated[str | None, Key("take no other stream's word; unset: of any that takes the subject")] = None
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 30.0

    def problem(self) -> str | None:
        if not self.url.startswith(("tls://", "nats://")):
            return f"url = {self.url!r}: must start with tls:// (or nats://, where the network is yours)"
        return "url: no password in it, please; use user and password, or token" if "@" in self.url else None


class Hub:
    """One hub behind one NATS server. `identity` is the key id of this gateway; `dice` gives nonces."""

    traits = Traits(accepts_past=True, idempotent=True, ordered=False, batch_limit_bytes=512 * 1024)

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings, self._kid, self._dice = settings, identity.hex(), dice
        self._answers = Answers(settings.public_key, identity, settings.log)
        self._client: Client | None = None
        self._lost: asyncio.Future[None]  # of the connection
        self._complaint = ""  # what the server said last, beside the answers
        self._taken: dict[int, int] = {}  # seq -> the stream's seq, until the hub has spoken

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        nats = _library()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._connect()
                return await self._unless_lost(self._carry(batch))
        except nats.js.errors.NoStreamResponseError as error:
            raise HubDenied(f"no stream of this server takes {BATCHES.format(kid=self._kid)}") from error
        except nats.errors.NoRespondersError as error:
            raise HubAway("the stream has them, but the hub does not listen") from error
        except (TimeoutError, nats.errors.Error, OSError) as error:
            self._taken.clear()  # the stream may have lost them
            await self.close()
            raise self._failure(error) from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> None:
        if self._client is not None and self._client.is_connected:
            return
        await self.close()
        settings, self._complaint = self._settings, ""
        self._client = await _library().connect(
            settings.url,
            user=settings.user,
            password=settings.password,
            token=settings.token,
            tls=ssl.create_default_context(cafile=settings.ca_file) if settings.url.startswith("tls://") else None,
            allow_reconnect=False,  # the uplink decides when to try again
            max_reconnect_attempts=1,
            reconnect_time_wait=0.05,
            connect_timeout=max(1, int(settings.timeout_s)),
            error_cb=self._complains,
            closed_cb=self._loses,
        )
        self._lost = asyncio.get_running_loop().create_future()

    async def _unless_lost(self, work: Coroutine[Any, Any, Holding]) -> Holding:
        """Its result; the library itself waits for an answer until time is up, even when nothing can come any more."""
        task = asyncio.create_task(work)
        try:
            either: list[asyncio.Future[Any]] = [task, self._lost]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionError("it broke")
            return task.result()
        finally:
            task.cancel()

    async def _carry(self, batch: Sequence[Stored]) -> Holding:
        await self._publish(batch)
        return await self._ask([stored.seq for stored in batch])

    async def _publish(self, batch: Sequence[Stored]) -> None:
        """Every envelope that the stream has not taken yet."""
        assert self._client is not None
        nats = _library()
        stream = self._client.jetstream(timeout=self._settings.timeout_s)
        waiting = [stored for stored in batch if stored.seq not in self._taken]
        acks = await asyncio.gather(
            *(
                stream.publish(
                    BATCHES.format(kid=self._kid),
                    stored.cose,
                    stream=self._settings.stream,
                    headers={"Nats-Msg-Id": f"{self._kid}-{self._settings.log}-{stored.seq}"},
                )
                for stored in waiting
            ),
            return_exceptions=True,
        )
        too_large = set[int]()
        for stored, ack in zip(waiting, acks, strict=True):
            if isinstance(ack, nats.errors.MaxPayloadError) or getattr(ack, "err_code", 0) == _MESSAGE_TOO_LARGE:
                too_large.add(stored.seq)
            elif isinstance(ack, BaseException):
                raise ack
            else:
                self._taken[stored.seq] = ack.seq
        if too_large:
            reasons = {i: "larger than the server takes" for i, stored in enumerate(batch) if stored.seq in too_large}
            raise HubRefused(f"{len(reasons)} envelopes are larger than the server takes", reasons)

    async def _ask(self, seqs: list[int]) -> Holding:
        """The hub's signed word on this log, once it has read the stream as far as these envelopes."""
        assert self._client is not None
        nonce = self._dice.randbytes(NONCE_BYTES)
        upto = max(self._taken[seq] for seq in seqs)
        reply = await self._client.request(
            HELD.format(kid=self._kid),
            cbor.encode([self._settings.log, upto, seqs]),
            timeout=self._settings.timeout_s,
            headers={"Balise-Nonce": nonce.hex()},
        )
        self._taken.clear()
        told = reply.headers or {}
        status = told.get("Balise-Status", "200")
        answer = Answer(int(status) if status.isdigit() else 0, reply.data, told.get("Balise-Retry-After", ""))
        return self._answers.holding(answer, nonce, len(seqs))

    async def _loses(self) -> None:
        if not self._lost.done():
            self._lost.set_result(None)

    async def _complains(self, error: Exception) -> None:
        self._complaint = str(error)

    def _failure(self, error: Exception) -> HubAway | HubDenied:
        said = f"{error} {self._complaint}".lower()
        if "authorization" in said or "permissions violation" in said:
            return HubDenied("the server does not let this gateway in, or publish to its subject")
        if isinstance(error, TimeoutError):
            return HubAway(f"no answer within {self._settings.timeout_s:g} s")
        return HubAway(f"no connection to the server: {self._complaint or type(error).__name__}")


def _library() -> Any:
    try:
        import nats
        import nats.errors
        import nats.js.errors
    except ImportError as error:
        raise MissingExtra('a hub of kind "native_nats"', "nats-py", "nats") from error
    return nats
