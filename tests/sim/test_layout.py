"""What a street's nodes are told about their sensors."""

import json
from pathlib import Path

from balise_node.drivers import load
from balise_sim.kits import WANTED
from balise_sim.layout import Ports, lay_out
from balise_sim.scenario import bundled


def test_what_a_home_wants_of_a_sensor_it_has() -> None:
    for model, wanted in WANTED.items():
        assert set(wanted) < set(load(model).CHANNELS)


def test_rows_of_a_home_hold_what_it_wants(tmp_path: Path) -> None:
    site = lay_out(bundled("pair"), tmp_path, 1, Ports())
    for root in site.node_roots.values():
        for sensor in json.loads((root / "config.json").read_text(encoding="utf-8"))["sensors"]:
            assert tuple(sensor.get("channels", ())) == WANTED.get(sensor["model"], ())
