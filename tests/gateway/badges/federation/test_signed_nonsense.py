"""A partner with a good key that signs nonsense: a value of a good message is something else, and the signature holds.

Bent bytes never come past the signature; these do. Whatever is told, it is refused with a named reason or taken, and
what was taken breaks nothing that is done with it later.
"""

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balise_gateway.badges.billing.agreement import load
from balise_gateway.badges.billing.sessions import sessions
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.desk.finding import Bearer, Finder, When
from balise_gateway.badges.desk.rules import Scene as Moment
from balise_gateway.badges.desk.rules import verdict
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.sequence import chosen
from balise_gateway.badges.outputs import _words
from balise_gateway.errors import PaperError
from balise_wire import cbor
from balise_wire.card import make_number
from balise_wire.card_list import _bound
from balise_wire.errors import WireError
from balise_wire.items import Anchor
from balise_wire.places import Table, derive, number_token, read_table
from balise_wire.sun_check import digest_of
from balise_wire.visits import MappingRecord, VisitRecord
from gateway.badges.federation.places import FEDERATION, GATEWAYS, HOME, HOST, KEYS, NOW_S, PARIS, cache, table
from gateway.badges.federation.test_sun_service import CHIP, Scene, message
from gateway.badges.places import AGREEMENT, PLACE_TERMS

