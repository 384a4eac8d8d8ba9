"""Writes the vectors of the microphones: words computed as sines, levels as Fourier sums; no driver, no filter is run.

A level is the energy of the words at each of their frequencies, weighted by the poles of IEC 61672-1:2013; the peak of
a sine at 94 dB is -26 dBFS. Usage: python tests/node/make_sound_vectors.py (writes tests/node/vectors/).
"""

import json
import math
from pathlib import Path
from typing import Any

FULL_SCALE, RATE_HZ = 1 << 23, 48_000
POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
PEAK_DB = 10 * math.log10(2)
PARTS = {
    "inmp441": (24, "InvenSense DS-INMP441-00 1.1"),
    "ics43434": (24, "InvenSense DS-000069 1.2"),
    "sph0645": (18, "Knowles SPH0645LM4H-B rev. B"),
}
COMPUTED = "computed: Fourier sum of the words, poles of IEC 61672-1:2013; a sine's peak at 94 dB is -26 dBFS"
JUDGED = COMPUTED + "; status by sound/meter.py"
CLIPPED = {"laeq": 3, "la10": 3, "lceq": 3, "lamax": 4, "lcpeak": 4}
FAULTS = {
    "dead_pin": ["no signal"],
    "wrong_slot": ["no signal"],
    "one_bit_shift": ["misaligned"],
    "startup_zeros": ["no signal"],
    "dc_offset": {"mic_status": 2},
    "clipping": {"laeq": 1230, "lceq": 1227, "mic_status": 1, "flags": CLIPPED},
}


def c_weight(f: float) -> float:
    low, high = POLES_HZ[0] ** 2, POLES_HZ[3] ** 2
    return high * f * f / ((f * f + low) * (f * f + high))


def a_weight(f: float) -> float:
    return c_weight(f) * f * f / math.sqrt((f * f + POLES_HZ[1] ** 2) * (f * f + POLES_HZ[2] ** 2))


def tone(level: float, frames: int, cycles: int = 1, zero: int = 0) -> list[int]:
    """Whole cycles of a sine, as steps of 24 bits; cut at the ends."""
    peak = FULL_SCALE * 10 ** ((level - 94 - 26) / 20)
    steps = [zero + round(peak * math.sin(2 * math.pi * cycles * n / frames)) for n in range(frames)]
    return [max(min(step, FULL_SCALE - 1), 1 - FULL_SCALE) for step in steps]


def levels(steps: list[int]) -> tuple[float, float]:
    """Leq in A and C of a sound that repeats these."""
    frames, energy = len(steps), [0.0, 0.0]
    for k in range(1, frames // 2 + 1):
        angles = [2 * math.pi * k * n / frames for n in range(frames)]
        real = sum(step * math.cos(angle) for step, angle in zip(steps, angles, strict=True))
        imaginary = sum(step * math.sin(angle) for step, angle in zip(steps, angles, strict=True))
        power = (2 if k < frames / 2 else 1) * (real * real + imaginary * imaginary) / frames**2
        for i, weight in enumerate((a_weight, c_weight)):
            energy[i] += power * (weight(RATE_HZ * k / frames) / weight(1000)) ** 2
    reference = (FULL_SCALE * 10 ** (-26 / 20)) ** 2 / 2
    a, c = (94 + 10 * math.log10(each / reference) for each in energy)
    return a, c


def sample(steps: list[int], status: int = 0) -> list[int]:
    """What a steady sine gives: its level at all times; percentiles on a line in its class of 0.5 dB; one look."""
    a, c = levels(steps)
    first = math.floor(a * 2) / 2
    values = [a, a, a, first + 0.45, first + 0.25, first + 0.05, c, c + PEAK_DB]
    return [math.floor(value * 10 + 0.5 + 1e-6) for value in values] + [0, 0, 1, status]


def words(steps: list[int], bits: int) -> bytes:
    """In slots of 32 bits, little endian."""
    unused = 32 - bits
    return b"".join((step << 8 >> unused << unused).to_bytes(4, "little", signed=True) for step in steps)


def shifted(data: bytes, late: bool) -> str:
    """Each word a bit late or early."""
    moved = b""
    for at in range(0, len(data), 4):
        word = int.from_bytes(data[at : at + 4], "little")
        moved += (word >> 1 if late else word << 1 & 0xFFFFFFFF).to_bytes(4, "little")
    return moved.hex()


def case(why: str, source: str, **more: Any) -> dict[str, Any]:
    return {"why": why, "from": source} | more


def heard(bits: int) -> list[dict[str, Any]]:
    """What gives levels."""
    usual = tone(94.2, 48)
    low, quiet, top = tone(80.4, 384), tone(45.2 if bits == 24 else 65.2, 48), tone(120.0, 24)
    left, right = words(tone(110.0, 48, 2), bits), words(usual, bits)
    both = b"".join(left[at : at + 4] + right[at : at + 4] for at in range(0, len(left), 4)).hex()
    offset = words(tone(94.2, 48, 1, FULL_SCALE // 8), bits).hex()
    ends, beside = "a sine that touches both ends is told as clipped", "on the right, beside a louder one on the left"
    eighth = "an offset of an eighth of full scale is told, and does not count"
    return [
        case("1 kHz, where A and C are the same; the peak lies 3.01 dB above", COMPUTED, sample=sample(usual), sent=[]),
        case("125 Hz: A takes 16 dB, C little", COMPUTED, sound=words(low, bits).hex(), sample=sample(low)),
        case("quiet", COMPUTED, sound=words(quiet, bits).hex(), sample=sample(quiet)),
        case(beside, COMPUTED, options={"right": 1}, sound=both, sample=sample(usual)),
        case(ends, JUDGED, sound=words(top, bits).hex(), sample=sample(top, 1), flags=CLIPPED),
        case(eighth, JUDGED, sound=offset, sample=sample(usual, 2)),
    ]


def refused(bits: int, sheet: str) -> list[dict[str, Any]]:
    """What gives none."""
    usual, dead, beside = words(tone(94.2, 48), bits), "no signal", "misaligned"
    early = "every word one bit early: louder by 6 dB, and nothing else shows it"
    rests = sheet + ": the line rests in the other slot"
    return [
        case("no clock, or no such bus", "a bus that gives nothing", sound="", expect=dead),
        case("zeros for ever: another slot, or no microphone", rests, sound="00" * 32, expect=dead),
        case("the data line floats high", "no pull-down on SD", sound="ff" * 32, expect=dead),
        case("every word one bit late", "the first case, shifted right", sound=shifted(usual, True), expect=beside),
        case(early, "the first case, shifted left", sound=shifted(usual, False), expect=beside),
    ]


def main() -> None:
    for model, (bits, sheet) in PARTS.items():
        vectors = {
            "source": sheet
            + " (words, sensitivity); written by tests/node/make_sound_vectors.py, which runs no filter",
            "sound": words(tone(94.2, 48), bits).hex(),
            "faults": FAULTS,
            "cases": heard(bits) + refused(bits, sheet),
        }
        path = Path(__file__).parent / "vectors" / f"{model}.json"
        path.write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
