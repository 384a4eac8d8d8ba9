"""A wrong config.json is refused in words that help and tell no secret, under both interpreters."""

from pathlib import Path

import pytest

from node.interpreters import BOTH, names_of_cases, run_case


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("config_cases"))
def test_config(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "config_cases", case, tmp_path)
