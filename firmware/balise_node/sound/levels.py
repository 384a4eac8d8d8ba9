"""Energies to decibels: time weighting, the logarithm, and the one calibration constant, in whole numbers.

Promises levels in 1/100 dB, within 0.01 dB of the exact logarithm. Leaves to others what is done with them (meter.py).
The most frequent error of such meters is 3.01 dB: a data sheet's -26 dBFS is the PEAK of a sine at 94 dB, not its rms.
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

# 10 lg of the energy of 192 samples at -26 dBFS lacks so much to be a level (firmware/design_weighting.py)
A_OFFSET, C_OFFSET, PEAK_OFFSET = -1271, -1417, 866
FAST, SLOW = 5, 8  # shifts: 1/32 and 1/256 each 4 ms are time constants of 126 and 1022 ms (IEC 61672-1: 125 and 1000)
# Words of the state of `follow`, each pair (upper part in 2**20, lower part)
NOW, MOST, LEAST, A_TOTAL, C_TOTAL = 0, 2, 4, 6, 8
STATE_WORDS = 10
_MASK = const(0xFFFFF)


# Follows the energies that `weigh` gave with an exponential mean that forgets 1 / 2**shift each span; notes its
# extremes, and the totals of A and C (upper part here in 2**25).
@micropython.viper
def follow(sums: ptr32, subs: int, state: ptr32, shift: int):  # type: ignore[no-untyped-def]
    high = state[0]
    low = state[1]
    rest = (1 << shift) - 1
    a_high = a_low = c_high = c_low = 0
    while subs:
        subs -= 1
        x = sums[subs * 4 + 2]
        c_high += x >> 5
        c_low += ((x & 31) << 20) + sums[subs * 4 + 3]
        x = sums[subs * 4]
        y = sums[subs * 4 + 1]
        a_high += x >> 5
        a_low += ((x & 31) << 20) + y
        x -= high
        high += x >> shift
        low += ((x & rest) << (20 - shift)) + ((y - low) >> shift)
        high += low >> 20
        low &= _MASK
        if high > state[2] or (high == state[2] and low > state[3]):
            state[2] = high
            state[3] = low
        if high < state[4] or (high == state[4] and low < state[5]):
            state[4] = high
            state[5] = low
    state[0] = high
    state[1] = low
    state[6] = a_high
    state[7] = a_low
    state[8] = c_high
    state[9] = c_low


def decibels(energy: int) -> int:
    """10 lg of a whole number, in 1/100 dB; 0 counts as 1.

    The fraction of the binary logarithm comes bit by bit: squaring doubles it. 15 bits, so that squares are small ints.
    """
    energy = max(energy, 1)
    log = 14
    while energy >= 1 << 23:
        energy >>= 8
        log += 8
    while energy >= 1 << 15:
        energy >>= 1
        log += 1
    while energy < 1 << 14:
        energy <<= 1
        log -= 1
    for _ in range(10):
        energy = energy * energy >> 14
        log <<= 1
        if energy >= 1 << 15:
            energy >>= 1
            log += 1
    return log * 9633 + (1 << 14) >> 15  # 301.03 / 1024 each: 100 * 10 lg 2, of 10 binary digits


def mean_level(energy: int, spans: int, offset: int) -> int:
    """The level of so much energy in so many spans of 4 ms."""
    return decibels(energy) - decibels(spans) + offset
