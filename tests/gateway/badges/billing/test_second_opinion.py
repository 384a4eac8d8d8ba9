"""Two implementations that share nothing but the documents give the same lines and the same bill."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

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
PLACES = (
    "birch.example",
    "alder.example",
    "cedar.example",
    "dogwood.example",
    "fir.example",
    "gorse.example",
    "hazel.example",
)
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
STEPS_S = [0, 0, 1, 2, 29, 30, 59, 60, 61, 119, 120, 121, 240, 599, 600, 900, 901, 1800, 3600, 3601, 7200]
STEPS_S += [hours * HOUR_S for hours in (3, 4, 8, 24)] + [14_760, 14_761]
ZERO = "00" * 16
Case = tuple[str, list[Row], str | None]  # an agreement, lines of visits and mappings, the month that is billed


def agreement_of(chance: Random, zone: str, all_billed: bool) -> str:
    text = HEAD.format(
        zone=zone,
        mode=chance.choice(["net", "net", "set-off"]),
        debounce_s=chance.choice([0, 1, 5, 60, 120, 120, 3600]),
        day_starts=chance.choice(STARTS),
        grades=[0, 1, 2] if all_billed else chance.choice([[0, 1, 2], [0, 1, 2], [1, 2], [2], []]),
    )
    for place in PLACES[: 7 if all_billed else chance.randint(1, 4)]:
        text += PLACE.format(
            id=place,
            price_cents=chance.choice([0, 1, 1, 2, 2, 3, 700, 800]),
            hours=chance.choice(HOURS),
            grace_min=chance.choice([0, 0, 0.5, 15]),
            per_day_max=chance.choice([1, 2, 4, 48]),
            no_exit=chance.randint(0, 3),
        )
    return text


def visit_of(chance: Random, around: int, apart_s: list[int]) -> Row:
    t: object = (
        around + chance.choice([-1, 1]) * (chance.choice(apart_s) + chance.choice(STEPS_S)) + chance.randint(-1, 1)
    )
    if chance.random() < 0.02:
        t = [1, 3600]  # nothing in these files says when that start was
    return {
        "host": chance.choice(PLACES[:3]) if chance.random() < 0.9 else ELSEWHERE,
        "home": chance.choice(PLACES[:4]) if chance.random() < 0.9 else ELSEWHERE,
        "who": chance.choice(WHOS),
        "t": t,
        "u": chance.choice([0, 0, 1, 1, 2, 5, 30, 60, 600, 4 * DAY_S]),
        "grade": chance.choice([0, 1, 2, 2, 2, 2]),
        "tap": chance.randint(0, 5),
    } | chance.choice([{}, {}, {"client": "é"}, {"via": "desk"}])


def mapping_of(chance: Random) -> Row:
    was, who = chance.choices([*WHOS, *WHOS, "63" * 16, "64" * 16, ZERO], k=2)
    told = {"host": PLACES[0], "home": PLACES[1], "was": was, "who": who}
    if chance.random() < 0.5:
        told |= {"tap": chance.randint(0, 1)} | ({"grade": chance.randint(0, 2)} if chance.random() < 0.5 else {})
    return told


def crossed(chance: Random, around: int) -> list[Row]:
    """Single taps on days of their own, so that places owe each other in circles."""
    places = PLACES[: chance.randint(2, 7)]
    pairs = [(host, home) for host in places for home in places if host != home][:14]
    return [
        {"host": host, "home": home, "who": WHOS[0], "t": around + n * DAY_S, "u": 0, "grade": 2, "tap": n}
        for n, (host, home) in enumerate(chance.choices(pairs, k=chance.randint(3, 40)))
    ]


def case_of(seed: int) -> Case:
    """A small story: every choice is as likely as it is written here."""
    chance = Random(seed)
    zone, around, month = chance.choice(NIGHTS)
    at = int(around.replace(tzinfo=UTC).timestamp())
    kind = chance.choice(["one", "one", "near", "near", "few", "mapped", "crossed"])
    text = agreement_of(chance, zone, kind == "crossed")
    if chance.random() < 0.4:  # about the start of a day
        at = SecondOpinion(text.encode(), []).start((around + timedelta(hours=6)).date())
    apart_s = [0] if kind == "near" else [hours * HOUR_S for hours in (0, 0, 0, 0, 1, 2, 3, 4, 8, 24, 25)]
    lines = crossed(chance, at) if kind == "crossed" else []
    for _ in range(0 if lines else chance.randint(0, 6 if kind in ("one", "near") else 10)):
        line = visit_of(chance, at, apart_s)
        if kind in ("one", "near"):
            line |= {"host": PLACES[0], "home": PLACES[1], "who": WHOS[0]}
        if kind == "mapped":
            line |= {"host": PLACES[0], "home": PLACES[1], "tap": chance.randint(0, 1)}
        lines.append(line)
    if kind == "near" and chance.random() < 0.5:  # clocks that are as good as each other
        lines = [line | {"u": lines[0]["u"] % (2 * HOUR_S), "grade": 2} for line in lines]
    lines += [mapping_of(chance) for _ in range(chance.randint(1, 6) if kind == "mapped" else 0)]
    lines += chance.choices(lines, k=2) if lines else []
    chance.shuffle(lines)
    return text, lines, chance.choice([None, None, month])


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


def smallest(case: Case) -> Case:
    """The same difference with as few lines as possible."""
    text, lines, period = case
    for line in lines:
        fewer = [other for other in lines if other is not line]
        if differs((text, fewer, period)):
            return smallest((text, fewer, period))
    return case


def differs(case: Case) -> bool:
    try:
        compare(*case)
    except AssertionError:
        return True
    return False


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.integers(0, 2**64))
def test_a_second_implementation_gives_the_same_lines_and_the_same_bill(seed: int) -> None:
    case = case_of(seed)
    if differs(case):
        compare(*smallest(case))


def run(*words: object) -> str:
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("mode", ["net", "set-off"])
def test_the_commands_print_what_a_second_implementation_reads_out_of_the_same_files(tmp_path: Path, mode: str) -> None:
    text = HEAD.format(zone="Europe/Paris", mode=mode, debounce_s=120, day_starts="02:30", grades=[1, 2])
    terms = {"hours": 4.1, "grace_min": 15, "per_day_max": 2, "no_exit": 1}
    for number, place in enumerate(PLACES[:5]):
        text += PLACE.format(id=place, price_cents=700 + 100 * number, **terms)
    chance = Random(11)
    spring = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp())
    lines = [
        {
            "host": chance.choice(PLACES[:5]),
            "home": chance.choice([*PLACES[:5], ELSEWHERE]),
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
