"""Where a scenario is played: turns its events into power, cables, links and moods of the hub.

Promises: events that overlap add up, so a thing comes back when the last of them is over. Leaves to others: what power
and cables are (`street.py` on virtual time, `processes.py` with real processes).
"""

import abc
import asyncio
from collections import Counter

from balise_sim import home_faults
from balise_sim.scenario import Event, Scenario
from balise_sim.world import World

GATEWAY, HUB = "gateway", "hub"


class Stage(abc.ABC):
    """Five switches; `who` is GATEWAY, HUB or a home's name. A stage has its world before its events are played."""

    world: World

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.node_kills = 0
        self._running: Counter[tuple[str, str]] = Counter()

    @abc.abstractmethod
    def set_power(self, who: str, on: bool) -> None:
        """Power of `who` goes without warning, or comes back."""

    @abc.abstractmethod
    def set_cable(self, whole: bool) -> None:
        """The gateway's cable to the hub."""

    @abc.abstractmethod
    def set_link(self, home: str, up: bool) -> None:
        """The radio between a home's node and the gateway."""

    @abc.abstractmethod
    def set_hub(self, mode: str) -> None:
        """How the hub behaves: one of hub.MODES."""

    @abc.abstractmethod
    def set_clock(self, mode: str) -> None:
        """What the gateway's clock says: one of clocks.CLOCK_MODES."""

    async def play_events(self) -> None:
        """Plays all events at their times on the running loop, whose time is the scenario's, and then to its end."""
        loop = asyncio.get_running_loop()
        for at_s, begins, event in self.scenario.moments():
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            self._switch(event, begins)
        await asyncio.sleep(max(0.0, self.scenario.length_s - loop.time()))

    def _switch(self, event: Event, begins: bool) -> None:
        key = (event.what, event.node)
        self._running[key] += 1 if begins else -1
        if self._running[key] == (1 if begins else 0):
            self._set(event, begins)

    def _set(self, event: Event, begins: bool) -> None:
        if event.what == "kill":
            self.node_kills += begins and event.node not in (GATEWAY, HUB)
            self.set_power(event.node, on=not begins)
        elif event.is_in_a_home:
            home_faults.switch(self.world.nodes[event.node], event.what, on=begins)
        elif event.what == "clock":
            self.set_clock(event.mode if begins else "right")
        elif event.what == "cable":
            self.set_cable(whole=not begins)
        elif event.what == "link":
            self.set_link(event.node, up=not begins)
        else:
            self.set_hub(event.mode if begins else "ok")
