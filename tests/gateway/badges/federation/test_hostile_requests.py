"""Requests of people nobody knows, and of a partner that turned bad: what they may cost in memory, disk and time."""

import asyncio
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from balise_gateway.badges.federation import bodies
from balise_gateway.badges.federation.bodies import Bodies, BodyRefused, address_of
from balise_gateway.badges.federation.exchange import DAY_S, FILE_NAME, MAX_CONFLICTS, MAX_ENVELOPES, MAX_RANGES
from balise_gateway.badges.federation.exchange_paths import MAX_BODY_BYTES
from balise_gateway.badges.federation.sun_service import MAX_A_DAY
from balise_gateway.delivery.http_hub import Http
from balise_gateway.errors import HubAway
from balise_wire import cbor, cose
from balise_wire.envelope import Signer, split_sequence
from balise_wire.errors import WireError
from balise_wire.sun_check import SunQuestion, sign_question
from gateway.badges.desk_page.test_typed import FROM_OURS, GUEST, SITE, Desk
from gateway.badges.federation.places import GATEWAYS, HOME, HOST, NOW_S
from gateway.badges.federation.test_exchange import Partner, envelope, visit
from gateway.badges.federation.test_sun_service import HOST_SIGNER, Scene, message

STRANGER = Signer(bytes([99]) * 32)
SMALL_MB = 12  # a body of one megabyte is held a few times on its way


def array_of(item: bytes, size_bytes: int) -> bytes:
    count = (size_bytes - 5) // len(item)
    return b"\x9a" + count.to_bytes(4, "big") + item * count


