"""Corrected channels beside the raw ones.

Promises: the raw value stays as it came; a corrected one is a column of its own, named `<channel>.<model>`, whose
manifest entry says in `corr` which model of which version made it of what, with its parameters. Nothing is made of a
value that failed, or with a humidity that is missing or doubted or outside of what the model holds for: then the
corrected value is missing, and it is counted why. What is made of a suspect value, clipped at 0, or beyond what the
model was made from, is suspect.

Corrections are made at intake, right after the row was judged: a correction must know whether its humidity is doubted,
and all logs must show the same. Leaves the formulas to `models/`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from balise_gateway import plugins
from balise_gateway.nodes.manifests import Columns, columns_of
from balise_gateway.quality import FAIL, MISSING, PASS, SUSPECT, models
from balise_gateway.quality.models import HUMIDITY, CorrectionSettings, Model
from balise_wire import cbor
from balise_wire.channels import channel
from balise_wire.items import Readings

MAX_PLANS = 2_000
_INT32 = 1 << 31


@dataclass(frozen=True)
class Step:
    """One corrected column: made of the columns `of` and, where the model needs it, `humidity`."""

    model: Model
    of: int
    factor: float  # of the raw column: value = integer / factor
    humidity: int | None
    humidity_factor: float
    out_factor: float


@dataclass(frozen=True)
class Plan:
    """What a manifest becomes."""

    columns: Columns
    steps: tuple[Step, ...]


class Corrections:
    """The corrections of the configuration. `problems` says, for people, what could not be applied where."""

    def __init__(self, settings: Iterable[CorrectionSettings]) -> None:
        self.problems: dict[tuple[str, str, str], str] = {}  # by node, channel and model
        self._settings = [(told, module := plugins.load(models, told.kind), module.Model(told)) for told in settings]
        self._plans: dict[tuple[str, bytes], Plan | None] = {}

    def extend(self, node: str, item: Readings, columns: Columns, counts: Counter[str]) -> tuple[Readings, Columns]:
        """These rows with their corrected columns; the same objects when nothing is to be corrected."""
        if not self._settings:
            return item, columns
        key = (node, columns.digest)
        if key not in self._plans:
            if len(self._plans) > MAX_PLANS:
                self._plans.clear()
            self._plans[key] = self._plan(node, columns)
        plan = self._plans[key]
        if plan is None:
            return item, columns
        wide = Readings(item.manifest, item.boot, item.times, list(item.columns), dict(item.flags))
        flags = {number: {row: flag for row, flag in pairs} for number, pairs in item.flags.items()}  # noqa: C416
        for step in plan.steps:
            _add(wide, step, item, flags, counts)
        return wide, plan.columns

    def _plan(self, node: str, columns: Columns) -> Plan | None:
        told = cbor.decode(columns.packed)
        entries: list[dict[object, object]] = told["channels"] if isinstance(told, dict) else []
        steps, made = [], []
        for settings, module, model in self._settings:
            if settings.node not in (None, node) or settings.channel not in columns.names:
                continue
            of = columns.names.index(settings.channel)
            humidity = columns.names.index(HUMIDITY) if HUMIDITY in columns.names else None
            problem = model.problem_with(entries[of])
            if problem is None and model.NEEDS_HUMIDITY and humidity is None:
                problem = "the node does not measure humidity"
            if problem is not None:
                self.problems[node, settings.channel, settings.kind] = problem
                continue
            entry = _entry(entries[of], settings, module, model)
            made.append(entry)
            steps.append(_step(columns, model, of, humidity, entry))
        if not steps:
            return None
        packed = cbor.encode({**told, "channels": [*entries, *made]}) if isinstance(told, dict) else columns.packed
        return Plan(columns_of(packed), tuple(steps))


def _step(columns: Columns, model: Model, of: int, humidity: int | None, entry: Mapping[object, object]) -> Step:
    scales = columns.scales
    humidity_factor = 1.0 if humidity is None else 10.0 ** scales[humidity]
    out_factor = 10.0 ** int(str(entry["s"]))
    used = humidity if model.NEEDS_HUMIDITY else None
    return Step(model, of, 10.0 ** scales[of], used, humidity_factor, out_factor)


def _entry(
    raw: Mapping[object, object], settings: CorrectionSettings, module: object, model: Model
) -> dict[object, object]:
    """The corrected channel in the manifest."""
    base = channel(settings.channel.removesuffix("_cf1"))
    corr = {"model": settings.kind, "version": module.VERSION, "of": settings.channel, "source": module.SOURCE}  # type: ignore[attr-defined]
    name, cal = f"{base.name}.{settings.kind}", getattr(model, "cal", None)
    made: dict[object, object] = {} if cal is None else {"cal": cal}
    return made | {**raw, "n": name, "s": max(base.scale, int(str(raw["s"]))), "r": 1, "corr": {**corr, **model.told()}}


def _add(
    wide: Readings, step: Step, raw: Readings, flags: Mapping[int, Mapping[int, int]], counts: Counter[str]
) -> None:
    """Appends one corrected column, with its flags, to `wide`."""
    number, column, marks = len(wide.columns), list[int | None](), list[list[int]]()
    of, wet = flags.get(step.of, {}), flags.get(step.humidity, {}) if step.humidity is not None else {}
    humidity: Sequence[int | None] = raw.columns[step.humidity] if step.humidity is not None else [0] * len(raw.times)
    for row, value in enumerate(raw.columns[step.of]):
        flag = of.get(row, PASS)
        made, reason = None, ""
        percent = humidity[row]
        if value is None or flag in (FAIL, MISSING):
            reason = "value_missing" if value is None else "value_failed"
        elif percent is None or wet.get(row, PASS) in (SUSPECT, FAIL, MISSING):
            reason = "humidity_missing" if percent is None else "humidity_doubted"
        else:
            made = step.model.corrected(value / step.factor, percent / step.humidity_factor)
            reason = "" if made is not None else "outside"
        if made is None:
            counts[f"uncorrected {reason}"] += 1
            column.append(None)
            continue
        scaled = floor(made.value * step.out_factor + 0.5)
        column.append(scaled if -_INT32 <= scaled < _INT32 else None)
        if made.doubtful or flag == SUSPECT:
            marks.append([row, SUSPECT])
    wide.columns.append(column)
    if marks:
        wide.flags[number] = marks
