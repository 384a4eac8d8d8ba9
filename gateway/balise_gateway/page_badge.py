"""The station page's part about badges: place, readers, visits, lists; in French and in English.

Promises that every text from outside is escaped, and that nothing is told of a card or a person: the status document
has none. Leaves what is said to `badges/office.py`.
"""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

_DAY_S = 86_400
_WELL = ("up", "not used yet", "not asked yet")  # the latter two: nothing has been shown or asked so far
_WORDS = {
    "badges": ("Badges", "Badges"),
    "reader": ("Lecteur", "Reader"),
    "shown": ("Cartes présentées", "Cards shown"),
    "waiting": ("Visites à envoyer", "Visits to send"),
    "lists": ("Listes de cartes", "Lists of cards"),
    "output": ("Affichage", "Output"),
    "software": ("Autre logiciel", "Other software"),
    "today": ("moins d'un jour", "less than a day"),
    "day": ("1 jour", "1 day"),
    "days": ("jours", "days"),
    "old": ("ancienne", "old"),
    "none": ("pas encore de liste", "no list yet"),
    "away": ("ne répond pas", "does not answer"),
    "ok": ("tout va bien", "all is well"),
    "nothing": ("rien encore", "nothing yet"),
}
_VERDICTS = {
    "accepted": ("acceptées", "accepted"),
    "desk": ("acceptées, voir l'accueil", "accepted, tell the desk"),
    "no_credit": ("sans crédit, bienvenue", "no credit, welcome"),
    "unknown": ("inconnues", "unknown"),
}


def html(badge: Mapping[str, Any] | None, *, english: bool) -> str:
    """The part of the page; empty where there are no badges."""
    if not badge:
        return ""
    which = 1 if english else 0
    word = {name: both[which] for name, both in _WORDS.items()}
    rows = [(word["badges"], _bad(badge["error"]))] if badge.get("error") else list(_rows(badge, word, which))
    body = "".join(f"<tr><td>{head}</td><td>{told}</td></tr>" for head, told in rows)
    return f"<h2>{word['badges']}: {escape(str(badge['place']))}</h2><table>{body}</table>"


def _rows(badge: Mapping[str, Any], word: Mapping[str, str], which: int) -> list[tuple[str, str]]:
    rows = []
    for reader in badge["readers"]:
        state = word["ok"] if reader["state"] == "up" else _bad(reader["state"])
        rows.append((f"{word['reader']} {escape(str(reader['name']))}", state))
    for output in badge["outputs"]:
        state = word["ok"] if output["state"] in _WELL else _bad(output["state"])
        rows.append((f"{word['output']} {escape(str(output['kind']))}", state))
    for told in badge["connectors"]:
        state = word["ok"] if told["state"] in _WELL else _bad(told["state"])
        rows.append((f"{word['software']} {escape(str(told['name']))}", state))
    said = _shown(badge["taps"], lambda state: _VERDICTS.get(state, (state, state))[which])
    rows.append((word["shown"], said or word["nothing"]))
    rows.append((word["waiting"], str(badge["waiting"])))
    if badge["lists"]:
        rows.append((word["lists"], "<br>".join(_list(each, badge["away"], word) for each in badge["lists"])))
    return rows


def _shown(taps: Mapping[str, int], said: Callable[[str], str]) -> str:
    sums: dict[str, int] = {}
    for name, count in taps.items():
        state = name.partition(":")[0]
        sums[state] = sums.get(state, 0) + count
    return ", ".join(f"{escape(said(state))} {count}" for state, count in sums.items())


def _list(told: Mapping[str, Any], away: Mapping[str, str], word: Mapping[str, str]) -> str:
    home = told["home"]
    if told["utc_s"] is None:
        text = f"{home}: {word['none']}"
    elif told["age_s"] is None:
        text = home
    else:
        text = f"{home}: {_days(told['age_s'] // _DAY_S, word)}"
    faults = [word["old"]] if told["stale"] and told["utc_s"] is not None else []
    faults += [word["away"]] if told["home"] in away else []
    return _bad(text, *faults) if faults or told["utc_s"] is None else escape(text)


def _days(days: int, word: Mapping[str, str]) -> str:
    return word["today"] if days < 1 else word["day"] if days == 1 else f"{days} {word['days']}"


def _bad(text: object, *faults: str) -> str:
    return f'<span class="bad">{escape(", ".join((str(text), *faults)))}</span>'
