"""The contract `Source`, on every kind in the folder: each with messages as its senders write them.

A new kind needs one file beside the others in `sources/`, named as its module: settings, messages with the rows that
they mean, messages that are refused with their reason, and addresses that it does not want.
"""

import dataclasses
import inspect
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway import plugins, settings, sources
from balise_gateway.arrival.foreign import Foreign, Gathered, Way
from balise_gateway.config import parse
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.qualifier import Quality
from balise_gateway.sources import INT32_HIGH, INT32_LOW, Heard, Source, SourceError, SourceSettings
from gateway.support import FakeClock

KINDS = plugins.kinds(sources)
SAMPLES = Path(__file__).parent / "sources"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def sample(kind: str) -> dict[str, Any]:
    path = SAMPLES / f"{kind}.json"
    assert path.exists(), f"{path.name}: what do messages of the kind {kind!r} look like?"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def settings_of(kind: str) -> SourceSettings:
    table = {"kind": kind, **sample(kind)["settings"]}
    made: SourceSettings = settings.build(plugins.load(sources, kind).Settings, table, "source 1", "test")
    return made


def made(kind: str) -> Source:
    hours = itertools.count(step=3_600_000)  # no test of this file is about sending too often
    source: Source = plugins.load(sources, kind).Source(settings_of(kind), lambda: next(hours))
    return source


def taught(kind: str) -> Source:
    """One that has read all of its messages: some tell what others mean."""
    source = made(kind)
    for message in sample(kind)["messages"]:
        source.read(message["address"], body_of(message))
    return source


def body_of(message: dict[str, Any]) -> bytes:
    return message["text"].encode() if "text" in message else json.dumps(message["body"]).encode()


def told(heard: Heard) -> list[object]:
    names = [column.name for column in heard.shape.columns]
    return [heard.device, heard.utc_ms, dict(zip(names, heard.values, strict=True))]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_what_the_contract_says(kind: str) -> None:
    module = plugins.load(sources, kind)
    public = [name for name, _ in inspect.getmembers(module.Source, inspect.isfunction) if not name.startswith("_")]
    assert public == ["read"]
    assert list(inspect.signature(module.Source.read).parameters) == list(inspect.signature(Source.read).parameters)
    assert dataclasses.is_dataclass(module.Settings)
    assert issubclass(module.Settings, SourceSettings)


@pytest.mark.parametrize("kind", KINDS)
def test_reads_its_messages(kind: str) -> None:
    source = made(kind)
    way = Way(kind, "urn:dev:", source)
    for message in sample(kind)["messages"]:
        heard = source.read(message["address"], body_of(message))
        assert [told(row) for row in heard] == message["rows"], message["why"]
        assert way.wants(message["address"]), message["why"]
        assert all(len(row.values) == len(row.shape.columns) for row in heard)
        assert all(row.id is None or isinstance(row.id, bytes) for row in heard)
        again = source.read(message["address"], body_of(message))
        assert again == heard  # the same shapes, too: they are made once


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_what_it_cannot_use(kind: str) -> None:
    for message in sample(kind)["refused"]:
        with pytest.raises(SourceError) as caught:
            made(kind).read(message["address"], body_of(message))
        assert caught.value.reason == message["reason"]


@pytest.mark.parametrize("kind", KINDS)
def test_wants_nothing_else(kind: str) -> None:
    way = Way(kind, "urn:dev:", made(kind))
    for address in (*sample(kind)["unwanted"], "balise/v1/n/0102/up", "$SYS/broker/uptime", "/", "/favicon.ico"):
        assert not way.wants(address), address


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_comes_is_rows_or_a_reason(kind: str) -> None:
    found = sample(kind)
    bodies = [body_of(message) for message in found["messages"]]
    addresses, source = [message["address"] for message in found["messages"]], taught(kind)

    @given(st.sampled_from(addresses), st.sampled_from(bodies), st.data())
    def whatever(address: str, body: bytes, data: st.DataObject) -> None:
        changed = _changed(json.loads(body) if body[:1] in (b"{", b"[") else body.decode(), data)
        _check(source, address, json.dumps(changed).encode())

    @given(st.sampled_from(addresses), st.binary(max_size=40))
    def garbage(address: str, body: bytes) -> None:
        _check(source, address, body)

    whatever()
    garbage()


def _check(source: Source, address: str, body: bytes) -> None:
    way, gathered = Way("kind", "urn:dev:", source), Gathered()
    try:
        Foreign([], FakeClock(), Quality(LimitTable()).foreign).take(gathered, way, address, body, 0)
    except SourceError:
        return
    for rows in gathered.values():
        for _, values in rows:
            assert any(value is not None for value in values)
            assert all(value is None or INT32_LOW <= value <= INT32_HIGH for value in values)


def _changed(told: Any, data: st.DataObject) -> Any:
    """This document with something else at one place of it."""
    if isinstance(told, dict) and told and data.draw(st.integers(0, 9)):
        name = data.draw(st.sampled_from(sorted(told)))
        return {**told, name: _changed(told[name], data)}
    if isinstance(told, list) and told and data.draw(st.integers(0, 9)):
        return [_changed(told[0], data), *told[1:]]
    return data.draw(JSON)


@pytest.mark.parametrize("kind", KINDS)
def test_stands_in_a_configuration(kind: str, tmp_path: Path) -> None:
    lines = ["[gateway]", 'data_dir = "."', "[[ingest]]", 'kind = "mqtt_listener"', "anonymous = true", "[[source]]"]
    lines += [f"{name} = {_toml(value)}" for name, value in {"kind": kind, **sample(kind)["settings"]}.items()]
    assert parse("\n".join(lines), tmp_path / "gateway.toml").sources == (settings_of(kind),)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)
