"""What happens in a street, and when: scenario files, and random scenarios from a seed.

Promises: a scenario is plain data, the same for both ways of running it. Leaves to others: making it happen
(`street.py` on virtual time, `paced.py` with real processes) and judging how it ended (`verdict.py`).
"""

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from balise_sim.hub import MODES

KINDS = {
    "cable": "the gateway's cable to the hub is pulled",
    "link": "the radio link of the home `who` is down",
    "kill": "`who` (gateway, hub or a home) loses its power and gets it back at the end",
    "hub": "the hub behaves as `mode` says: refuse, stall or forget",
}
KITS = (("esp32", ("sds011", "bme280")), ("pico_w", ("pms5003", "bme280")))  # board and sensors
# What a home's rows take of a sensor that tells more than people at home look at; of all others, all of it
WANTED = {"pms5003": ("pm1", "pm2_5", "pm10")}
MINUTES_PER_HOUR, S_PER_MINUTE = 60, 60


class ScenarioError(ValueError):
    """A scenario file that cannot be played; the text names the file, the entry and what is allowed."""


@dataclass(frozen=True)
class Home:
    """One home and its node: `name` is its URN, `sensors` the stems of its sensor models."""

    name: str
    board: str
    sensors: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """One thing that goes wrong, from `at_min` for `for_min` minutes of the scenario's time."""

    at_min: float
    for_min: float
    what: str
    who: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Scenario:
    """A street for `hours`, then at most `drain_min` minutes without faults to bring everything home."""

    name: str
    start_utc_ms: int
    hours: float
    drain_min: float
    period_s: int
    batch_s: int
    homes: tuple[Home, ...]
    events: tuple[Event, ...]

    @property
    def length_s(self) -> float:
        return self.hours * MINUTES_PER_HOUR * S_PER_MINUTE

    def moments(self) -> list[tuple[float, bool, Event]]:
        """(seconds from the start, begins?, event), in order of time: what a runner plays."""
        found = [(e.at_min * S_PER_MINUTE, True, e) for e in self.events]
        found += [((e.at_min + e.for_min) * S_PER_MINUTE, False, e) for e in self.events]
        return sorted(found, key=lambda moment: (moment[0], moment[1]))


def homes_of(count: int) -> tuple[Home, ...]:
    """So many homes; they take the kits in turn."""
    return tuple(Home(f"urn:dev:ops:b4115e-air-{i + 1:02}", *KITS[i % len(KITS)]) for i in range(count))


def bundled(name: str) -> Scenario:
    """One of the scenarios that come with the package, by its stem."""
    return load(Path(str(files("balise_sim") / "scenarios" / f"{name}.toml")))


def load(path: Path) -> Scenario:
    """Reads a scenario file. Raises ScenarioError."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        homes = homes_of(int(data["homes"]))
        start = datetime.fromisoformat(data["start_utc"])
        if start.tzinfo is None:
            raise ScenarioError(f"{path.name}: start_utc needs a time zone, such as 2018-12-09T00:00:00Z")
        return Scenario(
            name=path.stem,
            start_utc_ms=round(start.timestamp() * 1000),
            hours=float(data["hours"]),
            drain_min=float(data["drain_min"]),
            period_s=int(data["period_s"]),
            batch_s=int(data["batch_s"]),
            homes=homes,
            events=tuple(_events(path, data.get("event", []), homes)),
        )
    except KeyError as missing:
        raise ScenarioError(f"{path.name}: the key {missing} is missing") from missing


def _events(path: Path, entries: list[dict[str, Any]], homes: tuple[Home, ...]) -> Iterator[Event]:
    powered = {"gateway", "hub", *(home.name for home in homes)}
    allowed = {"kill": powered, "link": powered - {"gateway", "hub"}}
    for number, entry in enumerate(entries, start=1):
        event = Event(**entry)
        where = f"{path.name}: event {number}"
        if event.what not in KINDS:
            raise ScenarioError(f"{where}: what = {event.what!r}; one of {', '.join(KINDS)}")
        if event.what in allowed and event.who not in allowed[event.what]:
            raise ScenarioError(f"{where}: who = {event.who!r}; one of {', '.join(sorted(allowed[event.what]))}")
        if event.what == "hub" and event.mode not in MODES:
            raise ScenarioError(f"{where}: mode = {event.mode!r}; one of {', '.join(MODES)}")
        yield event


def random_scenario(seed: int, start_utc_ms: int, *, hours: float = 2, homes: int = 3) -> Scenario:
    """A short street with every kind of fault at random times; the seed alone decides."""
    dice = random.Random(seed)
    street = homes_of(homes)
    minutes = hours * MINUTES_PER_HOUR
    events = []
    for _ in range(dice.randint(4, 8)):
        what = dice.choice(("cable", "link", "kill", "kill", "kill", "hub"))
        home = dice.choice(street).name
        who = {"kill": dice.choice(("gateway", "hub", home)), "link": home}.get(what, "")
        mode = dice.choice(MODES[1:]) if what == "hub" else ""
        at_min = round(dice.uniform(0.2, minutes * 0.9), 3)
        events.append(Event(at_min, round(dice.uniform(0.5, minutes * 0.2), 3), what, who, mode))
    return Scenario(f"random-{seed}", start_utc_ms, hours, 120, 60, 300, street, tuple(events))
