"""Every driver keeps the drivers' contract: its vectors on both interpreters, its names, and hostile bytes."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_boards import BUS_PINS
from balise_node.drivers import SensorError, load
from balise_node.drivers._advice import WHAT_TO_TRY
from balise_wire.channels import channel
from contracts.found import DRIVERS, SENSORS, VECTORS, lines_of, vectors
from contracts.tape import Tape, listed, merged, play
from node.interpreters import micropython

CASES = [
    pytest.param(model, case, id=f"{model}: {case['why']}") for model in SENSORS for case in vectors(model)["cases"]
]
MOST_CALLS, MOST_WAITED_MS = 200, 20_000  # of wake, sample and sleep together, whatever comes over the bus


@pytest.mark.parametrize("model", SENSORS)
def test_attributes(model: str) -> None:
    driver = load(model)
    assert model == driver.MODEL
    assert driver.BUS in BUS_PINS
    assert isinstance(driver.CHANNELS, tuple)
    assert len(set(driver.CHANNELS)) == len(driver.CHANNELS)
    assert driver.CHANNELS or hasattr(driver, "show"), "it neither measures nor shows"
    assert 0 <= driver.WARMUP_S <= 600
    assert list(inspect.signature(driver).parameters)[:2] == ["bus", "sleep_ms"]
    for method in (driver.wake, driver.sample, driver.sleep):
        assert list(inspect.signature(method).parameters) == ["self"]


@pytest.mark.parametrize("model", SENSORS)
def test_channels_are_in_the_table(model: str) -> None:
    for name in load(model).CHANNELS:
        assert channel(name).name == name


@pytest.mark.parametrize("model", SENSORS)
def test_the_data_sheet_is_named(model: str) -> None:
    text = (DRIVERS / f"{model}.py").read_text(encoding="utf-8")
    promise = text.split('"""')[1]
    assert "DS = " in promise, f"{model}.py: its docstring names no data sheet"
    assert "import machine" not in text


@pytest.mark.parametrize("model", SENSORS)
def test_vector_file(model: str) -> None:
    found = vectors(model)
    assert found["source"]
    reasons = [case["why"] for case in found["cases"]]
    assert len(set(reasons)) == len(reasons)
    for case in found["cases"]:
        assert case["from"], case["why"]
        assert ("sample" in case) != ("expect" in case), case["why"]
        assert case.get("expect", "silent") in WHAT_TO_TRY, case["why"]
        assert len(case.get("sample", load(model).CHANNELS)) == len(load(model).CHANNELS), case["why"]
    assert any("sent" in case for case in found["cases"]), "no case says what the driver sends"
    assert any("expect" in case for case in found["cases"]), "no case fails"


def differences(case: dict[str, Any], outcome: dict[str, Any]) -> list[str]:
    wanted = {key: case[key] for key in ("sample", "expect", "sent") if key in case}
    if "sample" in case:
        wanted["flags"] = case.get("flags", {})
    return [f"{key}: {outcome.get(key)}, not {value}" for key, value in wanted.items() if outcome.get(key) != value]


@pytest.mark.parametrize(("model", "case"), CASES)
def test_vectors(model: str, case: dict[str, Any]) -> None:
    outcome = play(model, vectors(model), case)
    assert not differences(case, outcome)
    assert outcome["calls_before_wake"] == 0, "the constructor uses the bus"
    if "expect" in case:
        assert outcome["told"].startswith(f"{model}: {case['expect']}")
        assert outcome["told"].endswith(WHAT_TO_TRY[case["expect"]])


@pytest.mark.parametrize("model", SENSORS)
def test_vectors_under_micropython(model: str, tmp_path: Path) -> None:
    script = "import sys; sys.path.append(sys.argv[1]); import tape; tape.main(sys.argv[2], sys.argv[3])"
    file = tmp_path / "cases"
    file.write_text(lines_of(model), encoding="utf-8")
    # A board has 32-bit words: this heap is one of 60 KB there, and the driver is compiled in it.
    printed = micropython(script, str(VECTORS.parents[1] / "contracts"), model, str(file), heap="60wK")
    outcomes = [json.loads(line) for line in printed.splitlines()]
    cases = vectors(model)["cases"]
    assert [outcome["why"] for outcome in outcomes] == [case["why"] for case in cases]
    for case, outcome in zip(cases, outcomes, strict=True):
        assert not differences(case, outcome), case["why"]
        assert outcome.keys() == play(model, vectors(model), case).keys()


