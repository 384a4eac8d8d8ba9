"""What the digital microphones have in common: a street that is heard, the part's own noise, its range, its start.

The sound is 100 ms of a periodic waveform (frequencies are multiples of 10 Hz), played over and over without a seam, so
an hour is bytes copied, not samples computed; its level may change each 100 ms, in steps of 0.1 dB. `laeq` is the
A-weighted level of the whole, the part's own noise included, so its lower end is that noise and a little.

    street   a tone in each third of an octave from 50 Hz to 8 kHz, 1 dB less each, phases by the seed
    tone     1 kHz, where A and C are 0 dB: every level is the same

Not specified, so chosen here: the spectrum of the noise (white), no offset, no movement of the line outside its rates.
The waveform is that of a clock of 48 kHz; at another one the street sounds higher or lower.
"""

import math
from array import array
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import ClassVar

from balise_sim.devices._i2s import I2SDevice
from balise_sim.devices.base import Quantity

RATE_HZ, LOOP_FRAMES = 48_000, 4_800
FULL_SCALE = 1 << 23
REFERENCE_DB = 94.0
POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)  # IEC 61672-1:2013 annex E
THIRDS = range(-13, 10)  # 50 Hz to 8 kHz
KEPT_LOOPS = 600  # 60 dB in steps of 0.1: a level that moves all the time comes back to loops that are there

REPORTS = {
    "lamin": "the least Fast level",
    "lamax": "the largest Fast level",
    "la10": "exceeded in 10 % of the time",
    "la50": "exceeded in half of the time",
    "la90": "exceeded in 90 % of the time",
    "lceq": "the C-weighted level of the same sound",
    "lcpeak": "its largest C-weighted moment",
    "noise_overload": "seconds with clipped samples",
    "noise_under_range": "seconds in the microphone's own noise",
    "noise_duration": "how much sound was measured",
    "mic_status": "1 clipped, 2 far from zero, 4 no movement for a while",
}


def a_weight(f: float) -> float:
    """Amplitude, 1 at 1 kHz."""

    def bare(f: float) -> float:
        low, first, second, high = (p * p for p in POLES_HZ)
        f2 = f * f
        return high * f2 * f2 / ((f2 + low) * math.sqrt((f2 + first) * (f2 + second)) * (f2 + high))

    return bare(f) / bare(1000.0)


@cache
def waveform(name: str, seed: int) -> tuple[float, ...]:
    """One loop with an A-weighted mean square of 1."""
    if name == "tone":
        return tuple(math.sqrt(2) * math.sin(2 * math.pi * n / 48) for n in range(LOOP_FRAMES))
    dice = Random(f"street {seed}")
    sine = [math.sin(2 * math.pi * n / LOOP_FRAMES) for n in range(LOOP_FRAMES)]
    total, energy = [0.0] * LOOP_FRAMES, 0.0
    for third in THIRDS:
        cycles = round(100 * 10 ** (third / 10))
        amplitude, phase = 10 ** (-(third - THIRDS[0]) / 20), dice.randrange(LOOP_FRAMES)
        energy += (amplitude * a_weight(10.0 * cycles)) ** 2 / 2
        for n in range(LOOP_FRAMES):
            total[n] += amplitude * sine[(n * cycles + phase) % LOOP_FRAMES]
    return tuple(each / math.sqrt(energy) for each in total)


@cache
def noise(seed: int) -> tuple[float, ...]:
    """One loop of white noise with an A-weighted mean square of about 1."""
    dice = Random(f"noise {seed}")
    bins = LOOP_FRAMES // 2
    energy = sum(a_weight(10.0 * k) ** 2 for k in range(1, bins + 1)) / bins
    return tuple(dice.gauss(0.0, 1.0) / math.sqrt(energy) for _ in range(LOOP_FRAMES))


class Microphone(I2SDevice):
    """A model says its own figures; all are data sheet values."""

    REPORTS: ClassVar[Mapping[str, str]] = REPORTS
    SENSITIVITY_DBFS: ClassVar[float] = -26.0  # the peak of a 1 kHz sine at 94 dB
    NOISE_DBA: ClassVar[float]
    BITS: ClassVar[int] = 24
    STARTUP_FRAMES: ClassVar[int]
    RATES_HZ: ClassVar[tuple[int, int]]
    FAULTS: ClassVar[dict[str, str]] = I2SDevice.FAULTS | {
        "startup_zeros": "it never leaves its start-up: zeros for ever",
        "dc_offset": "its zero lies an eighth of full scale too high",
        "clipping": "it only knows its two ends: a full-scale square wave of 1 kHz",
    }

    def __init__(self, right: bool = False, seed: int = 0, sound: str = "street") -> None:
        super().__init__(right, seed)
        self._waveform, self._noise = waveform(sound, seed), noise(seed)
        self._powered_us = 0
        self._loops: dict[tuple[object, ...], bytes] = {}

    def reset(self, now_us: int) -> None:
        self._powered_us = now_us

    def sound(self, clock: tuple[int, int], first: int, count: int) -> bytes:
        start_us, rate_hz = clock
        if not self.RATES_HZ[0] <= rate_hz <= self.RATES_HZ[1] or self.has("startup_zeros"):
            return bytes(4 * count)
        powered = max(0, self._powered_us - start_us) * rate_hz // 1_000_000
        zeros = min(max(powered + self.STARTUP_FRAMES - first, 0), count)
        parts, at, end = [bytes(4 * zeros)], first + zeros, first + count
        while at < end:
            number, offset = divmod(at, LOOP_FRAMES)
            frames = min(LOOP_FRAMES - offset, end - at)
            loop = self._loop(start_us + number * LOOP_FRAMES * 1_000_000 // rate_hz)
            parts.append(loop[4 * offset : 4 * (offset + frames)])
            at += frames
        return b"".join(parts)

    def _loop(self, at_us: int) -> bytes:
        level = round(self.measure("laeq", at_us), 1)
        key = (level, self.has("dc_offset"), self.has("clipping"))
        if key not in self._loops:
            if len(self._loops) >= KEPT_LOOPS:
                self._loops.clear()
            self._loops[key] = self._make_loop(level)
        return self._loops[key]

    def _make_loop(self, level: float) -> bytes:
        unused = 32 - self.BITS
        top = (FULL_SCALE - 1) << 8 >> unused << unused
        if self.has("clipping"):
            return array("i", (top if n % 48 < 24 else -top for n in range(LOOP_FRAMES))).tobytes()
        own = self._rms(self.NOISE_DBA)
        sound = math.sqrt(max(self._rms(level) ** 2 - own * own, 0.0))
        zero = FULL_SCALE / 8 if self.has("dc_offset") else 0.0
        loop = array("i")
        for heard, hiss in zip(self._waveform, self._noise, strict=True):
            value = round(zero + sound * heard + own * hiss) << 8 >> unused << unused
            loop.append(min(max(value, -top), top))
        return loop.tobytes()

    def _rms(self, level: float) -> float:
        """In steps of 24 bits; the data sheet's dBFS are peaks of a sine."""
        return FULL_SCALE * 10 ** ((level - REFERENCE_DB + self.SENSITIVITY_DBFS) / 20) / math.sqrt(2)


def heard(low: float, high: float) -> Mapping[str, Quantity]:
    """The channel of a microphone."""
    return {"laeq": Quantity(low, high, 0.1, 55.0)}
