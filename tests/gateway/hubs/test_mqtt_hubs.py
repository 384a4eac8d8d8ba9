"""Hubs behind a real broker: what only these do."""

import asyncio
import json
import signal
import socket
import string
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.delivery.mqtt_hub import Broker, Message
from balise_gateway.delivery.row_parts import as_json, number, topic_word
from balise_gateway.errors import ConfigError, HubAway, HubDenied, MissingExtra
from balise_gateway.hubs import RowHub, home_assistant, mqtt_json, thingsboard
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import build
from contracts.far_ends import AIR, GATEWAY, ROWS, START_UTC_MS, STREET, row
from contracts.far_ends import home_assistant as house
from contracts.far_ends import mqtt_json as plain
from contracts.far_ends import thingsboard as board
from contracts.far_ends._mosquitto import wait_for
from gateway.support import played

COUNT = 40
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[house.FarEnd]:
    found = house.FarEnd(tmp_path)
    yield found
    found.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[plain.FarEnd]:
    found = plain.FarEnd(tmp_path)
    yield found
    found.close()


@pytest.fixture
def things(tmp_path: Path) -> Iterator[board.FarEnd]:
    found = board.FarEnd(tmp_path)
    yield found
    found.close()


async def send(hub: RowHub, *rows: HubRow) -> None:
    await hub.send(rows)
    await hub.close()


def test_a_broker_killed_in_the_middle_loses_nothing(there: plain.FarEnd) -> None:
    """As the uplink does: the same rows come again until the hub has said yes; each row has an id of its own."""

    async def scene() -> None:
        hub = there.hub(timeout_s=5.0)
        for seq in range(1, COUNT + 1):
            rows = [row(seq, 0, AIR, START_UTC_MS + 1000 * seq, pm2_5=seq), row(seq, 1, STREET, START_UTC_MS, laeq=seq)]
            waits = asyncio.create_task(surely(hub, rows))
            if seq % 20 == 0:
                await asyncio.sleep(0)
                await asyncio.to_thread(again, there)
            await waits
        await hub.close()

    played(scene)
    ids = {json.loads(message.payload)["id"].rpartition(f"{GATEWAY.kid.hex()}-3-")[2] for message in there.heard()}
    assert ids == {f"{seq}-{index}" for seq in range(1, COUNT + 1) for index in (0, 1)}


def again(there: plain.FarEnd) -> None:
    """SIGTERM: what the broker has acknowledged is on its disk, and its listener's session as well."""
    there.broker.stop(signal.SIGTERM)
    there.broker.start()
    wait_for(lambda: there.listens(), "the far end listens again")


async def surely(hub: RowHub, rows: list[HubRow]) -> None:
    for _ in range(100):
        try:
            await hub.send(rows)
        except HubAway:
            await asyncio.sleep(0.05)
            continue
        return
    raise AssertionError("the broker does not come back")


def test_home_assistant_sees_the_gateway_go(home: house.FarEnd) -> None:
    async def scene() -> None:
        hub = home.hub()
        await hub.send(ROWS)
        status = f"balise/ha/{GATEWAY.kid.hex()}-3/status"
        assert home.states()[status] == "online"
        hub._broker._session._client.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]  # no farewell
        await asyncio.to_thread(wait_for, lambda: home.states()[status] == "offline", "the will is done")
        await hub.close()

    played(scene)


def test_home_assistant_loses_a_node_that_was_removed_before_a_restart(home: house.FarEnd) -> None:
    played(lambda: send(home.hub(), *ROWS))
    assert {entity["device"]["identifiers"][0] for entity in home.entities().values()} == {AIR, STREET}
    played(lambda: send(home.hub(removed=(AIR,)), *ROWS))
    assert {entity["device"]["identifiers"][0] for entity in home.entities().values()} == {STREET}


def test_home_assistant_loses_a_node_that_was_silent_for_long(home: house.FarEnd) -> None:
    played(lambda: send(home.hub(), *ROWS))
    later = replace(ROWS[0], utc_ms=START_UTC_MS + 32 * 86_400_000)
    played(lambda: send(home.hub(forget_days=0), later))
    assert len(home.entities()) == 8
    played(lambda: send(home.hub(), later))
    assert {entity["device"]["identifiers"][0] for entity in home.entities().values()} == {AIR}


def test_home_assistant_names_what_it_cannot_translate(home: house.FarEnd) -> None:
    told = row(1, 0, AIR, START_UTC_MS, temperature=1, board_temperature=2, coarse_1h_per_m3=3, pms_status=4)
    told = replace(told, values=(*told.values, Value("pm2_5.barkjohn_2021", "ug/m3", 51, 1)))
    played(lambda: send(home.hub(language="en"), told))
    found = {topic.split("/")[3]: entity for topic, entity in home.entities().items()}
    assert [found[name]["name"] for name in ("temperature", "board_temperature", "coarse_1h_per_m3", "pms_status")] == [
        None,
        "Board temperature",
        "Coarse particles over 1 h",
        "pms_status",
    ]
    assert found["coarse_1h_per_m3"]["unit_of_measurement"] == "1/m³"
    assert found["pms_status"]["entity_category"] == "diagnostic"
    corrected = found["pm2_5-2ebarkjohn_2021"]
    assert (corrected["name"], corrected["device_class"]) == ("pm2_5 (barkjohn_2021)", "pm25")


