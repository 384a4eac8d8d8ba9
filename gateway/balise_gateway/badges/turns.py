"""Long work in steps: a generator that yields between two of them, and returns what came of it.

Promises that whoever waits at the door waits for one step at most, and where a thread computes, for a moment of it.
Leaves how long a step is to the work.
"""

import asyncio
import contextlib
import sys
from collections.abc import Generator, Iterator
from typing import TypeVar, cast

T = TypeVar("T")
Steps = Generator[None, None, T]
# How long a thread that computes (a list of cards, a day's figures) may keep the interpreter from the loop and from a
# reader's thread, which wait for it at every byte and every commit: with 2 ms a SUN card took 0.43 s; CPython has 5 ms.
SWITCH_S = 0.0005


def at_once(steps: Steps[T]) -> T:
    """All steps, one after the other."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return cast(T, done.value)


async def in_turns(steps: Steps[T]) -> T:
    """The same; between two steps the loop does what else is due."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return cast(T, done.value)
        await asyncio.sleep(0)


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """While this holds, a thread that computes gives way to the others after SWITCH_S at the latest.

    It holds for the whole process, as Python knows no other way; afterwards it is as it was.
    """
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(min(SWITCH_S, before_s))
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
