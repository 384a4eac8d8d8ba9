"""What the desk page shows, as HTML: the door where the token is typed, and the desk behind it.

Promises that every text from outside is escaped. Leaves requests to `routes.py`.
"""

from collections import Counter
from collections.abc import Mapping
from html import escape

from balise_gateway.badges.desk_page.places import DeskPlace, Line, shown_name
from balise_gateway.badges.desk_page.words import is_word, page, word
from balise_gateway.badges.register import Member
from balise_wire.card import printed

HOME = "/badge/desk"
_DAY_S = 86_400


def door(english: bool, bad: str) -> str:
    """Where the token is typed; `bad` names what was wrong."""
    body = (
        f"<header><h1>{word('title', english)}</h1>{_other(english)}</header>{_message({'bad': bad}, english)}"
        f'<form method="post" action="{HOME}/open">{_lang(english)}<label for="t">{word("token", english)}</label>'
        f'<input id="t" name="token" type="password" autocomplete="current-password" required autofocus>'
        f"<button>{word('open', english)}</button></form>"
    )
    return page(word("title", english), body, english)


def desk(place: DeskPlace, english: bool, told: Mapping[str, str], stale_s: float) -> str:
    """The desk of a place. Raises BadgeError while the time is not known."""
    body = (
        f"<header><h1>{escape(place.name)}</h1>{_other(english)}</header>{_message(told, english)}"
        f"{_record_form(place, english)}{_today(place, english)}{_subscribers(place, english)}"
        f"{_lists(place, english, stale_s)}"
        f'<form class="leave" method="post" action="{HOME}/leave">{_lang(english)}'
        f'<button class="small">{word("leave", english)}</button></form>'
    )
    return page(place.name, body, english)


def _record_form(place: DeskPlace, english: bool) -> str:
    members = place.subscribers()
    times = Counter(map(shown_name, members))
    names = [(member.id, _told_apart(place, member, times)) for member in members]
    options = "".join(f'<option value="{escape(id_)}">{escape(name)}</option>' for id_, name in names)
    return (
        f'<h2>{word("record", english)}</h2><form method="post" action="{HOME}/record">{_lang(english)}'
        f'<label for="m">{word("name", english)}</label>'
        f'<select id="m" name="member"><option value="">{word("pick", english)}</option>{options}</select>'
        f'<div class="row"><div><label for="n">{word("number", english)}</label>'
        '<input id="n" name="number" autocomplete="off" autocapitalize="characters" placeholder="XXXXX-XXXXX"></div>'
        f'<div><label for="h">{word("time", english)}</label><input id="h" name="time" type="time"></div></div>'
        f"<button>{word('save', english)}</button></form>"
    )


def _told_apart(place: DeskPlace, member: Member, times: Mapping[str, int]) -> str:
    """Two people of one name: with a card's number beside it."""
    name = shown_name(member)
    cards = list(place.register.cards(member.id)) if times[name] > 1 else []
    return f"{name} ({printed(cards[0].number)})" if cards else name


def _today(place: DeskPlace, english: bool) -> str:
    rows = "".join(_line(place, line, english) for line in reversed(place.today()))
    body = f"<table>{rows}</table>" if rows else f"<p>{word('nobody', english)}</p>"
    return f'<h2>{word("today", english)}</h2>{body}<p class="hint">{word("mistake", english)}</p>'


def _line(place: DeskPlace, line: Line, english: bool) -> str:
    who = escape(line.name) or f"{word('visitor', english)} {escape(line.home)}"
    shown = f'<span class="gone">{who}</span>' if line.cancelled else who
    ask = "" if line.cancelled or not line.typed else _sure("cancel", "tap", str(line.tap), ("cancel", "sure"), english)
    when = place.clock_time(line.utc_s)
    return f'<tr><td>{when}</td><td>{shown}</td><td>{word(line.direction, english)}</td><td class="do">{ask}</td></tr>'


def _subscribers(place: DeskPlace, english: bool) -> str:
    rows = "".join(_subscriber(place, member, english) for member in place.subscribers())
    body = f"<table>{rows}</table>" if rows else f"<p>{word('none', english)}</p>"
    more = _enter_form(english) if place.may_enter else f'<p class="hint">{word("elsewhere", english)}</p>'
    return f"<h2>{word('subscribers', english)}</h2>{body}{more}"


def _subscriber(place: DeskPlace, member: Member, english: bool) -> str:
    end = _sure("end", "member", member.id, ("end", "sure_end"), english) if place.may_enter else ""
    name = escape(shown_name(member))
    return f'<tr><td>{name}<div class="hint">{_numbers(place, member.id)}</div></td><td class="do">{end}</td></tr>'


def _enter_form(english: bool) -> str:
    return (
        f"<details><summary>{word('add', english)}</summary>"
        f'<form method="post" action="{HOME}/enter">{_lang(english)}<label for="f">{word("full_name", english)}</label>'
        f'<input id="f" name="name" maxlength="80" required autocomplete="off">'
        f'<label for="c">{word("card", english)}</label><input id="c" name="number" autocomplete="off">'
        f"<button>{word('enter', english)}</button></form></details>"
    )


def _numbers(place: DeskPlace, member: str) -> str:
    return "<br>".join(printed(card.number) for card in place.register.cards(member) if card.state == "active")


def _lists(place: DeskPlace, english: bool, stale_s: float) -> str:
    rows = ""
    for told in place.lists.ages(place.now().utc_s, stale_s):
        age_s = told["age_s"]
        if not isinstance(age_s, int):
            age = word("list_none", english)
        else:
            age = word("list_age", english).format(age_s // _DAY_S) if age_s >= _DAY_S else word("list_new", english)
            age += f" – {word('list_old', english)}" if told["stale"] else ""
        rows += f"<tr><td>{escape(str(told['home']))}</td><td>{age}</td></tr>"
    return f"<h2>{word('lists', english)}</h2><table>{rows}</table>" if rows else ""


def _sure(deed: str, field: str, value: str, words: tuple[str, str], english: bool) -> str:
    """A deed that is asked twice, without a script."""
    return (
        f"<details><summary>{word(words[0], english)}</summary>"
        f'<form method="post" action="{HOME}/{deed}">{_lang(english)}'
        f'<input type="hidden" name="{field}" value="{escape(value)}">'
        f'<button class="small">{word(words[1], english)}</button></form></details>'
    )


def _message(told: Mapping[str, str], english: bool) -> str:
    bad, done = f"bad_{told.get('bad', '')}", f"done_{told.get('done', '')}"
    if told.get("bad") and is_word(bad):
        return f'<p class="wrong" role="alert">{word(bad, english)}</p>'
    if told.get("done") and is_word(done):
        return f'<p class="told" role="status">{word(done, english).format(escape(told.get("at", "")[:20]))}</p>'
    return ""


def _lang(english: bool) -> str:
    return '<input type="hidden" name="lang" value="en">' if english else ""


def _other(english: bool) -> str:
    there, lang = (HOME, "fr") if english else (f"{HOME}?lang=en", "en")
    return f'<a href="{there}" lang="{lang}">{word("other", english)}</a>'
