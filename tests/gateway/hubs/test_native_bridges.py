"""Our own protocol end to end: the gateway's hubs against the reference hub, behind a real broker and a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import aiomqtt
import nats
import pytest

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubRefused
from balise_gateway.hubs import Holding, Hub, Stored
from balise_sim.hub import Behaviour, HubStore
from balise_sim.hub import Hub as ReferenceHub
from balise_sim.hub_bridges import MqttBridge, NatsBridge
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Loss
from contracts.far_ends._mosquitto import PASSWORD, USER, Mosquitto
from contracts.far_ends.native_nats import NatsServer
from gateway.support import played

GATEWAY, HUB, STRANGER = Signer(b"g" * 32), Signer(b"h" * 32), Signer(b"x" * 32)
LOG, UTC_MS, COUNT = 3, 1_544_313_600_000, 12


def envelope(seq: int, signer: Signer = GATEWAY) -> Stored:
    loss = Loss("urn:dev:ops:b4115e-air-01", "rows", seq, seq, "test")
    return Stored(seq, sign_envelope(signer, LOG, seq, [loss.pack()]))


class Place:
    """A reference hub, the gateway's hub, and what carries between them and can be killed."""

    def __init__(self, folder: Path) -> None:
        self.store, self.behaviour = HubStore(folder / "hub.db"), Behaviour()
        keys = {GATEWAY.kid: GATEWAY.public_key}
        self.reference = ReferenceHub(self.store, HUB, keys, lambda: UTC_MS, self.behaviour)
        self.hub: Hub
        self.restart: Callable[[], Awaitable[None]]

    def make(self, kind: str, **words: Any) -> None:
        module = plugins.load(hubs, kind)
        words |= {"name": "h", "kind": kind, "log": LOG, "public_key": HUB.public_key, "user": USER}
        self.hub = module.Hub(module.Settings(password=PASSWORD, **words), GATEWAY.kid, None, Random(1))

    def kept(self) -> list[int]:
        return [seq for seq, _ in self.store.envelopes(GATEWAY.kid, LOG)]


async def over_mqtt(place: Place, folder: Path) -> AsyncIterator[None]:
    broker, ends = Mosquitto(folder), contextlib.AsyncExitStack()

    async def start() -> None:
        await asyncio.to_thread(broker.start)
        login: dict[str, Any] = {"username": USER, "password": PASSWORD, "protocol": aiomqtt.ProtocolVersion.V5}
        client = await ends.enter_async_context(aiomqtt.Client("127.0.0.1", broker.port, **login))
        bridge = MqttBridge(place.reference, client)
        await bridge.start()
        ends.callback(asyncio.create_task(bridge.run()).cancel)

    async def stop() -> None:
        broker.stop()
        with contextlib.suppress(aiomqtt.MqttError):
            await ends.aclose()

    async def restart() -> None:
        await stop()
        await start()

    place.restart = restart
    place.make("native_mqtt", host="127.0.0.1", port=broker.port, timeout_s=20.0)
    await start()
    try:
        yield
    finally:
        await stop()


async def over_nats(place: Place, folder: Path) -> AsyncIterator[None]:
    server = NatsServer(folder)
    clients: list[Any] = []

    async def quiet(_: Exception) -> None:
        return

    async def start() -> None:
        await asyncio.to_thread(server.start)
        url = f"nats://127.0.0.1:{server.port}"
        clients.append(await nats.connect(url, user=USER, password=PASSWORD, allow_reconnect=False, error_cb=quiet))
        await NatsBridge(place.reference, clients[-1]).start()

    async def restart() -> None:
        server.stop()
        await clients.pop().close()
        await start()

    place.restart = restart
    place.make("native_nats", url=f"nats://127.0.0.1:{server.port}", timeout_s=20.0)
    await start()
    try:
        yield
    finally:
        await clients.pop().close()
        server.stop()


CARRIERS = {"mqtt": over_mqtt, "nats": over_nats}


@pytest.fixture(params=CARRIERS)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Place], Awaitable[None]]], None]:
    def play(act: Callable[[Place], Awaitable[None]]) -> None:
        async def whole() -> None:
            place = Place(tmp_path)
            carried = contextlib.asynccontextmanager(CARRIERS[request.param])(place, tmp_path)
            async with carried:
                await act(place)
                await place.hub.close()
            place.store.close()

        played(whole)

    return play


async def surely(hub: Hub, batch: list[Stored]) -> Holding:
    """As the uplink: until the hub has it."""
    for _ in range(50):
        try:
            holding = await hub.deliver(batch)
        except HubAway:
            await asyncio.sleep(0.05)
            continue
        if all(holding.has(stored.seq) for stored in batch):
            return holding
    raise AssertionError("the hub does not come back")


def test_what_is_delivered_is_stored_and_the_hubs_word_says_so(scene: Any) -> None:
    async def act(place: Place) -> None:
        assert await place.hub.deliver([envelope(1), envelope(2)]) == Holding(3)
        assert await place.hub.deliver([envelope(5)]) == Holding(3, ((5, 5),))
        assert await place.hub.deliver([envelope(2), envelope(3), envelope(4)]) == Holding(6)
        assert place.kept() == [1, 2, 3, 4, 5]

    scene(act)


def test_a_refusal_names_the_envelope_and_the_others_are_kept(scene: Any) -> None:
    async def act(place: Place) -> None:
        with pytest.raises(HubRefused) as caught:
            await place.hub.deliver([envelope(1), envelope(2, STRANGER), envelope(3)])
        assert set(caught.value.reasons) == {1}
        assert place.kept() == [1, 3]

    scene(act)


def test_a_carrier_killed_in_the_middle_loses_nothing(scene: Any) -> None:
    async def act(place: Place) -> None:
        for seq in range(1, COUNT + 1):
            batch = [envelope(seq)]
            if seq % 4 == 0:  # killed while the batch is on its way
                waits = asyncio.create_task(surely(place.hub, batch))
                await asyncio.sleep(0)
                await place.restart()
                await waits
            else:
                await surely(place.hub, batch)
        assert place.kept() == list(range(1, COUNT + 1))
        assert place.store.conflicts() == 0

    scene(act)


def test_a_hub_that_does_not_listen_is_known_at_once(tmp_path: Path) -> None:
    """The broker's PUBACK says that there is nobody; it is not the hub's word."""
    place, broker = Place(tmp_path), Mosquitto(tmp_path)
    place.make("native_mqtt", host="127.0.0.1", port=broker.port, timeout_s=3600.0)
    broker.start()

    async def scene() -> None:
        with pytest.raises(HubAway, match="nobody listens"):
            await place.hub.deliver([envelope(1)])
        await place.hub.close()

    try:
        played(scene)
    finally:
        broker.stop()
        place.store.close()
