"""Readings (kind 0): the rows of one node, packed to the array of the wire format and back, integers only.

Promises that both column forms and all three forms of the times are read in any mix, and that an array that unpacks
has as many values in each column as rows, each of 32 bits. Leaves names, units and scales to the manifest.
"""

from balise_wire import cbor, checks, rice
from balise_wire.errors import WireError

FLAGS = (1, 2, 3, 4, 9)  # QARTOD: pass, not evaluated, suspect, fail, missing
MAX_ROWS = 65536  # so that a few bits cannot ask for much memory
_MAX_PERIOD = 0xFFFFFFFF


class Readings:
    """Rows of one node: `times` in ticks (UTC when `boot` is None, else since that boot), one list per column.

    A missing value is None. `flags` is {column: [[row, flag], ...]}, rows rising; what is absent passed (flag 1).
    """

    kind = 0

    def __init__(
        self,
        manifest: int,
        boot: int | None,
        times: list[int],
        columns: list[list[int | None]],
        flags: dict[int, list[list[int]]] | None = None,
    ) -> None:
        self.manifest = manifest
        self.boot = boot
        self.times = times
        self.columns = columns
        self.flags = flags or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Readings) and self._fields() == other._fields()

    def __repr__(self) -> str:
        return "Readings" + repr(self._fields())

    def _fields(self) -> tuple[int, int | None, list[int], list[list[int | None]], dict[int, list[list[int]]]]:
        return self.manifest, self.boot, self.times, self.columns, self.flags

    def pack(self, form: str = "array", period: int | None = None) -> list[object]:
        """The array of the wire format. `form` "rice" takes Rice bits where they are the shorter form.

        Without `period` it is the most common gap between rows (the one nearest the median gap, if several are).
        """
        n = len(self.times)
        if not n or not self.columns:
            raise WireError("malformed", "readings need a row and a column")
        if n > MAX_ROWS:
            raise WireError("too large", f"{n} rows in one item; at most {MAX_ROWS}")
        if period is None:
            period = _common_gap(self.times)
        start = self.times[0]
        packed: list[object] = [
            self.kind,
            self.manifest,
            start if self.boot is None else [self.boot, start],
            period,
            _pack_gaps(self.times, period, form),
        ]
        for number, column in enumerate(self.columns):
            if len(column) != n:
                raise WireError("malformed", f"column {number} has {len(column)} values for {n} rows")
            packed.append(_pack_column(column, form))
        flags = self._told_flags()
        if flags:
            packed.append(flags)
        return packed

    def _told_flags(self) -> dict[int, list[list[int]]]:
        told = {}
        for column, pairs in self.flags.items():
            kept = [[row, flag] for row, flag in pairs if flag != 1]
            if kept:
                told[column] = kept
        return told


def unpack(array: list[object]) -> Readings:
    """The readings that an array of kind 0 stands for."""
    end = len(array)
    told = array[end - 1] if end else None
    if isinstance(told, dict):
        end -= 1
    if end < 6:
        raise WireError("malformed", f"readings of {end} members: [0, m, t0, period, rows, column, ...] wanted")
    manifest = checks.uint(array[1], "manifest number")
    boot, start = _start(array[2])
    period = checks.uint(array[3], "period", _MAX_PERIOD)
    n = _row_count(array[4])
    columns = [_unpack_column(array[i], n, i - 5) for i in range(5, end)]
    times = _unpack_times(start, period, array[4], n)
    flags = _unpack_flags(told, len(columns), n) if isinstance(told, dict) else None
    return Readings(manifest, boot, times, columns, flags)


