"""Words, colours and shapes: everybody understands each state, whatever they see, and nobody is accused."""

import itertools
import re
from dataclasses import replace
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from balise_gateway.badges.outputs import _look, _words
from balise_gateway.badges.outputs._words import Language, Said
from balise_gateway.badges.showing import Reason, Showing
from gateway.badges.outputs.showings import KNOWN_UTC_S, REASONS, STATES, every

LANGUAGES: tuple[Language, ...] = get_args(Language)
PARIS = ZoneInfo("Europe/Paris")
ACCUSING = re.compile(
    r"interdit|refus|invalide|fraud|vol[ée]|faux|interdiction|denied|refused|invalid|forbidden|stolen|fake|dette|debt",
    re.I,
)


def told(said: Said) -> str:
    return " ".join((said.headline, said.text, said.short, said.credit, said.foot))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_and_reason_has_words(language: Language) -> None:
    for showing in every():
        said = _words.said(showing, language, PARIS)
        assert said.headline, showing
        assert said.text, showing
        assert said.short, showing
        assert bool(said.credit) == bool(said.credit_short) == (showing.credit_half_days is not None)


def test_the_two_languages_are_two_languages() -> None:
    for showing in every():
        french, english = (_words.said(showing, language, PARIS) for language in LANGUAGES)
        assert french.headline != english.headline
        assert french.text != english.text
        assert french.short != english.short


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_accuses(language: Language) -> None:
    for showing in every():
        assert not ACCUSING.search(told(_words.said(showing, language, PARIS)))
    assert not ACCUSING.search(told(_words.away(language)))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["desk", "unknown"])
def test_each_reason_is_told_apart(language: Language, state: str) -> None:
    meant: dict[str, tuple[Reason, ...]] = {
        "desk": ("stale list", "no list", "no clock", "not kept"),
        "unknown": ("revoked", "expired", "signature", "replay", "not listed", "unreadable"),
    }
    for form in ("text", "short"):
        texts = [getattr(_words.said(Showing(state, reason), language), form) for reason in meant[state]]  # type: ignore[arg-type]
        assert len(set(texts)) == len(meant[state])


def test_what_requirement_18_had_drawn() -> None:
    """Reference R18: lay your badge, access, contact the team, no credit, sending stored visits, reader unplugged."""
    parts = {
        "ready": ("Bienvenue", "Posez votre badge"),
        "accepted": ("Bonjour", "arrivée est notée"),
        "unknown": ("Badge pas reconnu", "L'équipe vous aide"),
        "no_credit": ("Bienvenue quand même", "parlons-en"),
        "sending": ("Envoi en cours", "passages gardés"),
        "unplugged": ("Lecteur débranché", "équipe"),
    }
    for state, (headline, text) in parts.items():
        said = _words.said(Showing(state, direction="in"), "fr")  # type: ignore[arg-type]
        assert headline in said.headline
        assert text in said.text


def test_credit_is_shown_with_the_day_it_was_known() -> None:
    showing = Showing("accepted", direction="in", credit_half_days=3, credit_utc_s=KNOWN_UTC_S)
    assert _words.said(showing, "fr", PARIS).credit == "3 demi-journées, su le 24/11"
    assert _words.said(showing, "en", PARIS).credit == "3 half-days, as of 24 Nov"
    assert _words.said(replace(showing, credit_half_days=1), "fr", PARIS).credit == "1 demi-journée, su le 24/11"
    assert _words.said(replace(showing, credit_half_days=0), "fr", PARIS).credit == "0 demi-journée, su le 24/11"
    assert _words.said(replace(showing, credit_half_days=0), "en", PARIS).credit == "0 half-days, as of 24 Nov"
    assert _words.said(replace(showing, credit_utc_s=None), "fr", PARIS).credit == "3 demi-journées, date inconnue"


def test_the_day_is_the_one_of_the_place() -> None:
    late = Showing("accepted", credit_half_days=2, credit_utc_s=KNOWN_UTC_S + 7 * 3600 + 1800)  # 23:30 UTC
    assert "24/11" in _words.said(late, "fr").credit
    assert "25/11" in _words.said(late, "fr", PARIS).credit


def test_who_comes_and_who_goes_is_greeted() -> None:
    for state in ("accepted", "desk"):
        comes, goes = (Showing(state, direction=way) for way in ("in", "out"))  # type: ignore[arg-type]
        assert "Bonjour" in _words.said(comes, "fr").headline
        assert "À bientôt" in _words.said(goes, "fr").headline


def test_a_visit_that_was_not_kept_is_never_said_to_be_noted() -> None:
    for state, language in itertools.product(("desk", "no_credit"), LANGUAGES):
        said = _words.said(Showing(state, "not kept"), language)  # type: ignore[arg-type]
        for text in (said.headline, said.text, said.short):
            assert not re.search(r"est noté|\bNoté\b|is noted|^Noted", text)


def test_french_marks_have_a_space_that_does_not_break() -> None:
    for showing in every():
        said = _words.said(showing, "fr", PARIS)
        assert not re.search(r"[^\u00a0][!?:;]|\u00a0\u00a0", said.headline + said.text + said.short)


def test_only_accepted_is_green() -> None:
    for state, look in _look.LOOKS.items():
        red, green, blue = (int(look.background[at : at + 2], 16) for at in (1, 3, 5))
        assert (green > 1.2 * max(red, blue)) == (state == "accepted"), state


def test_no_two_states_share_colour_or_shape() -> None:
    assert set(_look.LOOKS) == {*STATES, "away"}
    for by in ("background", "symbol", "shape"):
        assert len({getattr(look, by) for look in _look.LOOKS.values()}) == len(_look.LOOKS), by


def test_no_two_states_share_symbol_and_headline() -> None:
    seen: dict[tuple[object, str], str] = {}
    for showing in every():
        for language in LANGUAGES:
            key = (_look.LOOKS[showing.state].shape, _words.said(showing, language).headline)
            assert seen.setdefault(key, showing.state) == showing.state


def linear(colour: str) -> list[float]:
    """WCAG 2.1, relative luminance."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # the well-known lightest grey on white


@pytest.mark.parametrize("state", _look.LOOKS)
def test_ink_stands_out(state: str) -> None:
    """WCAG 2.1, 1.4.3 (AA)."""
    look = _look.LOOKS[state]
    assert contrast(look.background, look.ink) >= 4.5


def deuteranope(colour: str) -> tuple[float, float, float]:
    """CIE Lab of what is seen (Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB)."""
    matrix = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
    seen = linear(colour)
    red, green, blue = (max(0.0, sum(m * part for m, part in zip(row, seen, strict=True))) for row in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def test_colours_differ_for_deuteranopes() -> None:
    """A CIE76 distance of 20 is about ten times what can just be seen."""
    for one, other in itertools.combinations(_look.LOOKS, 2):
        first, second = deuteranope(_look.LOOKS[one].background), deuteranope(_look.LOOKS[other].background)
        distance = sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5
        assert distance >= 20, (one, other, distance)


def test_the_reasons_are_those_of_showing() -> None:
    assert set(_words._WHY) | set(_words._UNKNOWN_WHY) | {"not kept"} == set(REASONS)