@pytest.mark.parametrize("model", [model for model in SENSORS if hasattr(load(model), "listen")])
def test_a_listener_hears_on_and_leaves_others_their_time(model: str) -> None:
    """Under MicroPython, whose asyncio it is for: the same levels as by a look, but for the counters of time."""
    assert inspect.iscoroutinefunction(load(model).listen)  # type: ignore[attr-defined]
    script = "import sys; sys.path.append(sys.argv[1]); import listener; listener.listen(sys.argv[2], sys.argv[3])"
    turns, values = json.loads(
        micropython(script, str(VECTORS.parents[1] / "contracts"), model, str(VECTORS / f"{model}.json"))
    )
    assert turns >= 100
    heard, looked = (
        {name: value for name, value in zip(load(model).CHANNELS, sample, strict=True) if not name.startswith("noise_")}
        for sample in (values, vectors(model)["cases"][0]["sample"])
    )
    assert heard == looked


def flipped(run: bytes) -> Iterator[bytes]:
    """The run with one byte wrong: each byte, first one bit of it, then all."""
    for at in range(len(run)):
        for mask in (1 << at % 8, 0xFF):
            yield run[:at] + bytes((run[at] ^ mask,)) + run[at + 1 :]


def spoilt(model: str, golden: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The golden case with one byte wrong, each in turn, and the answer or register that it stands in."""
    for kind in ("answers", "registers"):
        for key, values in merged(vectors(model), golden, kind).items():
            runs = listed(values)
            for at, wrong in ((at, wrong) for at, run in enumerate(runs) for wrong in flipped(run)):
                changed = [run.hex() for run in (*runs[:at], wrong, *runs[at + 1 :])]
                yield key, golden | {kind: golden.get(kind, {}) | {key: changed}}
    heard = listed(golden.get("heard", []))
    for at, wrong in ((at, wrong) for at, run in enumerate(heard) for wrong in flipped(run)):
        yield "heard", golden | {"heard": [run.hex() for run in (*heard[:at], wrong, *heard[at + 1 :])]}


@pytest.mark.parametrize("model", SENSORS)
def test_a_wrong_byte_is_noticed_or_the_file_says_why_not(model: str) -> None:
    """Every byte of every answer of the golden case: an error, the very same sample, or a reason in the file."""
    golden = vectors(model)["cases"][0]
    unguarded = vectors(model).get("unguarded", {})
    wanted = play(model, vectors(model), golden)
    silent: set[str] = set()
    cases = list(spoilt(model, golden))
    for key, case in cases:
        outcome = play(model, vectors(model), case)
        if "expect" not in outcome and outcome["sample"] != wanted["sample"]:
            silent.add(key)
    if isinstance(unguarded, str):
        assert silent or not cases, "every wrong byte is noticed: the file need not say why not"
        return
    assert silent == unguarded.keys()


@pytest.mark.parametrize("model", ["", "_uart", "__init__", "nosuch", "a.b", "../drivers/sds011"])
def test_an_unknown_model_is_told(model: str) -> None:
    with pytest.raises(SensorError) as told:
        load(model)
    assert told.value.what == "unknown model"


class Hostile(Tape):
    """A bus where anything comes back: the drawn runs one after the other and over again; a number is an error."""

    def __init__(self, runs: list[bytes | int]) -> None:
        super().__init__({}, {})
        self._runs = runs
        self._left = b""

    def _run(self) -> bytes | int:
        self.calls += 1
        return self._runs[self.calls % len(self._runs)] if self._runs else b""

    def _run_or_error(self) -> bytes:
        run = self._run()
        if isinstance(run, int):
            raise OSError(run)
        return run

    def read(self, nbytes: int = -1) -> bytes | None:
        run = self._run()
        return run if isinstance(run, bytes) and run else None  # machine.UART raises nothing

    def play(self, buf: Any) -> int | None:
        run, view = self._run_or_error(), memoryview(buf).cast("B")
        if not run:
            return None
        count = len(view) if run[:1] != b"\0" else len(run) // 4 * 4 % len(view)
        view[:count] = (run * (count // len(run) + 1))[:count]
        return count

    def reset(self, required: bool = False) -> bool:
        return bool(self._run())

    def read_uv(self) -> int:
        run = self._run()
        return run if isinstance(run, int) else int.from_bytes(run[:3], "big")

    def writeto(self, addr: int, buf: bytes, stop: bool = True) -> int:
        self._run_or_error()
        return len(buf)

    def writeto_mem(self, addr: int, memaddr: int, buf: bytes) -> None:
        self._run_or_error()

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        return ((self._run_or_error() or b"\0") * nbytes)[:nbytes]

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int) -> bytes:
        return self.readfrom(addr, nbytes)

    def exchange(self, data: bytes, gap_us: int = 0) -> bytes:
        """As much of a run as there is room for, and the rest of it next time: an SPI bus raises nothing."""
        if not self._left:
            run = self._run()
            self._left = run if isinstance(run, bytes) and run else b"\xff" * len(data)
        came, self._left = self._left[: len(data)], self._left[len(data) :]
        return came + b"\xff" * (len(data) - len(came))


def known_runs(model: str) -> list[bytes]:
    """What the vectors let come back: mutations of these reach deeper than bytes out of nowhere."""
    known: list[bytes] = []
    for case in vectors(model)["cases"]:
        for key in ("answers", "registers"):
            known += [run for values in merged(vectors(model), case, key).values() for run in listed(values) if run]
        known += [run for run in listed(case.get("sound", vectors(model).get("sound", []))) if run]
        known += listed(case.get("heard", []))
        known += [value.to_bytes(3, "big") for value in case.get("microvolts", vectors(model).get("microvolts", []))]
    return sorted(set(known))


@st.composite
def mutated(draw: st.DrawFn, known: list[bytes]) -> bytes:
    run = bytearray(draw(st.sampled_from(known)))
    for at, bit in draw(st.lists(st.tuples(st.integers(0, len(run) - 1), st.integers(0, 7)), max_size=2)):
        run[at] ^= 1 << bit
    start = draw(st.integers(0, len(run)))
    return bytes(run[start:] if draw(st.booleans()) and start else run) + draw(st.binary(max_size=4))


def attempt(step: Callable[[], Any]) -> tuple[Any, SensorError | None]:
    """What a step gives, or the one kind of exception it may raise."""
    try:
        return step(), None
    except SensorError as error:
        return None, error


@pytest.mark.parametrize("model", SENSORS)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_bytes_end_in_values_or_a_named_error(model: str, data: st.DataObject) -> None:
    run = st.one_of(mutated(known_runs(model)), st.sampled_from(known_runs(model)), st.binary(max_size=300))
    bus_error = st.sampled_from([5, 19, 110, 116])
    hostile = Hostile(data.draw(st.lists(st.one_of(run, run, run, bus_error), max_size=12)))
    driver = load(model)
    sensor = driver(hostile, hostile.sleep_ms)
    for step in (sensor.wake, sensor.sample, sensor.sample, sensor.sleep):
        calls, waited_ms = hostile.calls, hostile.waited_ms
        values, problem = attempt(step)
        assert problem is None or (problem.model == model and problem.what in WHAT_TO_TRY)
        if step == sensor.sample and problem is None:
            assert len(values) == len(driver.CHANNELS)
            assert all(value is None or (type(value) is int and abs(value) < 1 << 31) for value in values)
        assert hostile.calls - calls <= MOST_CALLS
        assert hostile.waited_ms - waited_ms <= MOST_WAITED_MS
