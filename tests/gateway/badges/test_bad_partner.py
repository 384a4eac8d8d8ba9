"""A partner that turned bad: what its lists, answers and visits say must end no gateway, and fill no memory."""

import asyncio
import datetime
import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.visits import Tap
from balise_gateway.badges.federation import lists as lists_module
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.badges.federation.home_lists import Card, HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.strangers import is_secret_way
from balise_gateway.badges.federation.suspects import unmask
from balise_gateway.badges.members import MOST_YEARS, Names
from balise_gateway.badges.register import Member, Register
from balise_gateway.delivery.http_hub import Answer, retry_after_s
from balise_gateway.delivery.hub_answers import Answer as HubAnswerOf
from balise_gateway.delivery.hub_answers import Answers
from balise_gateway.errors import BadgeError, HubAway, PaperError
from balise_wire import card, cbor, cose
from balise_wire.card_list import CardList, Entry, _bound, peek_list, seal_list
from balise_wire.envelope import sign_envelope, verify_envelope
from balise_wire.errors import WireError
from balise_wire.places import Table, derive, number_token, sign_table, uid_card_token
from balise_wire.sun_check import digest_of, read_question
from balise_wire.visits import VisitRecord
from gateway.badges.federation.places import GATEWAYS, HOME, HOST, KEYS, NOW_S, PARIS, THIRD, Cards, cache
from gateway.badges.places import FEDERATION, PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
LONG = "c" * 65


def hostile_list(entry: list[object], *, utc_s: int = NOW_S, number: int = 1_000) -> bytes:
    """A list as a tampered gateway would make it: nothing is checked but that it can be opened."""
    good = CardList(HOME, HOST, number, 0, utc_s, bytes(32), (), {})
    pair_key = KEYS[HOME].pair_key(HOME, HOST, KEYS[HOST].box_public)
    hidden = cbor.encode([bytes(32), [entry], []])
    iv, protected = bytes(12), cbor.encode({1: 3})
    sealed = AESGCM(derive(pair_key, b"balise list")).encrypt(iv, hidden, _bound(protected, good.name))
    return KEYS[HOME].signer.sign(cbor.encode([35, *good.name, cbor.Tag(16, [protected, {5: iv}, sealed])]))


def hostile_hidden(hidden: bytes) -> bytes:
    """A list with anything inside its seal."""
    good = CardList(HOME, HOST, 1_000, 0, NOW_S, bytes(32), (), {})
    pair_key = KEYS[HOME].pair_key(HOME, HOST, KEYS[HOST].box_public)
    iv, protected = bytes(12), cbor.encode({1: 3})
    sealed = AESGCM(derive(pair_key, b"balise list")).encrypt(iv, hidden, _bound(protected, good.name))
    return KEYS[HOME].signer.sign(cbor.encode([35, *good.name, cbor.Tag(16, [protected, {5: iv}, sealed])]))


def sun_service_scene(folder: Path) -> Any:
    from gateway.badges.federation.test_sun_service import Scene

    return Scene(folder)


def host(folder: Path) -> CardLists:
    table = cache(folder)
    return CardLists(folder, HOST, KEYS[HOST], lambda: table.table)


def test_a_client_too_long_for_a_visit_is_refused_in_a_list_and_in_the_register(tmp_path: Path) -> None:
    with pytest.raises(PaperError, match="client"):
        host(tmp_path).take(hostile_list([bytes(8), 2026, bytes(16), None, LONG]), NOW_S)
    with Register(tmp_path, lambda uid: uid) as register, pytest.raises(BadgeError, match="64 fit"):
        register.put_member(Member("anne", LONG))


def test_a_client_that_came_before_it_was_refused_ends_no_gateway(tmp_path: Path) -> None:
    """Files of an older version may hold one; visits are said with what fits, again and again the same."""

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            for place in (here, there):
                number = place.member("zoe")
                with place.office.records.register._db() as db:
                    db.execute("UPDATE member SET client = ?", (LONG,))
                assert place.show(number).state == "accepted"
                await until(lambda place=place: not place.office.records.book.unsaid())  # type: ignore[misc]
            await here.office.works.rounds.once()
            assert here.office.works.rounds.away == {}
            assert here.show(number, home=THERE).state == "accepted"
            await until(lambda: not here.office.records.book.unsaid())
            assert not here._task.done()

    asyncio.run(scene())


