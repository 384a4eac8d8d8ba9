"""What is said of each state, in French and English: a headline, what to do, and the credit with the day it was known.

Promises that every state and reason has its words in both languages, a long and a short form; that no text accuses
anybody, and none has a name or a number of a card. Leaves colours and shapes to `_look.py`, places to `_layout.py`.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Literal

from balise_gateway.badges.showing import Showing

Language = Literal["fr", "en"]


@dataclass(frozen=True)
class Said:
    """One state in words. `state` is that of the showing, or "away": the screen itself hears nothing."""

    state: str
    headline: str
    text: str  # what it means, and what to do
    short: str  # the same for a small display
    credit: str = ""
    credit_short: str = ""
    foot: str = ""


def said(showing: Showing, language: Language, zone: tzinfo = UTC) -> Said:
    """What a screen says of this; the days are those of `zone`."""
    at = 0 if language == "fr" else 1
    headline, text, short = _said(showing, at)
    return Said(
        showing.state,
        _spaced(headline, at),
        _spaced(text, at),
        _spaced(short, at),
        _credit(showing, at, zone),
        _credit_short(showing, at, zone),
        _waiting(showing, at),
    )


def away(language: Language) -> Said:
    """What a screen says by itself when it hears nothing of the gateway."""
    at = 0 if language == "fr" else 1
    headline, text, short = (_spaced(pair[at], at) for pair in _AWAY)
    return Said("away", headline, text, short)


def door(mode: str, language: Language) -> str:
    """What a screen adds while somebody holds the door open or shut by hand; empty when cards open it."""
    return _DOOR[mode][0 if language == "fr" else 1] if mode in _DOOR else ""


def phone(language: Language) -> str:
    """What stands below the code that a phone scans in place of a card."""
    at = 0 if language == "fr" else 1
    return _spaced(_PHONE[at], at)


def with_door(told: Said, text: str) -> Said:
    """The same, with the door's state at the foot: whoever stands there wants to know that before anything else."""
    return replace(told, foot=text) if text else told


_Pair = tuple[str, str]  # French, English
_Three = tuple[_Pair, _Pair, _Pair]  # headline, text, short

