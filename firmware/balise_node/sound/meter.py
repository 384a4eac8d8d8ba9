"""A sound level meter: blocks of samples in, one set of figures per period out.

Promises LAeq, LAFmin, LAFmax, LA10, LA50, LA90, LCeq and LCpeak of all sound since the last `take`, and how far they
can be trusted: seconds with clipped samples, seconds in the microphone's own noise, and what is wrong with the words.
LA10, LA50, LA90 are the levels exceeded in 10, 50 and 90 % of the time by the Fast level, looked at every 128 ms.
A "second" of the counters is eight of these looks, 1.024 s, and counts where it ends. Leaves to others where blocks
come from.
"""

from array import array

from balise_node.sound.histogram import Histogram
from balise_node.sound.levels import (
    A_OFFSET,
    A_TOTAL,
    C_OFFSET,
    C_TOTAL,
    FAST,
    LEAST,
    MOST,
    NOW,
    PEAK_OFFSET,
    STATE_WORDS,
    decibels,
    follow,
    mean_level,
)
from balise_node.sound.weighting import BIAS, MEAN, PEAK, SUB_FRAMES, inspect, silence, weigh

CLIPPED, OFFSET, STILL = 1, 2, 4  # bits of `status`: samples at an end of the range, a mean far from zero, no movement
_LOOK_SPANS = 32  # 128 ms
_LOOKS_PER_SECOND = 8
_SETTLE_SPANS = 32  # 128 ms: a microphone sends zeros for up to 2**18 clocks (85 ms), then the filters calm down
_NEVER = 0x3FFFFFFF
_FAR = 1 << 15  # a mean of 1/16 of full scale, in the 20 bits of the filters
_CLIP_STEPS = 64  # of 24 bits: so near to an end counts as clipped, for 18-bit parts end early


class Meter:
    """`words` is where a block goes, `spans` of 4 ms; then call `measure`. The channel is words[first::step]."""

    def __init__(self, spans: int, first: int, step: int, quietest: int) -> None:
        """`quietest`: the level, in 1/100 dB, below which the microphone's own noise adds 1 dB or more."""
        self.words = array("i", bytes(4 * SUB_FRAMES * spans * step))
        self._spans, self._first, self._step, self._quietest = spans, first, step, quietest
        self._sums = array("i", bytes(16 * spans))
        self._filters = array("i", silence())
        self._fast = array("i", bytes(4 * STATE_WORDS))
        self._seen = array("i", (0, 0xFFFFFF, 0))
        self.histogram = Histogram()
        self.begin()

    def begin(self) -> None:
        """The sound began anew: what comes first is not counted."""
        self._settling = _SETTLE_SPANS
        self._looked = self._looks = self._second_energy = self._second_drift = 0
        self._clipped = False
        self._reset()

    def _reset(self) -> None:
        self.histogram.clear()
        self._c_energy = self._drift = self._blocks = self._still = self._seconds = self._far_seconds = 0
        self.bits = 0  # which of the words' lower 16 bits were ever set
        self.overload_s = self.under_range_s = 0
        self._ever_clipped = False
        self._filters[PEAK] = 0
        fast = self._fast
        fast[MOST] = fast[MOST + 1] = 0
        fast[LEAST], fast[LEAST + 1] = _NEVER, 0

    @property
    def spans(self) -> int:
        """How much sound was counted, in 4 ms."""
        return self.histogram.spans

    @property
    def is_still(self) -> bool:
        """All words of the period were the same."""
        return self._still == self._blocks

    @property
    def status(self) -> int:
        """What is wrong: CLIPPED, OFFSET, STILL (for a part of the period)."""
        far = self._far_seconds or (self._blocks and abs(self._drift // self._blocks) > _FAR)
        clipped = CLIPPED if self._clipped or self._ever_clipped else 0
        return clipped | (OFFSET if far else 0) | (STILL if self._still else 0)

    @property
    def moved(self) -> bool:
        """The mean went far from zero, or came back, within the period: a bang that nobody outside has heard."""
        return 0 < self._far_seconds < self._seconds

    def measure(self) -> None:
        """Count the block that lies in `words`."""
        seen, fast, count = self._seen, self._fast, self.histogram
        weigh(self.words, self._first, self._step, self._spans, self._filters, self._sums)
        follow(self._sums, self._spans, fast, FAST)
        energy = (fast[A_TOTAL] << 25) + fast[A_TOTAL + 1]
        if self._settling > 0:
            self._settle(energy // self._spans)
            return
        seen[0], seen[1], seen[2] = 0, 0xFFFFFF, self.bits
        inspect(self.words, self._first, self._step, self._spans * SUB_FRAMES, seen)
        self.bits = seen[2]
        self._blocks += 1
        self._still += seen[0] == seen[1]
        self._clipped = self._clipped or seen[0] >= 0xFFFFFF - _CLIP_STEPS or seen[1] <= _CLIP_STEPS
        drift = self._filters[MEAN] - BIAS >> 9
        self._drift += drift
        self._second_drift += drift
        count.energy += energy
        count.spans += self._spans
        self._second_energy += energy
        self._c_energy += (fast[C_TOTAL] << 25) + fast[C_TOTAL + 1]
        self._looked += self._spans
        if self._looked >= _LOOK_SPANS:
            self._look()

    def _settle(self, energy: int) -> None:
        """The Fast level begins with the mean of the block before, and its extremes with it."""
        self._settling -= self._spans
        fast = self._fast
        fast[NOW], fast[NOW + 1] = energy >> 20, energy & 0xFFFFF
        self._filters[PEAK] = fast[MOST] = fast[MOST + 1] = 0
        fast[LEAST], fast[LEAST + 1] = _NEVER, 0

    def _look(self) -> None:
        self.histogram.add(self._level(NOW))
        self._looked -= _LOOK_SPANS
        self._looks += 1
        if self._looks == _LOOKS_PER_SECOND:
            level = mean_level(self._second_energy, _LOOK_SPANS * _LOOKS_PER_SECOND, A_OFFSET)
            self.under_range_s += level < self._quietest
            self.overload_s += self._clipped
            self._ever_clipped = self._ever_clipped or self._clipped
            self._clipped = False
            blocks = _LOOK_SPANS * _LOOKS_PER_SECOND // self._spans
            self._seconds += 1
            self._far_seconds += abs(self._second_drift // blocks) > _FAR
            self._looks = self._second_energy = self._second_drift = 0

    def _level(self, at: int) -> int:
        return decibels((self._fast[at] << 20) + self._fast[at + 1]) + A_OFFSET

    def take(self) -> tuple[int, ...]:
        """LAeq, LAFmin, LAFmax, LA10, LA50, LA90, LCeq, LCpeak in 1/100 dB of the sound since the last take.

        Needs a look's worth of sound (`spans`). The other figures are read before.
        """
        count = self.histogram
        peak = self._filters[PEAK]
        levels = (
            mean_level(count.energy, count.spans, A_OFFSET),
            self._level(LEAST),
            self._level(MOST),
            count.exceeded(10),
            count.exceeded(50),
            count.exceeded(90),
            mean_level(self._c_energy, count.spans, C_OFFSET),
            decibels(peak * peak) + PEAK_OFFSET,
        )
        self._reset()
        return levels