class Server(httpx.AsyncBaseTransport):
    """A place's server that answers all with this."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self._told = (status, headers, body)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status, headers, body = self._told
        return httpx.Response(status, headers=headers, content=body, request=request)


ANSWERS = [
    Server(503, {"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Date": "x"}),
    Server(503, {"Retry-After": "Mon, 01 Jan 2029 00:00:00 +99999999999999999", "Date": "31 Dec 9999 23:59:59 -1400"}),
    Server(200, {}, b"\x81" * 100_000),
    Server(200, {}, b"\xd2\x84\x40\xa0" + b"\x9a\x00\x01\x00\x00" * 1_000),
    Server(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"),
    Server(200, {"Content-Type": "text/html"}, b"<html>"),
    Server(302, {"Location": "https://evil.example/"}),
    Server(204, {}),
    Server(418, {}, b"\xff\x00" * 5_000),
]


def test_whatever_a_partners_server_answers_the_place_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here = made[HERE]
            for server in ANSWERS:
                here.roads.ends[THERE] = server
                await here.office.works.rounds.once()
                await waiting_sun(here)
                await here.office.works.sun_asker.once()
            assert here.show(here.member("anne")).state == "accepted"
            await until(lambda: not here.office.records.book.unsaid())
            assert not here._task.done()

    asyncio.run(scene())


async def waiting_sun(place: PlaceAt) -> None:
    """A card of THERE with a SUN message that only THERE can verify."""
    number = card.make_number(b"zoe~~~")
    uri = f"{card.home_url(THERE, number)}?picc_data={'00' * 16}&cmac={'00' * 8}"
    from balise_gateway.badges.seen import Seen

    place.office.take(Seen("card", "door", b"\x04" + bytes(6), uri))


@pytest.mark.parametrize(
    "text",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "1 Jan 2020 99999999999999999999999:00:00", "9" * 400],
)
def test_a_date_beyond_all_calendars_is_no_date(text: str) -> None:
    now = "Mon, 01 Jan 2029 00:00:00 GMT"
    assert retry_after_s({"Retry-After": text, "Date": now}) in (0.0, 86_400.0)
    assert retry_after_s({"Retry-After": now, "Date": text}) == 0.0


def test_json_that_is_nested_without_end_is_no_answer_of_a_hub() -> None:
    with pytest.raises(HubAway):
        Answer(200, {}, b"[" * 100_000).json()


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"refused":' * 50_000, b"1" * 5_000, b'{"refused": [[], 1, {"index": 1e9}]}']
)
@pytest.mark.parametrize("status", [400, 409])
def test_a_partner_that_refuses_visits_with_nonsense_is_away_and_ends_no_uplink(status: int, body: bytes) -> None:
    answers = Answers(KEYS[HOME].signer.public_key, bytes(8), 1)
    with pytest.raises(HubAway):
        answers.holding(HubAnswerOf(status, body, "x"), b"nonce", 5)


def test_a_list_from_beyond_the_calendar_is_refused_also_where_nobody_knows_the_time(tmp_path: Path) -> None:
    with pytest.raises(PaperError, match="from the future"):
        host(tmp_path).take(hostile_list([bytes(8), 2026, bytes(16), 5, None], utc_s=1 << 60), None)


def test_a_list_without_end_is_refused_whole(tmp_path: Path) -> None:
    held = host(tmp_path)
    entries = [Entry(n.to_bytes(8, "big"), 2026, bytes(16)) for n in range(20_000)]
    pair_key = KEYS[HOME].pair_key(HOME, HOST, KEYS[HOST].box_public)

    def part(number: int, base: int, shift: int) -> bytes:
        moved = tuple(Entry(hashlib.sha256(e.token + bytes([shift])).digest()[:8], 2026, e.who) for e in entries)
        return seal_list(KEYS[HOME].signer, pair_key, CardList(HOME, HOST, number, base, NOW_S, bytes(32), moved, {}))

    times = lists_module.MAX_CARDS // len(entries)
    for number in range(1, times + 1):
        held.take(part(number, number - 1, number), NOW_S)
    with pytest.raises(PaperError, match="too large"):
        held.take(part(times + 1, times, 0), NOW_S)
    assert held.number_of(HOME) == times


def test_a_card_that_two_homes_claim_is_told_by_the_names_of_the_homes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A home can list the UID of a card that it has seen: who asks the log sees that two say it is theirs."""
    uid, number = bytes.fromhex("04a1b2c3d4e5f6"), card.make_number(bytes(6))
    table, held = cache(tmp_path), host(tmp_path)
    for name in (HOME, THIRD):
        cards = Cards(Card(number, "anne", KEYS[name].uid_token(uid)))
        made = HomeLists(tmp_path / name, name, KEYS[name], cards, lambda: table.table)
        held.take(made.message(HOST, 0, NOW_S, PARIS), NOW_S)
    with caplog.at_level("INFO"):
        for _ in range(3):
            assert held.by_uid(uid) is not None
            assert held.by_any_number(number) is not None
    told = [record.getMessage() for record in caplog.records if "claimed" in record.getMessage()]
    assert told == ['card claimed by several homes homes="home.example, third.example"']
    assert number not in caplog.text


