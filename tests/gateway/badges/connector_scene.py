"""A place on virtual time with a site of Dokos, which can be killed and begun again; and a connector that obeys."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from balise_gateway.badges.connector_runner import Runner
from balise_gateway.badges.connectors import Balance, Connector, Tapped, Usage, Want
from balise_sim.clocks import LoopClock, VirtualLoop
from contracts.connector_ends import NOW_UTC_S
from contracts.connector_ends.dokos import End

HOUR_S = 3_600


class Scene:
    """A place on virtual time, which can be killed and begun again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loop = folder, VirtualLoop()
        self.clock = LoopClock(self.loop, NOW_UTC_S * 1000)
        self.site = End(folder, self.clock)
        self.more: dict[str, Connector] = {}
        self.members: list[str] = []
        self.runner: Runner
        self._task: asyncio.Task[None] | None = None
        self.begin()

    def begin(self) -> None:
        connectors = {"dokos": self.site.connector(), **self.more}
        self.runner = Runner(connectors, self.folder, self.clock, lambda: self.members)
        self.runner.open()
        self._task = self.loop.create_task(self.runner.run())

    def kill(self) -> None:
        """Ends it, wherever it is; what was not on the disk is gone."""
        assert self._task is not None
        self._task.cancel()
        self.loop.run_until_complete(asyncio.wait([self._task]))
        self.loop.run_until_complete(self.runner.close())

    def restart(self) -> None:
        self.kill()
        self.begin()

    def pass_time(self, duration_s: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(duration_s))
        assert self._task is not None
        assert not self._task.done(), self._task.exception()

    def line(self, name: str = "dokos") -> dict[str, Any]:
        (found,) = [told for told in self.runner.status() if told["name"] == name]
        return found

    def end(self) -> None:
        self.kill()
        self.loop.close()


class Odd:
    """A connector that does what its functions say."""

    wants: frozenset[Want] = frozenset({"usage", "balance", "tap"})

    def __init__(self, do: Callable[[Any], Any]) -> None:
        self._do = do

    async def balance(self, member: str) -> Balance | None:
        return None

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        found: dict[str, str] = await self._do(usages)
        return found

    async def tapped(self, tap: Tapped) -> None:
        await self._do(tap)

    def status(self) -> dict[str, object]:
        return {"kind": "odd", "state": "up", "where": "here"}

    async def close(self) -> None:
        pass


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.end()
