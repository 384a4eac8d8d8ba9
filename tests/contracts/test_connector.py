"""The contract `Connector`, on every kind in the folder, against a far end on the wire that each kind speaks.

A new kind needs one file in `connector_ends/`. What only one kind does is tested in `tests/gateway/badges/connectors/`.
"""

import dataclasses
import importlib
import inspect
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from balise_gateway import plugins
from balise_gateway.badges import connectors
from balise_gateway.badges.connectors import Connector, ConnectorSettings, Tapped
from balise_gateway.errors import ConnectorError
from balise_gateway.settings import keys_of
from contracts import bare
from contracts.connector_ends import MEMBER, NOBODY, NOW_UTC_S, OTHER, End, end_of, usage
from gateway.support import played

ROOT = Path(__file__).parents[2]
KINDS = plugins.kinds(connectors)
WORDS = {"balance", "record", "tapped", "status", "close"}
TAP = Tapped("9f86d081884c7d65", NOW_UTC_S, "porte", "accepted", "in")


def wanting(what: str) -> list[str]:
    return [kind for kind in KINDS if what in plugins.load(connectors, kind).Connector.wants]


def failing() -> list[tuple[str, str, bool]]:
    found = []
    for kind in KINDS:
        answers = importlib.import_module(f"contracts.connector_ends.{kind}").End.answers
        found += [(kind, word, later) for word, later in answers.items()]
    return found


COUNTING = [k for k in KINDS if importlib.import_module(f"contracts.connector_ends.{k}").End.counts_usages]


@pytest.fixture
def there(kind: str, tmp_path: Path) -> Iterator[End]:
    found = end_of(kind, tmp_path)
    yield found
    found.close()


async def brought(kind: str, connector: Connector) -> None:
    """One of all that this kind wants."""
    if "balance" in connector.wants:
        await connector.balance(MEMBER)
    if "usage" in connector.wants:
        await connector.record([usage()])
    if "tap" in connector.wants:
        await connector.tapped(TAP)


