"""The lines of `balise gateway status` about a place with badges. Promises: no card and no person in them."""

from collections.abc import Iterator, Mapping
from typing import Any

_DAY_S = 86_400


def lines(badge: Mapping[str, Any] | None) -> Iterator[str]:
    """Nothing for a gateway without badges, or one that does not run."""
    if not badge:
        return
    if badge.get("error"):
        yield f"badges of {badge['place']}: {badge['error']}"
        return
    took = "" if badge["verdict_ms"] is None else f", a verdict takes {badge['verdict_ms']} ms"
    yield f"badges of {badge['place']}: {badge['waiting']} visits to send{took}"
    for reader in badge["readers"]:
        yield f"  reader {reader['name']} ({reader['kind']}): {reader['state']}"
    for output in badge["outputs"]:
        yield f"  output {output['kind']}: {output['state']}"
    for told in badge["connectors"]:
        refused = sum(told.get("refused", {}).values())
        yield f"  connector {told['name']}: {told['state']}; {told.get('waiting', 0)} waiting, {refused} refused"
    taps = ", ".join(f"{verdict} {count}" for verdict, count in badge["taps"].items())
    yield f"  taps: {taps or 'none'}"
    if badge["not_kept"]:
        yield f"  taps that the disk did not take: {badge['not_kept']}"
    table = badge["table"]
    yield f"  table of places: {table['error'] or 'number {}, {} places'.format(table['number'], len(table['places']))}"
    for told in badge["lists"]:
        yield f"  list of {told['home']}: {_age(told)}"
    for name, why in badge["away"].items():
        yield f"  away: {name}: {why}"


def _age(told: Mapping[str, Any]) -> str:
    if told["utc_s"] is None:
        return "none yet"
    if told["age_s"] is None:
        return f"number {told['number']}, of an age that is not known"
    return f"number {told['number']}, {told['age_s'] / _DAY_S:.1f} days old{', stale' if told['stale'] else ''}"
