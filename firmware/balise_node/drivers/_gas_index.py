"""Sensirion's gas index from the raw ticks of an SGP40 or SGP41: 100 (VOC) or 1 (NOx) is what this sensor is used to.

GI = Sensirion "VOC Index for Experts" and "NOx Index for Experts" (2022), with the constants of the maker's published
algorithm 3.2 (github.com/Sensirion/gas-index-algorithm). The index tells a change against the sensor's own last day and
no concentration. Written anew in integers: numbers are 1/65536 (Q16), rates 1/2**32, so that all boards give the same.
It must be fed at an even pace of 1 to 10 s: its filters and its blackout count samples. Leaves to the drivers the ticks
and the pace; state() and restore() carry what a VOC index has learnt over a break of at most 10 minutes.
"""

_ONE = 1 << 16
_BLACKOUT_S = 45
_GAIN = 230
_STD_START, _STD_BONUS, _STD_NOX = 50 * _ONE, 220 * _ONE, 2000 * _ONE
_LEARN_S, _LEARN_STD_S = 12 * 3600, 2500  # time constants: of mean and deviation; of the deviation at first
_FADE, _GATE_FADE = 655, 5898  # 0.01 per second; 0.09 per index point
_GATE_START = 510
_FAST_S, _SLOW_S = 20, 500  # of the low-pass that follows large steps at once
_LONGEST_S = 32767
_KNOWN_S = 3 * 3600  # how much learning a restored state stands for

# lowest ticks; longest gating in s; seconds until mean and deviation are learnt slowly; index above which they are not
# learnt; time constant of the mean at first; slope (Q16) and middle of the curve from deviation to index
_VOC = (20000, 180 * 60, 2700, 5220, 340, 20, -426, 213)
_NOX = (10000, 720 * 60, 17100, 20520, 30, 1200, -662, 614)


def exp(x: int) -> int:
    """e ** x, for x from -11 to 11: 2 ** (x / ln 2), whose fraction is a polynomial through five points."""
    y = max(min(x, 11 * _ONE), -11 * _ONE) * 1512775 >> 20  # 1.442695 in 1/2**20
    f = y & 0xFFFF
    power = _ONE + (f * (45419 + (f * (15823 + (f * (3397 + (f * 897 >> 16)) >> 16)) >> 16)) >> 16)
    shift = y >> 16
    return power << shift if shift >= 0 else power >> -shift


def fall(x: int, middle: int, slope: int) -> int:
    """1 far below the middle, 1/2 at it, 0 far above (Q16), for a positive slope."""
    return _ONE * _ONE // (_ONE + exp((x - middle) * slope >> 16))


