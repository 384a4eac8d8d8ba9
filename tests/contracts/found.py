"""What the two sensor suites walk: every driver, device model and vector file in its folder, found by its name."""

import importlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from balise_sim.devices.base import DeviceModel

ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / "firmware/balise_node/drivers"
DEVICES = ROOT / "sim/balise_sim/devices"
VECTORS = ROOT / "tests/node/vectors"


def stems(folder: Path) -> list[str]:
    """The sensors of a folder: a name that begins with "_", and base, are not one."""
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_") and p.stem != "base")


SENSORS = stems(DRIVERS)


@cache
def vectors(model: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / f"{model}.json").read_text(encoding="utf-8"))
    return found


def lines_of(model: str) -> str:
    """The vectors as tape.py reads them: what holds for all cases, then each case, a line of JSON each."""
    common = {key: value for key, value in vectors(model).items() if key != "cases"}
    return "".join(json.dumps(line) + "\n" for line in (common, *vectors(model)["cases"]))


def device(model: str) -> type[DeviceModel]:
    found: type[DeviceModel] = importlib.import_module(f"balise_sim.devices.{model}").Model
    return found
