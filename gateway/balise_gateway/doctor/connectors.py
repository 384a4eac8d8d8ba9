"""Can the files with the keys of the place's own software be used, and does that software take what it is told?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from balise_gateway.badges.connectors._secret import read_secret
from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.errors import ConnectorError

SECRETS = ("secret_file", "password_file", "place_key_file")
_GUIDE = Told(
    "voir « Other software of the place » dans gateway/BADGES.md",
    'see "Other software of the place" in gateway/BADGES.md',
)
_REFUSED = Told("lesquels et pourquoi : balise badge refused", "which, and why: balise badge refused --lang en")
_AT_FIRST = "not asked yet"


def look(patient: Patient) -> Iterator[Finding]:
    if patient.config.badge is None:
        return
    if not patient.config.connectors:
        yield well("aucun autre logiciel n'est raccordé", "no other program is connected")
    badge = (patient.status or {}).get("badge") or {}
    told = {each.get("name"): each for each in badge.get("connectors", [])}
    for settings in patient.config.connectors:
        problems = [*_files(settings), *_says(settings.label, told.get(settings.label, {}))]
        yield from problems
        if not problems:
            yield well(f"{settings.label} : prêt", f"{settings.label}: ready")


def _files(settings: Any) -> Iterator[Finding]:
    for name in SECRETS:
        path = getattr(settings, name, None)
        if not isinstance(path, Path):
            continue
        try:
            read_secret(path)
        except ConnectorError as error:
            yield ill(Told(f"{settings.label} : {name} : {error}", f"{settings.label}: {name}: {error}"), _GUIDE)


def _says(label: str, told: dict[str, Any]) -> Iterator[Finding]:
    state, waiting = told.get("state", "up"), told.get("waiting", 0)
    if state not in ("up", _AT_FIRST):
        wait = Told(f"{waiting} usages attendent, rien n'est perdu", f"{waiting} usages wait, nothing is lost")
        yield ill(Told(f"{label} : {state}", f"{label}: {state}"), wait if waiting else _GUIDE)
    for reason, number in told.get("refused", {}).items():
        what = Told(f"{label} : {number} usages refusés : {reason}", f"{label}: {number} usages refused: {reason}")
        yield doubt(what, _REFUSED)