def root(n: int) -> int:
    """The whole part of a square root, by Heron's rule."""
    if n < 2:
        return n
    at = 1 << (_bits(n) + 1 >> 1)
    while True:
        nearer = (at + n // at) >> 1
        if nearer >= at:
            return at
        at = nearer


def _bits(n: int) -> int:
    """int.bit_length(), which MicroPython does not have."""
    count = 0
    while n:
        count, n = count + 8, n >> 8
    return count


class GasIndex:
    """One index; `period_s` is the pace of process(). It learns the mean of the ticks, and how they vary around it."""

    def __init__(self, period_s: int, nox: bool = False) -> None:
        self._period_s = period_s
        self._is_nox = nox
        self._constants = _NOX if nox else _VOC
        self._dark_s = 0
        self._ticks: int | None = None
        self._mean: int | None = None
        self._std = _STD_START
        self._known_s = self._open_s = self._gated = 0  # seconds of learning, since the gate opened, and Q16 gated
        self._index = 0
        self._fast: int | None = None
        self._slow = self._shown = 0

    def state(self) -> "tuple[int, int] | None":
        """What was learnt, when there is something; worth keeping after three hours, and of the VOC index alone."""
        return None if self._mean is None else (self._mean, self._std)

    def restore(self, mean: int, std: int) -> None:
        """Goes on from a state() of the last ten minutes, after the blackout."""
        self._mean, self._std, self._known_s = mean, std, _KNOWN_S

    def process(self, ticks: int) -> "int | None":
        """The index after these ticks, 1 to 500; None in the first 45 s, and until there were ticks that can be."""
        if self._dark_s <= _BLACKOUT_S:
            self._dark_s += self._period_s
            return None
        if 0 < ticks < 65000:
            self._ticks = min(max(ticks - self._constants[0], 1), 32767) << 16
        if self._ticks is None:
            return None
        self._index = max(self._smooth(self._curve(self._ticks)), _ONE // 2)
        if self._mean is None:
            self._mean = self._ticks
        else:
            self._learn(self._ticks - self._mean)
        return (self._index + _ONE // 2) >> 16

    def _curve(self, ticks: int) -> int:
        """How far the ticks are from the mean, bent into 0 to 500; of the first ticks, what an index begins with."""
        slope, middle = self._constants[6:]
        if self._mean is None and self._is_nox:
            return _ONE
        distance = ticks - (self._mean or 0)
        if self._is_nox:
            distance = distance * _GAIN * _ONE // _STD_NOX
        else:
            distance = -distance * _GAIN * _ONE // (self._std + _STD_BONUS)
        return 500 * fall(distance, middle * _ONE, slope)

    def _smooth(self, index: int) -> int:
        """A low-pass whose time constant falls from 500 s to 20 s as a fast and a slow one differ."""
        if self._fast is None:
            self._fast = self._slow = self._shown = index
        step_s = self._period_s
        self._fast += (index - self._fast) * step_s // (_FAST_S + step_s)
        self._slow += (index - self._slow) * step_s // (_SLOW_S + step_s)
        near = exp(-(abs(self._fast - self._slow) // 5))
        tau = (_SLOW_S - _FAST_S) * near + _FAST_S * _ONE
        self._shown += (index - self._shown) * step_s * _ONE // (step_s * _ONE + tau)
        return self._shown

    def _learn(self, distance: int) -> None:
        """Moves mean and deviation; at first fast, later slowly, and hardly while the index is high (the gate)."""
        step_s, constants = self._period_s, self._constants
        if self._known_s < _LONGEST_S - step_s:
            self._known_s += step_s
        if self._open_s < _LONGEST_S - step_s:
            self._open_s += step_s
        new_mean = fall(self._known_s * _ONE, constants[2] * _ONE, _FADE)
        new_std = fall(self._known_s * _ONE, constants[3] * _ONE, _FADE) - new_mean
        gate = self._gate(constants[2])
        mean_rate = _rate(step_s, _LEARN_S, constants[5], new_mean) * gate >> 16
        std_rate = _rate(step_s, _LEARN_S, _LEARN_STD_S, new_std) * self._gate(constants[3]) >> 16
        self._gated = max(self._gated + step_s * ((_ONE - gate) * 13 // 10 - 3 * _ONE // 10), 0)
        if self._gated > constants[1] * _ONE:
            self._open_s = 0
        square = self._std * self._std + (distance * distance * std_rate >> 32)
        self._std = root(square * ((1 << 32) - std_rate) >> 32)
        self._mean = (self._mean or 0) + (distance * mean_rate + (1 << 31) >> 32)

    def _gate(self, open_s: int) -> int:
        limit = self._constants[4]
        limit = limit * _ONE + (_GATE_START - limit) * fall(self._open_s * _ONE, open_s * _ONE, _FADE)
        return fall(self._index, limit, _GATE_FADE)


def _rate(step_s: int, slow_s: int, fast_s: int, part: int) -> int:
    """Between a slow and a fast rate of learning, in 1/2**32: the part (Q16) that is fast."""
    slow = (step_s << 32) // (slow_s + step_s)
    return slow + (((step_s << 32) // (fast_s + step_s) - slow) * part >> 16)