_PHONE: _Pair = ("Sans badge? Scannez-moi", "No badge? Scan me")
_READY: _Three = (
    ("Bienvenue", "Welcome"),
    ("Posez votre badge ici, en arrivant et en partant.", "Lay your badge here, when you arrive and when you leave."),
    ("Posez votre badge ici", "Lay your badge here"),
)
_ACCEPTED: dict[str, _Three] = {
    "in": (
        ("Bonjour!", "Hello!"),
        ("Votre arrivée est notée. Bonne journée parmi nous.", "Your arrival is noted. Enjoy your day with us."),
        ("Arrivée notée", "Arrival noted"),
    ),
    "out": (
        ("À bientôt!", "See you soon!"),
        ("Votre départ est noté. Merci de votre visite.", "Your leaving is noted. Thank you for coming."),
        ("Départ noté", "Leaving noted"),
    ),
    "": (
        ("C'est noté", "Noted"),
        ("Votre passage est noté. Bienvenue.", "Your visit is noted. Welcome."),
        ("Passage noté", "Visit noted"),
    ),
}
_DESK: dict[str, _Pair] = {
    "in": ("Bonjour! Un mot à l'accueil?", "Hello! A word at the desk?"),
    "out": ("À bientôt! Un mot à l'accueil?", "See you! A word at the desk?"),
    "": ("Un mot à l'accueil?", "A word at the desk?"),
}
_NOTED: _Pair = ("Votre passage est noté.", "Your visit is noted.")
_WHY: dict[str, tuple[_Pair, _Pair]] = {  # of "desk": text, short
    "": (
        ("Passez voir l'équipe quand vous voulez.", "Come and see the team whenever you like."),
        ("Noté. Voyez l'équipe", "Noted. See the team"),
    ),
    "stale list": (
        ("Les nouvelles de votre lieu datent un peu.", "The news of your home place is a little old."),
        ("Noté. Nouvelles un peu anciennes", "Noted. Our news is a little old"),
    ),
    "no list": (
        ("Votre lieu ne nous a pas encore écrit, c'est en route.", "Your home place has not written to us yet."),
        ("Noté. Votre lieu doit encore écrire", "Noted. Your home place must still write"),
    ),
    "no clock": (
        (
            "Notre horloge cherche l'heure; l'accueil la note avec vous.",
            "Our clock is looking for the time; tell the desk.",
        ),
        ("Noté sans l'heure", "Noted without the time"),
    ),
}
_NOT_KEPT: tuple[_Pair, _Pair] = (
    (
        "Nous n'avons pas pu noter ce passage, c'est de notre fait. L'accueil le note à la main.",
        "We could not write this visit down; the fault is ours. The desk notes it by hand.",
    ),
    ("Pas noté ici: l'accueil le note", "Not noted here: the desk does"),
)
_NO_CREDIT: dict[str, _Pair] = {
    "in": ("Bienvenue quand même", "Welcome all the same"),
    "out": ("Merci, à bientôt", "Thank you, see you soon"),
    "": ("Bienvenue quand même", "Welcome all the same"),
}
_NO_CREDIT_TEXT: tuple[_Pair, _Pair] = (
    ("Plus de demi-journée en réserve: parlons-en, sans urgence.", "No half-day is left: let us talk, no hurry."),
    ("Noté. Crédit: parlons-en", "Noted. Credit: let us talk"),
)
_UNKNOWN: _Pair = ("Badge pas reconnu", "Badge not recognised")
_UNKNOWN_WHY: dict[str, tuple[_Pair, _Pair]] = {
    "": (
        ("L'équipe vous aide, passez à l'accueil.", "The team helps you at the desk."),
        ("L'équipe vous aide", "The team helps"),
    ),
    "revoked": (
        ("Ce badge n'est plus en service. L'équipe vous aide.", "This badge is no longer in use. The team helps you."),
        ("Plus en service: voyez l'équipe", "No longer in use: see the team"),
    ),
    "expired": (
        (
            "Ce badge est arrivé à sa date. L'équipe le renouvelle.",
            "This badge has reached its date. The team renews it.",
        ),
        ("Date passée: voyez l'équipe", "Past its date: see the team"),
    ),
    "signature": (
        (
            "Ce qui est écrit sur ce badge ne se vérifie pas. L'équipe vous aide.",
            "What is on this badge cannot be checked. The team helps you.",
        ),
        ("Vérification impossible: voyez l'équipe", "Cannot be checked: see the team"),
    ),
    "replay": (
        (
            "Ce code a déjà servi. Reposez le badge, ou montrez un code neuf.",
            "This code was used before. Lay the badge again, or show a new code.",
        ),
        ("Code déjà servi: reposez le badge", "Code used before: lay it again"),
    ),
    "not listed": (
        (
            "Aucun lieu ne nous en a encore parlé. L'équipe vous aide.",
            "No place has told us of it yet. The team helps you.",
        ),
        ("Pas encore inscrit: voyez l'équipe", "Not listed yet: see the team"),
    ),
    "unreadable": (
        ("Reposez-le bien à plat, un instant de plus.", "Lay it flat again, a moment longer."),
        ("Reposez-le un instant de plus", "Lay it again, a moment longer"),
    ),
}
_UNPLUGGED: _Three = (
    ("Lecteur débranché", "Reader unplugged"),
    (
        "Les badges ne peuvent pas être lus. Dites-le à l'équipe, elle note votre passage.",
        "Badges cannot be read. Tell the team: they note your visit.",
    ),
    ("Dites-le à l'équipe", "Please tell the team"),
)
_SENDING: _Three = (
    ("Envoi en cours", "Sending"),
    (
        "Les passages gardés ici partent. Vous pouvez poser votre badge.",
        "The visits kept here are being sent. You can lay your badge.",
    ),
    ("Vous pouvez poser votre badge", "You can lay your badge"),
)
_AWAY: _Three = (
    ("Un instant", "One moment"),
    (
        "Cet écran n'a plus de nouvelles du lecteur. Dites votre passage à l'équipe.",
        "This screen has lost the reader. Please tell the team of your visit.",
    ),
    ("Écran sans nouvelles", "Screen without news"),
)
_DOOR: dict[str, _Pair] = {
    "open": ("Porte tenue ouverte", "Door held open"),
    "lock": ("Porte tenue fermée", "Door held shut"),
}


