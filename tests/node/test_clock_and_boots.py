"""The boot counter never repeats a number; clocks do not wrap; the grid fills each slot once. Both interpreters."""

from pathlib import Path

import pytest

from node.interpreters import BOTH, names_of_cases, run_case


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("boots_cases"))
def test_boots(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "boots_cases", case, tmp_path)


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("clock_cases"))
def test_clock(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "clock_cases", case, tmp_path)
