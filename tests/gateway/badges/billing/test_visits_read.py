"""Visits as they come: verified or not, dated or not, mapped, refused."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.billing.settlement import settle
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.errors import PaperError
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Anchor, Item
from balise_wire.places import Place, Table
from balise_wire.visits import MappingRecord, VisitRecord
from gateway.badges.billing.billing_support import HOME, HOST, UNSIGNED, WHO, agreed, visit

T = 1_793_520_000
GATE, OTHER_GATE, STRANGER = Signer(b"\1" * 32), Signer(b"\2" * 32), Signer(b"\3" * 32)
PROVISIONAL, LATER = b"p" * 16, b"q" * 16


def table() -> Table:
    def place(name: str, prefix: str, gate: Signer) -> Place:
        return Place(name, name, prefix, (gate.public_key,), bytes(32), (gate.public_key,))

    return Table(1, T, (place(HOST, "co", GATE), place(HOME, "ba", OTHER_GATE)))


def sealed(*items: Item, signer: Signer = GATE, log: int = 0, seq: int = 1) -> bytes:
    return sign_envelope(signer, log, seq, [item.pack() for item in items])


def lines(*records: VisitRecord) -> bytes:
    told = ({**record.to_map(), "who": record.who.hex()} for record in records)
    return "".join(json.dumps(one) + "\n" for one in told).encode()


def found_in(*sequences: bytes, trust: Trust | None = None) -> Inputs:
    inputs = Inputs(trust or Trust.of([], table()))
    for data in sequences:
        inputs.add_sequence(data)
    return inputs


def test_the_same_visits_give_the_same_digest_in_both_forms_and_only_envelopes_are_verified() -> None:
    records = [visit(T, 1), visit(T + 3600, 2, client="metropole", via="qr")]
    signed, plain = found_in(sealed(*(record.item() for record in records))), Inputs()
    plain.add_lines(lines(*records), "visits.jsonl")
    one, two = (settle(inputs, agreed(), UNSIGNED).document for inputs in (signed, plain))
    assert one["inputs_sha256"] == two["inputs_sha256"]
    assert (one["verified"], two["verified"]) == (True, False)
    assert one["gross"] == two["gross"]
    plain.add_lines(lines(records[0]), "again.jsonl")
    assert plain.repeated == 1
    assert settle(plain, agreed(), UNSIGNED).document == two


def test_a_line_that_is_also_in_an_envelope_is_verified() -> None:
    inputs = found_in(sealed(visit(T).item()))
    inputs.add_lines(lines(visit(T)), "visits.jsonl")
    assert [tap.verified for tap in inputs.taps()[0]] == [True]


def test_a_gateway_may_not_speak_for_another_place_and_a_stranger_for_nobody() -> None:
    inputs = found_in(
        sealed(visit(T, 1).item(), visit(T, 2, host=HOME, home=HOST).item()),
        sealed(visit(T, 3).item(), signer=STRANGER),
        sealed(MappingRecord(HOST, HOME, WHO, LATER).item(), signer=OTHER_GATE),
        bytes([*sealed(visit(T, 4).item())[:-1], 0]),
        b"\xd2\x84",
    )
    assert [tap.tap for tap in inputs.taps()[0]] == [1]
    refused = {"host of another key": 2, "malformed": 1, "signature": 1, "unknown key": 1}
    assert inputs.refused_by_reason() == refused
    inputs.add_sequence(sealed(visit(T, 3).item(), signer=STRANGER))
    assert inputs.refused_by_reason() == refused
    assert settle(inputs, agreed(), UNSIGNED).document["flags"]["refused"] == refused  # type: ignore[index]


def test_a_key_that_you_vouch_for_may_sign_for_any_place() -> None:
    inputs = found_in(
        sealed(visit(T, host=HOME, home=HOST).item(), signer=STRANGER), trust=Trust.of([STRANGER.public_key])
    )
    assert len(inputs.taps()[0]) == 1


def test_ticks_become_a_time_by_the_anchor_with_the_least_doubt_and_its_doubt_stays() -> None:
    item = visit((7, 1000), u=3).item()
    near, far = Anchor(7, 900_000, T * 1000, "hub", 8_500), Anchor(7, 0, T * 1000, "hub", 8_450)  # 100 and 1000 s away
    for first, second in ((sealed(near, far), sealed(item, seq=2)), (sealed(item, seq=2), sealed(far, near))):
        (tap,), undated = found_in(first, second).taps()
        assert (tap.t, tap.u, undated) == (T + 100, 9, [])


def test_a_visit_without_an_anchor_of_its_own_log_and_boot_is_listed_and_not_guessed() -> None:
    strange = sealed(Anchor(8, 0, T * 1000, "hub", 0)), sealed(Anchor(7, 0, T * 1000, "hub", 0), log=1)
    inputs = found_in(sealed(visit((7, 1000)).item(), seq=2), *strange)
    assert inputs.taps()[0] == []
    bill = settle(inputs, agreed(), UNSIGNED).document
    assert bill["flags"]["undated"] == [{"host": HOST, "home": HOME, "who": WHO.hex(), "tap": 1}]  # type: ignore[index]
    assert bill["gross"] == []


def test_a_provisional_pseudonym_becomes_the_real_one_and_the_bill_is_the_same() -> None:
    direct = found_in(sealed(visit(T, 1).item(), visit(T + 3600, 2).item()))
    resolved = found_in(
        sealed(MappingRecord(HOST, HOME, PROVISIONAL, WHO).item(), seq=2),
        sealed(visit(T, 1, who=PROVISIONAL).item(), visit(T + 3600, 2).item()),
    )
    assert {tap.who for tap in resolved.taps()[0]} == {WHO}
    one, two = (settle(inputs, agreed(), UNSIGNED).document for inputs in (direct, resolved))
    assert one["gross"] == two["gross"]
    assert one["inputs_sha256"] != two["inputs_sha256"]


def test_mappings_follow_each_other_and_one_of_a_tap_goes_first() -> None:
    inputs = found_in(
        sealed(visit(T, 1, who=PROVISIONAL).item(), visit(T, 2, who=PROVISIONAL, grade=0).item()),
        sealed(
            MappingRecord(HOST, HOME, LATER, WHO).item(), MappingRecord(HOST, HOME, PROVISIONAL, LATER).item(), seq=2
        ),
        sealed(MappingRecord(HOST, HOME, PROVISIONAL, PROVISIONAL, tap=2, grade=2).item(), seq=3),
        sealed(MappingRecord(HOST, HOME, PROVISIONAL, b"z" * 16, tap=1).item(), seq=4),
        sealed(MappingRecord(HOST, HOST, WHO, b"y" * 16).item(), seq=5),
    )
    taps = {tap.tap: tap for tap in inputs.taps()[0]}
    assert (taps[1].who, taps[2].who, taps[2].grade) == (b"z" * 16, WHO, 2)
    assert inputs.conflicts == set()


@pytest.mark.parametrize(
    "second",
    [
        [MappingRecord(HOST, HOME, PROVISIONAL, WHO), MappingRecord(HOST, HOME, PROVISIONAL, LATER)],
        [MappingRecord(HOST, HOME, PROVISIONAL, WHO), MappingRecord(HOST, HOME, WHO, PROVISIONAL)],
        [MappingRecord(HOST, HOME, PROVISIONAL, PROVISIONAL, 1, grade) for grade in (1, 2)],
    ],
    ids=["two names", "a circle", "two grades"],
)
def test_mappings_that_contradict_each_other_are_not_applied_and_told(second: list[MappingRecord]) -> None:
    inputs = found_in(sealed(visit(T, 1, who=PROVISIONAL).item(), *(record.item() for record in second)))
    (tap,), _ = inputs.taps()
    assert (tap.who, tap.grade) == (PROVISIONAL, 2)
    bill = settle(inputs, agreed(), UNSIGNED).document
    assert bill["flags"]["conflicting_mappings"] == [  # type: ignore[index]
        {"host": HOST, "home": HOME, "who": PROVISIONAL.hex()}
    ]


def test_two_envelopes_of_one_name_are_both_read_and_told() -> None:
    inputs = found_in(sealed(visit(T, 1).item()), sealed(visit(T, 2).item()))
    assert (len(inputs.taps()[0]), inputs.double_names()) == (2, 1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"host":"coroutine.example"}', "without grade, home, t, tap, u, who"),
        (b'{"host":"coroutine.example","host":"b.example"}', "twice"),
        (b"[1]", "not an object"),
        (b"{", "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (lines(visit(T)).replace(b'"tap": 1', b'"tap": 1.0'), "tap of a visit is 1.0"),
        (lines(visit(T)).replace(b'"tap": 1', b'"tap": true'), "tap of a visit is True"),
        (lines(visit(T)).replace(b'"t": ', b'"t": 1000'), "not milliseconds"),
        (lines(visit(T)).replace(b'"who": "00', b'"who": "0g'), "32 hex digits"),
        (lines(visit(T)).replace(b'"who": "00', b'"who": "'), "not 16 bytes"),
        (lines(visit(T)).replace(b'"tap": 1', b'"tap": 1, "name": "x"'), "a visit with 'name'"),
        (lines(visit(T)).replace(b'"tap": 1', b'"tap": 1, "client": "\\ud800"'), "UTF-8"),
    ],
)
def test_a_line_that_is_no_visit_is_named_with_its_file(tmp_path: Path, line: bytes, told: str) -> None:
    path = tmp_path / "visits.jsonl"
    path.write_bytes(lines(visit(T)) + b"\n" + line)
    with pytest.raises(PaperError) as caught:
        Inputs().add_file(path)
    assert f"{path}: line 3: " in str(caught.value)
    assert told in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_or_named_and_never_crash(data: bytes) -> None:
    inputs = Inputs(Trust.of([GATE.public_key]))
    inputs.add_sequence(data)
    try:
        inputs.add_lines(data, "visits.jsonl")
    except PaperError as error:
        caught = str(error)
    else:
        caught = "visits: visits.jsonl: line"  # nothing but white space
    assert caught.startswith("visits: visits.jsonl: line")
    assert not inputs.taps()[0]


ITEMS = [
    *(visit(T + 1800 * number, number, who=PROVISIONAL if number % 2 else WHO).item() for number in range(8)),
    *(visit((7, 60 * number), 20 + number).item() for number in range(3)),
    Anchor(7, 0, T * 1000, "hub", 50),
    Anchor(7, 10_000, T * 1000 + 10_003, "ntp", 50),
    MappingRecord(HOST, HOME, PROVISIONAL, WHO).item(),
]


@settings(deadline=None)
@given(st.permutations(range(len(ITEMS))), st.lists(st.integers(1, len(ITEMS)), max_size=4), st.integers(0, 3))
def test_any_order_any_cut_and_any_repetition_give_the_same_bill(order: list[int], cuts: list[int], twice: int) -> None:
    edges = [0, *sorted(cuts), len(ITEMS)]
    parts = [order[a:b] for a, b in itertools.pairwise(edges) if a < b]
    envelopes = [sealed(*(ITEMS[i] for i in part), seq=number) for number, part in enumerate(parts, start=1)]
    inputs = found_in(*envelopes, *envelopes[:twice])
    assert settle(inputs, agreed(), UNSIGNED).document == settle(found_in(sealed(*ITEMS)), agreed(), UNSIGNED).document


def test_of_two_anchors_that_leave_the_same_doubt_the_later_one_dates_a_visit() -> None:
    early, late = Anchor(7, 0, T * 1_000, "ntp", 1_000), Anchor(7, 100_000_000, (T + 100_007) * 1_000, "ntp", 1_000)
    inputs = found_in(sealed(early, late, visit((7, 50_000)).item()))  # half-way between the two
    (tap,) = inputs.taps()[0]
    assert (tap.t, len(tap.also)) == (T + 50_007, 1)


def test_what_says_whose_a_visit_is_stands_in_the_digest_of_what_was_used() -> None:
    """Two places that have the same visits, and one a mapping that the other lacks, see that by the digest."""
    records = [visit(T, 1, who=PROVISIONAL).item(), visit(T + 3600, 2).item()]
    mapping = MappingRecord(HOST, HOME, PROVISIONAL, WHO).item()
    with_it, without = found_in(sealed(*records, mapping)), found_in(sealed(*records))
    digests = {settle(one, agreed(), UNSIGNED).document["inputs_sha256"] for one in (with_it, without)}
    assert len(digests) == 2
    (tap, _) = sorted(with_it.taps()[0], key=lambda tap: tap.t)
    assert tap.who == WHO
    assert len(tap.also) == 1
