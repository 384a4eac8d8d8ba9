"""What time it is: a contract that the simulator fulfils too, and the system's own clock.

Promises UTC with an honest uncertainty, and a boot time that never jumps. Leaves waiting to the event loop.
This is the one module of the gateway that looks at the system's clocks.
"""

import ctypes
import time
from typing import Protocol

UNKNOWN_MS = 2**31 - 1  # an uncertainty that says: this is not a time
USABLE_MS = 600_000  # a clock that may be wrong by more than ten minutes is not handed on

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
