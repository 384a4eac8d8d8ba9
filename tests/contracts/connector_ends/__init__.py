"""The far ends that the connector suite talks to: one file per kind, found by its name, with a class `End`.

A far end stands on the wire (an httpx transport, a broker, a mail server), reads what comes with a decoder that is not
ours where there is one, and can be told to misbehave. It counts only what it has taken.
"""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from balise_gateway.badges.connectors import Connector, ConnectorSettings, Usage

NOW_UTC_S = 1_772_366_400  # 2026-03-01T12:00:00Z
MEMBER, OTHER, NOBODY = "ada@coroutine.example", "lin@coroutine.example", "nobody@coroutine.example"


class End(Protocol):
    """What the suite asks of the far end of one kind; made with a folder of its own."""

    answers: Mapping[str, bool]  # the words for `answer` that make it fail, and whether later may help
    secrets: tuple[str, ...]  # what no repr, status, error or log may show
    counts_usages: bool  # else every usage is refused, or none is wanted
    answer: str  # "ok", or one of the words above; "lost": it takes what comes, and its answer does not arrive
    requests: int  # how often anything was sent to it

    def settings(self, **settings: Any) -> ConnectorSettings:
        """Of a connector that talks to this far end; `settings` replace those that it has chosen."""
        ...

    def connector(self, **settings: Any) -> Connector:
        """The connector with these settings."""
        ...

    def used(self, key: str) -> int:
        """The half-days that it counts under this key, all together."""
        ...

    def credit(self, member: str, half_days: int) -> None:
        """This member has so much left there."""
        ...

    def taps(self) -> list[str]:
        """The tags that it was told of, in order."""
        ...

    def close(self) -> None:
        """Ends what it has started."""
        ...


def end_of(kind: str, folder: Path) -> End:
    """The far end of this kind."""
    made: End = importlib.import_module(f"contracts.connector_ends.{kind}").End(folder)
    return made


def usage(number: int = 1, half_days: int = 1, member: str = MEMBER, day: str = "2026-02-27") -> Usage:
    return Usage(f"visit%_{number}", member, "", "mappemonde.example", day, half_days)


def secret(folder: Path, text: str, mode: int = 0o600) -> Path:
    """A file with a secret, as its host would write it."""
    path = folder / "secret"
    path.write_text(f"{text}\n", encoding="utf-8")
    os.chmod(path, mode)
    return path


class StandingClock:
    """A clock that stands until it is set."""

    def __init__(self, utc_s: int = NOW_UTC_S) -> None:
        self.utc_s = utc_s

    def utc_ms(self) -> int:
        return self.utc_s * 1000

    def boot_ms(self) -> int:
        return self.utc_ms() % 10**9

    def uncertainty_ms(self) -> int:
        return 20
