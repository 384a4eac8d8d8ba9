"""What is wrong with a gateway, and what to try. One module per check, found by its name.

A check is a module with one function, `look(patient)`, which yields findings: what it saw, in French and in English,
and what to try unless all is well. It changes nothing, waits for nothing longer than `PATIENCE_S`, and never raises for
what it finds. The suite is tests/gateway/test_doctor.py: each check sees a thing that is whole, and the same broken.
Checks of badges have names that begin with `badge_` and say nothing where there are none; theirs is
tests/gateway/badges/operation/test_doctor_of_a_place.py.
"""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from balise_gateway import doctor, plugins
from balise_gateway.config import Config

PATIENCE_S = 5.0


class Told(NamedTuple):
    """A sentence in both languages."""

    fr: str
    en: str


@dataclass(frozen=True)
class Finding:
    """What a check saw; `advice` is what to try, None where all is well."""

    state: Literal["ok", "warn", "fail"]
    what: Told
    advice: Told | None = None


@dataclass(frozen=True)
class Patient:
    """A gateway as it lies there. `root` is "/" but in tests; `status` is what a running one says, None without one.

    `unsure_ms()` is the kernel's bound on the clock's error, `utc_ms()` its time; `trust` is whom TLS believes.
    """

    config: Config
    config_path: Path
    status: dict[str, Any] | None
    root: Path
    unsure_ms: Callable[[], int]
    utc_ms: Callable[[], int]
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """(name of the check, finding), check by check."""
    for name in plugins.kinds(doctor):
        for finding in plugins.load(doctor, name).look(patient):
            yield name, finding


def well(fr: str, en: str) -> Finding:
    """All is well."""
    return Finding("ok", Told(fr, en))


def doubt(what: Told, advice: Told) -> Finding:
    """Something to know of."""
    return Finding("warn", what, advice)


def ill(what: Told, advice: Told) -> Finding:
    """Something does not work."""
    return Finding("fail", what, advice)
