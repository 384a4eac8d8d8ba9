"""The gas index: equal on both interpreters, and as the maker's algorithm in floating point and in its library."""

import json
import math
from pathlib import Path

import pytest

from node.interpreters import BOTH, micropython, names_of_cases, run_case

import gas_index_cases as cases  # isort: skip - the path is set by the line above

# sensirion-gas-index-algorithm 3.2.2 (the maker's own, from the Python package index) on the same ticks: sample, index
MAKERS = {
    (1, False): {46: 1, 50: 6, 310: 268, 330: 310, 400: 48, 700: 102, 1010: 219, 1720: 334, 4520: 339, 7999: 12},
    (10, False): {50: 101, 310: 486, 330: 398, 400: 152, 700: 85, 1010: 201, 1720: 458, 4520: 488, 7999: 27},
    (1, True): {50: 1, 310: 2, 330: 3, 400: 3, 700: 2, 1010: 2, 1720: 3, 3000: 1, 7320: 7, 7999: 3},
}
PACES = [*MAKERS, (10, True)]  # the maker's Python package gives NOx only each second


class Float:
    """The maker's algorithm as its description has it, in floating point: constants by name, nothing scaled."""

    def __init__(self, period_s: int, nox: bool) -> None:
        self.dt, self.nox, self.dark_s = period_s, nox, 0
        self.mean, self.std, self.index = None, 50.0, 0.0
        self.known_s = self.open_s = self.gated_min = 0.0
        self.low: list[float] = []
        self.mean_init_s, self.std_init_s = (4.75 * 3600, 5.70 * 3600) if nox else (0.75 * 3600, 1.45 * 3600)
        self.threshold, self.longest_min, self.fast_s = (30, 720, 1200) if nox else (340, 180, 20)

    @staticmethod
    def fall(x: float, middle: float, slope: float) -> float:
        return 1 / (1 + math.exp(min(slope * (x - middle), 50)))

    def process(self, ticks: int) -> int | None:
        if self.dark_s <= 45:
            self.dark_s += self.dt
            return None
        above = min(max(ticks - (10000 if self.nox else 20000), 1), 32767)
        self.index = max(self.smooth(self.curve(above)), 0.5)
        if self.mean is None:
            self.mean = float(above)
        else:
            self.learn(above - self.mean)
        return int(self.index + 0.5)

    def curve(self, above: float) -> float:
        if self.nox:
            x = (above - self.mean) / 2000 * 230 if self.mean is not None else None
            return 1.0 if x is None else 500 * self.fall(-x, -614, 0.0101)
        return 500 * self.fall(-(above - (self.mean or 0)) / -(self.std + 220) * 230, -213, 0.0065)

    def smooth(self, x: float) -> float:
        self.low = self.low or [x, x, x]
        fast, slow, shown = self.low
        fast += (x - fast) * self.dt / (20 + self.dt)
        slow += (x - slow) * self.dt / (500 + self.dt)
        tau = 480 * math.exp(-0.2 * abs(fast - slow)) + 20
        self.low = [fast, slow, shown + (x - shown) * self.dt / (self.dt + tau)]
        return self.low[2]

    def learn(self, distance: float) -> None:
        dt = self.dt
        self.known_s, self.open_s = min(self.known_s + dt, 32767), min(self.open_s + dt, 32767)
        new_mean = self.fall(self.known_s, self.mean_init_s, 0.01)
        new_std = self.fall(self.known_s, self.std_init_s, 0.01) - new_mean
        limits = [
            self.threshold + (510 - self.threshold) * self.fall(self.open_s, init_s, 0.01)
            for init_s in (self.mean_init_s, self.std_init_s)
        ]
        gate, std_gate = (self.fall(self.index, limit, 0.09) for limit in limits)
        slow = dt / (12 * 3600 + dt)
        mean_rate = gate * (slow + (dt / (self.fast_s + dt) - slow) * new_mean)
        std_rate = std_gate * (slow + (dt / (2500 + dt) - slow) * new_std)
        self.gated_min = max(self.gated_min + dt / 60 * ((1 - gate) * 1.3 - 0.3), 0)
        if self.gated_min > self.longest_min:
            self.open_s = 0
        self.std = math.sqrt((1 - std_rate) * (self.std**2 + std_rate * distance**2))
        self.mean += mean_rate * distance


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("gas_index_cases"))
def test_gas_index(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "gas_index_cases", case, tmp_path)


@pytest.mark.parametrize(("period_s", "nox"), PACES)
def test_both_interpreters_give_the_same_digits(period_s: int, nox: bool) -> None:
    script = "import sys, json, gas_index_cases\nprint(json.dumps(gas_index_cases.indices(*json.loads(sys.argv[1]))))"
    printed = micropython(script, json.dumps([period_s, nox, 1500]))
    assert json.loads(printed) == cases.indices(period_s, nox, 1500)


@pytest.mark.parametrize(("period_s", "nox"), PACES)
def test_as_in_floating_point(period_s: int, nox: bool) -> None:
    reference = Float(period_s, nox)
    found = cases.indices(period_s, nox, 8000)
    for at, ticks in enumerate(cases.ticks_of_a_day(8000, nox)):
        wanted = reference.process(ticks)
        assert (wanted is None) == (found[at] is None)
        assert wanted is None or abs(found[at] - wanted) <= 1, at


@pytest.mark.parametrize(("pace", "wanted"), MAKERS.items())
def test_as_the_makers_library(pace: tuple[int, bool], wanted: dict[int, int]) -> None:
    found = cases.indices(*pace, 8000)
    for at, index in wanted.items():
        assert abs(found[at] - index) <= 2, at
