"""A wrong config.json is refused in words that help and tell no secret, under both interpreters."""

from pathlib import Path

import pytest

from balise_node import config
from node.interpreters import BOTH, ROOT, names_of_cases, run_case


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("config_cases"))
def test_config(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "config_cases", case, tmp_path)


def test_every_key_is_documented_with_its_default() -> None:
    text = (ROOT / "firmware" / "README.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| `")]
    for key, _kind, default, *_ in config._TOP:
        shown = "" if default == config._REQUIRED else str(default)
        cells = [[cell.strip(" `") for cell in line.split("|")] for line in table if line.startswith(f"| `{key}` |")]
        assert len(cells) == 1, key
        assert cells[0][2] == shown, key
    for key, *_ in (*config._WIFI, *config._MQTT, *config._UART, *config._I2C):
        assert f"`{key}`" in text, key


def test_the_documented_file_needs_only_its_key() -> None:
    text = (ROOT / "firmware" / "README.md").read_text(encoding="utf-8")
    sample = text.split("```json\n")[1].split("```")[0]
    with pytest.raises(config.ConfigError, match='"key": found a text of 47 characters'):
        config.parse(sample)
    whole = sample.replace("the same 32 hex digits as in the gateway's file", "6b1f0c52e9a4d3870f5e2c9ab8d71e34")
    assert len(config.parse(whole)["sensors"]) == 2
