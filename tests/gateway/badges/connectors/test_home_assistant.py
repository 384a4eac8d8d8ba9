"""What only Home Assistant's tags do: announcements, which taps have a tag, and nothing that comes back."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from balise_gateway.badges.connectors import Tapped, home_assistant
from balise_gateway.errors import ConnectorError
from contracts.connector_ends import NOW_UTC_S, secret, usage
from contracts.connector_ends.home_assistant import End
from contracts.far_ends._mosquitto import PASSWORD
from gateway.support import played

TAP = Tapped("9f86d081884c7d65", NOW_UTC_S, "porte d'entrée", "accepted", "in")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[End]:
    found = End(tmp_path)
    yield found
    found.close()


def told(there: End, *taps: Tapped, **settings: Any) -> None:
    async def scene() -> None:
        connector = there.connector(**settings)
        for tap in taps:
            await connector.tapped(tap)
        await connector.close()

    played(scene)


def test_a_reader_is_a_tag_scanner_and_an_event_of_one_device(there: End) -> None:
    told(there, TAP, TAP, language="en")
    ((topic, scanner),) = there.announced("tag").items()
    ((_, event),) = there.announced("event").items()
    assert topic == "homeassistant/tag/balise_badges/porte_20d_27entr_c3_a9e/config"
    assert scanner["device"] == event["device"]
    assert scanner["device"]["name"] == "Badge reader porte d'entrée"
    assert set(scanner) == {"topic", "device"}, "what the documentation of the tag scanner names"
    assert "accepted" in event["event_types"]
    assert there.taps() == [TAP.tag, TAP.tag]


def test_each_announcement_is_made_once(there: End) -> None:
    told(there, TAP, dataclasses.replace(TAP, reader="bar"), TAP)
    assert len([message for message in there.heard() if message.topic.endswith("/config")]) == 4


@pytest.mark.parametrize("verdict", ["desk", "unknown"])
def test_the_tag_of_a_card_that_is_not_good_is_not_told(there: End, verdict: str) -> None:
    told(there, dataclasses.replace(TAP, verdict=verdict, direction=""))
    assert there.taps() == []
    assert there.events() == [{"event_type": verdict, "direction": ""}]
    assert TAP.tag not in there.captured()


def test_a_member_without_credit_is_let_in_and_so_has_a_tag(there: End) -> None:
    told(there, dataclasses.replace(TAP, verdict="no_credit"))
    assert there.taps() == [TAP.tag]


def test_no_tap_is_retained(there: End) -> None:
    told(there, TAP)
    kept = [message.topic for message in there.heard() if message.retained]
    assert len(kept) == 2
    assert all(topic.endswith("/config") for topic in kept)


def test_a_broker_that_was_begun_anew_hears_the_next_tap_and_not_the_last(there: End) -> None:
    async def scene() -> None:
        connector = there.connector()
        await connector.tapped(TAP)
        assert there.taps() == [TAP.tag]
        there.answer = "no connection"
        with pytest.raises(ConnectorError):
            await connector.tapped(dataclasses.replace(TAP, tag="lost"))
        there.answer = "ok"
        await connector.tapped(dataclasses.replace(TAP, tag="60303ae22b998861"))
        await connector.close()

    played(scene)
    assert there.taps() == [TAP.tag, "60303ae22b998861"]
    topics = [message.topic for message in there.heard() if message.topic.endswith("/config")]
    assert len(topics) == 4, "a broker that was killed may have forgotten what it retained"
    topics = [message.topic for message in there.heard() if message.topic.endswith("/config")]
    assert len(topics) == 4, "a broker that was killed may have forgotten what it retained"


def test_a_password_that_was_changed_needs_no_restart(there: End, tmp_path: Path) -> None:
    async def scene() -> None:
        connector = there.connector()
        secret(tmp_path, "wrong")
        with pytest.raises(ConnectorError) as caught:
            await connector.tapped(TAP)
        assert not caught.value.retry
        secret(tmp_path, PASSWORD)
        await connector.tapped(TAP)
        await connector.close()

    played(scene)
    assert there.taps() == [TAP.tag]


def test_a_usage_is_refused_with_the_reason(there: End) -> None:
    async def scene() -> None:
        refused = await there.connector().record([usage()])
        assert refused == {usage().key: home_assistant.NOT_FOR_USAGES}

    played(scene)


def test_it_speaks_311_too(there: End) -> None:
    told(there, TAP, version="3.1.1")
    assert there.taps() == [TAP.tag]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"device": ""}, "device"),
        ({"device": "a/b"}, "device"),
        ({"discovery_prefix": "a/#"}, "discovery_prefix"),
        ({"password_file": Path("/x")}, "without user"),
    ],
)
def test_settings_that_do_not_fit_say_which(keys: dict[str, Any], says: str) -> None:
    words: dict[str, Any] = {"kind": "home_assistant", "host": "broker.example"}
    assert home_assistant.Settings(**words).problem() is None
    assert says in str(home_assistant.Settings(**(words | keys)).problem())
