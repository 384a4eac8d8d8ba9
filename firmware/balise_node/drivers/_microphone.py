"""Sound levels from a microphone on I2S, measured without a pause; what the microphones' drivers share.

Promises levels of the sound since the last sample (see sound/meter.py), in 0.1 dB, for a sensitivity of -26 dBFS at
94 dB: a part differs by what its data sheet allows, and the housing changes more. No sample is kept, sent or returned.
Leaves to others the microphone's own curve (60 Hz to 15 kHz), wind and rain.
"""

from balise_node.drivers import SensorError
from balise_node.sound.meter import CLIPPED, STILL, Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2S, SleepMs

_BLOCK_SPANS = 4  # 16 ms: 3 KB of words, twice that for a microphone on the right
_BLOCKS_A_LOOK = 16  # when nobody listens: 128 ms to settle and 128 ms of sound
_REST_MS = 36  # after all that was there has been read: two blocks and a little; the board's buffer holds 85 ms
_LAEQ, _LEAST, _MOST, _L10, _L50, _L90, _LCEQ, _PEAK = range(8)  # positions in CHANNELS
_SUSPECT, _FAIL = 3, 4


class Microphone:
    """A driver adds MODEL, BITS of a word that are sound, and QUIETEST.

    QUIETEST is the level in 1/100 dB where the microphone's own noise adds 1 dB: 6 dB above that noise.
    """

    MODEL = ""
    BUS = "i2s"
    CHANNELS = (
        "laeq",
        "lamin",
        "lamax",
        "la10",
        "la50",
        "la90",
        "lceq",
        "lcpeak",
        "noise_overload",
        "noise_under_range",
        "noise_duration",
        "mic_status",
    )
    WARMUP_S = 0
    BITS = 24
    QUIETEST = 0

    def __init__(self, bus: "I2S", sleep_ms: "SleepMs", right: int = 0) -> None:
        self._bus = bus
        self._meter = Meter(_BLOCK_SPANS, right, 1 + right, self.QUIETEST)
        self._listened = False
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """It measures as long as its clock runs."""

    def sleep(self) -> None:
        """It goes on: the next row is about the time until then."""

    async def listen(self) -> None:
        """Measures all that comes, for ever, block by block."""
        from asyncio import StreamReader, sleep_ms

        self._listened = True
        reader = StreamReader(self._bus)
        meter = self._meter
        words = memoryview(meter.words)
        at = 0
        while True:
            at += ((await reader.readinto(words[at:])) or 0) >> 2
            if at < len(words):
                await sleep_ms(_REST_MS)
                continue
            meter.measure()
            at = 0

    def sample(self) -> tuple[int, ...]:
        """All levels in 0.1 dB, seconds, 0.1 s, and the status bits of sound/meter.py."""
        meter = self._meter
        self.flags = {}
        if not self._listened:
            self._look()
        problem = self._problem()
        if problem:
            meter.begin()
            raise SensorError(self.MODEL, problem)
        own = (meter.overload_s, meter.under_range_s, (meter.spans * 4 + 50) // 100, meter.status)
        self.flags = _judged(meter.moved, *own)
        return tuple([(level + 5) // 10 for level in meter.take()]) + own

    def _look(self) -> None:
        """A moment of sound, for want of a listener; what waited in the buffer goes by while the filters settle."""
        meter = self._meter
        meter.begin()
        size = 4 * len(meter.words)
        for _ in range(_BLOCKS_A_LOOK):
            count: int | None = 0
            try:
                count = self._bus.readinto(meter.words)
            except OSError:
                count = None
            if count != size:
                meter.begin()
                return
            meter.measure()

    def _problem(self) -> str:
        """Why there are no levels; "" when there are."""
        meter = self._meter
        if not meter.histogram.total or meter.is_still:
            return "no signal"
        lowest = meter.bits & -meter.bits  # the lowest bit that was ever set is the sample's last
        return "" if lowest == 1 << (32 - self.BITS) else "misaligned"


def _judged(moved: bool, overload_s: int, under_range_s: int, duration: int, status: int) -> "dict[int, int]":
    """What the counters and bits say against the levels: clipped is too low, the own noise too high."""
    doubtful: tuple[int, ...] = ()
    if moved or status & STILL or under_range_s * 20 > duration:  # duration is in 0.1 s: for half of the time
        doubtful = (_LAEQ, _LEAST, _MOST, _L10, _L50, _L90, _LCEQ, _PEAK)
    elif under_range_s:
        doubtful = (_LEAST, _L90)
    flags = {at: _SUSPECT for at in doubtful}  # noqa: C420 - shorter on a board
    if status & CLIPPED:
        for at in (_LAEQ, _L10, _LCEQ):
            flags[at] = _SUSPECT
        flags[_MOST] = flags[_PEAK] = _FAIL
    return flags
