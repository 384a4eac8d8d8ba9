"""The tasks of a running gateway, each under the part that it runs for, so that one part can be begun anew alone.

Promises that a part's tasks have ended when `stop` returns: its port is free, its connections are closed. Leaves which
parts there are to `daemon.py`.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Crew:
    """Tasks of one group. A part is any object; it is known by its identity."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: dict[int, tuple[object, list[asyncio.Task[None]]]] = {}

    def start(self, part: object, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` for this part."""
        _, tasks = self._tasks.setdefault(id(part), (part, []))
        tasks.append(self._group.create_task(work))

    async def stop(self, *parts: object) -> None:
        """Ends what runs for these parts, at once, and waits for it."""
        tasks = [task for part in parts for task in self._tasks.pop(id(part), (part, []))[1]]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def cancel(self) -> None:
        """Ends everything; the group waits."""
        for _, tasks in self._tasks.values():
            for task in tasks:
                task.cancel()
