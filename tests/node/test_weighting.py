"""The digital chain from words to levels: class 1 masks of IEC 61672-1, and arithmetic that fits a board's 32 bits."""

import ast
import importlib
import importlib.util
import itertools
import math
import random
from array import array
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_node.sound.levels import A_OFFSET, C_OFFSET, PEAK_OFFSET, decibels
from balise_node.sound.levels import STATE_WORDS as FOLLOW_WORDS
from balise_node.sound.weighting import SUB_FRAMES, silence
from node.interpreters import BOTH, ROOT, names_of_cases, run_case

SOUND = ROOT / "firmware/balise_node/sound"


def design() -> ModuleType:
    spec = importlib.util.spec_from_file_location("design_weighting", ROOT / "firmware/design_weighting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DESIGN = design()


@pytest.mark.parametrize("case", names_of_cases("sound_cases"))
@pytest.mark.parametrize("interpreter", BOTH)
def test_sound(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "sound_cases", case, tmp_path)


def test_the_factors_are_those_of_the_derivation() -> None:
    constants = {
        node.targets[0].id: node.value.args[0].value
        for node in ast.parse((SOUND / "weighting.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call)
    }
    assert (constants["_LOW"], constants["_FIRST"], constants["_SECOND"]) == DESIGN.high_pass_factors()
    assert (constants["_K1"], constants["_G"], constants["_K2"]) == DESIGN.low_pass_factors()
    assert (DESIGN.offset_cb(True), DESIGN.offset_cb(False)) == (A_OFFSET, C_OFFSET)
    assert DESIGN.peak_offset_cb() == PEAK_OFFSET
    worst = max(abs(DESIGN.deviation_db(1000 * 10 ** (n / 10), a)) for n in range(-20, 14) for a in (True, False))
    assert worst < 0.05
    assert max(DESIGN.largest_gains()) < 2.3


def wrap32(value: int) -> int:
    """What is left of a number in a word of 32 bits."""
    return ((value + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


class Word(int):
    """A whole number of a 32-bit board: every result is cut to 32 bits, with its sign."""

    def __new__(cls, value: int) -> "Word":
        return super().__new__(cls, wrap32(value))


def _cut(name: str) -> Callable[[Word, int], Word]:
    exact = getattr(int, name)
    return lambda self, other: Word(exact(self, other))


for _name in ("add", "sub", "mul", "and", "or", "xor", "lshift", "rshift"):
    setattr(Word, f"__{_name}__", _cut(f"__{_name}__"))
    setattr(Word, f"__r{_name}__", _cut(f"__r{_name}__"))


def kernels() -> dict[str, Any]:
    """Every viper function of the package."""
    found = {}
    for path in sorted(SOUND.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and "micropython.viper" in map(ast.unparse, node.decorator_list):
                found[node.name] = getattr(importlib.import_module(f"balise_node.sound.{path.stem}"), node.name)
    return found


KERNELS = kernels()
SPANS = 4


def worst_sounds() -> list[list[int]]:
    """Full-scale sounds, and the one that drives the last section furthest: its impulse response's signs, reversed."""
    frames, top, low = SPANS * SUB_FRAMES, 0x7FFFFF << 8, -0x800000 << 8
    dice = random.Random(3)
    squares = [[top if n // half % 2 else low for n in range(frames)] for half in (1, 3, 24, 400)]
    state, signs = [0.0] * 4, []
    for n in range(frames):
        x = 1.0 if n == 0 else 0.0
        for i, k in enumerate((0.0027, 0.0027, 0.014, 0.092)):
            x -= state[i]
            state[i] += k * x
        signs.append(top if x > 0 else low)
    noise = [dice.choice((top, low, 0)) for _ in range(frames)]
    return [*squares, signs[::-1], noise, [dice.randrange(low, top) for _ in range(frames)], [low] * frames]


def arguments(name: str, words: list[int], sums: list[int]) -> list[Any]:
    """For one call of a kernel, arrays as lists."""
    frames = SPANS * SUB_FRAMES
    if name == "weigh":
        return [words, 0, 1, SPANS, silence(), [0] * (4 * SPANS)]
    if name == "inspect":
        return [words, 0, 1, frames, [0, 0xFFFFFF, 0]]
    assert name == "follow", f"the kernel {name} has no case here"
    return [sums, SPANS, [0] * FOLLOW_WORDS, 5]


def outcome(kernel: Callable[..., None], given_arguments: list[Any], kind: Callable[[int], int]) -> list[Any]:
    """What three calls in a row leave in the arrays, computed with numbers of that kind."""
    made = [[kind(v) for v in each] if isinstance(each, list) else kind(each) for each in given_arguments]
    for _ in range(3):
        kernel(*made)
    return made


@pytest.mark.parametrize("name", KERNELS)
def test_a_board_of_32_bits_gives_the_same(name: str) -> None:
    loudest = [0x3FFFFFFF, (1 << 21) - 1] * (2 * SPANS)
    for words, sums in itertools.product(worst_sounds(), (loudest, [7, 5] * (2 * SPANS))):
        exact = outcome(KERNELS[name], arguments(name, words, sums), int)
        assert outcome(KERNELS[name], arguments(name, words, sums), Word) == exact
        if name != "inspect" and name != "weigh":
            continue
        if sums is loudest:
            array("i", [v for each in exact[4:] for v in each])  # no value needs more than a word


def test_the_32_bit_reference_notices_what_does_not_fit() -> None:
    assert Word(70_000) * 70_000 == 605_032_704
    assert Word(1 << 30) + Word(1 << 30) == -(1 << 31)
    assert 3 - Word(5) == Word(-2)
    assert type(2 * Word(3)) is Word


@given(st.integers(1, 1 << 80))
def test_the_logarithm_is_that_of_floats(energy: int) -> None:
    assert decibels(energy) == pytest.approx(1000 * math.log10(energy), abs=1.5)
