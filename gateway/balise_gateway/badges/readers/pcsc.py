"""Any PC/SC reader, ACR122U among them, through pcscd by pyscard (extra `pcsc`).

Promises UID, messages of type 2 and type 4 tags, and writing to them, by what PC/SC Part 3 says for every contactless
reader; what it has no words for (product and signature of an NTAG21x) goes straight to the chip in readers that pass
it on (`direct`). A reader that is pulled out and a pcscd that is restarted are said and found again. Leaves the card's
memory to `_cards.py`, drivers and cables to pcscd. Sources: PC/SC Part 3, rev. 2.01.09, 3.1.3.2.3 and 3.2.2; ACS,
"ACR122U API", v2.04, 6.1 and 6.7. Tested on the real pcscd with an emulated reader, on no real one.
"""

from dataclasses import dataclass
from typing import Annotated

from balise_gateway.badges.needs import Need
from balise_gateway.badges.readers._base import ReaderSettings
from balise_gateway.badges.readers._loop import CardLoop, CardReader
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

NEEDS = Need(pcscd=True)


@dataclass(frozen=True, kw_only=True)
class Settings(ReaderSettings):
    """[[reader]] with kind = "pcsc"."""

    reader: Annotated[str, Key("a part of the reader's name as pcsc_scan shows it; empty: the only one there is")] = ""
    buzzer: Annotated[bool, Key("false: an ACR122U makes no sound of its own when a card is laid down")] = True
    direct: Annotated[
        bool | None, Key("hand commands straight to the reader's chip; unset: if its name says that it is an ACR122")
    ] = None
    originality: Annotated[bool, Key("read NXP's signature of the UID too")] = False
    poll_s: Annotated[float, Key("how long to wait between two looks for a card", 0.02, 2.0)] = 0.1


class Reader(CardReader):
    """One reader of pcscd's."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.reader or "the reader of pcscd")
        self._settings = settings

    def _open(self) -> CardLoop:
        try:
            from balise_gateway.badges.readers import _pcsc_field
        except ImportError as error:
            raise MissingExtra("a reader of kind pcsc", "pyscard", "pcsc") from error
        settings = self._settings
        field = _pcsc_field.opened(settings.reader, settings.direct, settings.buzzer, self._counters)
        return CardLoop(self, field, settings.poll_s, settings.originality)
