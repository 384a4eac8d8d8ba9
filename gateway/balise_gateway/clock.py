"""What time it is: a contract that the simulator fulfils too, the system's own clock, and what hubs say of the time.

Promises UTC with an honest uncertainty, and a boot time that never jumps. Leaves waiting to the event loop, and whether
a hub's word is signed to its adapter.
This is the one module of the gateway that looks at the system's clocks.
"""

import ctypes
import time
from typing import Protocol

UNKNOWN_MS = 2**31 - 1  # an uncertainty that says: this is not a time
USABLE_MS = 600_000  # a clock that may be wrong by more than ten minutes is not handed on
DRIFT_PPM = 100  # twice what a board's crystal does, temperature included

_PER_MILLION = 1_000_000
_NS_PER_MS = 1_000_000
_US_PER_MS = 1_000
_STA_UNSYNC = 0x0040  # linux/timex.h: the clock is not synchronised


class Clock(Protocol):
    """The gateway's clock. Three methods; none waits."""

    def utc_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC, as far as this clock knows."""
        ...

    def boot_ms(self) -> int:
        """Milliseconds since some moment of this boot; never jumps, never runs backwards."""
        ...

    def uncertainty_ms(self) -> int:
        """How wrong `utc_ms` may be, either way; UNKNOWN_MS when nobody knows."""
        ...


def known_utc_ms(clock: Clock) -> int | None:
    """UTC when the clock may be believed, else None: a Pi without network at boot has no idea of the date."""
    return clock.utc_ms() if clock.uncertainty_ms() <= USABLE_MS else None


def latest_utc_ms(clock: Clock) -> int | None:
    """It is not later than this; None when nobody knows."""
    utc_ms = known_utc_ms(clock)
    return None if utc_ms is None else utc_ms + clock.uncertainty_ms()


def source_of(clock: Clock) -> str:
    """Whose time this clock tells, as an anchor says it."""
    return clock.source() if isinstance(clock, GuidedClock) else "gateway"


class SystemClock:
    """The computer's clock. Its uncertainty is the kernel's own bound (adjtimex(2)), which NTP keeps small.

    `uncertainty_ms`, when given, is believed instead: for machines whose clock is right without NTP (an RTC, a host).
    """

    def __init__(self, uncertainty_ms: int | None = None) -> None:
        self._stated_ms = uncertainty_ms

    def utc_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_REALTIME) // _NS_PER_MS

    def boot_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // _NS_PER_MS

    def uncertainty_ms(self) -> int:
        return kernel_uncertainty_ms() if self._stated_ms is None else self._stated_ms


class GuidedClock:
    """A clock that goes by its hubs' signed answers while it does not know the time by itself.

    A hub's answer was made between request and receipt: the middle is taken, and the whole round trip is the
    uncertainty. From then on it grows with what this computer's crystal may drift. The best answer counts; the clock
    underneath, as soon as it is known, counts more.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0  # UTC when `boot_ms` was 0, as a hub told
        self._told_at_ms = 0
        self._told_uncertainty_ms = UNKNOWN_MS

    def utc_ms(self) -> int:
        return self.boot_ms() + self._offset_ms if self._by_hub() else self._clock.utc_ms()

    def boot_ms(self) -> int:
        return self._clock.boot_ms()

    def uncertainty_ms(self) -> int:
        return self._hub_uncertainty_ms() if self._by_hub() else self._clock.uncertainty_ms()

    def source(self) -> str:
        """Whose time it is, as an anchor says it: "hub" or "gateway"."""
        return "hub" if self._by_hub() else "gateway"

    def note_hub(self, utc_ms: int, sent_boot_ms: int) -> None:
        """A hub has just said what time it was, in answer to a request that was sent at that moment of this boot."""
        now_ms = self.boot_ms()
        round_trip_ms = max(1, now_ms - sent_boot_ms)
        if round_trip_ms <= self._hub_uncertainty_ms():
            self._offset_ms = utc_ms - (sent_boot_ms + now_ms) // 2
            self._told_at_ms, self._told_uncertainty_ms = now_ms, round_trip_ms

    def _by_hub(self) -> bool:
        return self._clock.uncertainty_ms() > USABLE_MS >= self._hub_uncertainty_ms()

    def _hub_uncertainty_ms(self) -> int:
        drift_ms = (self.boot_ms() - self._told_at_ms) * DRIFT_PPM // _PER_MILLION
        return min(UNKNOWN_MS, self._told_uncertainty_ms + drift_ms)


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)); the rest is room for the kernel to fill."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def kernel_uncertainty_ms() -> int:
    """The kernel's bound on the error of its clock, rounded up; UNKNOWN_MS when NTP has not set it."""
    timex = _Timex()
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)  # Linux only
    if adjtimex is None or adjtimex(ctypes.byref(timex)) < 0 or timex.status & _STA_UNSYNC:
        return UNKNOWN_MS
    return -(-int(timex.maxerror) // _US_PER_MS)
