"""Are table and lists of the others fresh, and is what we tell them, and our own software, taken?"""

from collections.abc import Iterator, Mapping
from typing import Any

from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well

MANY_VISITS, MANY_USAGES = 200, 100
_DAY_S = 86_400


def look(patient: Patient) -> Iterator[Finding]:
    if patient.config.badge is None:
        return
    badge = (patient.status or {}).get("badge") or {}
    if "lists" not in badge:
        what = Told("les badges ne tournent pas : listes inconnues", "badges do not run: lists are not known")
        yield doubt(what, Told("démarrez la passerelle, avec [page]", "start the gateway, with [page]"))
        return
    found = [*_table(badge["table"]), *_lists(badge), *_waiting(badge["waiting"]), *_software(badge)]
    yield from found or [well("listes fraîches, rien n'attend", "lists are fresh, nothing waits")]


def _table(table: Mapping[str, Any]) -> Iterator[Finding]:
    if table.get("error"):
        yield ill(
            Told(f"table des lieux : {table['error']}", f"table of places: {table['error']}"),
            Told("demandez-la à qui la tient", "ask who keeps it"),
        )
    if table.get("refused"):
        reasons = ", ".join(f"{reason} {count}" for reason, count in table["refused"].items())
        yield doubt(
            Told(f"tables refusées : {reasons}", f"tables that were refused: {reasons}"),
            Told("écrivez à qui tient la table", "write to who keeps the table"),
        )


def _lists(badge: Mapping[str, Any]) -> Iterator[Finding]:
    for told in badge["lists"]:
        home, why = told["home"], badge["away"].get(told["home"])
        if told["stale"]:
            never = told["utc_s"] is None
            days = None if told["age_s"] is None else round(told["age_s"] / _DAY_S, 1)
            what = Told(
                f"la liste de {home} {'manque' if never else f'a {days} jours'}",
                f"the list of {home} {'is missing' if never else f'is {days} days old'}",
            )
            yield doubt(what, _ask(home, why))
        elif why:
            yield doubt(
                Told(f"{home} ne répond pas bien : {why}", f"{home} does not answer well: {why}"), _ask(home, why)
            )


def _ask(home: str, why: str | None) -> Told:
    because = f" ({why})" if why else ""
    return Told(
        f"vérifiez le réseau, puis écrivez à {home}{because} ; sans réseau : balise badge lists import",
        f"check the network, then write to {home}{because}; without network: balise badge lists import",
    )


def _waiting(visits: int) -> Iterator[Finding]:
    if visits >= MANY_VISITS:
        yield doubt(
            Told(f"{visits} visites attendent d'être envoyées", f"{visits} visits wait to be sent"),
            Told("rien n'est perdu ; voir « hubs » ci-dessus", "nothing is lost; see `hubs` above"),
        )


def _software(badge: Mapping[str, Any]) -> Iterator[Finding]:
    """What grows; what is refused, and why nothing is taken, is said by `connectors.py`."""
    for told in badge.get("connectors", []):
        name, waiting = told["name"], told.get("waiting", 0)
        if waiting >= MANY_USAGES:
            what = Told(f"{name} : {waiting} consommations attendent", f"{name}: {waiting} usages wait")
            yield doubt(what, Told("le logiciel du lieu répond-il ?", "does the place's software answer?"))
