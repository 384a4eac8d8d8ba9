"""What happens in a street, and when: scenario files, and random scenarios from a seed.

Promises: a scenario is plain data, the same for both ways of running it. Leaves to others: making it happen
(`street.py` on virtual time, `processes.py` with real processes) and judging how it ended (`verdict.py`).
"""

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from balise_sim import home_faults
from balise_sim.clocks import CLOCK_MODES
from balise_sim.hub import MODES
from balise_sim.kits import KitError
from balise_sim.kits import kit as kit_of

KINDS = {
    "cable": "the gateway's cable to the hub is pulled",
    "link": "the radio link of the home `node` is down",
    "kill": "`node` (gateway, hub or a home) loses its power and gets it back at the end",
    "hub": "the hub behaves as `mode` says: refuse, stall or forget",
    "clock": "the gateway's clock is as `mode` says: ahead or back (by a year), or unknown; on virtual time only",
    "PART.FAULT": "a sensor, a bus or the flash of the home `node` has that fault: sds011.silence, i2c0.nack_data",
}
AIRS = {"recorded": "the recordings, shifted from home to home", "district": "seeded fields of a made-up district"}
NEEDED = {"start_utc": str, "hours": float, "drain_min": float, "period_s": int, "batch_s": int, "homes": int}
OPTIONAL = {"air": str, "kits": list}
EVENT_KEYS = {"at_min": float, "for_min": float, "what": str, "node": str, "mode": str}
EVENT_NEEDS = ("at_min", "for_min", "what")
TYPE_NAMES = {str: "a text", float: "a number", int: "a whole number", list: "a list"}
HOME_KITS = ("air-esp32", "air-pico")
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
    node: str = ""
    mode: str = ""

    @property
    def is_in_a_home(self) -> bool:
        """Whether this is a fault of a home's sensor, bus or flash."""
        return "." in self.what


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
    air: str = "recorded"

    @property
    def length_s(self) -> float:
        return self.hours * MINUTES_PER_HOUR * S_PER_MINUTE

    def moments(self) -> list[tuple[float, bool, Event]]:
        """(seconds from the start, begins?, event), in order of time: what a runner plays."""
        found = [(e.at_min * S_PER_MINUTE, True, e) for e in self.events]
        found += [((e.at_min + e.for_min) * S_PER_MINUTE, False, e) for e in self.events]
        return sorted(found, key=lambda moment: (moment[0], moment[1]))


def homes_of(count: int, kit_names: Sequence[str] = HOME_KITS) -> tuple[Home, ...]:
    """So many homes; they take the kits in turn. Raises kits.KitError."""
    kits = [kit_of(name) for name in kit_names]
    names = [f"urn:dev:ops:b4115e-air-{i + 1:02}" for i in range(count)]
    return tuple(Home(name, (kit := kits[i % len(kits)]).board, kit.sensors) for i, name in enumerate(names))


def bundled_names() -> tuple[str, ...]:
    """The scenarios that come with the package."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.suffix == ".toml"))


def _folder() -> Path:
    return Path(str(files("balise_sim") / "scenarios"))


def bundled(name: str) -> Scenario:
    """One of the scenarios that come with the package, by its stem. Raises ScenarioError."""
    if name not in bundled_names():
        raise ScenarioError(f"no scenario {name!r}; bundled are {', '.join(bundled_names())}; a file ends in .toml")
    return load(_folder() / f"{name}.toml")


def summary(name: str) -> str:
    """What a bundled scenario is about, in a line: the comment at the head of its file."""
    head = (_folder() / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    return head.removeprefix("# ")


def find(name: str) -> Scenario:
    """A bundled scenario by its stem, or a file, which ends in .toml. Raises ScenarioError."""
    return load(Path(name)) if name.endswith(".toml") else bundled(name)


def load(path: Path) -> Scenario:
    """Reads a scenario file. Raises ScenarioError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    entries = data.pop("event", [])
    _check_keys(path.name, data, NEEDED | OPTIONAL, tuple(NEEDED))
    air = data.get("air", "recorded")
    if air not in AIRS:
        raise ScenarioError(f"{path.name}: air = {air!r}; one of {', '.join(AIRS)}")
    try:
        homes = homes_of(data["homes"], data.get("kits", HOME_KITS))
    except KitError as error:
        raise ScenarioError(f"{path.name}: kits: {error}") from error
    return Scenario(
        name=path.stem,
        start_utc_ms=_start_utc_ms(path.name, data["start_utc"]),
        hours=float(data["hours"]),
        drain_min=float(data["drain_min"]),
        period_s=data["period_s"],
        batch_s=data["batch_s"],
        homes=homes,
        events=tuple(_events(path, entries, homes)),
        air=air,
    )