NUMBER = make_number(bytes(6))
WRONG: list[Any] = [None, True, -1, 0, 1, 3, 10_000, NOW_S + 90_000, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 64)]
WRONG += [
    b"",
    bytes(7),
    bytes(8),
    bytes(16),
    bytes(32),
    b"x" * 5_000,
    "",
    "x",
    "\n\x1b[2J",
    "é" * 65,
    "a.b",
    "<b>",
    "💥",
]
WRONG += [[], [[]], {}, {"host": 1}, {1: 2}, cbor.Tag(1, 0), cbor.Raw(b"\xf7"), cbor.Raw(b"\xfb" + bytes(8))]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values in a message, containers too."""
    found = [path]
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, (list, dict)):
        inside = list(enumerate(value)) if isinstance(value, list) else list(value.items())
    for key, each in inside:
        found += leaves(each, (*path, key))
    return found


@st.composite
def bent(draw: st.DrawFn, good: Any) -> bytes:
    """The same with one or two values replaced, doubled or left out."""
    told = [copy.deepcopy(good)]
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from([(0, *path) for path in leaves(told[0])]))
        inside: Any = told
        for key in way:
            inside = inside[key]
        if not isinstance(inside, (list, dict)):
            continue
        how = draw(st.sampled_from(["replace", "double", "leave out"]))
        if how == "replace" or len(way) == 0:
            inside[last] = copy.deepcopy(draw(st.sampled_from(WRONG)))
        elif how == "double" and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
        else:
            del inside[last]
    return cbor.encode(told[0])


FUZZED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PAIR_KEY = KEYS[HOME].pair_key(HOME, HOST, KEYS[HOST].box_public)
TOKEN = number_token(PAIR_KEY, NUMBER)
HIDDEN = [bytes(32), [[TOKEN, 2026, bytes(range(16)), 5, "metropole"], [bytes(8), 2026, bytes(16), None, None]]]
HIDDEN += [[[b"12345678", 1]]]
NAME = [HOME, HOST, 1_000, 0, NOW_S]


def sealed(name: Any, hidden: bytes) -> bytes:
    iv, protected = bytes(12), cbor.encode({1: 3})
    closed = AESGCM(derive(PAIR_KEY, b"balise list")).encrypt(iv, hidden, _bound(protected, name))
    return KEYS[HOME].signer.sign(cbor.encode([35, *name, cbor.Tag(16, [protected, {5: iv}, closed])]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nonsense")


def shown(lists: CardLists) -> None:
    """A card is held before the reader: the verdict, in words."""
    from balise_gateway.badges.cards.recognise import Claim

    class Nobody:
        def by_number(self, number: str) -> None: ...

    finder = Finder(HOST, KEYS[HOST], Nobody(), lists, lambda member: None)  # type: ignore[arg-type]
    found = finder.find(Claim(HOME, NUMBER), When(2026, NOW_S // 86_400))
    for language in ("fr", "en"):
        _words.said(verdict(found, 0, Moment(NOW_S)), language, PARIS)  # type: ignore[arg-type]
    if isinstance(found, Bearer):
        VisitRecord(HOST, found.home, found.who, NOW_S, 1, 0, 1, found.client).item()


@FUZZED
@given(hidden=bent(HIDDEN), name=bent(NAME), which=st.booleans(), knows=st.booleans())
def test_a_list_of_nonsense_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, hidden: bytes, name: bytes, which: bool, knows: bool
) -> None:
    place = tmp_path_factory.mktemp("list")
    held = cache(place)
    lists = CardLists(place, HOST, KEYS[HOST], lambda: held.table)
    told = sealed(NAME, hidden) if which else sealed(_as_list(cbor.decode(name)), cbor.encode(HIDDEN))
    with contextlib.suppress(PaperError):
        lists.take(told, NOW_S if knows else None)
    shown(lists)
    lists.ages(NOW_S, 1.0)
    lists.close()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


VISIT = VisitRecord(HOST, HOME, bytes(range(16)), NOW_S, 2, 0, 1, "metropole", "card").item().pack()
TICKS = VisitRecord(HOST, HOME, bytes(range(16)), (7, 50), 2, 0, 2).item().pack()
MAPPED = MappingRecord(HOST, HOME, bytes(range(16)), bytes(16), 1, 2).item().pack()
ANCHOR = Anchor(7, 40_000, NOW_S * 1_000, "gateway", 20).pack()


@FUZZED
@given(payload=bent([3, 1, VISIT, TICKS, MAPPED, ANCHOR]))
def test_visits_of_nonsense_are_refused_or_can_be_billed(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes
) -> None:
    place = tmp_path_factory.mktemp("visits")
    held = cache(place)
    exchange = Exchange(place, lambda: held.table)
    outcome = exchange.take(GATEWAYS[HOST].sign(payload), NOW_S)
    for kid, log in outcome.names:
        exchange.held(kid, log)
    path = place / "agreement.toml"
    terms = "".join(PLACE_TERMS.format(name=name, cents=800, hours=4) for name in (HOME, HOST))
    path.write_text(AGREEMENT + terms, encoding="utf-8")
    inputs = Inputs(Trust.of([], held.table))
    kept = list(exchange.envelopes())
    for cose in kept:
        inputs.add_envelope(cose)
    sessions(inputs.taps()[0], load(path))
    list(chosen(kept, HOST, "2026-05"))
    exchange.forget(NOW_S + 91 * 86_400, 90)
    exchange.close()


ASKED = message(5, t=NOW_S, u=2)
QUESTION = [36, HOME, HOST, [[1, ASKED.number, ASKED.picc_data, ASKED.cmac, NOW_S, 2]]]


@FUZZED
@given(payload=bent(QUESTION))
def test_a_question_of_nonsense_is_refused_or_answered(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes
) -> None:
    scene = Scene(tmp_path_factory.mktemp("question"))
    with contextlib.suppress(PaperError):
        scene.home.answer(KEYS[HOST].signer.sign(payload), NOW_S)
    scene.close()


@FUZZED
@given(data=st.data())
def test_an_answer_of_nonsense_is_refused_or_taken(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:

    scene = Scene(tmp_path_factory.mktemp("answer"))
    tap = scene.tapped(message(5))
    (asked, _), *_ = scene.book.sun_waiting()
    good = [37, HOME, HOST, digest_of(b"question"), [[tap, 2, ""], [tap + 1, None, "replay"]]]
    home = scene.table.table.by_id[HOME]  # type: ignore[union-attr]
    with contextlib.suppress(PaperError):
        scene.asker._take(home, b"question", CHIP.signer.sign(data.draw(bent(good))), {tap: asked})
    scene.book.sun_waiting()
    scene.close()


GOOD_TABLE = [34, 1, NOW_S, [place.to_map() for place in table().places]]


@FUZZED
@given(payload=bent(GOOD_TABLE))
def test_a_table_of_nonsense_is_refused_or_read(payload: bytes) -> None:
    with contextlib.suppress(WireError):
        found = read_table(FEDERATION.sign(payload), FEDERATION.public_key)
        assert isinstance(found, Table)
        assert all(isinstance(found.hosts_of(kid), set) for kid in found.gateway_keys())
