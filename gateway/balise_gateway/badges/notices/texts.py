"""Which notices there are, in which languages. The words: `french.py`, `english.py`.

Promises every point of GDPR art. 13 (who, what for, on which basis, who receives it, how long, which rights, where to
complain), the periods of this configuration, and their sources, in both languages alike. Leaves form to `as_html.py`
and `as_pdf.py`.

Periods: entries and exits three months (CNIL, délibération 2006-102 art. 4; preventica.com, 30/04/2018); identity and
badge number while authorised, at most five years after departure (the same délibération); accounts ten years (cnil.fr,
« Les durées de conservation des données »); not for checking movements inside (cnil.fr, « L'accès aux locaux et le
contrôle des horaires »).
"""

from collections.abc import Callable

from balise_gateway.badges.notices import Facts, Notice, english, french

LANGUAGES = ("fr", "en")
_SIGNS: dict[str, Callable[[Facts], Notice]] = {"fr": french.sign, "en": english.sign}
_INFORMATION: dict[str, Callable[[Facts], Notice]] = {"fr": french.information, "en": english.information}


def sign(facts: Facts, language: str) -> Notice:
    """What hangs at the reader."""
    return _SIGNS[language](facts)


def information(facts: Facts, language: str) -> Notice:
    """What members read, or are given."""
    return _INFORMATION[language](facts)
