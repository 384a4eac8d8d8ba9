"""Can cards be read: is each reader's device there, may it be opened, and what does its reader say?"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from balise_gateway.doctor import Finding, Patient, Told, ill, well

_BY_SIGN = (
    (
        "not allowed",
        Told(
            "essayez : sudo balise gateway install, puis redémarrez le service",
            "try: sudo balise gateway install, then restart the service",
        ),
    ),
    (
        "taken",
        Told(
            "un autre programme tient le lecteur (lsof le montre) ; une console de connexion, peut-être : voir install",
            "another program holds the reader (lsof shows it); a login console, perhaps: see install",
        ),
    ),
    (
        "garbled",
        Told("la vitesse (baud) n'est pas celle du lecteur", "the speed (baud) is not that of the reader"),
    ),
)
_ELSE = Told(
    "est-il branché ? le sens de chaque état est dans gateway/BADGES.md",
    "is it plugged in? what each state means stands in gateway/BADGES.md",
)


def look(patient: Patient) -> Iterator[Finding]:
    if patient.config.badge is None:
        return
    badge = (patient.status or {}).get("badge") or {}
    if "readers" in badge:
        yield from (_said(reader) for reader in badge["readers"])
        return
    if badge.get("error"):
        what = Told(f"les badges ne tournent pas : {badge['error']}", f"badges do not run: {badge['error']}")
        yield ill(what, Told("suivez ce qui est dit là", "do what is said there"))
    for settings in patient.config.readers:
        path = getattr(settings, "path", None)
        if isinstance(path, Path):
            yield _device(patient.root / str(path).lstrip("/"), settings.name, path)


def _said(reader: dict[str, Any]) -> Finding:
    name, state = reader["name"], reader["state"]
    if state == "up":
        return well(f"{name} lit", f"{name} reads")
    advice = next((advice for sign, advice in _BY_SIGN if sign in state), _ELSE)
    return ill(Told(f"{name} ne lit pas : {state}", f"{name} does not read: {state}"), advice)


def _device(found: Path, name: str, path: Path) -> Finding:
    if not found.exists():
        return ill(Told(f"{name} : {path} n'est pas là", f"{name}: {path} is not there"), _ELSE)
    if not os.access(found, os.R_OK):
        what = Told(f"{name} : {path} ne s'ouvre pas", f"{name}: {path} may not be opened")
        return ill(what, _BY_SIGN[0][1])
    return well(f"{name} : {path} est là", f"{name}: {path} is there")