def made_for(there: End, word: str) -> Connector:
    """Where nobody answers, one that does not wait for long; else nothing depends on how fast this machine is."""
    return there.connector(timeout_s=0.5) if word == "silence" else there.connector()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_methods_of_the_contract_and_none_of_its_own(kind: str) -> None:
    module = plugins.load(connectors, kind)
    public = {name for name, _ in inspect.getmembers(module.Connector, inspect.isfunction) if not name.startswith("_")}
    assert public == WORDS
    for name in WORDS:
        theirs = inspect.signature(getattr(module.Connector, name))
        assert list(theirs.parameters) == list(inspect.signature(getattr(Connector, name)).parameters)
    assert list(inspect.signature(module.Connector).parameters)[:3] == ["settings", "transport", "clock"]
    assert module.Connector.wants <= {"balance", "usage", "tap"}
    assert module.Connector.wants


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_frozen_and_hold_no_secret(kind: str) -> None:
    settings = plugins.load(connectors, kind).Settings
    assert issubclass(settings, ConnectorSettings)
    assert settings.__dataclass_params__.frozen
    for key in keys_of(settings):
        assert key.type == "a path" or not any(word in key.name for word in ("secret", "password", "token", "api_key"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_stands_in_the_guide(kind: str) -> None:
    text = (ROOT / "gateway/BADGES.md").read_text(encoding="utf-8").partition("## Other software of the place")[2]
    part = text.partition(f"### `{kind}`")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert part, f"no part about {kind} in BADGES.md"
    common = {key.name for key in keys_of(ConnectorSettings)}
    for key in keys_of(plugins.load(connectors, kind).Settings):
        where = text if key.name in common else part
        row = f"| `{key.name}` | {key.type} | {key.default or 'needed'} | {key.doc} |"
        assert row in where, f"{kind}: missing or stale: {row}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_constructor_only_builds(there: End, kind: str) -> None:
    connector = there.connector()
    told = connector.status()
    assert told["kind"] == kind
    assert told["state"] != "up"
    assert told["where"]
    assert there.requests == 0
    there.answer = next(iter(there.answers))
    assert there.connector().status()["state"] == told["state"], "it must not look where nobody answers"


BARE = """
import asyncio, pickle
settings, member, usage, tap = pickle.loads(bytes.fromhex(sys.argv[1]))
from balise_gateway import plugins
from balise_gateway.badges import connectors
from balise_gateway.errors import ConnectorError
made = plugins.load(connectors, settings.kind).Connector(settings, None, None)
asked = {"balance": lambda: made.balance(member), "usage": lambda: made.record([usage])}
asked["tap"] = lambda: made.tapped(tap)
async def scene():
    said = []
    for want in sorted(made.wants):
        try:
            await asked[want]()
        except ConnectorError as error:
            said.append([str(error), error.retry, made.status()["state"]])
    await made.close()
    return said
tell(asyncio.run(scene()))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_library_is_a_failure_that_says_what_to_install(there: End, kind: str) -> None:
    words = pickle.dumps((there.settings(), MEMBER, usage(), TAP)).hex()
    told = bare.told(BARE, words)
    for error, retry, state in told.said if told.wanted else ():
        assert error.startswith(f'a connector of kind "{kind}" needs '), told
        assert error.endswith(" pip install 'balise[gateway]'")
        assert (retry, state) == (False, error)
    assert bool(told.said) or not told.wanted, "a missing library was hidden"
    assert told.wanted or not any("pip install" in error for error, _, _ in told.said)


@pytest.mark.parametrize("kind", KINDS)
def test_may_be_closed_twice_and_used_again(there: End, kind: str) -> None:
    states: list[object] = []

    async def scene() -> None:
        connector = there.connector()
        await connector.close()
        for _ in range(2):
            await brought(kind, connector)
            states.append(connector.status()["state"])
            await connector.close()
            await connector.close()

    played(scene)
    assert states == ["up", "up"]


@pytest.mark.parametrize("kind", COUNTING)
def test_a_usage_that_is_told_often_counts_once(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        for _ in range(3):
            assert await connector.record([usage(1), usage(2, 2, OTHER)]) == {}
        await connector.close()
        again = there.connector()  # after a restart
        assert await again.record([usage(2, 2, OTHER)]) == {}
        await again.close()

    played(scene)
    assert there.used(usage(1).key) == 1
    assert there.used(usage(2).key) == 2


@pytest.mark.parametrize("kind", COUNTING)
def test_a_usage_whose_answer_is_lost_counts_once(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        there.answer = "lost"
        with pytest.raises(ConnectorError) as caught:
            await connector.record([usage()])
        assert caught.value.retry
        there.answer = "ok"
        assert await connector.record([usage()]) == {}
        await connector.close()

    played(scene)
    assert there.used(usage().key) == 1


@pytest.mark.parametrize("kind", COUNTING)
def test_a_later_figure_replaces_the_earlier_one(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        for half_days in (1, 2, 0, 0, 2, 1):
            assert await connector.record([usage(half_days=half_days)]) == {}
            assert there.used(usage().key) == half_days
        await connector.close()

    played(scene)


@pytest.mark.parametrize("kind", wanting("balance"))
def test_a_balance_is_told_in_half_days_with_its_time(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        for half_days in (7, 0):
            there.credit(MEMBER, half_days)
            found = await connector.balance(MEMBER)
            assert found is not None
            assert (found.half_days, found.utc_s) == (half_days, NOW_UTC_S)
        await connector.close()

    played(scene)


@pytest.mark.parametrize("kind", wanting("balance"))
def test_a_member_whom_the_program_does_not_know_has_no_balance(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        assert await connector.balance(NOBODY) is None
        await connector.close()

    played(scene)


@pytest.mark.parametrize("kind", wanting("tap"))
def test_a_tap_is_told_with_its_pseudonym(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        await connector.tapped(TAP)
        await connector.tapped(dataclasses.replace(TAP, tag="60303ae22b998861"))
        await connector.close()

    played(scene)
    assert there.taps() == ["9f86d081884c7d65", "60303ae22b998861"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_does_not_want_reaches_nobody(there: End, kind: str) -> None:
    async def scene() -> None:
        connector = there.connector()
        if "balance" not in connector.wants:
            assert await connector.balance(MEMBER) is None
        if "usage" not in connector.wants:
            assert list(await connector.record([usage(1), usage(2)])) == [usage(1).key, usage(2).key]
        if "tap" not in connector.wants:
            await connector.tapped(TAP)
        await connector.close()

    played(scene)
    assert there.requests == 0
    assert there.taps() == []


@pytest.mark.parametrize(("kind", "word", "later"), failing())
def test_a_failure_says_whether_later_may_help_and_what_is_wrong(there: End, kind: str, word: str, later: bool) -> None:
    async def scene() -> None:
        connector = made_for(there, word)
        there.answer = word
        with pytest.raises(ConnectorError) as caught:
            await brought(kind, connector)
        assert caught.value.retry is later
        assert connector.status()["state"] == str(caught.value)
        there.answer = "ok"
        if word == "silence":
            await connector.close()
            connector = there.connector()
        await brought(kind, connector)
        assert connector.status()["state"] == "up"
        await connector.close()

    played(scene)
    if kind in COUNTING:
        assert there.used(usage().key) == 1


@pytest.mark.parametrize(("kind", "word", "later"), [*((kind, "ok", True) for kind in KINDS), *failing()])
def test_no_secret_and_no_member_is_shown(
    there: End, kind: str, word: str, later: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[Any] = []
    told: list[Any] = []  # to people, or written down

    async def scene() -> None:
        connector = made_for(there, word)
        there.answer = word
        try:
            await brought(kind, connector)
        except ConnectorError as error:
            shown.extend((str(error), repr(error), repr(error.__cause__), repr(error.args)))
        told.append(connector.status())
        shown.extend((*told, repr(connector), vars(connector)))
        await connector.close()

    played(scene)
    out, err = capfd.readouterr()
    text = " ".join(map(str, shown)) + caplog.text + out + err
    assert there.secrets
    for secret in there.secrets:
        assert secret not in text
    assert MEMBER not in " ".join(map(str, told)) + caplog.text + out + err
