"""Sessions: pairs, days and half-days, and in how far they are certain."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.sessions import Session, sessions
from balise_gateway.badges.billing.visits import Tap
from balise_wire.visits import VisitRecord
from gateway.badges.billing.billing_support import HOME, HOST, WHO, agreed, inputs_of, visit

PARIS = ZoneInfo("Europe/Paris")
NINE = int(datetime(2026, 11, 2, 9, tzinfo=PARIS).timestamp())
HOUR, MINUTE = 3600, 60


def counted(*records: VisitRecord, **changed: object) -> list[Session]:
    return sessions(inputs_of(*records).taps()[0], agreed(**changed))


def stay(seconds: int, **changed: object) -> Session:
    (session,) = counted(visit(NINE, 1), visit(NINE + seconds, 2), **changed)
    return session


def flags_of(session: Session) -> set[str]:
    return set(session.flags) - {"unverified"}


@pytest.mark.parametrize(
    ("minutes", "half_days"),
    [(3, 1), (4 * 60, 1), (4 * 60 + 14, 1), (4 * 60 + 15, 1), (4 * 60 + 16, 2), (8 * 60 + 15, 2), (12 * 60, 2)],
)
def test_half_days_are_begun_ones_after_the_grace_up_to_the_most_of_a_day(minutes: int, half_days: int) -> None:
    assert stay(minutes * MINUTE).half_days == half_days


def test_a_second_over_the_grace_counts_and_lengths_are_exact() -> None:
    assert stay(4 * HOUR + 15 * MINUTE + 1).half_days == 2
    assert stay(14_760, hours=4.1, grace_min=0).half_days == 1  # 4.1 h are 14,760 s, and no float is in between
    assert stay(14_761, hours=4.1, grace_min=0).half_days == 2


def test_a_forgotten_exit_is_closed_by_the_rule_and_said() -> None:
    (session,) = counted(visit(NINE))
    assert (session.half_days, session.leave_utc, flags_of(session)) == (1, None, {"no_exit"})
    (session,) = counted(visit(NINE), no_exit=2)
    assert session.half_days == 2


def test_an_arrival_after_a_closed_session_never_lowers_the_count() -> None:
    (session,) = counted(visit(NINE, 1), visit(NINE + 6 * HOUR, 2), visit(NINE + 7 * HOUR, 3))
    assert (session.half_days, session.leave_utc, flags_of(session)) == (2, None, {"no_exit"})
    (session,) = counted(visit(NINE, 1), visit(NINE + HOUR, 2), visit(NINE + 7 * HOUR, 3), no_exit=9)
    assert session.half_days == 2


def test_a_forgotten_exit_does_not_spoil_the_next_day() -> None:
    first, second = counted(visit(NINE, 1), visit(NINE + 24 * HOUR, 2), visit(NINE + 25 * HOUR, 3))
    assert flags_of(first) == {"no_exit"}
    assert (second.day, second.half_days, flags_of(second)) == (date(2026, 11, 3), 1, set())


def test_pauses_are_not_counted() -> None:
    at = [0, 2 * HOUR, 4 * HOUR, 6 * HOUR]
    (session,) = counted(*(visit(NINE + seconds, tap) for tap, seconds in enumerate(at)))
    assert (session.half_days, session.arrive_utc, session.leave_utc) == (1, NINE, NINE + 6 * HOUR)


def test_a_repeat_over_the_start_of_a_day_belongs_to_the_day_of_the_tap_that_it_repeats() -> None:
    four = int(datetime(2026, 11, 3, 4, tzinfo=PARIS).timestamp())
    (session,) = counted(visit(four - 30, 1, u=0), visit(four + 30, 2, u=0))
    assert (session.day, session.arrive_utc, len(session.items)) == (date(2026, 11, 2), four - 30, 2)


def test_a_day_of_more_taps_in_doubt_than_can_be_gone_through_is_called_uncertain() -> None:
    """Every one may be the one before it again: beyond 256 ways nobody goes on counting."""
    many = [visit(NINE + 130 * number, number, u=600) for number in range(40)]
    (session,) = counted(*many)
    assert "uncertain" in session.flags
    few = [visit(NINE + 2 * HOUR * number, number) for number in range(4)]
    (session,) = counted(*few)
    assert "uncertain" not in session.flags


def test_a_tap_closer_than_the_debounce_to_the_last_one_kept_is_the_same_tap() -> None:
    for gap, flags in ((119, {"no_exit"}), (120, set())):
        (session,) = counted(visit(NINE, 1, u=0), visit(NINE + gap, 2, u=0))
        assert flags_of(session) == flags
    chain = [visit(NINE + 100 * number, number, u=0) for number in range(4)]  # kept: 0 and 200
    (session,) = counted(*chain)
    assert (session.leave_utc, session.half_days) == (NINE + 200, 1)


def test_a_night_visit_belongs_to_the_day_it_began_on_until_the_day_starts() -> None:
    late = int(datetime(2026, 11, 2, 22, tzinfo=PARIS).timestamp())
    (session,) = counted(visit(late, 1), visit(late + 4 * HOUR, 2))
    assert (session.day, session.half_days) == (date(2026, 11, 2), 1)
    first, second = counted(visit(late, 1), visit(late + 7 * HOUR, 2))
    assert [one.day.day for one in (first, second)] == [2, 3]
    assert all(flags_of(one) == {"no_exit"} for one in (first, second))


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_on_days_when_clocks_change_lengths_are_true_and_boundaries_local(day: date) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=PARIS)
    before, after = int(midnight.timestamp()), int((midnight.replace(hour=5)).timestamp())
    true_h = (after - before) // HOUR
    assert true_h in (4, 6)  # five hours by the clock
    (session,) = counted(visit(before, 1), visit(after, 2), hours=true_h, grace_min=0, day_starts="00:00")
    assert (session.day, session.half_days) == (day, 1)


def test_a_day_starts_once_where_the_clock_says_an_hour_twice_or_never() -> None:
    autumn = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp())  # 02:30 for the first time
    calendar = Calendar(PARIS, 150)
    assert calendar.start_s(date(2026, 10, 25)) == autumn
    assert calendar.day_of(autumn + 45 * MINUTE) == date(2026, 10, 25)  # 02:15 for the second time
    spring = int(datetime(2026, 3, 29, 1, 0, tzinfo=UTC).timestamp())  # 02:00 becomes 03:00
    assert calendar.start_s(date(2026, 3, 29)) == spring
    assert calendar.day_of(spring - 1) == date(2026, 3, 28)


def test_a_day_that_began_stays_where_the_clock_goes_back_over_midnight() -> None:
    calendar = Calendar(ZoneInfo("America/St_Johns"), 0)  # until 2011 it went from 00:01 back to 23:01
    midnight = int(datetime(2010, 11, 7, 2, 30, tzinfo=UTC).timestamp())
    assert calendar.start_s(date(2010, 11, 7)) == midnight
    assert [calendar.day_of(midnight + minute * MINUTE).day for minute in (-1, 0, 30, 90)] == [6, 7, 7, 7]


@settings(deadline=None)
@given(st.integers(0, 4_000_000_000), st.sampled_from(["Europe/Paris", "America/St_Johns", "Pacific/Apia"]))
def test_days_follow_each_other_without_gap_or_overlap(t: int, zone: str) -> None:
    calendar = Calendar(ZoneInfo(zone), 240)
    day = calendar.day_of(t)
    assert calendar.start_s(day) <= t < calendar.start_s(day + timedelta(days=1))


def test_what_is_not_billable_is_listed_and_not_billed() -> None:
    (session,) = counted(visit(NINE, 1, grade=0), visit(NINE + HOUR, 2, grade=0), grades=[1, 2])
    assert (session.half_days, flags_of(session)) == (0, {"not_billable"})
    mixed = visit(NINE, 1), visit(NINE + 60, 2, grade=0), visit(NINE + HOUR, 3)
    (session,) = counted(*mixed, grades=[1, 2])
    assert (session.half_days, session.leave_utc) == (1, NINE + HOUR)
    assert flags_of(session) == {"not_billable"}


def test_two_colleagues_and_two_hosts_are_kept_apart() -> None:
    other = bytes(16)
    records = [
        visit(NINE, 1),
        visit(NINE + 9, 2, who=other),
        visit(NINE + HOUR, 3),
        visit(NINE + 2 * HOUR, 4, who=other),
    ]
    assert [(one.who, one.half_days) for one in counted(*records)] == [(other.hex(), 1), (WHO.hex(), 1)]
    assert len(counted(visit(NINE), visit(NINE, host=HOME, home=HOST))) == 2


# --- certainty -------------------------------------------------------------------------------------------------------


def test_a_length_near_the_edge_of_a_half_day_is_uncertain() -> None:
    edge = 4 * HOUR + 15 * MINUTE
    for seconds, u, unsure in ((edge, 1, True), (edge - 2, 1, False), (edge - 1, 1, True), (edge + 3, 1, False)):
        (session,) = counted(visit(NINE, 1, u=u), visit(NINE + seconds, 2, u=u))
        assert ("uncertain" in session.flags) is unsure, seconds


def test_a_tap_near_the_start_of_a_day_or_the_debounce_is_uncertain() -> None:
    four = int(datetime(2026, 11, 3, 4, tzinfo=PARIS).timestamp())
    (session,) = counted(visit(four - 5, u=10))
    assert "uncertain" in session.flags
    (session,) = counted(visit(four + 11, u=10))
    assert "uncertain" not in session.flags
    (session,) = counted(visit(NINE, 1), visit(NINE + 5 * HOUR, 2), visit(NINE + 5 * HOUR + 119, 3))
    assert "uncertain" not in session.flags  # two half-days already: one more arrival changes nothing
    (session,) = counted(visit(NINE, 1), visit(NINE + 119, 2), no_exit=2)
    assert "uncertain" in session.flags  # a forgotten exit, or one short session


def test_a_pause_that_may_have_been_shorter_makes_the_length_uncertain() -> None:
    edge = 4 * HOUR + 15 * MINUTE  # two stays: the sum may be off by four times the uncertainty
    for short_s, unsure in ((35, True), (39, True), (40, False)):
        times = [0, HOUR, 2 * HOUR, edge + HOUR - short_s]
        (session,) = counted(*(visit(NINE + at, tap, u=10) for tap, at in enumerate(times)))
        assert session.half_days == 1
        assert ("uncertain" in session.flags) is unsure, short_s


def test_a_day_that_could_have_begun_is_told_on_the_line_beside_it() -> None:
    four = int(datetime(2026, 11, 3, 4, tzinfo=PARIS).timestamp())
    times = [four - 7 * HOUR, four - 6 * HOUR, four - 5]  # the last one changes nothing on its own day
    for u, unsure in ((10, True), (4, False)):
        (session,) = counted(*(visit(at, tap, u=u) for tap, at in enumerate(times)))
        assert (session.day.day, session.half_days, "uncertain" in session.flags) == (2, 1, unsure)


def test_a_visit_dated_to_a_week_is_uncertain_and_costs_no_time() -> None:
    many = [visit(NINE + HOUR * number, number, u=604_800) for number in range(300)]
    assert all("uncertain" in session.flags for session in counted(*many))


TINY = {"hours": 0.01, "grace_min": 0, "per_day_max": 4}  # a half-day is 36 s
FOUR = int(datetime(2026, 11, 3, 4, tzinfo=PARIS).timestamp())


@st.composite
def shaky(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A debounce, and a few taps (t, u) about which it decides: so few that all that may have been is played."""
    debounce_s = draw(st.sampled_from([0, 5, 20, 35]))
    steps = [0, 1, 2, debounce_s, debounce_s, 36 - debounce_s, 36, 72]
    start = draw(st.sampled_from([NINE, FOUR, FOUR - 36]))
    t, taps = start, []
    for _ in range(draw(st.integers(1, 4 if start == NINE else 3))):
        t += draw(st.sampled_from(steps)) + draw(st.integers(-2, 2))
        taps.append((t, draw(st.sampled_from([0, 1, 2, 2]))))
    return debounce_s, taps


