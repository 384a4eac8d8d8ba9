"""The system's clock and what it says of itself."""

import time

from balise_gateway.clock import UNKNOWN_MS, USABLE_MS, SystemClock, kernel_uncertainty_ms, known_utc_ms
from gateway.support import FakeClock


def test_the_system_clock_moves_forward() -> None:
    clock = SystemClock(uncertainty_ms=5)
    before = clock.utc_ms(), clock.boot_ms()
    assert abs(clock.utc_ms() - time.time() * 1000) < 1000
    assert (clock.utc_ms(), clock.boot_ms()) >= before
    assert clock.uncertainty_ms() == 5


def test_the_kernel_is_asked_when_nothing_is_stated() -> None:
    found = kernel_uncertainty_ms()
    assert found == UNKNOWN_MS or 0 < found < 60_000_000
    assert SystemClock().uncertainty_ms() in (UNKNOWN_MS, *range(found, found + 10))


def test_a_clock_that_may_be_hours_wrong_is_not_handed_on() -> None:
    assert known_utc_ms(FakeClock(uncertainty_ms=USABLE_MS)) is not None
    assert known_utc_ms(FakeClock(uncertainty_ms=USABLE_MS + 1)) is None
    assert known_utc_ms(FakeClock(uncertainty_ms=UNKNOWN_MS)) is None
