"""The desk page of a guest place: who gets in, what is recorded and signed, how a mistake is mended."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.desk.days import Days
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.badges.desk_page import routes as desk_routes
from balise_gateway.badges.desk_page.keys import FILE_NAME
from balise_gateway.badges.desk_page.places import TAPS_OF_A_PLACE, DeskPlace, Guests
from balise_gateway.badges.federation import paths
from balise_gateway.badges.federation.home_lists import Card, HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.errors import BadgeError
from balise_gateway.grants.rules import Home
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import logs
from balise_gateway.logbook.closing import Closer
from balise_wire.card import make_number, printed
from balise_wire.card_list import LOST
from balise_wire.envelope import verify_envelope
from balise_wire.items import Visit, VisitMapping
from balise_wire.places import Place, sign_table
from balise_wire.visits import NOBODY, VisitRecord, visit_of
from gateway.badges.federation.net import app
from gateway.badges.federation.places import FEDERATION, GATEWAYS, HOME, HOST, KEYS, PARIS, Cards, place, table
from gateway.support import FakeClock

GUEST = "guest.example"
UTC_S = 1_780_041_600  # 2026-05-29, 10:00 in Paris
NUMBER = make_number(bytes(6))
OTHER = make_number(bytes([1] * 6))
SITE = "https://host.example"
FROM_OURS = {"Origin": SITE}


class Desk:
    """A gateway of HOST with one guest place, its desk page, and a partner home whose list has come."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds = folder, 0.0
        self.clock = FakeClock(UTC_S * 1_000)
        self.token = desk_keys.give(folder, GUEST, "Le Hangar <3>")
        self.table = TableCache(folder, FEDERATION.public_key)
        days = Days(Calendar(PARIS, 240), 120)
        self.guests = Guests(folder, days, self.clock, lambda: self.table.table)
        places = [place(HOME), place(HOST), self.in_table()]
        self.table.take(sign_table(FEDERATION, table(1, places)))
        self.partner = Cards(Card(NUMBER, "anne", None, "metropole"))
        self.partner_lists = HomeLists(folder / "partner", HOME, KEYS[HOME], self.partner, lambda: self.table.table)
        self.send_list()
        self.journal = Journal(folder, "balise/test")
        self.journal.open()
        with self.journal.transaction() as db:
            logs.ensure(db, [HOME_LOG])
        routes = desk_routes.routes(self.guests, lambda: self.guests.say(self.journal), lambda: self.seconds, 7)
        lists = paths.guest_list_route(self.guests.lists_of, lambda: UTC_S, PARIS, Pace(60, lambda: self.seconds))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app(*routes, lists)), base_url=SITE)

    @property
    def place(self) -> DeskPlace:
        found = self.guests.of(GUEST)
        assert found is not None
        return found

    def in_table(self) -> Place:
        own = self.place.keys
        return Place(
            GUEST, "Le Hangar", "guest", (own.signer.public_key,), own.box_public, (GATEWAYS[HOST].public_key,)
        )

    def send_list(self) -> None:
        self.partner_lists.look_again()
        self.place.lists.take(self.partner_lists.message(GUEST, 0, UTC_S, PARIS), UTC_S)

    def get(self, query: str = "") -> httpx.Response:
        return asyncio.run(self.client.get(f"/badge/desk{query}"))

    def post(self, deed: str, headers: dict[str, str] = FROM_OURS, **fields: str) -> httpx.Response:
        return asyncio.run(self.client.post(f"/badge/desk/{deed}", data=fields, headers=headers))

    def enter(self) -> None:
        assert self.post("open", token=self.token).headers["location"] == "/badge/desk"

    def subscribe(self, name: str, number: str = "") -> str:
        """The member id of a new subscriber."""
        assert "done=enter" in self.post("enter", name=name, number=number).headers["location"]
        return next(member.id for member in self.place.subscribers() if member.name == name)

    def told(self, deed: str, **fields: str) -> str:
        return str(self.post(deed, **fields).headers["location"]).partition("?")[2]

    def signed(self) -> list[bytes]:
        closer = Closer(self.journal, GATEWAYS[HOST], self.clock, {HOME_LOG: Home()})
        while closer.close(HOME_LOG, "array"):
            pass
        return [row[5] for row in tables.ENVELOPE.read(self.journal.db, "log = ? ORDER BY seq", (HOME_LOG,))]

    def items(self) -> list[Any]:
        key = GATEWAYS[HOST].public_key
        keys = {GATEWAYS[HOST].kid: key}
        found = [item for data in self.signed() for item in verify_envelope(data, keys).items]
        return [item for item in found if isinstance(item, (Visit, VisitMapping))]

    def visits(self) -> list[VisitRecord]:
        return [visit_of(item.map) for item in self.items() if isinstance(item, Visit)]

    def wait(self, seconds: int) -> None:
        self.clock.now_ms += seconds * 1_000
        self.seconds += seconds


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.guests.close()
    made.journal.close()