@settings(deadline=None, max_examples=200)
@example((5, [(FOUR - 1, 5), (FOUR + 4, 0)]), 2)  # kept at 04:00 in the one second in which the other repeats it
@example((5, [(FOUR + 6, 2), (FOUR + 37, 5), (FOUR + 37, 1), (FOUR + 40, 5)]), 0)  # no pause shorter than a debounce
@example((5, [(NINE + 7, 2), (NINE + 11, 1), (NINE + 85, 2), (NINE + 155, 0)]), 0)  # and no stay
@given(shaky(), st.integers(0, 2))
def test_a_day_is_uncertain_if_and_only_if_some_shift_within_the_uncertainty_changes_it(
    case: tuple[int, list[tuple[int, int]]], no_exit: int
) -> None:
    debounce_s, taps = case
    agreement = agreed(no_exit=no_exit, debounce_s=debounce_s, **TINY)

    def days(of: list[tuple[int, int]]) -> dict[date, Session]:
        found = (Tap(HOST, HOME, WHO, t, u, 2, tap, bytes([tap]), False) for tap, (t, u) in enumerate(of))
        return {one.day: one for one in sessions(found, agreement)}

    computed, changed = days(taps), set[date]()
    for at in itertools.product(*(range(t - u, t + u + 1) for t, u in taps)):
        shifted = days([(t, 0) for t in at])
        for day in computed.keys() | shifted.keys():
            before, after = (found[day].half_days if day in found else 0 for found in (computed, shifted))
            changed |= {day} if before != after else set()
    told = {day for day, session in computed.items() if "uncertain" in session.flags}
    assert told == (changed if changed <= computed.keys() else computed.keys())


