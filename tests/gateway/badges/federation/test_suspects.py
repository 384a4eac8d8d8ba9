"""Cards at two places at once: what is flagged, and what must not be."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.visits import Tap
from balise_gateway.badges.cards import keys
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.badges.federation.suspects import Sight, Suspect, suspects, unmask
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.register import Member, Register
from balise_tools.badge import app
from balise_wire.visits import VisitRecord
from gateway.badges.federation.places import FEDERATION, HOME, HOST, KEYS, PARIS, THIRD, signed
from gateway.badges.federation.test_exchange import GATEWAYS, envelope
from gateway.badges.federation.test_federation_cli import config

NINE = 1_780_038_000  # 2026-05-29, 09:00 in Paris
CALENDAR = Calendar(PARIS, 240)
MIN = 60


def sight(host: str, minutes: float, u: int = 1, member: str = "anne", grade: int = 0) -> Sight:
    return Sight(member, host, NINE + round(minutes * MIN), u, grade, 1)


def found(*sights: Sight, travel_s: int = 900) -> list[tuple[str, str, str]]:
    told = suspects(sights, lambda a, b: travel_s, CALENDAR, 120)
    return [(each.kind, each.first.host, each.second.host) for each in told]


def test_two_places_within_less_than_the_way_takes_are_too_close() -> None:
    assert found(sight(HOST, 0), sight(THIRD, 10)) == [("too close", HOST, THIRD)]
    assert found(sight(HOST, 0), sight(THIRD, 15)) == []
    assert found(sight(HOST, 0), sight(HOST, 1)) == []
    assert found(sight(HOST, 0), sight(THIRD, 1, member="bob")) == []


def test_times_that_are_not_certain_accuse_nobody() -> None:
    assert found(sight(HOST, 0, u=300), sight(THIRD, 9, u=59)) == [("too close", HOST, THIRD)]
    assert found(sight(HOST, 0, u=300), sight(THIRD, 9, u=60)) == []


def test_a_tap_elsewhere_during_a_session_is_told_also_when_the_way_was_possible() -> None:
    day = (sight(HOST, 0), sight(THIRD, 120), sight(THIRD, 180), sight(HOST, 300))
    assert found(*day) == [("at both", HOST, THIRD)]
    assert found(sight(HOST, 0), sight(HOST, 60), sight(THIRD, 120)) == []
    assert found(sight(HOST, 0), sight(THIRD, 120)) == []  # no exit: perhaps it was forgotten


def test_a_double_tap_is_one_tap_and_opens_no_session() -> None:
    assert found(sight(HOST, 0), sight(HOST, 1), sight(THIRD, 120), sight(THIRD, 180)) == []


def test_a_session_that_may_have_ended_before_accuses_nobody() -> None:
    assert found(sight(HOST, 0), sight(THIRD, 60), sight(HOST, 62, u=200), travel_s=1) == []


def test_a_session_that_may_have_begun_only_then_accuses_nobody() -> None:
    assert found(sight(HOST, 0, u=200), sight(THIRD, 2), sight(HOST, 62), travel_s=1) == []


def test_the_way_may_differ_from_pair_to_pair() -> None:
    sights = [sight(HOST, 0), sight(THIRD, 20), sight(HOME, 40)]
    far = {HOST, THIRD}
    told = suspects(sights, lambda a, b: 1_800 if {a, b} == far else 600, CALENDAR, 120)
    assert [(each.first.host, each.second.host, each.gap_s) for each in told] == [(HOST, THIRD, 20 * MIN + 2)]


def test_the_home_undoes_its_own_pseudonyms_and_no_others() -> None:
    who = KEYS[HOME].who("anne", HOST, 2026)
    taps = [
        Tap(HOST, HOME, who, NINE, 1, 0, 1, b"", True),
        Tap(THIRD, HOME, KEYS[HOME].who("anne", THIRD, 2026), NINE + 60, 1, 2, 2, b"", True),
        Tap(HOST, HOME, KEYS[HOME].who("gone", HOST, 2026), NINE, 1, 0, 3, b"", True),
        Tap(HOST, THIRD, who, NINE, 1, 0, 4, b"", True),
    ]
    sights, lost = unmask(taps, KEYS[HOME], HOME, ["anne", "bob"], CALENDAR)
    assert [(each.member, each.host, each.tap) for each in sights] == [("anne", HOST, 1), ("anne", THIRD, 2)]
    assert lost == 1


@given(st.lists(st.tuples(st.sampled_from([HOST, THIRD, HOME]), st.integers(0, 400), st.integers(0, 400)), max_size=12))
def test_order_changes_nothing_and_every_pair_is_truly_too_close(told: list[tuple[str, int, int]]) -> None:
    sights = [Sight("anne", host, NINE + minutes * MIN, u, 0, tap) for tap, (host, minutes, u) in enumerate(told)]

    def flagged(some: list[Sight]) -> list[Suspect]:
        close = suspects(some, lambda a, b: 900, CALENDAR, 120)
        return [each for each in close if each.kind == "too close"]

    expected = {
        frozenset((a, b)) for a in sights for b in sights if a.host != b.host and abs(a.t - b.t) + a.u + b.u < 900
    }
    assert {frozenset((each.first, each.second)) for each in flagged(sights)} == expected
    assert {frozenset((each.first, each.second)) for each in flagged(sights[::-1])} == expected


def test_the_command_names_the_member_and_the_two_places(tmp_path: Path) -> None:
    file = config(tmp_path, HOME, FEDERATION.public_key.hex())
    data = tmp_path / "data"
    own = keys.load_or_make(data)
    table = TableCache(data, FEDERATION.public_key)
    table.take(signed())
    with Register(data, own.uid_token) as register:
        register.put_member(Member("anne", name="Anne Martin"))
    exchange = Exchange(data, lambda: table.table)
    for host, t in ((HOST, NINE), (THIRD, NINE + 300)):
        item = VisitRecord(host, HOME, own.who("anne", host, 2026), t, 1, 0, 1).item()
        exchange.take(envelope(1, item, signer=GATEWAYS[host]), NINE + 300)
    exchange.close()
    run = CliRunner().invoke(app, ["suspects", "-c", str(file)])
    assert run.exit_code == 1
    assert f"anne: too close: {HOST} 2026-05-29 09:00 (grade 0), {THIRD} 2026-05-29 09:05" in run.output
    assert "Martin" not in run.output
    run = CliRunner().invoke(app, ["suspects", "--json", "-c", str(file)])
    assert json.loads(run.stdout.splitlines()[0])["gap_s"] == 302
    run = CliRunner().invoke(app, ["suspects", "--min-travel-s", "60", "-c", str(file)])
    assert run.exit_code == 0
    assert "0 pairs" in run.output
