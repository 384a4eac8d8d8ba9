"""QARTOD flags stand beside values that are always kept."""

from balise_gateway.quality import FAIL, NOT_EVALUATED, PASS, SUSPECT
from balise_gateway.quality.gross_range import flag, judge, range_of
from balise_wire.channels import channel, names
from balise_wire.items import Readings


def test_every_channel_has_a_range() -> None:
    for row in map(channel, names()):
        allowed = range_of(row.name, row.scale)
        assert flag(row.low, allowed) == flag(row.high, allowed) == PASS
        assert flag(row.low - 1, allowed) == flag(row.high + 1, allowed) == FAIL


def test_a_node_may_use_another_scale() -> None:
    tenths = range_of("temperature", 1)  # the table's is hundredths
    assert flag(850, tenths) == PASS
    assert flag(851, tenths) == FAIL
    assert flag(-401, tenths) == FAIL


def test_missing_stays_missing() -> None:
    readings = Readings(1, None, [0, 60], [[None, 722]])
    judge(readings, (range_of("temperature", 2),))
    assert readings.columns == [[None, 722]]
    assert readings.flags == {}


def test_the_value_is_kept_whatever_its_flag() -> None:
    readings = Readings(1, None, [0, 60, 120], [[722, 99_999, -99_999]])
    judge(readings, (range_of("temperature", 2),))
    assert readings.columns == [[722, 99_999, -99_999]]
    assert readings.flags == {0: [[1, FAIL], [2, FAIL]]}


def test_an_unknown_channel_is_not_evaluated() -> None:
    readings = Readings(1, None, [0], [[5]])
    judge(readings, (range_of("unheard_of", 0),))
    assert readings.flags == {0: [[0, NOT_EVALUATED]]}


def test_the_worse_flag_wins() -> None:
    told = {0: [[0, SUSPECT], [1, SUSPECT]]}
    readings = Readings(1, None, [0, 60, 120], [[99_999, 722, 99_999]], told)
    judge(readings, (range_of("temperature", 2),))
    assert readings.flags == {0: [[0, FAIL], [1, SUSPECT], [2, FAIL]]}