def _common_gap(times: list[int]) -> int:
    gaps = sorted([times[i] - times[i - 1] for i in range(1, len(times))])
    if not gaps:
        return 0
    counts: dict[int, int] = {}
    for gap in gaps:
        counts[gap] = counts.get(gap, 0) + 1
    most, median = max(counts.values()), gaps[len(gaps) // 2]
    period = min([(abs(gap - median), gap) for gap, count in counts.items() if count == most])[1]
    return min(max(period, 0), _MAX_PERIOD)


def _pack_gaps(times: list[int], period: int, form: str) -> object:
    """The row count when all rows lie on the grid, else the residuals of the gaps."""
    residuals = [times[i] - times[i - 1] - period for i in range(1, len(times))]
    if not any(residuals):
        return len(times)
    bits = rice.encode_residuals(residuals) if form == "rice" else None
    if bits is None or (len(bits) + 2 > len(residuals) and _array_size(residuals) <= len(bits) + 2):
        return residuals
    return [len(times), bits]


def _pack_column(column: list[int | None], form: str) -> object:
    bits = rice.encode(column) if form == "rice" else None
    if bits is not None and len(bits) <= len(column):
        return bits  # an array has a byte or more for each value
    deltas = _deltas(column)
    if bits is None or _array_size(deltas) <= len(bits):
        return deltas
    return bits


def _deltas(column: list[int | None]) -> list[int | None]:
    """The first value present as it is, then differences to the last value present."""
    deltas: list[int | None] = []
    last = 0
    for value in column:
        if value is None:
            deltas.append(None)
            continue
        if not rice.INT32_LOW <= value <= rice.INT32_HIGH:
            raise WireError("malformed", f"value {value} does not fit 32 bits: choose a smaller scale")
        deltas.append(value - last)
        last = value
    return deltas


def _array_size(values: list[int | None] | list[int]) -> int:
    return sum([len(cbor.encode(value)) for value in values])


def _start(value: object) -> tuple[int | None, int]:
    if isinstance(value, list):
        if len(value) != 2:
            raise WireError("malformed", "time before the clock was known: [boot, ticks] wanted")
        return checks.uint(value[0], "boot"), checks.uint(value[1], "ticks")
    return None, checks.uint(value, "ticks")


def _row_count(rows: object) -> int:
    """How many rows are promised. unpack() makes room for them only after the columns proved to hold as many."""
    if isinstance(rows, list):
        rows = rows[0] if len(rows) == 2 and isinstance(rows[1], bytes) else len(rows) + 1
    n = checks.uint(rows, "row count")
    if not n:
        raise WireError("malformed", "readings without a row")
    if n > MAX_ROWS:
        raise WireError("too large", f"{n} rows in one item; at most {MAX_ROWS}")
    return n


def _unpack_times(start: int, period: int, rows: object, n: int) -> list[int]:
    if not isinstance(rows, list):
        times = [start + period * i for i in range(n)]
    else:
        residuals = rows
        if len(rows) == 2 and isinstance(rows[1], bytes):
            residuals = rice.decode_residuals(rows[1], n - 1)
        times, last = [start], start
        for residual in residuals:
            if not isinstance(residual, int) or residual is True or residual is False:
                raise WireError("malformed", f"gap residual {checks.short(residual)} is not an integer")
            last += period + residual
            times.append(last)
    if min(times) < 0 or max(times) > checks.MAX_UINT:
        raise WireError("malformed", "a row's time is out of range")
    return times


def _unpack_column(packed: object, n: int, number: int) -> list[int | None]:
    if isinstance(packed, bytes):
        return rice.decode(packed, n)
    if not isinstance(packed, list) or len(packed) != n:
        raise WireError("malformed", f"column {number} is {checks.short(packed)}, not {n} values")
    values: list[int | None] = []
    last = 0
    for delta in packed:
        if delta is None:
            values.append(None)
            continue
        if not isinstance(delta, int) or delta is True or delta is False:
            raise WireError("malformed", f"column {number} holds {checks.short(delta)}: integers and null only")
        last += delta
        if not rice.INT32_LOW <= last <= rice.INT32_HIGH:
            raise WireError("malformed", f"a value in column {number} does not fit 32 bits")
        values.append(last)
    return values


def _unpack_flags(told: dict[object, object], columns: int, n: int) -> dict[int, list[list[int]]]:
    flags: dict[int, list[list[int]]] = {}
    for column, pairs in told.items():
        number = checks.uint(column, "flagged column", columns - 1)
        kept: list[list[int]] = []
        last = -1
        for pair in checks.array(pairs, "flags of a column"):
            row, flag = checks.array(pair, "flag", 2)
            row = checks.uint(row, "flagged row", n - 1)
            if row <= last or flag not in FLAGS:
                raise WireError("malformed", f"flag {checks.short(flag)} of row {row}: rows rise, flags are {FLAGS}")
            kept.append([row, checks.uint(flag, "flag")])
            last = row
        flags[number] = kept
    return flags
