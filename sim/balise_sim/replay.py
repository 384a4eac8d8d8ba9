"""What there is to measure: recorded air and noise, played again at each home with its own shift in time and place.

Promises: the same home and moment give the same values, and `mean` is the truth of a stretch of time; of each quantity
the first recording that has it is played, repeating on its own. Leaves to others: files (recording.py), and what a
sensor makes of it (devices/).
"""

import random
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from balise_sim import truth
from balise_sim.recording import Recording, load

AIR = "air_aberdeen_sds011_bme280.csv"
NOISE = "noise_laeq_1min.csv"
ZONES = {NOISE: "Europe/Paris"}  # it names none: chosen, see data/README.md
SHIFT_S = 1_260  # from one home to the next, so that neighbours do not say the same thing at the same time
# How homes of one street differ: half the width of an even spread around the recording
SPREAD = {"temperature": 0.6, "humidity": 2.0, "pressure": 25.0, "pm2_5": 0.3, "pm10": 0.4, "laeq": 3.0}


@cache
def bundled(name: str = AIR) -> Recording:
    """A recording that comes with the package; data/README.md says where it is from."""
    return load(Path(str(files("balise_sim") / "data" / name)), ZONES.get(name, ""))


class Home:
    """One place of the street: the recordings `number` shifts later, a little warmer or drier by where it is."""

    def __init__(self, start_utc_ms: int, number: int = 0, *recordings: Recording) -> None:
        self._start_utc_ms, self._number = start_utc_ms, number
        self._recordings = recordings or (bundled(AIR), bundled(NOISE))
        self._dice_seed = f"home {number}"

    def channel(self, name: str) -> Callable[[int], float] | None:
        """The quantity as a function of the world's microseconds; None when no recording has it."""
        recording = next((each for each in self._recordings if name in each.values), None)
        if recording is None:
            return None
        from_ms = self._start_utc_ms - self._number * SHIFT_S * 1000
        offset = self.offset(name)

        def value(now_us: int) -> float:
            return recording.at(name, from_ms + now_us // 1000) + offset

        return value

    def mean(self, name: str, from_us: int, to_us: int, step_s: int = 1) -> float:
        """The truth of a stretch of time: the mean, of the energy where the quantity is a level."""
        quantity = self.channel(name)
        if quantity is None:
            known = sorted(channel for each in self._recordings for channel in each.values)
            raise KeyError(f"nobody recorded {name!r}; there are {', '.join(known)}")
        return truth.mean(quantity, name, (from_us, to_us), step_s)

    def offset(self, name: str) -> float:
        """How this home differs from the recording; the first home does not."""
        if not self._number:
            return 0.0
        dice = random.Random(f"{self._dice_seed} {name}")
        return round(dice.uniform(-1, 1) * SPREAD.get(name, 0.0), 2)
