"""Cases of the clocks and of the sampling grid."""

from balise_node.clock import BootClock, Grid, UtcClock

WRAP = 1 << 30
UTC_MS = 1_790_000_000_000


class Ticks:
    """time.ticks_ms and time.ticks_diff of a board: they wrap at 2**30 ms."""

    def __init__(self, start: int) -> None:
        self.now = start

    def ms(self) -> int:
        return self.now % WRAP

    def diff(self, end: int, start: int) -> int:
        return (end - start + WRAP // 2) % WRAP - WRAP // 2


def case_boot_time_does_not_wrap(_folder: str) -> None:
    ticks = Ticks(WRAP - 5000)
    clock = BootClock(ticks.ms, ticks.diff)
    for _ in range(400):
        before = clock.ms()
        ticks.now += 86_400_000 * 3
        assert clock.ms() == before + 86_400_000 * 3
    assert clock.ms() == 400 * 3 * 86_400_000


def case_utc_is_taken_once_then_only_when_surer(_folder: str) -> None:
    clock = UtcClock()
    assert clock.offset_ms is None
    assert clock.hear(10_000, UTC_MS, 100) == 0
    assert clock.utc_ms(11_000) == UTC_MS + 1000
    assert clock.hear(20_000, UTC_MS + 10_050, 60_000) is None, "a vaguer word that fits changes nothing"
    assert clock.hear(20_000, UTC_MS + 10_050, 50) == 50, "a surer one does"
    assert clock.uncertainty_ms(20_000 + 1_000_000) == 50 + 50, "50 ppm of 1000 s"


def case_utc_follows_a_gateway_whose_clock_was_set(_folder: str) -> None:
    clock = UtcClock()
    clock.hear(0, UTC_MS, 100)
    assert clock.hear(60_000, UTC_MS + 60_000 - 3_600_000, 2000) == -3_600_000
    assert clock.utc_ms(60_000) == UTC_MS + 60_000 - 3_600_000


def case_utc_must_be_known_to_be_asked(_folder: str) -> None:
    message = ""
    try:
        UtcClock().utc_ms(0)
    except ValueError as error:
        message = str(error)
    assert "not known" in message


def case_the_grid_is_multiples(_folder: str) -> None:
    grid = Grid(60_000)
    slot = grid.next(100, None)
    assert (slot.boot_domain, slot.ms, slot.at_boot_ms) == (True, 60_000, 60_000)
    slot = grid.next(1234, UTC_MS + 5)
    assert not slot.boot_domain
    assert slot.ms % 60_000 == 0
    assert 0 < slot.at_boot_ms - 1234 <= 60_000
    assert grid.next(60_000, None).ms == 120_000, "exactly on a slot: that one is over"


def case_no_slot_twice_when_the_clock_is_set_back(_folder: str) -> None:
    grid = Grid(60_000)
    offset_ms, boot_ms, seen = UTC_MS, 0, []
    for step in (0, -200_000, 0, -60_000, 90_000, 0):
        offset_ms += step
        slot = grid.next(boot_ms, offset_ms)
        grid.use(slot)
        seen.append(slot.ms)
        boot_ms = slot.at_boot_ms + 40
        assert grid.missed(boot_ms) == [], "a clock that is set misses nothing"
    assert seen == sorted(set(seen))


def case_missed_slots_are_told_once(_folder: str) -> None:
    grid = Grid(60_000)
    slot = grid.next(1000, UTC_MS)
    grid.use(slot)
    late_ms = slot.at_boot_ms + 3 * 60_000 + 10
    first, last = grid.missed(late_ms)
    assert (first.ms, last.ms) == (slot.ms + 60_000, slot.ms + 180_000)
    assert grid.missed(late_ms) == []
    assert grid.next(late_ms, UTC_MS).ms == slot.ms + 240_000
