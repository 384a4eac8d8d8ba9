"""The hub protocol of the wire format (section 7) over MQTT 5: the gateway's end.

    balise/v1/<kid>/batches   a CBOR sequence of envelopes; correlation data = the nonce, expires with `timeout_s`
    balise/v1/<kid>/ack       the answer, with the same correlation data; user properties `status` (as in HTTP; absent
                              means 200) and `retry-after`

Promises that only the hub's signed answer moves anything: the broker's PUBACK proves that the broker has a message, and
a hub that is away answers nothing. Leaves the connection to `mqtt_hub.py` and the answer to `hub_answers.py`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from balise_gateway.delivery.hub_answers import NONCE_BYTES, Answer, Answers
from balise_gateway.delivery.mqtt_hub import Broker, Came, LoginSettings, Message
from balise_gateway.errors import HubAway
from balise_gateway.hubs import Holding, Stored, Traits
from balise_gateway.settings import Key

BATCHES, ACK = "balise/v1/{kid}/batches", "balise/v1/{kid}/ack"


@dataclass(frozen=True, kw_only=True)
class Settings(LoginSettings):
    """[[hub]] with kind = "native_mqtt"."""

    public_key: Annotated[bytes, Key("the hub's public key: only answers signed with it count", size_bytes=32)]

    def problem(self) -> str | None:
        return None if self.version == "5" else 'version: must be "5", whose correlation data carry the nonce'


class Hub:
    """One hub behind one broker. `identity` is the key id of this gateway; `dice` gives nonces."""

    traits = Traits(accepts_past=True, idempotent=True, ordered=False, batch_limit_bytes=128 * 1024)

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings, self._dice = settings, dice
        self._broker = Broker(settings, identity, settings.user, settings.password)
        self._answers = Answers(settings.public_key, identity, settings.log)
        self._topics = BATCHES.format(kid=identity.hex()), ACK.format(kid=identity.hex())

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        nonce = self._dice.randbytes(NONCE_BYTES)
        await self._broker.connect([self._topics[1]])
        await self._broker.publish([Message(self._topics[0], b"".join(stored.cose for stored in batch), nonce=nonce)])
        came = await self._answer(nonce)
        status = came.words.get("status", "200")
        answer = Answer(int(status) if status.isdigit() else 0, came.payload, came.words.get("retry-after", ""))
        return self._answers.holding(answer, nonce, len(batch))

    async def close(self) -> None:
        await self._broker.close()

    async def _answer(self, nonce: bytes) -> Came:
        """What comes with this nonce; answers to earlier requests are passed over."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                while (came := await self._broker.receive()).nonce != nonce:
                    continue
                return came
        except TimeoutError as error:
            waited = f"{self._settings.timeout_s:g} s"
            raise HubAway(f"the broker has the batch, but the hub has not answered within {waited}") from error
