"""A host that saw an NTAG 424 of another home: what it asks, what the home answers, and who cannot cheat."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.cards import sun
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.recognise import Own, TakeCounter, verify_sun
from balise_gateway.badges.database import transaction
from balise_gateway.badges.desk.book import Book, Tap
from balise_gateway.badges.federation.bodies import Bodies
from balise_gateway.badges.federation.counters import Counters
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.sun_service import MAX_BODY_BYTES, SunAsker, SunHome, sun_route
from balise_gateway.badges.register import Member, Register
from balise_gateway.errors import PaperError
from balise_wire.card import home_url, make_number
from balise_wire.cose import kid_of
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.sun_check import (
    SunAnswer,
    SunMessage,
    SunOutcome,
    SunQuestion,
    digest_of,
    read_question,
    read_sun_answer,
    sign_question,
    sign_sun_answer,
)
from gateway.badges.federation.net import Net, app
from gateway.badges.federation.places import HOME, HOST, KEYS, NOW_S, THIRD, cache, place, signed

UID, NUMBER, WHO = bytes.fromhex("04a1b2c3d4e5f6"), make_number(bytes(6)), bytes(range(16))
CHIP = HomeKeys(bytes([10]) * 32, bytes([20]) * 32)  # the keys that `places.py` gives HOME
HOST_SIGNER = KEYS[HOST].signer


def message(counter: int, tap: int = 1, keys: HomeKeys = CHIP, t: int | None = None, u: int = 1) -> SunMessage:
    """What the chip says at its reading of this number (AN12196 sections 3.4.2 and 3.4.4)."""
    plain = b"\xc7" + UID + counter.to_bytes(3, "little") + bytes(5)
    encryptor = Cipher(AES(keys.sun_meta_key(NUMBER)), CBC(bytes(16))).encryptor()
    cmac = sun.cmac_of(keys.card_keys(NUMBER, UID).file, sun.Tap(UID, counter))
    return SunMessage(tap, NUMBER, encryptor.update(plain), cmac, t, u)


class Scene:
    """A home with a register, a host with a book of taps, and the network between them."""

    def __init__(self, folder: Path) -> None:
        places = [place(HOME, visits=f"https://{HOME}/badge"), place(HOST), place(THIRD)]
        self.table = cache(folder, data=signed(1, places))
        self.register = Register(folder, CHIP.uid_token)
        self.register.open()
        self.register.put_member(Member("anne"))
        self.register.issue(NUMBER, "anne", 20_000, uid=UID)
        self.home = SunHome(
            folder, HOME, CHIP.signer, lambda: self.table.table, self.verify, self.register.take_counter
        )
        self.now_s: int | None = NOW_S
        route = sun_route(self.home, lambda: self.now_s, Pace(1_000, lambda: 0.0), Bodies())
        self.net = Net({HOME: app(route)})
        self.book = Book(folder)
        self.book.open()
        self.upgraded: list[tuple[int, int]] = []
        self.asker = SunAsker(HOST, HOST_SIGNER, lambda: self.table.table, self.book, self.upgrade, self.net)

    def verify(self, told: SunMessage, take: TakeCounter) -> None:
        own = Own(HOME, CHIP, take, self.register.fits)
        verify_sun(own, told.number, told.picc_data, told.cmac)

    def upgrade(self, tap: Tap, grade: int) -> None:
        self.upgraded.append((tap.tap, grade))

    def tapped(self, told: SunMessage) -> int:
        uri = f"{home_url(HOME, NUMBER)}?picc_data={told.picc_data.hex()}&cmac={told.cmac.hex()}"
        tap = Tap(0, NOW_S, 1, 1, 5, "r", "card", "accepted", "", HOME, WHO, 0, None, True)
        return self.book.write(tap, None, uri)

    def ask(self) -> None:
        async def once() -> None:
            await self.asker.once()
            await self.asker.close()

        asyncio.run(once())

    def answered(self, *messages: SunMessage, signer: Signer = HOST_SIGNER, host: str = HOST) -> list[SunOutcome]:
        data = self.home.answer(sign_question(signer, SunQuestion(HOME, host, messages)), NOW_S)
        return list(read_sun_answer(data, {CHIP.signer.kid: CHIP.signer.public_key}).outcomes)

    def close(self) -> None:
        self.book.close()
        self.home.close()
        self.register.close()


@pytest.fixture
def scene(tmp_path: Path) -> "Scene":
    return Scene(tmp_path)


def test_a_good_message_gives_its_tap_the_second_grade(scene: Scene) -> None:
    tap = scene.tapped(message(5))
    scene.ask()
    assert scene.upgraded == [(tap, 2)]
    assert scene.book.sun_waiting() == []
    scene.ask()
    assert len(scene.net.asked) == 1  # nobody is asked when nothing waits


def test_a_home_that_is_away_is_asked_again_later(scene: Scene) -> None:
    scene.net.down.add(HOME)
    tap = scene.tapped(message(5))
    scene.ask()
    assert list(scene.asker.away) == [HOME]
    scene.net.down.clear()
    scene.now_s = None  # it is back, and does not know the time yet
    scene.ask()
    assert not scene.upgraded
    scene.now_s = NOW_S
    scene.ask()
    assert scene.upgraded == [(tap, 2)]
    assert not scene.asker.away


def test_a_home_that_cannot_say_leaves_the_tap_as_it_was(scene: Scene) -> None:
    scene.home.counters = Counters(scene.home._db, lambda number, uid, counter: "unsure")
    scene.tapped(message(5))
    scene.ask()
    assert not scene.upgraded
    assert [(told.grade, told.reason) for told in scene.book.visits_since(0)] == [(0, "")]
    assert scene.book.sun_waiting() == []


def test_an_answer_that_was_lost_on_the_way_is_no_replay(scene: Scene) -> None:
    assert scene.answered(message(5)) == [SunOutcome(1, 2)]
    assert scene.answered(message(5)) == [SunOutcome(1, 2)]
    assert scene.answered(message(5), message(6, tap=2)) == [SunOutcome(1, 2), SunOutcome(2, 2)]


def test_a_message_that_is_shown_twice_is_a_replay_whoever_hands_it_on(scene: Scene) -> None:
    assert scene.answered(message(5)) == [SunOutcome(1, 2)]
    assert scene.answered(message(5, tap=2)) == [SunOutcome(2, None, "replay")]
    third = KEYS[THIRD].signer
    assert scene.answered(message(5), signer=third, host=THIRD) == [SunOutcome(1, None, "replay")]
    assert scene.answered(message(4, tap=3)) == [SunOutcome(3, None, "replay")]
    tap = scene.tapped(message(5))
    scene.tapped(message(5))
    scene.ask()
    assert scene.upgraded == [(tap, 2)]  # tap 1 of this host, as asked before
    assert scene.book.sun_waiting() == []
    assert [told.reason for told in scene.book.visits_since(0)] == ["", "replay"]


def test_of_the_counters_that_are_forgotten_the_newest_of_a_card_stays(scene: Scene) -> None:
    """Else a message from before it would have nothing after it, and could never be told from a replay."""
    scene.answered(message(5, t=NOW_S), message(7, tap=2, t=NOW_S + 60))
    with transaction(scene.home._db):
        scene.home.counters.forget(NOW_S + 3_600)
    assert scene.home._db.execute("SELECT counter FROM counter").fetchall() == [(7,)]


def test_why_a_home_refused_a_message_stands_in_the_hosts_book(scene: Scene) -> None:
    scene.tapped(replace(message(5), cmac=bytes(8)))
    scene.ask()
    assert not scene.upgraded
    assert scene.book.sun_waiting() == []
    assert [(told.grade, told.reason) for told in scene.book.visits_since(0)] == [(0, "signature")]


def test_a_message_that_comes_late_counts_where_its_time_fits(scene: Scene) -> None:
    first, late, last = message(5, 1, t=NOW_S), message(7, 2, t=NOW_S + 60), message(9, 3, t=NOW_S + 120)
    assert [told.grade for told in scene.answered(first, last, late)] == [2, 2, 2]
    assert scene.answered(replace(late, tap=4)) == [SunOutcome(4, None, "replay")]


@pytest.mark.parametrize(
    ("t", "u"),
    [
        (NOW_S + 121, 1),  # recorded by somebody, and shown after the card's next use
        (NOW_S + 119, 1),  # perhaps so
        (NOW_S - 1, 1),  # before the reading that came before it
        (None, 1),
    ],
)
def test_a_recorded_message_that_is_shown_later_is_a_replay(scene: Scene, t: int | None, u: int) -> None:
    scene.answered(message(5, 1, t=NOW_S), message(9, 3, t=NOW_S + 120))
    assert scene.answered(message(7, 4, t=t, u=u)) == [SunOutcome(4, None, "replay")]


def test_a_late_message_is_a_replay_where_a_reading_at_the_home_had_no_time(scene: Scene) -> None:
    scene.answered(message(5, 1, t=NOW_S))
    assert scene.home.counters.at(None)(NUMBER, UID, 9) == ""
    assert scene.answered(message(7, 4, t=NOW_S + 60)) == [SunOutcome(4, None, "replay")]
    assert scene.home.counters.at(NOW_S + 200)(NUMBER, UID, 11) == ""
    assert scene.home.counters.at(NOW_S + 300)(NUMBER, UID, 11) == "replay"
    assert scene.home.counters.at(NOW_S + 300)(NUMBER, bytes(7), 12) == "revoked"


def test_a_message_of_another_chip_or_with_changed_bytes_is_refused(scene: Scene) -> None:
    stranger = HomeKeys(bytes(32), bytes(32))
    bent = replace(message(5, tap=3), cmac=bytes(8))
    assert [told.reason for told in scene.answered(message(5, 2, stranger), bent)] == ["signature"] * 2
    assert scene.answered(message(5)) == [SunOutcome(1, 2)]  # and the true one still counts


def test_only_a_host_of_the_table_is_answered_and_only_for_itself(scene: Scene) -> None:
    for signer, host, reason in (
        (Signer(bytes(32)), HOST, "unknown key"),
        (KEYS[THIRD].signer, HOST, "foreign host"),
        (HOST_SIGNER, "nobody.example", "foreign host"),
    ):
        with pytest.raises(PaperError) as refused:
            scene.answered(message(5), signer=signer, host=host)
        assert refused.value.reason == reason
    with pytest.raises(PaperError) as refused:
        scene.home.answer(sign_question(HOST_SIGNER, SunQuestion(THIRD, HOST, (message(5),))), NOW_S)
    assert refused.value.reason == "not for us"


def test_an_answer_that_the_home_did_not_sign_or_to_another_question_changes_nothing(scene: Scene) -> None:
    from starlette.responses import Response
    from starlette.routing import Route

    tap = scene.tapped(message(5))
    told = (SunOutcome(tap, 2),)
    old = SunAnswer(HOME, HOST, digest_of(b"another question"), told)
    forged = sign_sun_answer(KEYS[THIRD].signer, old)
    for data in (forged, sign_sun_answer(CHIP.signer, old), b"nonsense", b""):

        async def lie(_request: object, data: bytes = data) -> Response:
            return Response(data)

        scene.net.apps[HOME] = httpx.ASGITransport(app(Route("/v1/sun", lie, methods=["POST"])))
        scene.ask()
        assert not scene.upgraded
        assert len(scene.book.sun_waiting()) == 1
        assert list(scene.asker.away) == [HOME]


def test_http_says_what_is_wrong(scene: Scene) -> None:
    async def post(body: bytes) -> int:
        async with httpx.AsyncClient(transport=scene.net) as client:
            return (await client.post(f"https://{HOME}/badge/v1/sun", content=body)).status_code

    stranger = sign_question(Signer(bytes(32)), SunQuestion(HOME, HOST, (message(5),)))
    codes = [asyncio.run(post(body)) for body in (b"", b"x", bytes(MAX_BODY_BYTES + 1), stranger)]
    assert codes == [400, 400, 413, 403]


def test_a_home_without_an_address_keeps_its_taps_waiting(scene: Scene) -> None:
    scene.table.take(signed(2, [place(HOME), place(HOST)]))
    scene.tapped(message(5))
    scene.ask()
    assert list(scene.asker.away) == [HOME]
    assert len(scene.book.sun_waiting()) == 1


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=120), at=st.integers(0, 500), flip=st.integers(1, 255))
def test_hostile_bytes_are_refused(data: bytes, at: int, flip: int) -> None:
    key = HOST_SIGNER.public_key
    keys = {kid_of(key): key}
    question = sign_question(HOST_SIGNER, SunQuestion(HOME, HOST, (message(5),)))
    answer = sign_sun_answer(HOST_SIGNER, SunAnswer(HOME, HOST, digest_of(question), (SunOutcome(1, None, "replay"),)))
    for whole, read in ((question, read_question), (answer, read_sun_answer)):
        bent = bytearray(whole)
        bent[at % len(bent)] ^= flip
        for hostile in (data, bytes(bent)):
            with pytest.raises(WireError):
                read(hostile, keys)


@pytest.mark.parametrize(
    "wrong",
    [
        SunQuestion(HOME, HOST, ()),
        SunQuestion(HOME, HOST, (message(5),) * 101),
        SunQuestion(HOME, "Not A Place", (message(5),)),
        SunQuestion(HOME, HOST, (replace(message(5), number="abc"),)),
        SunQuestion(HOME, HOST, (replace(message(5), number=NUMBER.lower() + "-"),)),
        SunQuestion(HOME, HOST, (replace(message(5), cmac=bytes(7)),)),
        SunQuestion(HOME, HOST, (replace(message(5), tap=-1),)),
    ],
)
def test_a_question_out_of_range_is_not_signed(wrong: SunQuestion) -> None:
    with pytest.raises(WireError):
        sign_question(HOST_SIGNER, wrong)
