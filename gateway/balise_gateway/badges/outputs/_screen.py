"""What all screens are told: language, time zone, the place's name.

Promises that keys which are left empty are those of `[badge]` and `[gateway]`. Leaves filling them in to
`config.py`, which reads all sections.
"""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway.badges.outputs import _words
from balise_gateway.badges.outputs._override import Override
from balise_gateway.badges.outputs._words import Language
from balise_gateway.settings import Key


@dataclass(frozen=True, kw_only=True)
class ScreenSettings:
    """The keys of every screen."""

    kind: Annotated[str, Key("the file's name")]
    language: Annotated[Literal["", "fr", "en"], Key('"fr" or "en"; empty: as [badge] says')] = ""
    place_name: Annotated[str, Key("what stands below; empty: the name in [badge]")] = ""
    time_zone: Annotated[str, Key("of the days that are shown; empty: as [gateway] says")] = ""
    data_dir: Annotated[Path | None, Key("where the door's state by hand lies; unset: as [gateway] says")] = None

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.time_zone) if self.time_zone else UTC

    def door_text(self, language: Language) -> str:
        """What is said of a door that somebody holds open or shut by hand."""
        return _words.door(Override(self.data_dir).mode(), language) if self.data_dir is not None else ""

    def problem(self) -> str | None:
        try:
            if self.time_zone:
                ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"time_zone = {self.time_zone!r}: not known here; write it as in Europe/Paris, or install tzdata"
        return None