def tap(year: int) -> Tap:
    t = int(datetime.datetime(year, 6, 1, tzinfo=datetime.UTC).timestamp())
    return Tap(HOST, HOME, bytes(16), t, 0, 0, year, b"", True, frozenset(), "")


def test_visits_of_every_year_that_there_will_be_fill_no_memory() -> None:
    names = Names(KEYS[HOME], [Member("anne")])
    for year in range(1970, 3_000):
        assert names.member_of(HOST, year, KEYS[HOME].who("anne", HOST, year)) == Member("anne")
    assert len(names._known) <= MOST_YEARS
    calendar = Calendar(ZoneInfo("Europe/Paris"), 240)
    sights, lost = unmask([tap(year) for year in range(1970, 2_300)], KEYS[HOME], HOME, ["anne"], calendar)
    assert (len(sights), lost) == (0, 330)


def test_a_token_of_one_home_never_opens_a_card_of_another() -> None:
    pair = {name: KEYS[name].pair_key(name, HOST, KEYS[HOST].box_public) for name in (HOME, THIRD)}
    number, token = card.make_number(bytes(6)), KEYS[HOME].uid_token(bytes(7))
    assert number_token(pair[HOME], number) != number_token(pair[THIRD], number)
    assert uid_card_token(pair[HOME], token) != uid_card_token(pair[THIRD], token)


# --- A signature for one kind of paper is none for another ------------------------------------------------------------


def test_no_text_that_a_place_signs_can_be_read_as_one_of_its_messages() -> None:
    """An agreement is TOML and a bill JSON, both UTF-8; a list, question, answer or envelope begins with the head of an
    array, which in UTF-8 begins nothing (RFC 3629 section 3, RFC 8949 section 3.1)."""
    for head in range(0x80, 0xA0):
        with pytest.raises(UnicodeDecodeError):
            bytes([head]).decode("utf-8")
    signer = KEYS[HOME].signer
    keys: dict[bytes, bytes] = {signer.kid: signer.public_key}
    text = b'id = "x"\n'
    detached: Any = cbor.decode(signer.sign_detached(text))
    forged = cbor.encode(cbor.Tag(18, [detached.value[0], {}, text, detached.value[3]]))
    assert cose.verify1(forged, keys) == (signer.kid, text)  # the same structure is signed: the forms keep them apart
    with pytest.raises(WireError):
        peek_list(forged)
    with pytest.raises(WireError):
        read_question(forged, keys)
    with pytest.raises(WireError):
        verify_envelope(forged, keys)


# --- What another place says is quoted nowhere ------------------------------------------------------------------------


def test_a_home_that_repeats_the_cards_number_does_not_have_it_in_our_log_and_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here = made[HERE]
            await waiting_sun(here)
            number = card.make_number(b"zoe~~~")
            for body in (f"card {number} is unknown", f'{{"error": "card {number}"}}', f'{{"error": ["{number}"]}}'):
                here.roads.ends[THERE] = Server(400, {}, body.encode())
                await here.office.works.sun_asker.once()
                assert THERE in here.office.works.sun_asker.away
                await here.office.works.rounds.once()
                assert here.gateway is not None
                assert number not in str(here.gateway.status())
            assert number not in caplog.text
            here.roads.ends[THERE] = Server(403, {}, b'{"error": "foreign host", "detail": "' + number.encode() + b'"}')
            await here.office.works.sun_asker.once()
            assert "foreign host" in here.office.works.sun_asker.away[THERE]

    with caplog.at_level("INFO"):
        asyncio.run(scene())
    assert "did not answer well" in caplog.text


