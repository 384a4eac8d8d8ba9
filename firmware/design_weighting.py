"""Derives the numbers of balise_node/sound/ from the poles of IEC 61672-1:2013, and prints them.

The standard gives A and C as real poles (5.4.6, annex E): 20.598997 and 12194.217 Hz, both double, for C; for A also
107.65265 and 737.86223 Hz. Each pole becomes a section of one state s, at 48 kHz:

    high pass   y = x - s, s += k y         H = (1 - 1/z) / (1 - (1 - k)/z), with the pole where the matched z-transform
                                            puts it: k = 1 - exp(-2 pi f / 48000)
    low pass 1  h = x - s, s += k h, y = x - g h          H = 1 - g (1 - 1/z) / (1 - (1 - k)/z)
    low pass 2  y = s, s += k (x - s)                      H = k/z / (1 - (1 - k)/z)

The two low passes together stand for the double pole at 12194 Hz. Near half the sampling rate neither the bilinear nor
the matched transform is close to it (-6.2 and +2.9 dB at 16 kHz), so their k, g and k are the multiples of 1/512 whose
response deviates least from the double pole up to 20 kHz: found by walking downhill from the matched values.
"""

import cmath
import math
from functools import cache

RATE_HZ = 48_000
POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
LOW_PASS_STEP = 512
HIGH_PASS_BITS = (
    17,
    15,
    12,
)  # of the factors' fractions: eight to nine bits of factor are left, so that a product fits
BAND_HZ = tuple(500.0 * i for i in range(1, 41))
REFERENCE_DB, SENSITIVITY_DBFS = 94.0, -26.0  # all three microphones: peak of a sine at 94 dB
FULL_SCALE, SUB_FRAMES = 1 << 19, 192  # of the 20 bits that the kernel keeps; samples in one energy


def analogue(f: float, with_a: bool) -> float:
    """Gain of the weighting's poles and zeros, 1 where they are flat."""
    low, first, second, high = POLES_HZ
    gain = (f * f / (f * f + low * low)) * (high * high / (f * f + high * high))
    if with_a:
        gain *= f * f / math.sqrt((f * f + first * first) * (f * f + second * second))
    return gain


def unit(f: float) -> complex:
    """1/z."""
    return cmath.exp(-2j * math.pi * f / RATE_HZ)


def high_pass(k: float, f: float) -> complex:
    return (1 - unit(f)) / (1 - (1 - k) * unit(f))


def low_passes(factors: tuple[int, ...], f: float) -> complex:
    k1, g, k2 = (factor / LOW_PASS_STEP for factor in factors)
    return (1 - g * high_pass(k1, f)) * k2 * unit(f) / (1 - (1 - k2) * unit(f))


@cache
def high_pass_factors() -> tuple[int, ...]:
    """Of the three frequencies, in 1 / 2 ** HIGH_PASS_BITS."""
    return tuple(
        round((1 - math.exp(-2 * math.pi * f / RATE_HZ)) * (1 << bits))
        for f, bits in zip(POLES_HZ[:3], HIGH_PASS_BITS, strict=True)
    )


def low_pass_deviation_db(factors: tuple[int, ...]) -> float:
    """The worst in the band."""
    high = POLES_HZ[3]
    wanted = [high * high / (f * f + high * high) for f in BAND_HZ]
    found = [abs(low_passes(factors, f)) for f in BAND_HZ]
    return max(abs(20 * math.log10(a / b)) for a, b in zip(found, wanted, strict=True))


@cache
def low_pass_factors() -> tuple[int, ...]:
    """k, g and k in 1/512."""
    matched = round((1 - math.exp(-2 * math.pi * POLES_HZ[3] / RATE_HZ)) * LOW_PASS_STEP)
    best = (matched, matched, matched)
    stride = 64
    while stride:
        steps = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]
        near = [tuple(b + stride * s for b, s in zip(best, step, strict=True)) for step in steps]
        better = min((each for each in near if max(each) < LOW_PASS_STEP), key=low_pass_deviation_db)
        stride, best = (stride if better != best else stride // 2), better
    return best


def digital(f: float, with_a: bool) -> float:
    """Gain of the whole row of sections with its rounded factors."""
    ks = [k / (1 << bits) for k, bits in zip(high_pass_factors(), HIGH_PASS_BITS, strict=True)]
    gain = low_passes(low_pass_factors(), f) * high_pass(ks[0], f) ** 2
    if with_a:
        gain *= high_pass(ks[1], f) * high_pass(ks[2], f)
    return abs(gain)


def deviation_db(f: float, with_a: bool) -> float:
    """Digital against analogue, both 0 dB at 1 kHz."""
    ratio = digital(f, with_a) / analogue(f, with_a) * analogue(1000, with_a) / digital(1000, with_a)
    return 20 * math.log10(ratio)


def offset_cb(with_a: bool) -> int:
    """What 10 log10 of the energy of 192 samples lacks to be a sound pressure level, in 1/100 dB.

    A sine at 94 dB has its PEAK at -26 dBFS; its mean square is half of that squared (3.01 dB less).
    """
    peak = FULL_SCALE * 10 ** (SENSITIVITY_DBFS / 20) * digital(1000, with_a)
    return round(100 * (REFERENCE_DB - 10 * math.log10(SUB_FRAMES * peak * peak / 2)))


def peak_offset_cb() -> int:
    """What 20 log10 of a peak lacks: the peak of a sine lies 3.01 dB above its level."""
    peak = FULL_SCALE * 10 ** (SENSITIVITY_DBFS / 20) * digital(1000, False)
    return round(100 * (REFERENCE_DB + 10 * math.log10(2) - 20 * math.log10(peak)))


def largest_gains(length: int = 60_000) -> list[float]:
    """How many times the largest input each value of the row can become at most: sums of |impulse response|.

    In the order of the sections: what each subtracts its state from, and what it gives.
    """
    k1, g, k2 = (factor / LOW_PASS_STEP for factor in low_pass_factors())
    ks = [k / (1 << bits) for k, bits in zip(high_pass_factors(), HIGH_PASS_BITS, strict=True)]
    sums, low_1, low_2, states = [0.0] * 8, 0.0, 0.0, [0.0] * 4
    for n in range(length):
        x = 1.0 if n == 0 else 0.0
        h = x - low_1
        low_1 += k1 * h
        y = x - g * h
        x, low_2 = low_2, low_2 + k2 * (y - low_2)
        row = [h, y, y - x, x]
        for i, k in enumerate((ks[0], ks[0], ks[1], ks[2])):
            x -= states[i]
            states[i] += k * x
            row.append(x)
        sums = [a + abs(b) for a, b in zip(sums, row, strict=True)]
    return sums


def main() -> None:
    """Prints all."""
    print("high passes:", high_pass_factors(), "in 1/2 **", HIGH_PASS_BITS)
    factors = low_pass_factors()
    print("low passes k, g, k:", factors, f"in 1/512; worst deviation {low_pass_deviation_db(factors):.3f} dB")
    print("offsets in 1/100 dB: A", offset_cb(True), "C", offset_cb(False), "peak", peak_offset_cb())
    print("largest gains:", ", ".join(f"{gain:.2f}" for gain in largest_gains()))
    for n in range(-20, 14):
        f = 1000 * 10 ** (n / 10)
        print(f"{f:9.1f} Hz: A {deviation_db(f, True):+.3f} dB, C {deviation_db(f, False):+.3f} dB")


if __name__ == "__main__":
    main()
