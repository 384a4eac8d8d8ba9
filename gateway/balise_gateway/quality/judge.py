"""All tests on the rows of a node as they come, and why a value is doubted.

Promises: each row is judged once, at intake, so that every log tells the same of it; a value is never changed, and a
worse flag that the node gave itself stays. A value that failed is not what others are compared with. Only a spike is
found late (by the value after it): see `late.py`. What is remembered of a column is in memory; after a restart the
journal tells its last value, and since when it was the same (`recall.py`).

Nearly every column passes at a glance: no value moved by more than the least limit, and none has stood still too long.
Only the others are handed to the checks, so that a flood costs little.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from operator import ge
from typing import NamedTuple, cast

from balise_gateway import plugins
from balise_gateway.nodes.manifests import Columns
from balise_gateway.quality import FAIL, MISSING, NOT_EVALUATED, SUSPECT, checks, cross, gross_range, neighbour
from balise_gateway.quality.checks import Check, Column
from balise_gateway.quality.gap import Rhythm
from balise_gateway.quality.limits import Limits, LimitTable
from balise_gateway.quality.recall import Recalled
from balise_wire.items import Readings

MAX_REMEMBERED, MAX_RECENT = 20_000, 100
_MANY = 4  # values of a column that are looked at together
AT_ONCE_MS = 600_000  # neighbours that measured within ten minutes measured the same air
SENSOR, GROSS_RANGE, NEIGHBOUR, PAIR = "sensor", "gross_range", "neighbour", "pair"  # SENSOR: it says so itself
MISSING_VALUE, GAP = "missing", "gap"

_Found = tuple[str, int, int, int]  # reason, column, row, flag


class Doubt(NamedTuple):
    """Why one value is not believed, for people. `at_ms` is UTC when `boot` is None, else it counts from that boot.

    Of a gap, `channel` is "", `at_ms` the last row before it, and `value` how many rows are missing.
    """

    kid: bytes
    channel: str
    boot: int | None
    at_ms: int
    value: int | None
    flag: int
    reason: str


@dataclass
class Verdicts:
    """What judging has found beside the flags it wrote."""

    counts: Counter[str] = field(default_factory=Counter)  # values by "flag <reason>"
    late: list[Doubt] = field(default_factory=list)  # of rows that have gone on already


@dataclass(slots=True)
class _Memory:
    """What came last in one column. `loud`: the step to the last value was above the least limit."""

    boot: int | None
    before: tuple[tuple[int, int], ...] = ()
    since_ms: int = 0
    loud: bool = False

    def take(self, times_ms: Sequence[int], values: Sequence[int | None], calm: float, flat_ms: float) -> bool:
        """Remembers these values; returns whether any of them (or the one before) needs a closer look."""
        if self._are_calm(times_ms, values, calm, flat_ms):
            return False
        look = self.loud
        for row, value in enumerate(values):
            if value is None:
                continue
            at_ms = times_ms[row]
            if not self.before:
                self.before, self.since_ms = ((at_ms, value),), at_ms
                continue
            last_ms, last = self.before[-1]
            if at_ms <= last_ms:
                continue
            if value != last:
                self.since_ms = at_ms
            self.loud = abs(value - last) > calm
            look = look or self.loud or at_ms - self.since_ms >= flat_ms
            self.before = (self.before[-1], (at_ms, value))
        return look

    def _are_calm(self, times_ms: Sequence[int], values: Sequence[int | None], calm: float, flat_ms: float) -> bool:
        """Many values at once: whether they lie so near together that none can be suspect; then they are remembered."""
        if len(values) < _MANY or self.loud or not self.before or None in values:
            return False
        last_ms, last = self.before[-1]
        known = cast(Sequence[int], values)
        if max(*known, last) - min(*known, last) > calm or times_ms[-1] - self.since_ms >= flat_ms:
            return False
        if times_ms[0] <= last_ms or any(map(ge, times_ms, times_ms[1:])):
            return False
        at = len(known) - 1
        while at and known[at - 1] == known[-1]:
            at -= 1
        if at or known[0] != last:
            self.since_ms = times_ms[at]
        self.before = ((times_ms[-2], known[-2]), (times_ms[-1], known[-1]))
        return True


@dataclass(frozen=True)
class _Plan:
    """What is tested of the columns of one manifest."""

    tested: tuple[tuple[int, str, Limits, float, float], ...]  # column, channel, limits, calm step, flat ms
    near: tuple[tuple[int, str, float, float], ...]  # column, channel, limit and factor to scaled integers
    cross: cross.Cross

    @classmethod
    def of(cls, columns: Columns, table: LimitTable) -> "_Plan":
        tested, near = [], []
        for number, (name, scale) in enumerate(zip(columns.names, columns.scales, strict=True)):
            limits = table.of(name, scale)
            if limits is not None:
                steps = (limits.rate_per_min, limits.rate_fail_per_min, limits.spike, limits.spike_fail)
                flats = (limits.flat_ms, limits.flat_fail_ms)
                tested.append((number, name, limits, _least(steps), _least(flats)))
                if limits.near is not None:
                    near.append((number, name, limits.near, 10.0**scale))
        return cls(tuple(tested), tuple(near), cross.Cross(columns.names, columns.scales))


def _least(limits: Sequence[float | None]) -> float:
    return min((limit for limit in limits if limit is not None), default=inf)


class Judge:
    """Judges the rows of all nodes. `beside` says who stands beside whom, by key id."""

    def __init__(self, table: LimitTable, beside: Mapping[bytes, Sequence[bytes]], recent: deque[Doubt]) -> None:
        self.recent = recent
        self._undo: dict[tuple[bytes, str], _Memory | None] = {}
        self._table, self._beside = table, dict(beside)
        self._rhythms: dict[bytes, Rhythm] = {}
        self._plans: dict[bytes, _Plan] = {}
        self._memories: dict[tuple[bytes, str], _Memory] = {}
        self._newest: dict[str, dict[bytes, tuple[int, float]]] = {}  # by channel, of nodes that have neighbours
        self._checks: list[tuple[str, Check]] = [(kind, plugins.load(checks, kind)) for kind in plugins.kinds(checks)]

    def judge(self, kid: bytes, item: Readings, columns: Columns, verdicts: Verdicts) -> None:
        """Writes the flags of all values into `item.flags`."""
        told = {(number, row) for number in item.flags for row, _ in item.flags[number]}
        gross_range.judge(item, columns.ranges)
        plan = self._plan_of(columns)
        times_ms = [tick * columns.tick_ms for tick in item.times]
        doubts = [
            (SENSOR if (number, row) in told else GROSS_RANGE, number, row, flag)
            for number in item.flags
            for row, flag in item.flags[number]
            if flag != NOT_EVALUATED
        ]
        values = _without_failed(item)
        for number, name, limits, calm, flat_ms in plan.tested:
            memory = self._memory(kid, name, item.boot)
            column = Column(times_ms, values[number], memory.before, memory.since_ms)
            if not memory.take(times_ms, values[number], calm, flat_ms):
                continue
            for reason, row, flag in self._found(column, limits):
                if row >= 0:
                    doubts.append((reason, number, row, flag))
                else:
                    self._tell_late(Doubt(kid, name, item.boot, *column.before[row], flag, reason), verdicts)
        doubts += ((why, number, row, SUSPECT) for why, number, row in plan.cross.find(values))
        if kid in self._beside and item.boot is None:
            doubts += self._neighbours(kid, plan, times_ms, values)
        if doubts:
            self._tell(kid, item, columns, doubts, verdicts)
        self._note_missing(kid, item, times_ms, verdicts)

    def _note_missing(self, kid: bytes, item: Readings, times_ms: Sequence[int], verdicts: Verdicts) -> None:
        """Counts values that are missing in their row (the wire says it by their absence), and rows that are."""
        absent = sum(column.count(None) for column in item.columns if None in column)
        if absent:
            verdicts.counts[f"flag {MISSING_VALUE}"] += absent
        rhythm = self._rhythms.get(kid)
        if rhythm is None or rhythm.boot != item.boot:
            rhythm = self._rhythms[kid] = Rhythm(item.boot)
        for at_ms, rows in rhythm.gaps(times_ms):
            self.recent.append(Doubt(kid, "", item.boot, at_ms, rows, MISSING, GAP))
            verdicts.counts[f"flag {GAP}"] += 1

    def recall(self, kid: bytes, known: Iterable[Recalled]) -> None:
        """What was known of a device before a restart; what is remembered since then stays."""
        for name, at_ms, value, since_ms in known:
            self._memories.setdefault((kid, name), _Memory(None, ((at_ms, value),), since_ms))

    def keep(self) -> None:
        """What is remembered now stays."""
        self._undo.clear()

    def rewind(self) -> None:
        """Forgets what was remembered since the last `keep`: those rows are handed in again."""
        for key, memory in self._undo.items():
            if memory is None:
                self._memories.pop(key, None)
            else:
                self._memories[key] = memory
        self._undo.clear()

    def _found(self, column: Column, limits: Limits) -> Iterator[tuple[str, int, int]]:
        for reason, check in self._checks:
            yield from ((reason, row, flag) for row, flag in check.find(column, limits))

    def _plan_of(self, columns: Columns) -> _Plan:
        plan = self._plans.get(columns.digest)
        if plan is None:
            if len(self._plans) > MAX_REMEMBERED:
                self._plans.clear()
            plan = self._plans[columns.digest] = _Plan.of(columns, self._table)
        return plan

    def _memory(self, kid: bytes, name: str, boot: int | None) -> _Memory:
        """Of this column; empty after a change of clock, since times of two clocks cannot be compared."""
        memory = self._memories.get((kid, name))
        if (kid, name) not in self._undo:
            self._undo[kid, name] = None if memory is None else replace(memory)
        if memory is None or memory.boot != boot:
            if len(self._memories) > MAX_REMEMBERED:
                self._memories.clear()
                self._undo.clear()
            memory = self._memories[kid, name] = _Memory(boot)
        return memory

    def _neighbours(
        self, kid: bytes, plan: _Plan, times_ms: Sequence[int], values: Sequence[Sequence[int | None]]
    ) -> list[_Found]:
        found = []
        for number, name, near, factor in plan.near:
            newest = self._newest.setdefault(name, {})
            others = [newest[other] for other in self._beside[kid] if other in newest]
            for row, value in enumerate(values[number]):
                if value is None:
                    continue
                around = [level for at_ms, level in others if abs(at_ms - times_ms[row]) <= AT_ONCE_MS]
                reason = self._contradiction(kid, name, value / factor, around, near / factor)
                if reason:
                    found.append((reason, number, row, SUSPECT))
                newest[kid] = (times_ms[row], value / factor)
        return found

    def _contradiction(self, kid: bytes, name: str, value: float, around: Sequence[float], near: float) -> str:
        """Why neighbours contradict this value; "" when they do not."""
        if neighbour.is_outlying(value, around, near):
            return NEIGHBOUR
        is_pair = len(self._beside[kid]) == len(around) == 1 and name.startswith("pm")
        return PAIR if is_pair and neighbour.disagree(value, around[0], near) else ""

    def _tell(self, kid: bytes, item: Readings, columns: Columns, doubts: Sequence[_Found], verdicts: Verdicts) -> None:
        marks: dict[int, list[tuple[int, int]]] = {}
        for reason, number, row, flag in doubts:
            at_ms, value = item.times[row] * columns.tick_ms, item.columns[number][row]
            self.recent.append(Doubt(kid, columns.names[number], item.boot, at_ms, value, flag, reason))
            verdicts.counts[f"flag {reason}"] += 1
            marks.setdefault(number, []).append((row, flag))
        for number, found in marks.items():
            item.flags[number] = gross_range.merged(item.flags.get(number, []), found)

    def _tell_late(self, doubt: Doubt, verdicts: Verdicts) -> None:
        self.recent.append(doubt)
        verdicts.counts[f"flag {doubt.reason}"] += 1
        verdicts.late.append(doubt)


def _without_failed(item: Readings) -> list[list[int | None]]:
    """The columns without the values that failed."""
    if not item.flags:
        return item.columns
    failed = {(number, row) for number in item.flags for row, flag in item.flags[number] if flag in (FAIL, MISSING)}
    if not failed:
        return item.columns
    return [
        [None if (number, row) in failed else value for row, value in enumerate(column)]
        for number, column in enumerate(item.columns)
    ]