def test_without_the_token_nothing_is_shown_and_nothing_done(desk: Desk) -> None:
    assert "Code de l’accueil" in desk.get().text
    assert "Hangar" not in desk.get().text
    for deed in ("record", "cancel", "enter", "end"):
        assert desk.told(deed, name="x", member="x", tap="1", number=NUMBER) == "bad=token"
    assert desk.told("open", token="balise_desk_wrong") == "bad=token"
    assert desk.told("open", token="") == "bad=token"
    assert "set-cookie" not in desk.post("open", token="wrong").headers
    assert not desk.place.subscribers()
    assert not desk.visits()


def test_the_token_lies_in_a_cookie_that_no_script_and_no_other_site_gets(desk: Desk) -> None:
    cookie = desk.post("open", token=desk.token).headers["set-cookie"].lower()
    for wanted in ("httponly", "samesite=strict", "secure", "path=/badge/desk", "max-age=43200"):
        assert wanted in cookie
    assert "Le Hangar &lt;3&gt;" in desk.get().text
    desk.post("leave")
    assert "Hangar" not in desk.get().text


def test_an_index_is_never_given_twice_for_visits_are_numbered_by_it(tmp_path: Path) -> None:
    for name in ("a.example", "b.example"):
        desk_keys.give(tmp_path, name, "")
    assert desk_keys.close(tmp_path, "a.example")
    desk_keys.give(tmp_path, "c.example", "")
    desk_keys.give(tmp_path, "a.example", "")  # a new token for the same place
    assert {desk.place: desk.index for desk in desk_keys.read(tmp_path)} == {
        "a.example": 1,
        "b.example": 2,
        "c.example": 3,
    }


def test_only_a_digest_of_the_token_is_kept_and_a_closed_desk_stays_closed(desk: Desk) -> None:
    file = desk.folder / FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    assert desk.token not in file.read_text(encoding="utf-8")
    desk.enter()
    assert [place.place for place in desk.guests.open_guests()] == [GUEST]
    assert desk_keys.close(desk.folder, GUEST)
    assert desk.guests.open_guests() == []
    assert "Hangar" not in desk.get().text
    assert desk.told("open", token=desk.token) == "bad=token"
    assert desk.told("open", token="nobody") == "bad=token"
    renewed = desk_keys.give(desk.folder, GUEST, "")
    assert renewed != desk.token
    assert desk.told("open", token=renewed) == ""


def test_a_form_of_another_site_does_nothing_although_the_browser_sends_the_cookie(desk: Desk) -> None:
    desk.enter()
    member = desk.subscribe("Anne")
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}, {"Sec-Fetch-Site": "cross-site"}):
        assert desk.post("record", headers, member=member).status_code == 403
        assert desk.post("open", headers, token=desk.token).status_code == 403
    assert not desk.visits()
    assert desk.post("record", {"Sec-Fetch-Site": "same-origin"}, member=member).status_code == 303
    assert len(desk.visits()) == 1


def test_a_program_may_show_the_token_as_a_bearer(desk: Desk) -> None:
    bearer = {"Authorization": f"Bearer {desk.token}"}
    assert "done=enter" in desk.post("enter", bearer, name="Anne").headers["location"]
    assert "bad=token" in desk.post("enter", {"Authorization": "Bearer x"}, name="Bob").headers["location"]


