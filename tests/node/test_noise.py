"""A node that listens, in a real MicroPython on a simulated ESP32: rows carry the levels of the sound there was."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from balise_node.drivers.inmp441 import Sensor
from balise_sim.buses import Wire
from balise_wire.items import Readings
from node.yard import Yard

MIC = {"model": "inmp441", "i2s": 0, "sck": 32, "ws": 25, "sd": 33}
SLOT_US = 20_000_000
Level = float | Callable[[int], float]


@contextmanager
def listening(folder: Path, level: Level, sound: str = "street", right: int = 0, period_s: int = 20) -> Iterator[Yard]:
    """An ESP32 with one microphone, where it is so loud."""
    wires = [Wire("inmp441", "i2s0", {"sound": sound, "right": bool(right)}, pins=(32, 25, 33))]
    yard = Yard(folder, wires=wires, board="esp32", sensors=[MIC | {"right": right}], period_s=period_s)
    yard.node.bench.devices["inmp441"].set_channel("laeq", level)
    with yard:
        yield yard


def rows(yard: Yard) -> list[dict[str, int | None]]:
    """What the gateway got, by channel; those that it has not got yet are not looked at."""
    return [dict(zip(Sensor.CHANNELS, row.values, strict=True)) for row in yard.peer.rows()]


def overruns(yard: Yard) -> int:
    port: Any = yard.node.bench.ports["i2s"][0]
    return int(port.overrun_frames)


def test_rows_have_the_level_of_their_time(tmp_path: Path) -> None:
    """The world's clock begins 20 s into a minute, so rows end at 20, 40 and 60 s of the world."""
    with listening(tmp_path, lambda now_us: 60.0 if now_us < 2 * SLOT_US else 80.0, "tone") as yard:
        yard.run(1.4)
        found = rows(yard)
        levels = [row["laeq"] for row in found]
        assert levels == [pytest.approx(level, abs=1) for level in (600, 600, 800, 800)]
        for row in found[1], found[3]:
            assert row["lceq"] == pytest.approx(row["laeq"], abs=1)
            assert 30 <= row["lcpeak"] - row["laeq"] <= 50, "the microphone's noise stands on the tone"
            assert row["la90"] <= row["la50"] <= row["la10"]
            assert abs(row["lamax"] - row["lamin"]) <= 2
        for row in found[1:]:
            assert row["noise_duration"] == pytest.approx(200, abs=2), "the listener missed sound"
            assert (row["noise_overload"], row["noise_under_range"], row["mic_status"]) == (0, 0, 0)
        assert overruns(yard) == 0
        (manifest,) = yard.peer.manifests()
        assert [channel["n"] for channel in manifest.map["channels"]] == list(Sensor.CHANNELS)


def test_half_a_row_of_each_is_a_mean_of_energy(tmp_path: Path) -> None:
    """5 s in every 10 are 30 dB louder: LAeq lies 3 dB below the loud part, L90 at the quiet one."""
    with listening(tmp_path, lambda now_us: 80.0 if now_us // 5_000_000 % 2 else 50.0, right=1) as yard:
        yard.run(1.1)
        row = rows(yard)[-1]
        assert row["laeq"] == pytest.approx(800 + 100 * math.log10(0.5 * (1 + 0.001)), abs=3)
        assert row["lamin"] == pytest.approx(500, abs=4)
        assert row["lamax"] == pytest.approx(800, abs=4)
        assert row["la10"] == pytest.approx(800, abs=6)
        assert row["la90"] == pytest.approx(500, abs=6)


def test_a_dead_microphone_is_told_and_works_again(tmp_path: Path) -> None:
    with listening(tmp_path, 60.0) as yard:
        yard.run(0.5)
        yard.node.bench.devices["inmp441"].fault("dead_pin")
        yard.run(0.7)
        yard.node.bench.devices["inmp441"].fault("dead_pin", on=False)
        yard.run(0.9)
        assert yard.said("sensor inmp441: no signal: nothing moves on the data line")
        assert yard.said("sensor inmp441: works again")
        levels = [line.values[0] for line in yard.kept()]
        assert levels[0] == pytest.approx(600, abs=1)
        assert None in levels
        assert levels[-1] == pytest.approx(600, abs=1)


def test_what_is_clipped_is_sent_with_its_flags(tmp_path: Path) -> None:
    with listening(tmp_path, 60.0) as yard:
        yard.node.bench.devices["inmp441"].fault("clipping")
        yard.run(1.1)
        row = rows(yard)[0]
        assert row["laeq"] == 1230
        assert row["noise_overload"] >= 18
        assert row["mic_status"] == 1
        item = next(item for _, _, item in yard.peer.items(Readings) if isinstance(item, Readings))
        flags = {Sensor.CHANNELS[column]: runs[0][1] for column, runs in item.flags.items()}
        assert flags == {"laeq": 3, "la10": 3, "lceq": 3, "lamax": 4, "lcpeak": 4}