def test_taps_of_which_one_is_far_less_sure_are_not_called_uncertain_for_what_could_not_have_been() -> None:
    taps = visit(NINE + 5, 1, u=5), visit(NINE + 5, 2, u=0)  # 0 to 10, and 5: never ten seconds apart
    (session,) = counted(*taps, hours=0.01, grace_min=0, debounce_s=6)
    assert flags_of(session) == {"no_exit"}
    (session,) = counted(*taps, hours=0.01, grace_min=0, debounce_s=5, no_exit=2)
    assert flags_of(session) == {"no_exit", "uncertain"}


def test_where_more_doubts_meet_than_are_played_through_the_days_there_are_uncertain() -> None:
    def told(taps: int) -> list[bool]:
        near = (visit(NINE + n, n, u=1) for n in range(0, 2 * taps, 2))  # never two in one second: a repeat is a repeat
        far = (visit(NINE + 24 * HOUR + n, n) for n in range(1))
        return ["uncertain" in one.flags for one in counted(*near, *far, debounce_s=3600)]

    assert told(40) == [False, False]
    pairs = [visit(NINE + HOUR * n + second, n, u=2) for n in range(7) for second in (0, 1)]
    assert ["uncertain" in one.flags for one in counted(*pairs[:12])] == [
        False
    ]  # six times it is not sure who was first
    assert ["uncertain" in one.flags for one in counted(*pairs)] == [True]


