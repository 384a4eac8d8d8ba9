"""A- and C-weighting of 24-bit sound at 48 kHz, and the energy of every 4 ms, in whole numbers of 32 bits.

Promises the frequency weightings of IEC 61672-1:2013 (tests/node/test_weighting.py holds them to its class 1 mask), the
same digits on every interpreter, and no product or sum beyond 31 bits whatever the microphone sends. Leaves to others
what the energies mean in decibels (levels.py).

All poles of both weightings are real, so each is a filter of one pole with one small factor, in a row:

    sound -> 12194 Hz twice (low pass) -> 20.6 Hz twice (high pass) -> C -> 107.65 Hz, 737.86 Hz (high pass) -> A

A section keeps s, the running mean of its input in 1/512; a high pass gives y = x - s/512, then adds y * factor to s.
firmware/design_weighting.py derives the factors, and that no value grows beyond 2.3 times the largest input: with input
cut to 20 bits, values have 22 bits with their sign, and products with a factor 31. Cut to 20 bits, the quietest of our
microphones still has a noise of 10 steps of its own.

Machine code from viper keeps up; bytecode would not. For a quiet sample the loop of `weigh` is about 260 instructions
of an ESP32 and 290 of an RP2040, counted in what mpy-cross emits; `inspect` adds 50. At 48 kHz that is 15 million a
second: about an eighth of an ESP32 at 160 MHz and a fifth of an RP2040, if an instruction takes 1.3 and 1.6 cycles.
Not measured on a board. On a 64-bit MicroPython words come without their sign, so states are kept as positive words.
"""

try:
    import micropython
    from micropython import const
except ImportError:  # CPython
    from balise_node.sound import _host as micropython  # type: ignore[no-redef]
    from balise_node.sound._host import const, ptr32  # type: ignore[assignment]

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node.sound._host import ptr32

RATE_HZ = 48000
SUB_FRAMES = 192  # 4 ms: the Fast time weighting then forgets one 32nd at a step (levels.py)
PEAK, MEAN = 6, 2  # words of the state: the largest |C| since it was set to 0, and 20.6 Hz's running mean
BIAS = 0x3FFFFFFF  # what is added to the states
_BIAS = const(0x3FFFFFFF)
_FRAMES = const(192)
_K1 = const(498)  # low passes, in 1/512
_G = const(378)
_K2 = const(360)
_LOW = const(353)  # high passes, in 1/2**17, 1/2**15 and 1/2**12
_FIRST = const(459)
_SECOND = const(377)


def silence() -> list[int]:
    """The state of `weigh` before any sound."""
    return [BIAS] * 6 + [0]


# words[at], words[at + step], ...: `subs` spans of SUB_FRAMES words with the sample in their upper bits; at most 32, or
# the totals of `follow` overflow. Into `sums` go, for each span, the last one first, the sums of the squares of A
# (upper part in 2**20, lower part) and of C, from three ranges: small squares exactly, large ones without overflow.
@micropython.viper
def weigh(words: ptr32, at: int, step: int, subs: int, state: ptr32, sums: ptr32):  # type: ignore[no-untyped-def]
    l1 = state[0] - _BIAS
    l2 = state[1] - _BIAS
    s1 = state[2] - _BIAS
    s2 = state[3] - _BIAS
    s3 = state[4] - _BIAS
    s4 = state[5] - _BIAS
    peak = state[6]
    while subs:
        subs -= 1
        a_low = a_mid = a_high = c_low = c_mid = c_high = 0
        end = at + step * _FRAMES
        while at < end:
            x = ((words[at] >> 12) & 0xFFFFF ^ 0x80000) - 0x80000
            at += step
            y = x - (l1 >> 9)
            l1 += y * _K1
            y = x - (y * _G >> 9)
            x = l2 >> 9
            l2 += (y - x) * _K2
            x -= s1 >> 9
            s1 += x * _LOW >> 8
            x -= s2 >> 9
            s2 += x * _LOW >> 8
            if x > peak:
                peak = x
            elif x + peak < 0:
                peak = 0 - x
            if not (x + 2048) >> 12:
                c_low += x * x
            elif not (x + 32768) >> 16:
                c_mid += x * x + 128 >> 8
            else:
                y = x + 32 >> 6
                c_high += y * y >> 8
            x -= s3 >> 9
            s3 += x * _FIRST >> 6
            x -= s4 >> 9
            s4 += x * _SECOND >> 3
            if not (x + 2048) >> 12:
                a_low += x * x
            elif not (x + 32768) >> 16:
                a_mid += x * x + 128 >> 8
            else:
                y = x + 32 >> 6
                a_high += y * y >> 8
        sums[subs * 4] = a_high + (a_mid >> 12) + (a_low >> 20)
        sums[subs * 4 + 1] = (a_low & 0xFFFFF) + ((a_mid & 0xFFF) << 8)
        sums[subs * 4 + 2] = c_high + (c_mid >> 12) + (c_low >> 20)
        sums[subs * 4 + 3] = (c_low & 0xFFFFF) + ((c_mid & 0xFFF) << 8)
    state[0] = l1 + _BIAS
    state[1] = l2 + _BIAS
    state[2] = s1 + _BIAS
    state[3] = s2 + _BIAS
    state[4] = s3 + _BIAS
    state[5] = s4 + _BIAS
    state[6] = peak


# The extremes of the raw words, as 24 bits that count from the lowest (silence is 0x800000), and all their lower 16
# bits or'ed: what no word ever has set tells where the sample ends. found[0] largest, [1] smallest, [2] bits.
@micropython.viper
def inspect(words: ptr32, at: int, step: int, frames: int, found: ptr32):  # type: ignore[no-untyped-def]
    top = found[0]
    low = found[1]
    bits = found[2]
    end = at + step * frames
    while at < end:
        x = words[at]
        at += step
        bits |= x
        x = x >> 8 & 0xFFFFFF ^ 0x800000
        if x > top:
            top = x
        if x < low:
            low = x
    found[0] = top
    found[1] = low
    found[2] = bits & 0xFFFF