def _start_utc_ms(where: str, text: str) -> int:
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        start = datetime.min
    if start.tzinfo is None:
        raise ScenarioError(f"{where}: start_utc = {text!r}; a time with its zone, such as 2018-12-09T00:00:00Z")
    return round(start.timestamp() * 1000)


def _check_keys(where: str, table: dict[str, Any], types: dict[str, type], needed: tuple[str, ...]) -> None:
    """Each key known, of its type, and none missing. Raises ScenarioError."""
    for key, value in table.items():
        if key not in types:
            raise ScenarioError(f"{where}: the key {key!r} is unknown; known are {', '.join(types)}")
        fits = isinstance(value, (int, float) if types[key] is float else types[key])
        if not fits or isinstance(value, bool) or (types[key] in (int, float) and value < 0):
            raise ScenarioError(f"{where}: {key} = {value!r}; {TYPE_NAMES[types[key]]}, not below 0")
    for key in needed:
        if key not in table:
            raise ScenarioError(f"{where}: the key {key!r} is missing ({TYPE_NAMES[types[key]]})")


def _events(path: Path, entries: Any, homes: tuple[Home, ...]) -> Iterator[Event]:
    if not isinstance(entries, list):
        raise ScenarioError(f"{path.name}: event is one table; write [[event]]")
    names = {home.name for home in homes}
    allowed = {"kill": names | {"gateway", "hub"}, "link": names}
    for number, entry in enumerate(entries, start=1):
        where = f"{path.name}: event {number}"
        _check_keys(where, entry, EVENT_KEYS, EVENT_NEEDS)
        event = Event(**entry)
        if event.what not in KINDS and not event.is_in_a_home:
            raise ScenarioError(f"{where}: what = {event.what!r}; one of {', '.join(KINDS)}")
        choices = allowed.get(event.what, names if event.is_in_a_home else ())
        if choices and event.node not in choices:
            raise ScenarioError(f"{where}: node = {event.node!r}; one of {', '.join(sorted(choices))}")
        if event.is_in_a_home:
            _check_fault(where, event, next(home for home in homes if home.name == event.node))
        modes = {"hub": MODES, "clock": tuple(CLOCK_MODES)}.get(event.what)
        if modes is not None and event.mode not in modes:
            raise ScenarioError(f"{where}: mode = {event.mode!r}; one of {', '.join(modes)}")
        yield event


def _check_fault(where: str, event: Event, home: Home) -> None:
    """The home has such a part, and that part such a fault. Raises ScenarioError."""
    known = home_faults.names(home)
    if event.what not in known:
        raise ScenarioError(f"{where}: what = {event.what!r}; this home has {', '.join(known)}")


def random_scenario(seed: int, start_utc_ms: int, *, hours: float = 2, homes: int = 3) -> Scenario:
    """A short street with every kind of fault at random times; the seed alone decides."""
    dice = random.Random(seed)
    street = homes_of(homes)
    minutes = hours * MINUTES_PER_HOUR
    events = []
    for _ in range(dice.randint(4, 8)):
        what = dice.choice(("cable", "link", "kill", "kill", "kill", "hub"))
        home = dice.choice(street).name
        node = {"kill": dice.choice(("gateway", "hub", home)), "link": home}.get(what, "")
        mode = dice.choice(MODES[1:]) if what == "hub" else ""
        at_min = round(dice.uniform(0.2, minutes * 0.9), 3)
        events.append(Event(at_min, round(dice.uniform(0.5, minutes * 0.2), 3), what, node, mode))
    return Scenario(f"random-{seed}", start_utc_ms, hours, 120, 60, 300, street, tuple(events))
