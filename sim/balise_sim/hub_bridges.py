"""The reference hub behind an MQTT broker or a NATS server, as wire/SPEC.md section 7 says.

Promises that nothing is answered before it is stored, and that a question over NATS is answered only when the stream
has been read as far as the asker's envelopes. Leaves verifying, storing and misbehaving to `hub.py`.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import cbor2

from balise_sim.hub import Hub, Outcome, Reply
from balise_wire.envelope import peek_name
from balise_wire.errors import WireError

if TYPE_CHECKING:
    import aiomqtt
    from nats.aio.client import Client
    from nats.aio.msg import Msg

MQTT_BATCHES, MQTT_ACK = "balise/v1/+/batches", "balise/v1/{kid}/ack"
NATS_BATCHES, NATS_HELD = "balise.v1.*.batches", "balise.v1.*.held"
STREAM, DURABLE = "balise", "hub"
CATCH_UP_S = 20.0
AGAIN_S = 1.0  # what the stream has given out and the hub did not acknowledge comes again
_MAX_REFUSALS = 10_000


class MqttBridge:
    """One hub, behind a broker that `client` is connected to (MQTT 5)."""

    def __init__(self, hub: Hub, client: "aiomqtt.Client") -> None:
        self._hub, self._client = hub, client

    async def start(self) -> None:
        await self._client.subscribe(MQTT_BATCHES, qos=1)

    async def run(self) -> None:
        """Answers every batch, until cancelled or until the connection breaks (aiomqtt.MqttError)."""
        async for message in self._client.messages:
            nonce = getattr(message.properties, "CorrelationData", b"")
            payload = message.payload if isinstance(message.payload, bytes) else b""
            reply = await self._hub.reply(payload, nonce)
            ack = MQTT_ACK.format(kid=message.topic.value.split("/")[2])
            await self._client.publish(ack, reply.body, qos=1, properties=_properties(reply, nonce))


def _properties(reply: Reply, nonce: bytes) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.CorrelationData = nonce
    if reply.status != 200:
        properties.UserProperty = ("status", str(reply.status))
    if reply.retry_after_s:
        properties.UserProperty = ("retry-after", str(reply.retry_after_s))
    return properties


class NatsBridge:
    """One hub, fed by a stream: `start` makes the stream if there is none."""

    def __init__(self, hub: Hub, client: "Client") -> None:
        self._hub, self._client = hub, client
        self._read = 0  # as far as the stream has been read
        self._news = asyncio.Event()
        self._refused: dict[tuple[str, int, int], dict[str, object]] = {}  # kid, log, seq -> why

    async def start(self) -> None:
        from nats.js.api import ConsumerConfig

        stream = self._client.jetstream()
        await stream.add_stream(name=STREAM, subjects=[NATS_BATCHES])
        again = ConsumerConfig(ack_wait=AGAIN_S)
        await stream.subscribe(NATS_BATCHES, durable=DURABLE, manual_ack=True, config=again, cb=self._on_envelope)
        await self._client.subscribe(NATS_HELD, cb=self._on_question)

    async def _on_envelope(self, message: "Msg") -> None:
        """Acknowledged to the stream when it is stored, or refused for good."""
        outcome = self._hub.take(message.data)
        try:
            _, log, seq = peek_name(message.data)
        except WireError:
            pass  # nobody can ask for it
        else:
            self._note((message.subject.split(".")[2], log, seq), outcome)
        await message.ack()
        self._read = max(self._read, message.metadata.sequence.stream)
        self._news.set()

    def _note(self, name: tuple[str, int, int], outcome: Outcome) -> None:
        self._refused.pop(name, None)
        for why in outcome.conflicts + outcome.refused:
            self._refused[name] = why
            if len(self._refused) > _MAX_REFUSALS:
                self._refused.pop(next(iter(self._refused)))

    async def _on_question(self, message: "Msg") -> None:
        kid = message.subject.split(".")[2]
        log, upto, seqs = cbor2.loads(message.data)
        if not await self._caught_up(upto):
            return await self._answer(message, Reply(503, retry_after_s=1))
        refused = [{**why, "index": i} for i, seq in enumerate(seqs) if (why := self._refused.get((kid, log, seq)))]
        outcome = Outcome(names={(bytes.fromhex(kid), log)}, refused=refused)
        nonce = bytes.fromhex((message.headers or {}).get("Balise-Nonce", ""))
        return await self._answer(message, self._hub.told(outcome, nonce))

    async def _caught_up(self, upto: int) -> bool:
        try:
            async with asyncio.timeout(CATCH_UP_S):
                while self._read < upto:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _answer(self, message: "Msg", reply: Reply) -> None:
        headers = {"Balise-Status": str(reply.status)}
        if reply.retry_after_s:
            headers["Balise-Retry-After"] = str(reply.retry_after_s)
        await self._client.publish(message.reply, reply.body, headers=headers)
