"""The system's clock and what it says of itself."""

import time

from balise_gateway.clock import (
    UNKNOWN_MS,
    USABLE_MS,
    GuidedClock,
    SystemClock,
    kernel_uncertainty_ms,
    known_utc_ms,
    source_of,
)
from gateway.support import START_UTC_MS, FakeClock


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


class LostClock(FakeClock):
    """A Pi without network at boot: it counts, and believes that it is 1970."""

    def utc_ms(self) -> int:
        return self.boot_ms()


def lost() -> tuple[LostClock, GuidedClock]:
    clock = LostClock(uncertainty_ms=UNKNOWN_MS)
    return clock, GuidedClock(clock)


def test_a_hub_is_the_clock_while_there_is_no_other() -> None:
    clock, guided = lost()
    assert known_utc_ms(guided) is None
    sent_ms = guided.boot_ms()
    clock.now_ms += 400
    guided.note_hub(START_UTC_MS + 300, sent_ms)  # made at any moment of the round trip
    assert known_utc_ms(guided) == START_UTC_MS + 500
    assert (guided.uncertainty_ms(), source_of(guided)) == (400, "hub")
    clock.now_ms += 3_600_000
    assert known_utc_ms(guided) == START_UTC_MS + 3_600_500
    assert guided.uncertainty_ms() == 400 + 360  # a crystal may drift


def test_the_clock_itself_counts_more_as_soon_as_it_is_known() -> None:
    clock, guided = lost()
    guided.note_hub(START_UTC_MS + 77_000, guided.boot_ms())
    clock.unsure_ms = USABLE_MS
    assert (guided.utc_ms(), source_of(guided)) == (clock.utc_ms(), "gateway")
    clock.unsure_ms = UNKNOWN_MS
    assert source_of(guided) == "hub"


def test_the_surest_answer_counts() -> None:
    clock, guided = lost()
    for round_trip_ms, told_ms, known_ms in (
        (2000, 500_000, 501_000),
        (100, 600_000, 600_050),
        (900, 700_000, 600_950),
    ):
        sent_ms = guided.boot_ms()
        clock.now_ms += round_trip_ms
        guided.note_hub(told_ms, sent_ms)
        assert guided.utc_ms() == known_ms


def test_an_answer_that_took_too_long_is_no_clock() -> None:
    clock, guided = lost()
    sent_ms = guided.boot_ms()
    clock.now_ms += USABLE_MS + 1
    guided.note_hub(START_UTC_MS, sent_ms)
    assert known_utc_ms(guided) is None
