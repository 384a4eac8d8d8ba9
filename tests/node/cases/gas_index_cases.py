"""The gas index on both interpreters: the same integers, from ticks that are made by integers."""

from balise_node.drivers._gas_index import GasIndex, exp, root


def ticks_of_a_day(count, nox=False):
    """A walk from a linear congruential generator, with events that come at once and go slowly."""
    seed, walk, event, made = 1, 0, 0, []
    for at in range(count):
        seed = (seed * 69069 + 1) & 0x7FFFFFFF
        walk += (seed >> 16) % 41 - 20
        if at % 700 == 300:
            event = 3000 if at % 1400 == 300 else 800
        event -= event // 60
        made.append(16000 + walk + event if nox else 30000 + walk - event)
    return made


def indices(period_s, nox, count):
    index = GasIndex(period_s, nox)
    return [index.process(ticks) for ticks in ticks_of_a_day(count, nox)]


def last(index, ticks, count):
    """The index after so many equal samples; a board has no room for a list of them."""
    for _ in range(count - 1):
        index.process(ticks)
    return index.process(ticks)


def case_functions(folder):
    assert exp(0) == 65536
    assert abs(exp(65536) - 178145) <= 6  # 2.718282
    assert abs(exp(-65536) - 24109) <= 2  # 0.367879
    assert [root(n) for n in (0, 1, 2, 3, 4, 15, 16, 17, (1 << 60) - 1, 1 << 60)] == [
        0, 1, 1, 1, 2, 3, 4, 4, (1 << 30) - 1, 1 << 30,
    ]  # fmt: skip


def case_a_constant_signal_is_what_the_sensor_is_used_to(folder):
    index = GasIndex(1)
    given = [index.process(1337) for _ in range(201)]
    assert given[:46] == [None] * 46
    assert given[46:] == [100] * 155


def case_a_step_rises_and_comes_back(folder):
    """Fewer ticks are more gas. The gate keeps the mean for three hours; then what stays becomes usual."""
    index = GasIndex(10)
    assert last(index, 30000, 2000) == 100
    assert 200 < last(index, 29000, 1) < 400
    assert last(index, 29000, 30) > 480
    assert last(index, 29000, 1000) > 480
    assert 100 < last(index, 29000, 5000) < 200
    assert last(index, 30000, 40) < 60


def case_ticks_that_cannot_be_change_nothing(folder):
    index = GasIndex(10)
    assert [index.process(0) for _ in range(20)] == [None] * 20
    given = [index.process(30000) for _ in range(100)]
    assert given[-1] == 100
    assert [index.process(ticks) for ticks in (0, 65535, 65000, -1)] == [100] * 4


def case_nox_begins_at_one(folder):
    index = GasIndex(10, nox=True)
    given = [index.process(16000) for _ in range(400)]
    assert given[5:] == [1] * 395
    assert max(index.process(19000) for _ in range(100)) > 10


def case_what_was_learnt_outlives_a_break(folder):
    """The maker's rule: after three hours, and not longer than ten minutes."""
    index = GasIndex(10)
    for ticks in ticks_of_a_day(2000):
        index.process(ticks)
    mean, std = index.state()
    fresh, restored = GasIndex(10), GasIndex(10)
    assert fresh.state() is None
    restored.restore(mean, std)
    assert restored.state() == (mean, std)
    high = (mean >> 16) + 20000 - 900
    given = [[other.process(high) for _ in range(60)] for other in (fresh, restored)]
    assert given[0][-1] == 100  # a new one takes the polluted air for usual
    assert given[1][-1] > 150
