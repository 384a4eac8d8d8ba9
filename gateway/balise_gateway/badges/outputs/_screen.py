"""What all screens are told: language, time zone, the place's name.

Promises that keys which are left empty are those of `[badge]` and `[gateway]`. Leaves filling them in to
`config.py`, which reads all sections.
"""

from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway.badges.outputs import _words
from balise_gateway.badges.outputs._override import Override
from balise_gateway.badges.outputs._words import Language, Said
from balise_gateway.badges.showing import Showing
from balise_gateway.settings import Key


@dataclass(frozen=True, kw_only=True)
class ScreenSettings:
    """The keys of every screen."""

    kind: Annotated[str, Key("what shows, sounds or opens")]
    language: Annotated[Literal["", "fr", "en"], Key('"fr" or "en"; empty: as [badge] says')] = ""
    place_name: Annotated[str, Key("what stands below; empty: the name in [badge]")] = ""
    time_zone: Annotated[str, Key("of the days that are shown; empty: as [gateway] says")] = ""
    show_credit: Annotated[bool, Key("false: how many half-days are left is not shown at the door")] = True
    data_dir: Annotated[Path | None, Key("where the door's state by hand lies; unset: as [gateway] says")] = None

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.time_zone) if self.time_zone else UTC

    def said(self, showing: Showing, language: Language) -> Said:
        """What this screen says of it."""
        shown = showing if self.show_credit else replace(showing, credit_half_days=None)
        said = _words.said(shown, language, self.zone)
        by_hand = _words.door(Override(self.data_dir).mode(), language) if self.data_dir is not None else ""
        return _words.with_door(said, by_hand)

    def problem(self) -> str | None:
        try:
            if self.time_zone:
                ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"time_zone = {self.time_zone!r}: not known here; write it as in Europe/Paris, or install tzdata"
        return None
