"""The table of places on a gateway: which one is taken, and what stays when one is refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.federation.table_cache import FILE_NAME, TableCache
from balise_gateway.errors import PaperError
from balise_wire.envelope import Signer
from balise_wire.places import sign_table
from gateway.badges.federation.places import FEDERATION, HOST, NOW_S, cache, place, signed, table


def refusal(of: TableCache, data: bytes) -> str:
    with pytest.raises(PaperError) as refused:
        of.take(data)
    return refused.value.reason


def test_a_newer_table_takes_the_place_of_the_older(tmp_path: Path) -> None:
    held = cache(tmp_path)
    assert held.take(signed(2, [place(HOST)]))
    assert held.table == table(2, [place(HOST)])
    assert not held.take(signed(2, [place(HOST)]))
    again = TableCache(tmp_path, FEDERATION.public_key)
    assert again.load() == table(2, [place(HOST)])
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_an_older_table_is_a_rollback_and_the_newer_stays(tmp_path: Path) -> None:
    held = cache(tmp_path, data=signed(5))
    assert refusal(held, signed(4)) == "rollback"
    assert TableCache(tmp_path, FEDERATION.public_key).load() == table(5)
    assert held.refused == {"rollback": 1}


def test_a_rollback_is_noticed_by_a_gateway_that_has_just_started(tmp_path: Path) -> None:
    cache(tmp_path, data=signed(5))
    assert refusal(TableCache(tmp_path, FEDERATION.public_key), signed(4)) == "rollback"


def test_two_tables_of_one_number_are_a_fork(tmp_path: Path) -> None:
    assert refusal(cache(tmp_path, data=signed(5)), signed(5, [place(HOST)])) == "fork"


def test_a_table_of_another_key_or_of_changed_bytes_is_refused(tmp_path: Path) -> None:
    held, other = cache(tmp_path), Signer(bytes([8]) * 32)
    assert refusal(held, sign_table(other, table(9))) == "unknown key"
    data = bytearray(signed(9))
    data[-1] ^= 1
    assert refusal(held, bytes(data)) == "signature"
    assert held.table == table(1)
    assert held.status(NOW_S)["refused"] == {"unknown key": 1, "signature": 1}


def test_without_the_federations_key_nothing_is_taken(tmp_path: Path) -> None:
    assert refusal(TableCache(tmp_path, None), signed()) == "unknown key"
    assert not (tmp_path / FILE_NAME).exists()


def test_the_age_counts_from_when_the_table_was_last_seen_to_be_the_newest(tmp_path: Path) -> None:
    held = cache(tmp_path)
    held.note_checked(NOW_S)
    assert held.status(NOW_S + 300)["age_s"] == 300
    assert held.status(None)["age_s"] is None


def test_a_damaged_file_is_told_and_a_good_table_heals_it(tmp_path: Path) -> None:
    cache(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"\xff")
    held = TableCache(tmp_path, FEDERATION.public_key)
    assert held.load() is None
    assert FILE_NAME in held.error
    assert held.take(signed())
    assert not held.error


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=80), at=st.integers(0, 500), flip=st.integers(1, 255))
def test_hostile_bytes_are_refused_and_nothing_else_happens(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, flip: int
) -> None:
    held = cache(tmp_path_factory.mktemp("table"))
    bent = bytearray(signed(2))
    bent[at % len(bent)] ^= flip
    for hostile in (data, bytes(bent)):
        refusal(held, hostile)
    assert held.table == table(1)
