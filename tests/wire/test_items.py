"""Items: both column forms and all forms of the times, what a sender chooses, and equality."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire import cbor
from balise_wire.channels import channel, names
from balise_wire.errors import WireError
from balise_wire.items import (
    Anchor,
    Carried,
    Item,
    Loss,
    Manifest,
    Readings,
    Receipt,
    Source,
    Unknown,
    Visit,
    unpack_item,
)

MANIFEST: dict[object, object] = {
    "node": "urn:dev:ops:b4115e-air-01",
    "channels": [channel(name).manifest_entry("sds011") for name in ("pm2_5", "pm10")],
}
ITEMS = [
    Manifest(1, MANIFEST),
    Anchor(3, 5000000, 1544300000000, "ntp", 40),
    Loss("urn:dev:ops:b4115e-air-01", "frames", [1, 4], [1, 9], "node store full"),
    Loss("urn:dev:ops:b4115e-air-01", "rows", 1544299000, 1544299400, "node store full"),
    Visit({"host": "coroutine.example", "who": bytes(16)}),
    Receipt({"day": "2026-01-01"}),
    Source({"grant": "g1", 7: [1, 2]}),
    Carried(b"\xd2\x84"),
    Unknown(77, ["from the future", 1]),
]
int32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def readings(draw: st.DrawFn) -> Readings:
    n = draw(st.integers(1, 12))
    value = st.none() | st.integers(-300, 300) | int32
    columns = draw(st.lists(st.lists(value, min_size=n, max_size=n), min_size=1, max_size=4))
    start = draw(st.integers(0, 2**40))
    gaps = draw(st.lists(st.integers(0, 300) | st.just(60), min_size=n - 1, max_size=n - 1))
    times = [start + sum(gaps[:i]) for i in range(n)]
    rows = st.lists(st.sampled_from(range(n)), unique=True, min_size=1).map(sorted)
    flagged = st.lists(st.sampled_from(range(len(columns))), unique=True)
    flags = {
        column: [[row, draw(st.sampled_from([2, 3, 4, 9]))] for row in draw(rows)] for column in sorted(draw(flagged))
    }
    return Readings(draw(st.integers(0, 99)), draw(st.none() | st.integers(0, 9)), times, columns, flags)


@given(readings(), st.sampled_from(["array", "rice"]), st.none() | st.integers(0, 1000))
def test_readings_come_back(item: Readings, form: str, period: int | None) -> None:
    packed = item.pack(form, period)
    assert unpack_item(cbor.decode(cbor.encode(packed))) == item
    assert period is None or packed[3] == period


@given(readings())
def test_the_rice_form_is_never_the_longer_one(item: Readings) -> None:
    assert len(cbor.encode(item.pack("rice"))) <= len(cbor.encode(item.pack("array")))


@given(readings())
def test_columns_of_both_forms_mix(item: Readings) -> None:
    arrays, bits = item.pack("array"), item.pack("rice")
    mixed = [bits[i] if i % 2 else arrays[i] for i in range(len(arrays))]
    mixed[3], mixed[4] = arrays[3], arrays[4]  # residuals belong to their period
    assert unpack_item(mixed) == item


def test_rows_on_the_grid_cost_one_byte_of_time() -> None:
    item = Readings(1, None, list(range(100, 700, 10)), [[0] * 60])
    assert item.pack()[3:5] == [10, 60]


def test_the_most_common_gap_is_the_period() -> None:
    assert Readings(1, None, [0, 60, 121, 181, 300], [[0] * 5]).pack()[3:5] == [60, [0, 1, 0, 59]]


def test_of_gaps_that_are_equally_common_the_median_is_the_period() -> None:
    assert Readings(1, None, [0, 10, 158, 305, 9999], [[0] * 5]).pack()[3] == 148


def test_one_row_has_no_period_of_its_own() -> None:
    assert Readings(1, None, [100], [[27]]).pack() == [0, 1, 100, 0, 1, [27]]
    assert Readings(1, 3, [61], [[None]]).pack(period=60) == [0, 1, [3, 61], 60, 1, [None]]


def test_flags_that_say_pass_are_not_sent() -> None:
    item = Readings(1, None, [100, 110], [[1, 2], [3, 4]], {0: [[0, 1], [1, 3]], 1: [[0, 1]]})
    assert item.pack()[-1] == {0: [[1, 3]]}


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (Readings(1, None, [], [[]]), "a row and a column"),
        (Readings(1, None, [1], []), "a row and a column"),
        (Readings(1, None, [1, 2], [[1]]), "column 0 has 1 values for 2 rows"),
        (Readings(1, None, [1], [[2**31]]), "32 bits"),
        (Readings(1, None, [0] * 65537, [[0] * 65537]), "too large"),
    ],
)
@pytest.mark.parametrize("form", ["array", "rice"])
def test_rows_that_cannot_be_sent_are_refused(item: Readings, told: str, form: str) -> None:
    with pytest.raises(WireError, match=told):
        item.pack(form)


@pytest.mark.parametrize("item", ITEMS, ids=repr)
def test_every_kind_comes_back(item: Item) -> None:
    again = unpack_item(cbor.decode(cbor.encode(item.pack())))
    assert again == item
    assert again.kind == item.pack()[0]
    assert type(again) is type(item)


def test_items_of_different_content_differ() -> None:
    assert all((a == b) == (a is b) for a in ITEMS for b in ITEMS)
    assert Readings(1, None, [1], [[1]]) != Readings(1, None, [1], [[2]])
    assert Readings(1, None, [1], [[1]]) != ITEMS[0]
    assert "27" in repr(Readings(1, None, [1], [[27]]))


def test_an_item_from_the_future_may_hold_what_we_have_no_value_for() -> None:
    array = cbor.decode(bytes.fromhex("83184df93e00a1820102f6"))  # [77, 1.5, {[1, 2]: null}]
    item = unpack_item(array)
    assert isinstance(item, Unknown)
    assert cbor.encode(item.pack()) == bytes.fromhex("83184df93e00a1820102f6")


def test_the_channel_table_holds_together() -> None:
    rows = [channel(name) for name in names()]
    assert len({row.id for row in rows}) == len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.low < row.high
        assert -(2**31) <= row.low <= row.high < 2**31
        assert row.resolution >= 1
        assert repr(row) == f"channel({row.name!r})"
    assert channel("pm10").name_at("sensor.community") == "P1"
    assert channel("pm2_5").name_at("eea") == "6001"
    assert channel("la50").name_at("sensor.community") is None
    with pytest.raises(WireError, match="no channel 'pm25'; known: pm1, pm2_5"):
        channel("pm25")
