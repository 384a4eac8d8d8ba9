"""What people are told before they lay down a badge: the sign at the door, and the information for members (GDPR 13).

Promises texts that follow from the configuration (periods, a door, a camera, partners, the place's software), in French
and English, and that what the configuration does not say is a visible gap. They are drafts which the place checks, no
legal advice. Leaves words to `texts.py`, paper to `as_html.py` and `as_pdf.py`.
"""

import re
from dataclasses import dataclass
from typing import Any

from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.config import Config
from balise_gateway.errors import ConfigError
from balise_gateway.operation import devices

CNIL = "CNIL, 3 place de Fontenoy, TSA 80715, 75334 Paris Cedex 07, www.cnil.fr"
ACCOUNTS_YEARS, IDENTITY_YEARS = 10, 5


@dataclass(frozen=True)
class Facts:
    """What the notices need to know of a place."""

    place: str
    name: str
    contact: str
    keep_taps_days: int
    has_door: bool = False
    has_camera: bool = False
    has_partners: bool = False
    software: tuple[str, ...] = ()

    @property
    def gaps(self) -> tuple[str, ...]:
        """Keys of [badge] that the place must still fill in."""
        return tuple(key for key in ("name", "contact") if not getattr(self, key))


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, and points below them."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notice:
    """One text. `steps` are large on a sign; `gaps` is what the place must fill in; `draft` stands above all."""

    language: str
    title: str
    place: str
    steps: tuple[str, ...]
    sections: tuple[Section, ...]
    foot: str
    draft: str = ""
    gaps: tuple[str, ...] = ()


def facts_of(config: Config) -> Facts:
    """What this configuration says. Raises ConfigError when it has no [badge]."""
    badge = config.badge
    if badge is None:
        raise ConfigError(f'{config.file}: no [badge]: there is nothing to tell; add it, with place = "your.domain"')
    told = {need.notice for need in devices.each_of(config)}
    return Facts(
        badge.place,
        badge.name,
        badge.contact,
        badge.keep_taps_days,
        has_door="door" in told,
        has_camera="camera" in told,
        has_partners=_has_partners(badge),
        software=tuple(sorted({_kind(each) for each in config.connectors})),
    )


def _has_partners(badge: BadgeSettings) -> bool:
    return badge.agreement is not None or badge.table_key is not None


def _kind(part: Any) -> str:
    return str(part.kind)


def bound(text: str) -> str:
    """French marks with the space that does not break before (« after) them."""
    return re.sub(r" ([;:!?»])", "\u00a0\\1", text).replace("« ", "«\u00a0")
