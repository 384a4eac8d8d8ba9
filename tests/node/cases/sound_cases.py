"""The sound package against IEC 61672-1, on both interpreters: sines quantised to 24 bits, no microphone."""

import json
import math
from array import array

from balise_node.sound.levels import (
    A_OFFSET,
    A_TOTAL,
    C_OFFSET,
    C_TOTAL,
    FAST,
    LEAST,
    MOST,
    PEAK_OFFSET,
    SLOW,
    decibels,
    follow,
    mean_level,
)
from balise_node.sound.levels import STATE_WORDS as FOLLOW_WORDS
from balise_node.sound.meter import CLIPPED, OFFSET, STILL, Meter
from balise_node.sound.weighting import PEAK, RATE_HZ, SUB_FRAMES, silence, weigh

STEADY = 0.5  # of full scale, the amplitude of all bursts and of the tones of table 3
SPANS = 8
BLOCK = SPANS * SUB_FRAMES


def tables():
    with open(__file__.rsplit("/", 2)[0] + "/iec_61672.json") as file:
        return json.load(file)


def tone(f, amplitude, first=0, frames=1 << 30):
    """A sine that begins at one frame and lasts so many, as a function of the frame: 24-bit words."""
    step = 2 * math.pi * f / RATE_HZ
    top = amplitude * 0x7FFFFF

    def word(n):
        return round(top * math.sin(step * (n - first))) << 8 if first <= n < first + frames else 0

    return word


def nominal(amplitude):
    """The level of a sine: 94 dB have their peak at -26 dBFS (data sheets of all three microphones)."""
    return 94 + 26 + 20 * math.log10(amplitude)


class Chain:
    """The kernels in a row, without the meter's habits."""

    def __init__(self):
        self.words = array("i", bytes(4 * BLOCK))
        self.filters = array("i", silence())
        self.sums = array("i", bytes(16 * SPANS))
        self.fast = array("i", bytes(4 * FOLLOW_WORDS))
        self.slow = array("i", bytes(4 * FOLLOW_WORDS))
        self.frame = self.a = self.c = self.spans = 0

    def forget(self):
        self.a = self.c = self.spans = self.filters[PEAK] = 0
        for state in (self.fast, self.slow):
            state[MOST] = state[MOST + 1] = 0
            state[LEAST] = 0x3FFFFFFF

    def run(self, word, blocks):
        for _ in range(blocks):
            for i in range(BLOCK):
                self.words[i] = word(self.frame + i)
            self.frame += BLOCK
            weigh(self.words, 0, 1, SPANS, self.filters, self.sums)
            follow(self.sums, SPANS, self.slow, SLOW)
            follow(self.sums, SPANS, self.fast, FAST)
            self.a += (self.fast[A_TOTAL] << 25) + self.fast[A_TOTAL + 1]
            self.c += (self.fast[C_TOTAL] << 25) + self.fast[C_TOTAL + 1]
            self.spans += SPANS
        return self

    def most(self, state):
        return (decibels((state[MOST] << 20) + state[MOST + 1]) + A_OFFSET) / 100

    def peak(self):
        return (decibels(self.filters[PEAK] ** 2) + PEAK_OFFSET) / 100


def measured(f, amplitude, settle=8, blocks=16):
    """LAeq and LCeq of a steady tone."""
    chain = Chain().run(tone(f, amplitude), settle)
    chain.forget()
    chain.run(tone(f, amplitude), blocks)
    return mean_level(chain.a, chain.spans, A_OFFSET) / 100, mean_level(chain.c, chain.spans, C_OFFSET) / 100


def case_table_3_all_rows(_folder):
    for n, a, c, upper, lower in tables()["table_3"]["rows"]:
        found_a, found_c = measured(1000 * 10 ** (n / 10), STEADY)
        for found, wanted in ((found_a, a), (found_c, c)):
            deviation = found - nominal(STEADY) - wanted
            assert deviation <= upper, (n, wanted, deviation)
            assert lower is None or deviation >= lower, (n, wanted, deviation)
            assert abs(deviation) < 0.15, (n, wanted, deviation)  # ours; the table itself is rounded to 0.1


def case_linear_over_ninety_decibels(_folder):
    """From 30 to 120 dB in steps of 5; the top is a sine that just does not clip."""
    for tenths in range(19):
        amplitude = 10 ** (-tenths * 5 / 20)
        found_a, found_c = measured(1000, amplitude, 4, 4)
        assert abs(found_a - nominal(amplitude)) < 0.15, (tenths, found_a)
        assert abs(found_c - nominal(amplitude)) < 0.15, (tenths, found_c)


