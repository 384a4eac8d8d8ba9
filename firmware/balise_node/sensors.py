"""The node's sensors as one: woken, sampled and put to rest together; one that fails gives no value, never a number.

Promises one value per channel, None where there is none, and one line on the console when a sensor begins to fail in a
new way or works again. Leaves to the drivers how, and to the app when.
"""

import asyncio

from balise_node.drivers import SensorError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from balise_node.drivers._shapes import Driver
    from balise_node.screen import Screen


class Member:
    """One sensor and how it is doing. `failing` is what is wrong with it, "" when it works.

    `picks` are the positions in the driver's CHANNELS of the values that are wanted.
    """

    def __init__(self, driver: "Driver", wanted: list[str]) -> None:
        self.driver = driver
        self.picks = [at for at, name in enumerate(driver.CHANNELS) if not wanted or name in wanted]
        self.failing = ""

    @property
    def channels(self) -> list[str]:
        """The names of the values that are wanted."""
        return [self.driver.CHANNELS[at] for at in self.picks]

    def attempt(self, act: "Callable[[], Any]") -> "Any":
        """Do something with the sensor; None when it fails."""
        try:
            result = act()
        except SensorError as error:
            self._note(error.what, f"sensor {error}")
            return None
        return result

    def works(self) -> None:
        """It has given values."""
        self._note("", f"sensor {self.driver.MODEL}: works again")

    def _note(self, what: str, line: str) -> None:
        if what != self.failing:
            print(line)
        self.failing = what


class Sensors:
    """`models` names channel and sensor model of each value of `sample`.

    `flags` is {position among those values: QARTOD flag}, as the sensors judged their last sample.
    """

    def __init__(self, members: list[Member], screen: "Screen | None" = None) -> None:
        """`screen` shows each sample, where the node has a display."""
        self._members, self._screen = members, screen
        self.warmup_ms = max([member.driver.WARMUP_S for member in members]) * 1000
        self.models = [(name, member.driver.MODEL) for member in members for name in member.channels]
        self.flags: dict[int, int] = {}

    def listen(self) -> None:
        """Start the tasks of those that measure without a pause."""
        for member in self._members:
            if hasattr(member.driver, "listen"):
                asyncio.create_task(member.driver.listen())  # noqa: RUF006 - MicroPython's loop keeps it

    def wake(self, feed: "Callable[[], None]") -> None:
        """Bring all to work."""
        for member in self._members:
            member.attempt(member.driver.wake)
            feed()

    def sample(self, feed: "Callable[[], None]") -> list[int | None]:
        """One value per channel. A sensor that failed is woken first: it may have been without power."""
        values: list[int | None] = []
        self.flags = {}
        for member in self._members:
            if member.failing:
                member.attempt(member.driver.wake)
            found = member.attempt(member.driver.sample)
            told = getattr(member.driver, "flags", {}) if found is not None else {}
            for at in member.picks:
                if at in told:
                    self.flags[len(values)] = told[at]
                values.append(None if found is None else found[at])
            if found is not None:
                member.works()
            feed()
        if self._screen is not None:
            self._screen.show(values)
            feed()
        return values

    def sleep(self) -> None:
        """Let all rest: fans and lasers last longer."""
        for member in self._members:
            member.attempt(member.driver.sleep)
