"""What differs between two configurations, in words, for whoever asked for the change.

Promises that no value is told: it may be a secret.
"""

from collections.abc import Sequence
from typing import Any

from balise_gateway.config import Config

SAME = "the same"
_WHOLE = ("gateway", "page", "quality", "badge")  # sections that there is one of


def changes(old: Config, new: Config) -> list[str]:
    """Such as `hub street: added`, in the order of the file; empty when nothing differs."""
    told = [f"{name}: changed" for name in _WHOLE if getattr(old, name) != getattr(new, name)]
    for kind, before, after in (
        ("ingest", _by_place(old.ingests), _by_place(new.ingests)),
        ("source", _by_place(old.sources), _by_place(new.sources)),
        ("node", _by_name(old.nodes), _by_name(new.nodes)),
        ("limit", _by_place(old.limits), _by_place(new.limits)),
        ("correction", _by_place(old.corrections), _by_place(new.corrections)),
        ("hub", _by_name(old.hubs), _by_name(new.hubs)),
        ("reader", _by_place(old.readers), _by_place(new.readers)),
        ("output", _by_place(old.outputs), _by_place(new.outputs)),
        ("connector", _by_place(old.connectors), _by_place(new.connectors)),
        ("grant for log", dict(old.grants), dict(new.grants)),
    ):
        told += [f"{kind} {name}: {_how(name, before, after)}" for name in dict.fromkeys((*before, *after))]
    return [line for line in told if not line.endswith(SAME)]


def _how(name: Any, before: dict[Any, Any], after: dict[Any, Any]) -> str:
    if name not in before:
        return "added"
    if name not in after:
        return "removed"
    return SAME if before[name] == after[name] else "changed"


def _by_place(sections: Sequence[Any]) -> dict[Any, Any]:
    return dict(enumerate(sections, start=1))


def _by_name(sections: Sequence[Any]) -> dict[Any, Any]:
    return {section.name: section for section in sections}
