"""Two implementations that share nothing but the documents give the same lines and the same bill."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import settlement
from balise_gateway.badges.billing.visits import Inputs
from balise_tools.badge import app
from balise_tools.badge_billing import computed
from gateway.badges.billing.second_opinion import Row, SecondOpinion, read_lines

EXAMPLE = Path(__file__).parent / "example"
PLACES = ("birch.example", "alder.example", "cedar.example", "dogwood.example", "fir.example")
ELSEWHERE = "elm.example"
WHOS = ("61" * 16, "62" * 16)
HOUR_S, DAY_S = 3600, 86_400

HEAD = """id = "woods"
currency = "EUR"
timezone = "{zone}"
period = "month"
mode = "{mode}"
[rules]
debounce_s = {debounce_s}
day_starts = "{day_starts}"
billable_grades = {grades}
"""
PLACE = """[[place]]
id = "{id}"
price_cents = {price_cents}
half_day = {{ hours = {hours}, grace_min = {grace_min}, per_day_max = {per_day_max} }}
no_exit = {no_exit}
"""
# zone, around when (UTC), the month
NIGHTS = [
    ("Europe/Paris", datetime(2026, 11, 3, 8), "2026-11"),
    ("Europe/Paris", datetime(2026, 3, 29, 0), "2026-03"),  # 02:00 becomes 03:00 at 01:00 UTC
    ("Europe/Paris", datetime(2026, 10, 25, 0), "2026-10"),  # 03:00 becomes 02:00 at 01:00 UTC
    ("Europe/Paris", datetime(2026, 12, 31, 22), "2026-12"),
    ("Europe/Paris", datetime(2026, 11, 30, 22), "2026-12"),
    ("Europe/Paris", datetime(2028, 2, 29, 22), "2028-02"),
    ("America/St_Johns", datetime(2010, 11, 7, 2), "2010-11"),  # 00:01 became 23:01 of the day before
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 14), "2026-04"),  # half an hour back
    ("Pacific/Apia", datetime(2011, 12, 30, 9), "2011-12"),  # there was no 30th
    ("America/Sao_Paulo", datetime(2018, 11, 4, 2), "2018-11"),  # 00:00 became 01:00
]
STARTS = ["00:00", "00:30", "01:59", "02:00", "02:15", "02:30", "02:59", "03:00", "04:00", "12:00", "23:59"]
HOURS = [0.01, 0.1, 0.5, 1, 4.0, 4.1, 24]
MINUTE_ISH = st.sampled_from([0, 0, 1, 2, 29, 30, 59, 60, 61, 119, 120, 121, 240, 599, 600, 900, 901, 1800])


@st.composite
def agreed(draw: st.DrawFn, zone: str, all_billed: bool) -> str:
    told = {
        "zone": zone,
        "mode": draw(st.sampled_from(["net", "set-off"])),
        "debounce_s": draw(st.sampled_from([0, 1, 5, 60, 120, 120, 3600])),
        "day_starts": draw(st.sampled_from(STARTS)),
        "grades": [0, 1, 2] if all_billed else draw(st.sampled_from([[0, 1, 2], [0, 1, 2], [1, 2], [2], []])),
    }
    text = HEAD.format(**told)
    for place in PLACES[: 5 if all_billed else draw(st.sampled_from([4, 3, 2, 1]))]:
        text += PLACE.format(
            id=place,
            price_cents=draw(st.sampled_from([1, 2, 3, 700, 800, 0])),
            hours=draw(st.sampled_from(HOURS)),
            grace_min=draw(st.sampled_from([0, 0.5, 15, 15])),
            per_day_max=draw(st.integers(1, 4)),
            no_exit=draw(st.sampled_from([1, 2, 3, 0])),
        )
    return text


@st.composite
def visited(draw: st.DrawFn, around: int) -> Row:
    hours = draw(st.sampled_from([-25, -24, -4, -2, -1, 0, 0, 0, 0, 1, 2, 3, 4, 8, 24]))
    t: object = around + hours * HOUR_S + draw(MINUTE_ISH) + draw(st.integers(-2, 2))
    if draw(st.integers(0, 40)) == 40:
        t = [1, 3600]  # nothing in these files says when that start was
    told = {
        "host": draw(st.sampled_from([*PLACES[:2], *PLACES[:2], *PLACES, ELSEWHERE])),
        "home": draw(st.sampled_from([*PLACES, *PLACES, ELSEWHERE])),
        "who": draw(st.sampled_from(WHOS)),
        "t": t,
        "u": draw(st.sampled_from([0, 0, 1, 1, 2, 5, 30, 60, 600, 4 * DAY_S])),
        "grade": draw(st.sampled_from([2, 2, 2, 1, 0])),
        "tap": draw(st.integers(0, 5)),
    }
    told |= draw(st.sampled_from([{}, {}, {"client": "é"}, {"via": "desk"}]))
    return told


MAPPED = st.fixed_dictionaries(
    {
        "host": st.just(PLACES[0]),
        "home": st.sampled_from([PLACES[1], PLACES[1], PLACES[2]]),
        "was": st.sampled_from(WHOS),
        "who": st.sampled_from([*WHOS, "63" * 16, "00" * 16]),
    }
) | st.fixed_dictionaries(
    {
        "host": st.just(PLACES[0]),
        "home": st.sampled_from([PLACES[1], PLACES[1], PLACES[2]]),
        "was": st.sampled_from([*WHOS, "63" * 16]),
        "who": st.sampled_from([*WHOS, "00" * 16]),
        "tap": st.integers(0, 1),
    },
    optional={"grade": st.integers(0, 2)},
)


@st.composite
def crossed(draw: st.DrawFn, around: int) -> list[Row]:
    """Many single taps on days of their own, so that places owe each other in circles."""
    pairs = [(host, home) for host in PLACES for home in PLACES if host != home]
    told = draw(st.lists(st.tuples(st.sampled_from(pairs), st.integers(0, 1)), min_size=4, max_size=24))
    return [
        {"host": host, "home": home, "who": WHOS[who], "t": around + n * DAY_S, "u": 0, "grade": 2, "tap": n}
        for n, ((host, home), who) in enumerate(told)
    ]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Row], str | None]:
    """An agreement, lines of visits and mappings, and the month that is billed."""
    zone, around, month = draw(st.sampled_from(NIGHTS))
    at = int(around.replace(tzinfo=UTC).timestamp())
    kind = draw(st.sampled_from(["one", "one", "few", "mapped", "crossed"]))
    lines = (
        draw(crossed(at))
        if kind == "crossed"
        else draw(st.lists(visited(at), min_size=draw(st.integers(0, 5)), max_size=10))
    )
    if kind in ("one", "mapped"):  # what a tap does to the next one needs taps of one person
        one = {"host": PLACES[0], "home": PLACES[1]} | ({"who": WHOS[0]} if kind == "one" else {"tap": 1})
        lines = [line | one for line in lines[:7]] + lines[7:]
    lines += draw(st.lists(MAPPED, min_size=2, max_size=6)) if kind == "mapped" else []
    lines += lines[: draw(st.integers(0, 2))]
    return (
        draw(agreed(zone, kind == "crossed")),
        draw(st.permutations(lines)),
        draw(st.sampled_from([None, None, month])),
    )


def product(text: bytes, lines: list[Row], period: str | None) -> tuple[list[object], Row]:
    """What the two commands print, by what they call."""
    known = agreements.parse(text, Path("agreement.toml"))
    inputs = Inputs()
    inputs.add_lines("\n".join(json.dumps(line) for line in lines).encode(), "visits.jsonl")
    shown = [session.document() for session in settlement.sessions_in(inputs, known, period)]
    return shown, dict(computed(inputs, known, {}, period).document)


def compare(text: str, lines: list[Row], period: str | None) -> None:
    mine = SecondOpinion(text.encode(), lines)
    sessions, bill = product(text.encode(), lines, period)
    assert sessions == mine.printed(period)
    assert bill == mine.bill(period)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_a_second_implementation_gives_the_same_lines_and_the_same_bill(
    case: tuple[str, list[Row], str | None],
) -> None:
    compare(*case)


def run(*words: object) -> str:
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("mode", ["net", "set-off"])
def test_the_commands_print_what_a_second_implementation_reads_out_of_the_same_files(tmp_path: Path, mode: str) -> None:
    text = HEAD.format(zone="Europe/Paris", mode=mode, debounce_s=120, day_starts="02:30", grades=[1, 2])
    terms = {"hours": 4.1, "grace_min": 15, "per_day_max": 2, "no_exit": 1}
    for number, place in enumerate(PLACES):
        text += PLACE.format(id=place, price_cents=700 + 100 * number, **terms)
    chance = random.Random(11)
    spring = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp())
    lines = [
        {
            "host": chance.choice(PLACES),
            "home": chance.choice([*PLACES, ELSEWHERE]),
            "who": chance.choice(WHOS),
            "t": spring + chance.randrange(0, 6 * DAY_S, 600) + chance.randrange(3),
            "u": chance.choice([0, 1, 60]),
            "grade": chance.choice([0, 1, 2, 2, 2, 2]),
            "tap": tap,
        }
        for tap in range(300)
    ]
    agreement, visits = tmp_path / "agreement.toml", [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    agreement.write_text(text)
    visits[0].write_text("".join(json.dumps(line) + "\n" for line in lines[100:]))
    visits[1].write_text("".join(json.dumps(line) + "\n" for line in reversed(lines[:150])))
    mine = SecondOpinion(agreement.read_bytes(), read_lines(visits[0].read_text() + visits[1].read_text()))
    files = [*visits, "--agreement", agreement, "--json"]
    for period in (None, "2026-03", "2026-04"):
        words = ["--period", period] if period else []
        assert read_lines(run("sessions", *files, *words)) == mine.printed(period)
        bill = json.loads(run("settle", *files, *words))
        assert bill == mine.bill(period)
        assert len(bill["gross"]) >= 10


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=15, max_size=17))
def test_from_seventeen_places_on_the_payments_are_those_of_one_group(cents: list[int]) -> None:
    payer = "zelkova.example"
    places = [f"p{number:02}.example" for number in range(len(cents))]
    text = HEAD.format(zone="UTC", mode="net", debounce_s=0, day_starts="00:00", grades=[2])
    for place, price in zip([*places, payer], [*cents, 1], strict=True):
        text += PLACE.format(id=place, price_cents=price, hours=4, grace_min=0, per_day_max=1, no_exit=1)
    one = {"home": payer, "who": WHOS[0], "t": DAY_S, "u": 0, "grade": 2, "tap": 1}
    compare(text, [one | {"host": place} for place in places], None)


def test_the_example_of_the_documents_is_what_a_second_implementation_gives() -> None:
    lines = read_lines((EXAMPLE / "visits.jsonl").read_text())
    mine = SecondOpinion((EXAMPLE / "agreement.toml").read_bytes(), lines)
    assert mine.printed() == read_lines((EXAMPLE / "sessions.jsonl").read_text())
    assert mine.bill() == json.loads((EXAMPLE / "bill.json").read_text())
