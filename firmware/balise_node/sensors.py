"""The node's sensors as one: woken, sampled and put to rest together; one that fails gives no value, never a number.

Promises one value per channel, None where there is none, and one line on the console when a sensor begins to fail in a
new way or works again. Leaves to the drivers how, and to the app when.
"""

import asyncio
import time

from balise_node.drivers import SensorError, load
from balise_node.errors import ConfigError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from balise_node.board import Buses
    from balise_node.drivers._shapes import Driver


_OPTIONS = ("address", "right", "ratio_milli")  # what config.json says to the driver itself
_SPECIAL = ("rom", "bits", "shunt_milliohm")  # and to the drivers only that name it in their OPTIONS


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
    """Built from config.json; `models` names channel and sensor model of each value of `sample`.

    `flags` is {position among those values: QARTOD flag}, as the sensors judged their last sample.
    """

    def __init__(self, configs: "list[dict[str, Any]]", buses: "Buses", period_s: int) -> None:
        self._members = [_member(f"sensors[{i}]", config, buses, period_s) for i, config in enumerate(configs)]
        self.warmup_ms = max([member.driver.WARMUP_S for member in self._members]) * 1000
        self.models = [(name, m.driver.MODEL) for m in self._members for name in m.channels]
        self.flags: dict[int, int] = {}
        names = [name for name, _ in self.models]
        for name in names:
            if names.count(name) > 1:
                models = ", ".join([model for channel, model in self.models if channel == name])
                raise ConfigError(
                    f'config.json: "sensors": found {name} twice ({models}); '
                    'write in "channels" of one of them what it is to give'
                )

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
        return values

    def sleep(self) -> None:
        """Let all rest: fans and lasers last longer."""
        for member in self._members:
            member.attempt(member.driver.sleep)


def _member(path: str, config: "dict[str, Any]", buses: "Buses", period_s: int) -> Member:
    problem = ""
    try:
        driver = load(config["model"])
        if driver.BUS in config:
            bus = buses.open(driver.BUS, config, getattr(driver, "LINE", {}))
        else:
            problem = f'a {driver.MODEL} has no such bus; write its "{driver.BUS}" and pins'
    except SensorError as error:
        problem = str(error)
    except ValueError as error:  # of a pin or a bus that the board does not have
        problem = f"this board says {error}; write the number and the pins of a bus that it has"
    if problem:
        raise ConfigError(f'config.json: "{path}": {problem}')
    for name in config["channels"]:
        if name not in driver.CHANNELS:
            known = ", ".join(driver.CHANNELS)
            raise ConfigError(f'config.json: "{path}.channels": a {driver.MODEL} has no {name!r}; it has {known}')
    known_options = getattr(driver, "OPTIONS", ())
    for name in _SPECIAL:
        if config.get(name) and name not in known_options:
            raise ConfigError(f'config.json: "{path}.{name}": a {driver.MODEL} has no such option; remove it')
    options = {name: config[name] for name in _OPTIONS + known_options if config.get(name)}
    if getattr(driver, "PACED", False):
        options["period_s"] = period_s
    try:
        sensor = driver(bus, time.sleep_ms, **options)
    except ValueError as error:  # of an option that is no number
        problem = str(error)
    if problem:
        raise ConfigError(
            f'config.json: "{path}": a {driver.MODEL} says {problem}; write its options as the parts have them'
        )
    return Member(sensor, config["channels"])