def _spaced(text: str, at: int) -> str:
    """In French a space that does not break stands before these marks."""
    return text if at else re.sub(r"([!?:;])", "\u00a0\\1", text)


def _said(showing: Showing, at: int) -> tuple[str, str, str]:
    if showing.state in ("desk", "no_credit"):
        return _noted(showing, at)
    if showing.state == "unknown":
        text, short = _UNKNOWN_WHY.get(showing.reason, _UNKNOWN_WHY[""])
        return _UNKNOWN[at], text[at], short[at]
    plain = {"ready": _READY, "unplugged": _UNPLUGGED, "sending": _SENDING}
    headline, text, short = plain.get(showing.state) or _ACCEPTED[showing.direction]
    return headline[at], text[at], short[at]


def _noted(showing: Showing, at: int) -> tuple[str, str, str]:
    """A visit that counts, with something to tell; unless it could not be written down."""
    if showing.reason == "not kept":
        return _DESK[""][at], _NOT_KEPT[0][at], _NOT_KEPT[1][at]
    pair, short = _WHY.get(showing.reason, _WHY[""])
    why = _age(showing.list_age_days, at) if showing.reason == "stale list" else pair[at]
    if showing.state == "desk":
        return _DESK[showing.direction][at], f"{_NOTED[at]} {why}", short[at]
    return _NO_CREDIT[showing.direction][at], f"{_NOTED[at]} {_NO_CREDIT_TEXT[0][at]}", _NO_CREDIT_TEXT[1][at]


def _age(days: int | None, at: int) -> str:
    """How old the home's list is."""
    if days is None:
        return _WHY["stale list"][0][at]
    many = "s" if days > 1 else ""
    french = f"Les nouvelles de votre lieu ont {days} jour{many}."
    return (french, f"The news of your home place is {days} day{many} old.")[at]


def _credit(showing: Showing, at: int, zone: tzinfo) -> str:
    """As "3 demi-journées, su le 24/11": what was known may have changed since."""
    count = showing.credit_half_days
    if count is None:
        return ""
    many = abs(count) > 1 if at == 0 else abs(count) != 1
    left = f"{_signed(count)} {('demi-journée', 'half-day')[at]}{'s' if many else ''}"
    if showing.credit_utc_s is None:
        return left + (", date inconnue", ", day not known")[at]
    return left + (", su le ", ", as of ")[at] + _day(showing.credit_utc_s, at, zone)


def _credit_short(showing: Showing, at: int, zone: tzinfo) -> str:
    """As "3 demi-j. (24/11)"."""
    count = showing.credit_half_days
    if count is None:
        return ""
    day = "?" if showing.credit_utc_s is None else _day(showing.credit_utc_s, at, zone)
    return f"{_signed(count)} {('demi-j.', 'half-d.')[at]} ({day})"


def _signed(count: int) -> str:
    return str(count).replace("-", "\u2212")


def _day(utc_s: int, at: int, zone: tzinfo) -> str:
    day = datetime.fromtimestamp(utc_s, zone)
    return (f"{day:%d/%m}", f"{day.day} {_MONTHS[day.month - 1]}")[at]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _waiting(showing: Showing, at: int) -> str:
    if not showing.waiting:
        return ""
    many = "s" if showing.waiting > 1 else ""
    return (f"{showing.waiting} passage{many} à envoyer", f"{showing.waiting} visit{many} to send")[at]
