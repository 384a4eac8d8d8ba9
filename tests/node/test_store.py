"""The frame store keeps all: under both interpreters, and on a real littlefs whose power fails at each write."""

from pathlib import Path

import pytest

from node.interpreters import BOTH, micropython, names_of_cases, run_case


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("store_cases"))
def test_store(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "store_cases", case, tmp_path)


def test_a_power_cut_at_every_flash_write_of_littlefs() -> None:
    printed = micropython("import littlefs_cuts\nlittlefs_cuts.main()", heap="2M")
    cuts, kept = printed.split()[-2:]
    assert int(cuts) > 200, "as many cuts as the story has flash writes"
    assert int(kept) > 0
