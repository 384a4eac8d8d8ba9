"""Virtual time for places: what they do in a thread beside the loop takes none of it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from balise_sim.clocks import VirtualLoop


class PatientLoop(VirtualLoop):
    """A loop of virtual time that lets a real thread do such work, and waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._beside = ThreadPoolExecutor(1)

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done = self._beside.submit(func, *args)
        wait([done])
        return asyncio.wrap_future(done, loop=self)

    def close(self) -> None:
        self._beside.shutdown()
        super().close()
