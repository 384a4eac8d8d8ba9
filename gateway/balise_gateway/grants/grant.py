"""A grant as the host writes it, `[hub.grant]` below its `[[hub]]`, and its digest.

Promises that a grant which was built can be carried out to the letter: its licence is one of the SPDX list below, its
purpose one of a few words, its days are in order. Leaves what it means for an item to `rules.py`.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from balise_gateway.settings import Key
from balise_wire import cbor

DIGEST_BYTES = 32
LICENCES = (  # SPDX identifiers of licences for data (spdx.org/licenses), and LicenseRef- as SPDX annex D allows
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-NC-ND-4.0",
    "ODbL-1.0",
    "ODC-By-1.0",
    "PDDL-1.0",
    "etalab-2.0",
    "DL-DE-BY-2.0",
    "DL-DE-ZERO-2.0",
    "OGL-UK-3.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "LicenseRef-no-reuse",  # for this recipient and this purpose only
)
_NEWER = "visits"  # a key that the first grants did not have
Purpose = Literal["public-information", "research", "public-policy", "education", "personal", "service"]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """[hub.grant]"""

    channels: Annotated[tuple[str, ...], Key('which channels leave: their names, or patterns such as "pm*"')]
    nodes: Annotated[tuple[str, ...], Key("which nodes they leave from: names, or patterns")] = ("*",)
    indoor: Annotated[bool, Key("also what is not said to be outdoors: people's lives can be read from it")] = False
    resolution_s: Annotated[int, Key("one row for so many seconds; 0: as they were measured", least=0, most=86_400)]
    delay_s: Annotated[float, Key("how long rows stay here before they leave", least=0, most=31_622_400)] = 0
    visits: Annotated[
        tuple[str, ...], Key("which badge visits leave, by the home of the visitor: places, or patterns")
    ] = ()
    place: Annotated[
        Literal["none", "commune", "1km", "300m", "exact"], Key("how precisely it is said where the nodes are")
    ] = "commune"
    purpose: Annotated[Purpose, Key("what the recipient may use it for")]
    purpose_text: Annotated[str, Key("the same in your own words")] = ""
    licence: Annotated[str, Key('the SPDX identifier of its licence, such as "CC-BY-4.0" or "ODbL-1.0"')]
    first_day: Annotated[datetime.date | None, Key("nothing measured before this day leaves")] = None
    last_day: Annotated[datetime.date | None, Key("nothing measured after this day leaves")] = None
    id: Annotated[str, Key("the grant's name; one that was withdrawn needs a new one to come back")] = "1"

    def problem(self) -> str | None:
        if self.licence not in LICENCES:
            return f"licence = {self.licence!r}; choose one of: {', '.join(LICENCES)}"
        if self.first_day and self.last_day and self.first_day > self.last_day:
            return f"last_day = {self.last_day} is before first_day = {self.first_day}; exchange them"
        if not self.channels and not self.visits:
            return 'channels is empty: name some, or "*" for all; without [hub.grant] nothing leaves at all'
        return None

    @property
    def delay_ms(self) -> int:
        return round(1_000 * self.delay_s)

    @property
    def narrows_time(self) -> bool:
        """Does it matter when a row was measured? Then rows without a time stay."""
        return bool(self.resolution_s or self.first_day or self.last_day)

    def covers(self, old: "Grant") -> bool:
        """Does it let through all that another does, for the same use?"""
        return (
            (set(old.channels) <= set(self.channels) or "*" in self.channels)
            and (set(old.nodes) <= set(self.nodes) or "*" in self.nodes)
            and (set(old.visits) <= set(self.visits) or "*" in self.visits)
            and self.indoor >= old.indoor
            and self.delay_s <= old.delay_s
            and self.resolution_s in (0, old.resolution_s)
            and (self.place in ("exact", old.place) or old.place == "none")
            and (self.purpose, self.purpose_text, self.licence) == (old.purpose, old.purpose_text, old.licence)
            and (self.first_day is None or (old.first_day is not None and self.first_day <= old.first_day))
            and (self.last_day is None or (old.last_day is not None and self.last_day >= old.last_day))
        )

    def terms(self) -> dict[str, object]:
        """All that it says, in plain values. Of visits only where some leave: older grants have the same digest."""
        told: dict[str, object] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == _NEWER and not value:
                continue
            value = list(value) if isinstance(value, tuple) else value
            value = int(value) if isinstance(value, float) and value.is_integer() else value  # CBOR without floats
            told[field.name] = value if isinstance(value, (str, int, list, type(None))) else str(value)
        return told

    def digest(self) -> bytes:
        """SHA-256 over all that it says, in deterministic CBOR: another grant has another digest."""
        return hashlib.sha256(cbor.encode(self.terms())).digest()


def of_terms(terms: Mapping[str, object]) -> Grant | None:
    """The grant that says this; None when it was written by another version of this program."""
    if set(terms) | {_NEWER} != {field.name for field in dataclasses.fields(Grant)}:
        return None
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in terms.items()}
    days = {name: _day(terms[name]) for name in ("first_day", "last_day")}
    return Grant(**{**found, **days, "delay_s": float(str(terms["delay_s"]))})  # type: ignore[arg-type]


def _day(told: object) -> datetime.date | None:
    return None if told is None else datetime.date.fromisoformat(str(told))