def test_a_subscriber_who_comes_and_leaves_is_two_signed_visits_of_the_guest_place(desk: Desk) -> None:
    desk.enter()
    member = desk.subscribe("Anne Martin", NUMBER)
    assert desk.told("record", member=member) == "done=in&at=10%3A00"
    desk.wait(3_600)
    assert desk.told("record", number=printed(NUMBER).lower()) == "done=out&at=11%3A00"
    who = desk.place.keys.who(member, GUEST, 2026)
    first = VisitRecord(GUEST, GUEST, who, UTC_S, 1, 0, TAPS_OF_A_PLACE + 1, via="desk")
    second = VisitRecord(GUEST, GUEST, who, UTC_S + 3_600, 1, 0, TAPS_OF_A_PLACE + 2, via="desk")
    assert desk.visits() == [first, second]
    assert "Anne Martin" in desk.get().text
    assert not any(b"Anne" in data for data in desk.signed())


def test_a_visitor_of_another_home_is_found_by_number_under_the_homes_pseudonym(desk: Desk) -> None:
    desk.enter()
    assert desk.told("record", number=NUMBER) == "done=in&at=10%3A00"
    (visit,) = desk.visits()
    assert (visit.home, visit.who, visit.client) == (HOME, KEYS[HOME].who("anne", GUEST, 2026), "metropole")
    assert f"Visiteur de {HOME}" in desk.get().text
    assert f"Visitor of {HOME}" in desk.get("?lang=en").text


def test_cards_that_nobody_knows_or_that_were_revoked_are_not_recorded(desk: Desk) -> None:
    desk.enter()
    assert desk.told("record", number=OTHER) == "bad=unknown"
    assert desk.told("record", number="12345-67890") == "bad=number"
    assert desk.told("record", member="nobody") == "bad=unknown"
    assert desk.told("record") == "bad=choice"
    desk.partner.revoke(NUMBER, LOST)
    desk.send_list()
    assert desk.told("record", number=NUMBER) == "bad=revoked"
    member = desk.subscribe("Anne", OTHER)
    desk.post("end", member=member)
    assert desk.told("record", number=OTHER) == "bad=revoked"
    assert desk.told("record", member=member) == "bad=unknown"
    assert not desk.visits()


def test_a_double_click_is_one_visit(desk: Desk) -> None:
    desk.enter()
    member = desk.subscribe("Anne")
    desk.post("record", member=member)
    desk.wait(119)
    assert desk.told("record", member=member) == "bad=twice"
    desk.wait(1)
    assert desk.told("record", member=member).startswith("done=out")


def test_a_time_of_today_may_be_typed_and_no_other(desk: Desk) -> None:
    desk.enter()
    member = desk.subscribe("Anne")
    assert desk.told("record", member=member, time="9:10") == "done=in&at=09%3A10"
    assert desk.told("record", member=member) == "done=out&at=10%3A00"
    (first, _) = desk.visits()
    assert (first.t, first.u) == (UTC_S - 50 * 60, 61)
    for wrong in ("10:01", "3:59", "25:00", "9h", "noon"):  # later than now, before the day began, no time
        assert desk.told("record", member=member, time=wrong) == "bad=time"
    desk.clock.now_ms += 15 * 3_600_000  # 01:00: the day that began yesterday
    assert desk.told("record", member=member, time="23:50") == "done=in&at=23%3A50"


def test_a_mistake_is_mended_by_a_further_signed_item_and_no_longer_billed(desk: Desk) -> None:
    desk.enter()
    desk.post("record", number=NUMBER)
    (tap,) = re.findall(r'name="tap" value="(\d+)"', desk.get().text)
    before = desk.signed()
    assert desk.told("cancel", tap=tap) == "done=cancel"
    assert desk.told("cancel", tap=tap) == "bad=gone"
    assert desk.told("cancel", tap="x") == "bad=gone"
    assert desk.told("record", number=NUMBER) == "done=in&at=10%3A00"  # it is an arrival again
    visit, mapping, again = desk.items()
    assert mapping.map["tap"] == visit.map["tap"] != again.map["tap"]
    assert (mapping.map["was"], mapping.map["who"]) == (visit.map["who"], NOBODY)
    assert desk.signed()[: len(before)] == before
    inputs = Inputs(Trust.of([GATEWAYS[HOST].public_key]))
    for data in desk.signed():
        inputs.add_envelope(data)
    assert [each.tap for each in inputs.taps()[0]] == [again.map["tap"]]
    assert "annulé" in desk.get().text