# --- purity ----------------------------------------------------------------------------------------------------------


def naive(taps: list[VisitRecord]) -> Counter[tuple[str, str, date]]:
    """The rules once more, written down as directly as they can be, for Paris at 04:00."""
    by_person: dict[tuple[str, bytes], list[int]] = {}
    for one in taps:
        by_person.setdefault((one.host, one.who), []).append(one.t)  # type: ignore[arg-type]
    found: Counter[tuple[str, str, date]] = Counter()
    for (host, who), times in by_person.items():
        days: dict[date, list[int]] = {}
        last = -1000
        for t in sorted(times):
            if t - last >= 120:
                last = t
                local = datetime.fromtimestamp(t, PARIS).replace(tzinfo=None)
                days.setdefault((local - timedelta(hours=4)).date(), []).append(t)
        for day, kept in days.items():
            closed_min = sum(kept[i + 1] - kept[i] for i in range(0, len(kept) - 1, 2)) / 60
            n = max(1, -int(-(closed_min - 15) // 240)) if len(kept) > 1 else 0
            n = max(n, 1) if len(kept) % 2 else n
            found[host, who.hex(), day] = min(n, 2)
    return found


RECORDS = st.lists(
    st.builds(
        lambda t, tap, host, who: visit(t, tap, host=host, home=HOME if host == HOST else HOST, who=bytes([who]) * 16),
        st.integers(NINE, NINE + 5 * 86_400).map(lambda t: t // 60 * 60),
        st.integers(0, 5),
        st.sampled_from([HOST, HOME]),
        st.integers(0, 1),
    ),
    max_size=24,
)


@settings(deadline=None)
@given(RECORDS, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing_and_the_figures_are_those_of_the_plain_rules(
    records: list[VisitRecord], chance: "object"
) -> None:
    once = counted(*records)
    again = records + records[: len(records) // 2]
    chance.shuffle(again)  # type: ignore[attr-defined]
    assert [one.document() for one in counted(*again)] == [one.document() for one in once]
    assert [one.items for one in counted(*again)] == [one.items for one in once]
    assert {(one.host, one.who, one.day): one.half_days for one in once} == naive(records)
    assert once == sorted(once)