@pytest.mark.parametrize("reason", ["card 14D2PF2DBV", "14d2pf2dbv", "signature\u2028"])
def test_a_reason_that_is_none_of_ours_is_told_as_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    from gateway.badges.federation.test_sun_service import CHIP, Scene, message

    scene = Scene(tmp_path)
    tap = scene.tapped(message(5))
    (asked, _), *_ = scene.book.sun_waiting()
    with caplog.at_level("INFO"):
        question = b"question"
        answer = [37, HOME, HOST, digest_of(question), [[tap, None, reason.strip("\u2028")]]]
        home = scene.table.table.by_id[HOME]  # type: ignore[union-attr]
        scene.asker._take(home, question, CHIP.signer.sign(cbor.encode(answer)), {tap: asked})
    assert reason not in caplog.text
    scene.close()


@pytest.mark.parametrize("url", ["http://mappemonde.example/badge", "http://[::1", "ftp://mappemonde.example", "//x"])
def test_a_question_with_a_cards_number_goes_no_way_that_others_can_read(tmp_path: Path, url: str) -> None:
    assert not is_secret_way(url)

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here = made[HERE]
            await waiting_sun(here)
            table = here.office.records.cache.table
            assert table is not None
            moved = [replace(place, visits=url) if place.id == THERE else place for place in table.places]
            newer = Table(table.number + 1, table.utc_s, tuple(moved))
            here.office.records.cache.take(sign_table(FEDERATION, newer))
            await here.office.works.sun_asker.once()
            assert "not https" in here.office.works.sun_asker.away[THERE]

    asyncio.run(scene())


@pytest.mark.parametrize("url", ["https://x.example/badge", "http://127.0.0.1:8080/badge", "http://localhost/badge"])
def test_tls_and_this_computer_itself_are_safe_ways(url: str) -> None:
    assert is_secret_way(url)


def test_messages_of_a_million_parts_are_refused_before_a_million_things_are_made_of_them(tmp_path: Path) -> None:
    million = b"\x9a" + (1_000_000).to_bytes(4, "big") + b"\x80" * 1_000_000
    outside = KEYS[HOME].signer.sign(b"\x87" + million)
    for message in (outside, hostile_hidden(million[:900_000])):
        tracemalloc.start()
        with pytest.raises(PaperError):
            host(tmp_path).take(message, NOW_S)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 12 << 20
    exchange = Exchange(tmp_path, lambda: cache(tmp_path).table)
    inside = GATEWAYS[HOST].sign(b"\x83\x01\x01" + b"\x9a" + (900_000).to_bytes(4, "big") + b"\x80" * 900_000)
    tracemalloc.start()
    (refused,) = exchange.take(inside, NOW_S).refused
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused["reason"] == "too large"
    assert peak_bytes < 12 << 20


def test_the_largest_envelope_that_our_own_gateway_signs_is_taken(tmp_path: Path) -> None:
    visits = [VisitRecord(HOST, HOME, bytes(16), NOW_S, 2, 0, tap, "metropole", "card").item() for tap in range(4_096)]
    exchange = Exchange(tmp_path, lambda: cache(tmp_path).table)
    signed = sign_envelope(GATEWAYS[HOST], 1, 1, [item.pack() for item in visits])
    assert exchange.take(signed, NOW_S).refused == []


def test_an_endless_answer_about_cards_is_not_read(tmp_path: Path) -> None:
    scene = sun_service_scene(tmp_path)
    home = scene.table.table.by_id[HOME]
    with pytest.raises(PaperError, match="too large"):
        scene.asker._take(home, b"question", bytes(70_000), {})
    scene.close()


def test_who_shows_a_thousand_invented_numbers_has_them_looked_up_once_for_each_list(tmp_path: Path) -> None:
    """Numbers of a home whose list has not come are noted under names of ours, until a list says who they are."""

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            here.roads.cut.add(THERE)
            number, lists = there.member("zoe"), here.office.records.lists
            for invented in range(50):
                assert here.show(card.make_number(invented.to_bytes(6, "big")), home=THERE).reason == "no list"
            assert here.show(number, home=THERE).reason == "no list"
            here.office._say()
            asked: list[str] = []
            lists._db.set_trace_callback(asked.append)
            for _ in range(5):
                here.show(number, home=THERE)
                here.office._say()
            assert sum("USING (home, token)" in text for text in asked) < 50
            lists._db.set_trace_callback(None)
            here.roads.cut.clear()
            await here.office.works.rounds.once()
            await until(lambda: len(here.office.records.book.provisional()) == 50)  # zoe has her own name now

    asyncio.run(scene())