def test_a_value_expires_later_than_the_next_one_comes() -> None:
    words = {"name": "h", "kind": "home_assistant", "log": 1, "host": "x"}
    with pytest.raises(ConfigError, match="expire_after_s = 300"):
        build(home_assistant.Settings, words | {"expire_after_s": 300}, "hub 1", "gateway.toml")


def test_thingsboard_gets_messages_of_the_size_it_takes(things: board.FarEnd) -> None:
    rows = [row(1, index, AIR, START_UTC_MS + index, pm2_5=index, pm10=index) for index in range(100)]
    played(lambda: send(things.hub(max_message_bytes=1_000), *rows))
    sizes = [len(message.payload) for message in things.heard() if message.topic == thingsboard.TELEMETRY]
    assert len(sizes) > 3
    assert max(sizes) <= 1_000
    assert {found.number for found in things.held()} == {Decimal(index) / 10 for index in range(100)}


def test_thingsboard_is_told_a_meaning_once(things: board.FarEnd) -> None:

    async def scene() -> None:
        hub = things.hub()
        for seq in (1, 2, 3):
            await hub.send([row(seq, 0, AIR, START_UTC_MS + seq, pm2_5=seq), row(seq, 1, AIR, START_UTC_MS, laeq=seq)])
        await hub.close()

    played(scene)
    topics = [message.topic for message in things.heard()]
    assert (topics.count(thingsboard.CONNECT), topics.count(thingsboard.ATTRIBUTES)) == (1, 2)


def test_a_31_1_broker_says_no_at_the_door(there: plain.FarEnd) -> None:

    async def scene() -> None:
        with pytest.raises(HubDenied, match="does not let this gateway in"):
            await send(there.hub(version="3.1.1", password="wrong"), *ROWS)

    played(scene)


def test_tls_is_checked(there: plain.FarEnd) -> None:
    """A broker without TLS, asked for it: nothing is sent, and the error says where."""

    async def scene() -> None:
        with pytest.raises(HubAway, match="no connection to"):
            await send(there.hub(tls=True, timeout_s=5.0), *ROWS)

    played(scene)
    assert there.heard() == []


@pytest.mark.parametrize(
    ("topic", "says"),
    [("a/{place}", "only {node}"), ("a/#", "wildcards"), ("a/{node", "expected '}'"), ("/", "empty")],
)
def test_a_topic_that_cannot_be(topic: str, says: str) -> None:
    words = {"name": "h", "kind": "mqtt_json", "log": 1, "host": "x", "topic": topic}
    with pytest.raises(ConfigError, match=says):
        build(mqtt_json.Settings, words, "hub 1", "gateway.toml")


def test_a_topic_per_channel(there: plain.FarEnd) -> None:
    played(lambda: send(there.hub(topic="a/{gateway}/{log}/{node}/{channel}"), ROWS[0]))
    topics = [message.topic for message in there.heard()]
    base = f"a/{GATEWAY.kid.hex()}/3/{AIR}"
    assert topics == [f"{base}/{value.channel}" for value in ROWS[0].values]
    assert len(there.held()) == 5


@given(TEXTS, TEXTS)
def test_a_name_is_one_level_of_a_topic_and_its_own(one: str, other: str) -> None:
    word = topic_word(one)
    assert not set(word) & set("/+#\0")
    assert set(word) <= set(string.printable) - set(string.whitespace)
    assert (word == topic_word(other)) == (one == other)
    paho.topic_matches_sub("+", word)  # raises ValueError where it is no topic


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-3, 9))
def test_numbers_in_json_are_exact(integer: int, scale: int) -> None:
    value = Value("pm2_5", "ug/m3", integer, scale)
    assert json.loads(as_json(number(value)), parse_float=Decimal, parse_int=Decimal) == value.decimal
    assert Decimal(value.text) == value.decimal
    assert "e" not in value.text.lower()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "paho.mqtt.client", None)
    words: dict[str, Any] = {"name": "h", "kind": "mqtt_json", "log": 1, "host": "127.0.0.1"}

    async def scene() -> None:
        with pytest.raises(MissingExtra, match=r"balise\[gateway\]"):
            await Broker(mqtt_json.Settings(**words), GATEWAY.kid).publish([Message("a", b"")])

    played(scene)


def test_what_was_given_up_does_not_come_later(there: plain.FarEnd) -> None:
    """A broker that froze: the batch is given up, and the next connection begins with an empty queue."""

    async def scene() -> None:
        hub = there.hub(timeout_s=0.3)
        await hub.send(ROWS[:1])
        there.broker.freeze()
        with pytest.raises(HubAway):
            await hub.send(ROWS[1:2])
        there.broker.thaw()
        await hub.send(ROWS[2:])
        await hub.close()

    played(scene)
    assert [json.loads(m.payload)["id"].rpartition("-3-")[2] for m in there.heard()][-1] == "8-0"