HOSTILE = {
    "a million empty arrays": b"\x80" * MAX_BODY_BYTES,
    "one array of a million": array_of(b"\x80", MAX_BODY_BYTES),
    "one array of simple values": array_of(b"\xf7", MAX_BODY_BYTES),
    "a message that holds a million maps": b"\xd2\x84" + array_of(b"\xa0", MAX_BODY_BYTES - 2),
    "a message with a million headers": b"\xd2\x84\x40" + array_of(b"\xa0", MAX_BODY_BYTES - 3),
    "nested without end": b"\x81" * MAX_BODY_BYTES,
    "a length beyond all reason": b"\x5b" + b"\x7f" + b"\xff" * 7 + b"x" * 1_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_anything_is_refused_at_its_beginning(tmp_path: Path, name: str) -> None:
    partner = Partner(tmp_path)
    partner.post(b"\x00")  # libraries are there now
    tracemalloc.start()
    answer = partner.post(HOSTILE[name])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code in (400, 413)
    assert len(answer.content) < 200_000
    assert peak_bytes < SMALL_MB << 20
    with pytest.raises(WireError):
        cose.verify1(HOSTILE[name], {})


def test_a_signed_header_of_a_megabyte_is_not_looked_into() -> None:
    many = cbor.encode(dict.fromkeys(range(100000), 0))
    data = cbor.encode(cbor.Tag(18, [many, {}, b"", bytes(64)]))
    tracemalloc.start()
    with pytest.raises(WireError, match="protected header"):
        cose.verify1(data, {})
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < SMALL_MB << 20


def test_a_walk_to_the_next_message_ends_after_a_thousand_parts() -> None:
    assert [len(part) for part in split_sequence(b"\x98\xff" + b"\x00" * 255 + b"\x01")] == [257, 1]
    with pytest.raises(WireError, match="too large"):
        next(split_sequence(array_of(b"\x00", 2_000)))


def written(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((file.name, file.read_bytes()) for file in folder.glob(f"{FILE_NAME}*"))


def test_what_strangers_send_is_counted_and_costs_the_disk_nothing(tmp_path: Path) -> None:
    partner = Partner(tmp_path)
    partner.post(envelope(1))
    before = written(tmp_path)
    for body in (envelope(2, signer=STRANGER), b"\x82", b"\x80", envelope(3)[:-1] + b"\x00"):
        assert partner.post(body).status_code == 400
    assert partner.exchange.status()["refused"] == {"malformed": 2, "signature": 1, "unknown key": 1}
    assert written(tmp_path) == before
    partner.post(envelope(2))
    partner.exchange.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:  # with the next visits they are written down
        assert dict(db.execute("SELECT name, n FROM count")) == {"malformed": 2, "signature": 1, "unknown key": 1}


def test_more_envelopes_than_our_uplinks_send_are_too_many_and_none_is_kept(tmp_path: Path) -> None:
    partner = Partner(tmp_path)
    many = b"".join(envelope(seq) for seq in range(1, MAX_ENVELOPES + 2))
    assert partner.post(many).status_code == 413
    assert partner.exchange.held(GATEWAYS[HOST].kid, 3) == (1, [])
    assert partner.post(b"".join(split for split in list(split_sequence(many))[:-1])).status_code == 200


def test_conflicts_of_one_key_leave_room_for_those_of_others(tmp_path: Path) -> None:
    partner = Partner(tmp_path)
    partner.exchange.take(envelope(1) + envelope(1, visit(HOME), signer=GATEWAYS[HOME]), NOW_S)
    for tap in range(MAX_CONFLICTS + 5):
        partner.exchange.take(envelope(1, visit(tap=1_000 + tap)), NOW_S)
    assert partner.exchange.status()["conflicts"] == MAX_CONFLICTS
    partner.exchange.take(envelope(1, visit(HOME, tap=7), signer=GATEWAYS[HOME]), NOW_S)
    assert partner.exchange.status()["conflicts"] == MAX_CONFLICTS + 1


def test_a_log_full_of_holes_is_told_in_part(tmp_path: Path) -> None:
    partner = Partner(tmp_path)
    for first in range(0, 2 * (MAX_RANGES + 10), 1_000):
        partner.exchange.take(b"".join(envelope(seq) for seq in range(first + 2, first + 1_002, 2)), NOW_S)
    following, ranges = partner.exchange.held(GATEWAYS[HOST].kid, 3)
    assert (following, len(ranges), ranges[0], ranges[-1]) == (1, MAX_RANGES, (2, 2), (2_000, 2_000))


def test_one_place_can_fill_its_share_of_a_day_and_no_more(tmp_path: Path) -> None:
    partner = Partner(tmp_path, new_a_day=3)
    answer = partner.post(b"".join(envelope(seq) for seq in range(1, 6)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert partner.exchange.held(GATEWAYS[HOST].kid, 3) == (4, [])
    assert partner.exchange.status()["refused"] == {"too much": 1}
    assert partner.post(envelope(1)).status_code == 200  # what is held already is no news
    assert partner.post(envelope(1, visit(HOME), signer=GATEWAYS[HOME])).status_code == 200  # others have their own
    partner.now_ms = (NOW_S + DAY_S) * 1_000
    assert partner.post(envelope(4) + envelope(5)).status_code == 200


def test_what_one_place_has_here_is_bounded_also_after_a_restart(tmp_path: Path) -> None:
    partner = Partner(tmp_path, bytes_of_a_key=3 * len(envelope(1)))
    assert partner.post(envelope(1) + envelope(2)).status_code == 200
    partner.exchange.close()
    again = Partner(tmp_path, bytes_of_a_key=3 * len(envelope(1)))
    assert again.post(envelope(3)).status_code == 200
    assert again.post(envelope(4)).status_code == 429
    again.exchange.forget(NOW_S + 91 * DAY_S, 90)
    assert again.post(envelope(4)).status_code == 200


def test_a_question_about_many_messages_is_answered_in_steps(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    messages = tuple(message(tap, tap) for tap in range(1, 31))
    question = sign_question(HOST_SIGNER, SunQuestion(HOME, HOST, messages))
    assert sum(1 for _ in scene.home.answering(question, NOW_S)) == len(messages)
    scene.close()


# --- Bodies that come slowly, or not to their end --------------------------------------------------------------------


def request(receive: Any, address: str = "192.0.2.1") -> Any:
    from starlette.requests import Request

    return Request({"type": "http", "method": "POST", "headers": [], "client": (address, 1)}, receive)


async def never() -> Any:
    await asyncio.get_running_loop().create_future()


async def gone() -> Any:
    return {"type": "http.disconnect"}


async def whole() -> Any:
    return {"type": "http.request", "body": b"abc", "more_body": False}


def test_a_body_that_does_not_come_is_given_up() -> None:
    with pytest.raises(BodyRefused) as late:
        asyncio.run(Bodies(limit_s=0.01).read(request(never), 10))
    assert late.value.status == 408


def test_few_bodies_come_at_a_time_and_fewer_of_one_address() -> None:
    async def scene() -> None:
        room = Bodies()
        waiting = [asyncio.create_task(room.read(request(never), 10)) for _ in range(bodies.OF_ONE)]
        await asyncio.sleep(0)
        with pytest.raises(BodyRefused) as full:
            await room.read(request(whole), 10)
        assert full.value.status == 503
        assert await room.read(request(whole, "192.0.2.2"), 10) == b"abc"
        others = [asyncio.create_task(room.read(request(never, f"192.0.2.{n}"), 10)) for n in range(3, 15)]
        await asyncio.sleep(0)
        with pytest.raises(BodyRefused):
            await room.read(request(whole, "192.0.2.99"), 10)
        for task in (*waiting, *others):
            task.cancel()
        await asyncio.gather(*waiting, *others, return_exceptions=True)
        assert await room.read(request(whole), 10) == b"abc"

    asyncio.run(scene())


def test_who_goes_away_in_the_middle_raises_nothing() -> None:
    assert asyncio.run(Bodies().read(request(gone), 10)) == b""


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("a:b", "a:b"),
        ("", ""),
    ],
)
def test_one_who_has_a_whole_network_is_still_one(address: str, counted: str) -> None:
    assert address_of(request(whole, address)) == counted


def test_a_form_of_any_shape_is_no_fault_of_the_gateway(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    transport = httpx.ASGITransport(desk.client._transport.app, raise_app_exceptions=False)  # type: ignore[attr-defined]
    shapes = [b"&".join([b"a=1"] * 400), b"=" * 4_000, b"%" * 4_000, b"\x00\xff" * 500, b"token=%ff%00", b"a" * 9_000]

    async def posted(body: bytes, deed: str) -> int:
        headers = FROM_OURS | {"Content-Type": "application/x-www-form-urlencoded"}
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            return (await client.post(f"/badge/desk/{deed}", content=body, headers=headers)).status_code

    for body in shapes:
        for deed in ("leave", "record", "enter", "cancel", "end"):
            desk.seconds += 60
            assert asyncio.run(posted(body, deed)) == 303


def test_an_answer_that_comes_packed_is_not_unpacked() -> None:
    """A few kilobytes of gzip are gigabytes of zeros."""
    asked: list[str] = []

    async def packed(told: httpx.Request) -> httpx.Response:
        asked.append(told.headers["Accept-Encoding"])
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Explosive())

    async def scene() -> None:
        http = Http(httpx.MockTransport(packed), 5.0, "test")
        with pytest.raises(HubAway, match="packed"):
            await http.ask("GET", "https://home.example/list", {})
        await http.close()

    asyncio.run(scene())
    assert asked == ["identity"]


class Explosive(httpx.AsyncByteStream):
    async def __aiter__(self) -> Any:
        pytest.fail("the body was read")
        yield b""


def test_who_asks_for_lists_all_the_time_is_told_to_wait(tmp_path: Path) -> None:
    """A list of thousands of cards takes a while to make, and anybody may ask for it."""
    desk = Desk(tmp_path)

    async def asked(times: int) -> list[httpx.Response]:
        return [await desk.client.get(f"/badge/v1/of/{GUEST}/lists/{HOME}") for _ in range(times)]

    answers = asyncio.run(asked(62))
    assert [answer.status_code for answer in answers] == [200] * 60 + [429] * 2
    assert answers[-1].headers["Retry-After"] == "1"
    desk.seconds += 1
    assert [answer.status_code for answer in asyncio.run(asked(1))] == [200]


@pytest.mark.parametrize("origin", ["null", "http://[::1", "http://", "https://host.example.evil", "", "host.example"])
def test_a_page_of_anywhere_else_does_nothing_whatever_it_calls_itself(tmp_path: Path, origin: str) -> None:
    desk = Desk(tmp_path)
    desk.enter()
    assert desk.post("enter", {"Origin": origin}, name="Zoe").status_code == 403
    assert desk.place.subscribers() == []


def test_a_host_that_asks_about_cards_without_end_is_told_to_come_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.home._asked[HOST] = (NOW_S // DAY_S, MAX_A_DAY - 1)  # so many today

    def asked(*taps: int) -> int:
        question = SunQuestion(HOME, HOST, tuple(message(tap, tap) for tap in taps))
        body = sign_question(HOST_SIGNER, question)

        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(transport=scene.net) as client:
                return await client.post(f"https://{HOME}/badge/v1/sun", content=body)

        return asyncio.run(sent()).status_code

    assert asked(1) == 200
    assert asked(2) == 429
    scene.now_s = NOW_S + DAY_S
    assert asked(3) == 200
    scene.close()
