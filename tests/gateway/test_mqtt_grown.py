"""The listener beyond a node's needs: TLS, users with topics of their own, retained messages, a slow owner.

With the bytes that ESPHome and Tasmota send, beside the clients of test_mqtt_clients.py.
"""

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from balise_gateway.ingests import _port
from balise_gateway.ingests.mqtt_listener import Ingest, Settings
from balise_gateway.mqtt.listener import MAX_RETAINED_BYTES, Retained
from gateway.mqtt_bytes import connect, login, publish, subscribe, text
from gateway.support import played, until
from gateway.test_mqtt_clients import Port, listening, run


class Raw:
    """A client of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    @classmethod
    async def of(cls, port: Port, **options: Any) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", port.number, **options))

    def send(self, *packets: bytes) -> None:
        self.writer.write(b"".join(packets))

    async def expect(self, wanted: bytes) -> None:
        async with asyncio.timeout(20):
            assert await self._reader.readexactly(len(wanted)) == wanted

    async def ended(self) -> None:
        async with asyncio.timeout(20):
            assert await self._reader.read() == b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    found = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words, "-out", str(found[0]), "-keyout", str(found[1])], check=True, capture_output=True)
    return found


def test_tls(certificate: tuple[Path, Path]) -> None:
    """Checked by the client as the standard says, and by mosquitto_pub."""

    async def scene() -> None:
        async with listening(tls_certificate=certificate[0], tls_key=certificate[1]) as port:
            client = await Raw.of(port, ssl=ssl.create_default_context(cafile=str(certificate[0])))
            client.send(login("air-01", "right"), publish("a", b"x", packet_id=1))
            await client.expect(b"\x20\x02\0\0\x40\x02\0\x01")
            words = ["--cafile", str(certificate[0]), "-t", "b", "-m", "y", "-q", "1"]
            assert (await run("mosquitto_pub", port, *words))[0] == 0
            assert port.messages == [("a", b"x"), ("b", b"y")]
            plain = await Raw.of(port)
            plain.send(login("air-01", "right"))
            await plain.ended()

    played(scene)


def test_a_certificate_that_cannot_be_used_is_told_and_tried_again(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_port, "RETRY_S", 0.01)
    path = tmp_path / "cert.pem"
    path.write_text("none")

    async def scene() -> None:
        keys = Settings(kind="mqtt_listener", anonymous=True, port=0, tls_certificate=path, tls_key=certificate[1])
        ingest = Ingest(keys, asyncio.get_running_loop().create_server)
        task = asyncio.create_task(ingest.run(Port(ingest).take))
        await until(lambda: str(ingest.status()["state"]).startswith("cannot listen"))
        assert "cert.pem" in str(ingest.status()["state"])
        path.write_text(certificate[0].read_text())
        await until(lambda: ingest.status()["state"] == "up")
        task.cancel()
        await asyncio.wait([task])

    played(scene)


def test_half_a_certificate_is_told() -> None:
    assert "belong together" in str(Settings(kind="mqtt_listener", anonymous=True, tls_key=Path("key")).problem())


def test_topics_of_a_user() -> None:
    """What is not allowed is acknowledged and goes nowhere; others are not bound."""

    async def scene() -> None:
        users = {"air-01": "right", "air-02": "right"}
        async with listening(users=users, topics={"air-01": "sensors/air-01/# balise/+/up"}) as port:
            bound, free = await Raw.of(port), await Raw.of(port)
            bound.send(login("air-01", "right"), publish("sensors/air-02/x", b"1", packet_id=1), publish("y", b"2"))
            bound.send(publish("sensors/air-01/x", b"3", packet_id=2), publish("balise/z/up", b"4", packet_id=3))
            await bound.expect(b"\x20\x02\0\0\x40\x02\0\x01\x40\x02\0\x02\x40\x02\0\x03")
            free.send(login("air-02", "right", client_id="d"), publish("sensors/air-01/x", b"5", packet_id=1))
            await free.expect(b"\x20\x02\0\0\x40\x02\0\x01")
            assert [payload for _, payload in port.messages] == [b"3", b"4", b"5"]
            assert port.counters["denied"] == 2

    played(scene)


def test_topics_are_checked_when_they_are_read() -> None:
    def problem(topics: dict[str, str]) -> str:
        return str(Settings(kind="mqtt_listener", users={"a": "b"}, topics=topics).problem())

    assert "c is not one of the users" in problem({"c": "x"})
    assert "'x/#/y' is not a topic filter" in problem({"a": "z x/#/y"})


def test_retained_messages_wait_for_subscribers_of_the_same_user() -> None:
    async def scene() -> None:
        async with listening(users={"air-01": "right", "other": "right"}) as port:
            sender = await Raw.of(port)
            sender.send(login("air-01", "right"))
            for topic, payload in (("a/1", b"x"), ("a/2", b"y"), ("a/2", b"")):
                sender.send(publish(topic, payload, flags=0x01))
            await until(lambda: len(port.messages) == 3)
            late, stranger = await Raw.of(port), await Raw.of(port)
            late.send(login("air-01", "right", client_id="late"), subscribe(1, "a/+"))
            await late.expect(b"\x20\x02\0\0\x90\x03\0\x01\0" + publish("a/1", b"x", flags=0x01))
            stranger.send(login("other", "right", client_id="s"), subscribe(1, "#"), b"\xc0\0")
            await stranger.expect(b"\x20\x02\0\0\x90\x03\0\x01\0\xd0\0")

    played(scene)


def test_retained_messages_are_bounded() -> None:
    kept = Retained()
    assert kept.keep(None, "a", bytes(MAX_RETAINED_BYTES))
    assert not kept.keep(None, "b", b"x")
    assert kept.keep(None, "a", b"")
    assert kept.keep(None, "b", b"x")
    assert kept.matching(None, "#") == [("b", b"x")]


def test_an_owner_that_is_slow_is_not_buried() -> None:
    """With as many messages unacknowledged as the owner bears, no client is read; all go on after the commit."""

    async def scene() -> None:
        async with listening(commits=False, anonymous=True, users={}, max_waiting=10) as port:
            one, other = await Raw.of(port), await Raw.of(port)
            one.send(connect("one"), *(publish("a", b"x", packet_id=n) for n in range(1, 11)))
            await until(lambda: len(port.messages) == 10)
            other.send(connect("other"))
            await until(lambda: port.counters["connections"] == 2)
            await asyncio.sleep(0.05)
            other.send(publish("b", b"y", packet_id=1))
            await asyncio.sleep(0.1)
            assert len(port.messages) <= 11
            port.commit()
            await until(lambda: len(port.messages) == 11)
            port.commit()
            await other.expect(b"\x20\x02\0\0\x40\x02\0\x01")

    played(scene)


def test_what_was_not_taken_comes_again_on_a_new_connection() -> None:
    """MQTT 3.1.1 section 4.4: a client sends again when it connects again, and not before."""

    async def scene() -> None:
        async with listening(commits=False, anonymous=True, users={}) as port:
            client = paho.Client(CallbackAPIVersion.VERSION2, "paho", clean_session=False)
            client.reconnect_delay_set(1, 1)
            client.connect("127.0.0.1", port.number)
            client.loop_start()
            sent = client.publish("a", b"x", qos=1)
            await until(lambda: port.messages)
            port.ingest.release(port.waiting, False)
            port.waiting.clear()
            await until(lambda: len(port.messages) == 2)
            port.commit()
            await until(sent.is_published)
            assert port.counters["closed_not_taken"] == 1
            client.loop_stop()
            client.disconnect()

    played(scene)


def with_will(client_id: str, keep_alive_s: int, topic: str, payload: bytes, flags: int) -> bytes:
    will = text(topic) + len(payload).to_bytes(2, "big") + payload
    return connect(client_id, flags=flags, keep_alive_s=keep_alive_s, rest=will)


async def _esphome(client: Raw) -> None:
    """As its mqtt component does on connect: will and birth retained, log topic, discovery, then states, QoS 0."""
    client.send(with_will("bedroom-aabbccddeeff", 15, "bedroom/status", b"offline", 0x26))
    await client.expect(b"\x20\x02\0\0")
    client.send(publish("bedroom/status", b"online", flags=0x01))
    discovery = b'{"dev_cla":"temperature","unit_of_meas":"\xc2\xb0C","stat_t":"bedroom/sensor/temperature/state"}'
    client.send(publish("homeassistant/sensor/bedroom/temperature/config", discovery, flags=0x01))
    client.send(subscribe(1, "bedroom/light/led/command", qos=0), publish("bedroom/debug", b"[I][main] setup"))
    await client.expect(b"\x90\x03\0\x01\0")
    client.send(publish("bedroom/sensor/temperature/state", b"21.5", flags=0x01), b"\xc0\0")
    await client.expect(b"\xd0\0")


async def _tasmota(client: Raw) -> None:
    """As its PubSubClient does: will LWT retained, three subscriptions, then telemetry."""
    client.send(with_will("DVES_1A2B3C", 30, "tele/tasmota_1A2B3C/LWT", b"Offline", 0x26))
    await client.expect(b"\x20\x02\0\0")
    client.send(publish("tele/tasmota_1A2B3C/LWT", b"Online", flags=0x01), publish("cmnd/tasmota_1A2B3C/POWER"))
    for number, filter_text in enumerate(("cmnd/tasmota_1A2B3C/#", "cmnd/tasmotas/#", "cmnd/DVES_1A2B3C_fb/#"), 2):
        client.send(subscribe(number, filter_text, qos=0))
        await client.expect(bytes((0x90, 3, 0, number, 0)))
    client.send(publish("tele/tasmota_1A2B3C/SENSOR", b'{"BME280":{"Temperature":21.5}}'), b"\xc0\0")
    await client.expect(b"\xd0\0")


@pytest.mark.parametrize(
    ("shape", "last"),
    [
        (_esphome, ("bedroom/sensor/temperature/state", b"21.5")),
        (_tasmota, ("tele/tasmota_1A2B3C/SENSOR", b'{"BME280":{"Temperature":21.5}}')),
    ],
)
def test_devices_that_people_have(shape: Callable[[Raw], Any], last: tuple[str, bytes]) -> None:
    async def scene() -> None:
        async with listening(anonymous=True, users={}) as port:
            await shape(await Raw.of(port))
            assert port.messages[-1] == last
            assert not [name for name in port.counters if name.startswith("closed")]

    played(scene)
