"""Long work in steps: a generator that yields between two of them, and returns what came of it.

Promises that whoever waits at the door waits for one step at most. Leaves how long a step is to the work.
"""

import asyncio
from collections.abc import Generator
from typing import TypeVar, cast

T = TypeVar("T")
Steps = Generator[None, None, T]


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
