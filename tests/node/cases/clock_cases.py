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


def case_no_slot_twice_when_the_clock_is_set_back_a_little(_folder: str) -> None:
    grid = Grid(60_000)
    offset_ms, boot_ms, seen = UTC_MS, 1000, []
    for step_ms in (0, -900, 700, -40, 30_000, 0, -20_000, 0):
        offset_ms += step_ms
        slot = grid.next(boot_ms, offset_ms)
        assert not slot.boot_domain
        assert grid.use(slot) == [], "a clock that is set skips nothing"
        seen.append(slot.ms)
        boot_ms = slot.at_boot_ms + 40
    assert seen == sorted(set(seen))


def case_set_back_at_any_moment_no_gap_is_long(_folder: str) -> None:
    for back_ms in range(0, 200_000, 3700):
        for after_ms in (40, 20_000, 59_000):
            grid = Grid(60_000)
            grid.use(grid.next(1000, UTC_MS))
            last = grid.next(60_000, UTC_MS)
            grid.use(last)
            boot_ms = last.at_boot_ms + after_ms
            for _ in range(5):
                slot = grid.next(boot_ms, UTC_MS - back_ms)
                assert 0 < slot.at_boot_ms - last.at_boot_ms <= 120_000
                assert grid.use(slot) == [], (back_ms, after_ms)
                last, boot_ms = slot, slot.at_boot_ms + 40


def case_set_back_by_much_rows_go_on_without_utc(_folder: str) -> None:
    grid = Grid(60_000)
    grid.use(grid.next(1000, UTC_MS))
    last = grid.next(60_000, UTC_MS)
    grid.use(last)
    back_ms = UTC_MS - 10 * 60_000
    domains, boot_ms = [], last.at_boot_ms + 40
    for _ in range(14):
        slot = grid.next(boot_ms, back_ms)
        assert grid.use(slot) == []
        assert slot.boot_domain or slot.ms > last.ms
        domains.append(slot.boot_domain)
        boot_ms = slot.at_boot_ms + 40
    assert domains.count(True) in (9, 10, 11), "as long as UTC goes through slots that have their rows"
    assert domains == sorted(domains, reverse=True)


def case_skipped_slots_are_told_once(_folder: str) -> None:
    grid = Grid(60_000)
    slot = grid.next(1000, UTC_MS)
    assert grid.use(slot) == [], "nothing is skipped before the first row"
    late = grid.next(slot.at_boot_ms + 3 * 60_000 + 10, UTC_MS)
    assert late.ms == slot.ms + 240_000
    first, last = grid.use(late)
    assert (first.ms, last.ms) == (slot.ms + 60_000, slot.ms + 180_000)
    assert grid.use(grid.next(late.at_boot_ms, UTC_MS)) == []


def case_from_boot_time_to_utc_nothing_is_skipped(_folder: str) -> None:
    for shift_ms in range(0, 60_000, 7000):
        grid = Grid(60_000)
        slot = grid.next(1000, None)
        grid.use(slot)
        first_utc = grid.next(slot.at_boot_ms + 37_000, UTC_MS + shift_ms)
        assert not first_utc.boot_domain
        assert grid.use(first_utc) == []