def case_table_4_tone_bursts(_folder):
    for ms, fast, slow, exposure, upper, lower in tables()["table_4"]["rows"]:
        for first in (BLOCK, BLOCK + 70):  # at an edge of a span, and within
            chain = Chain()
            burst = tone(4000, STEADY, first, round(ms * RATE_HZ / 1000))
            chain.run(burst, 3 + ms * RATE_HZ // 1000 // BLOCK if ms >= 1 else 3)
            steady = nominal(STEADY) + 1.0  # table 3: A at 4 kHz
            energy = mean_level(chain.a, 250, A_OFFSET) / 100  # 250 spans are a second
            found = (chain.most(chain.fast), chain.most(chain.slow), energy)
            for at, wanted in enumerate((fast, slow, exposure)):
                deviation = 0 if wanted is None else found[at] - steady - wanted
                assert lower <= deviation <= upper, (ms, wanted, deviation)


def case_table_5_peaks(_folder):
    for f, cycles, wanted, limit in tables()["table_5"]["rows"]:
        sign = 1 if cycles > 0 else -1
        burst = tone(f, STEADY * sign, BLOCK, round(abs(cycles) * RATE_HZ / f))
        peak = Chain().run(burst, 4).peak()
        steady = measured(f, STEADY)[1]
        assert abs(peak - steady - wanted) <= limit, (f, cycles, peak - steady)


def case_the_peak_of_a_sine_lies_three_decibels_above_its_level(_folder):
    """The most frequent error of all: a data sheet's dBFS is a peak."""
    amplitude = 10 ** (-26 / 20)
    found_a, found_c = measured(1000, amplitude)
    assert abs(found_a - 94) < 0.03
    assert abs(found_c - 94) < 0.03
    chain = Chain().run(tone(1000, amplitude), 8)
    chain.forget()
    assert abs(chain.run(tone(1000, amplitude), 8).peak() - 97.01) < 0.03


def filled(meter, word, blocks, frame=0):
    for _ in range(blocks):
        for i in range(BLOCK):
            meter.words[i] = word(frame)
            frame += 1
        meter.measure()
    return frame


def case_the_meter_tells_percentiles_and_extremes(_folder):
    """Half of the time 60 dB, half 80: L10 is in the class of 80, L90 in that of 60, LAeq is a mean of energy."""
    loud, quiet = tone(1000, 10 ** (-40 / 20)), tone(1000, 10 ** (-60 / 20))
    meter = Meter(SPANS, 0, 1, 3900)
    frame = filled(meter, quiet, 44)
    filled(meter, loud, 40, frame)
    assert (meter.spans, meter.histogram.total, meter.status) == (640, 20, 0)
    laeq, least, most, l10, l50, l90, lceq, peak = meter.take()
    assert abs(laeq - (8000 - 297)) < 5, laeq  # 10 lg((1 + 0.01) / 2) = -2.97 dB
    assert (abs(least - 6000) < 5, abs(most - 8000) < 5, abs(lceq - laeq) < 5) == (True, True, True)
    assert abs(peak - 8301) < 40, peak  # more than 3.01 dB above: the tone begins suddenly
    assert (abs(l10 - 8000) < 50, abs(l90 - 6000) < 50, l50 >= l90) == (True, True, True)
    assert (meter.spans, meter.histogram.total) == (0, 0)


def case_the_meter_judges_its_words(_folder):
    meter = Meter(SPANS, 0, 1, 3900)
    filled(meter, lambda n: 0, 40)
    assert (meter.is_still, meter.status, meter.under_range_s) == (True, STILL, 1)
    meter.begin()
    filled(meter, tone(1000, 1.2 * 0.5), 12)
    assert (meter.is_still, meter.status) == (False, 0)
    top = tone(1000, 0.999999)
    filled(meter, top, 40)
    assert (meter.status, meter.overload_s) == (CLIPPED, 1)
    meter.begin()
    filled(meter, lambda n: (top(n) >> 10 << 8) + (1 << 28), 12)
    assert meter.status == OFFSET
    assert meter.bits & 0xFF == 0


def case_only_the_wanted_slot_counts(_folder):
    """Stereo: the other microphone screams."""
    meter = Meter(SPANS, 1, 2, 3900)
    mine, other = tone(1000, 0.001), tone(700, 0.9)
    for block in range(12):
        for i in range(BLOCK):
            meter.words[2 * i] = other(block * BLOCK + i)
            meter.words[2 * i + 1] = mine(block * BLOCK + i)
        meter.measure()
    assert abs(meter.take()[0] - 6000) < 10