def test_what_was_not_signed_when_the_power_went_is_signed_later_and_once(desk: Desk) -> None:
    desk.place.record_number(NUMBER, desk.place.now())
    desk.guests.close()  # and nobody has said it
    assert desk.guests.say(desk.journal) == 1
    assert desk.guests.say(desk.journal) == 0
    assert len(desk.visits()) == 1


def test_a_guest_places_cards_are_told_to_other_hosts(desk: Desk) -> None:
    desk.enter()
    desk.subscribe("Anne", OTHER)
    answer = asyncio.run(desk.client.get(f"/badge/v1/of/{GUEST}/lists/{HOST}?from=0"))
    host = CardLists(desk.folder / "host", HOST, KEYS[HOST], lambda: desk.table.table)
    assert host.take(answer.content, UTC_S)
    assert host.by_number(GUEST, OTHER) is not None
    assert asyncio.run(desk.client.get(f"/badge/v1/of/nobody.example/lists/{HOST}")).status_code == 404


def test_names_are_text_and_not_code_and_bad_ones_are_refused(desk: Desk) -> None:
    desk.enter()
    desk.subscribe('<img src=x onerror="1">')
    assert "<img" not in desk.get().text
    assert desk.told("enter", name="   ") == "bad=name"
    assert desk.told("enter", name="x" * 81) == "bad=name"
    assert desk.told("enter", name="a\x00b") == "bad=name"
    assert desk.told("enter", name="Bob", number="nonsense") == "bad=number"
    desk.subscribe("Carl", NUMBER)
    assert desk.told("enter", name="Dora", number=NUMBER) == "bad=number+taken"
    assert [member.name for member in desk.place.subscribers()] == ['<img src=x onerror="1">', "Carl"]


def test_messages_in_the_address_are_ours_or_not_shown(desk: Desk) -> None:
    desk.enter()
    assert "<b>" not in desk.get("?done=in&at=<b>x</b>").text
    assert 'role="alert"' not in desk.get("?bad=<script>").text
    assert "Heure d’aujourd’hui" in desk.get("?bad=time").text


def test_guessing_and_hammering_are_slowed_down(desk: Desk) -> None:
    told = [desk.told("open", token="guess") for _ in range(11)]
    assert told == ["bad=token"] * 10 + ["bad=later"]
    codes = {desk.get().status_code for _ in range(130)}
    assert codes == {200, 429}


def test_without_a_clock_nothing_is_recorded(desk: Desk) -> None:
    desk.enter()
    member = desk.subscribe("Anne")
    desk.clock.unsure_ms = 2**31 - 1
    assert desk.told("record", member=member) == "bad=no+clock"
    assert desk.get().status_code == 503


def test_an_unreadable_file_of_desks_lets_nobody_in(desk: Desk) -> None:
    desk.enter()
    (desk.folder / FILE_NAME).write_text("[{}]", encoding="utf-8")
    assert "Hangar" not in desk.get().text
    with pytest.raises(BadgeError, match="not a list of desks"):
        desk.guests.all()


def test_visits_are_forgotten_after_their_time(desk: Desk) -> None:
    desk.place.record_number(NUMBER, desk.place.now())
    assert desk.guests.forget(UTC_S) == 0
    assert desk.guests.forget(UTC_S + 1) == 1
    assert desk.place.book.since(0) == []
    desk.place.record_number(NUMBER, desk.place.now())
    assert desk.place.book.since(0)[0].tap == TAPS_OF_A_PLACE + 2  # a number is never given twice


def test_every_answer_is_closed_to_other_sites(desk: Desk) -> None:
    desk.enter()
    for answer in (desk.get(), desk.post("record", {}), desk.post("leave")):
        assert {name: answer.headers[name] for name in desk_routes.HEADERS} == dict(desk_routes.HEADERS)


def test_two_subscribers_of_one_name_are_told_apart_by_a_card(desk: Desk) -> None:
    desk.enter()
    first = desk.subscribe("Ada Dupont")
    desk.subscribe("Max")
    assert ">Ada Dupont</option>" in desk.get().text
    desk.subscribe("Ada Dupont")
    (number,) = [card.number for card in desk.place.register.cards(first)]
    page = desk.get().text
    assert f">Ada Dupont ({printed(number)})</option>" in page
    assert ">Ada Dupont</option>" not in page
    assert ">Max</option>" in page
