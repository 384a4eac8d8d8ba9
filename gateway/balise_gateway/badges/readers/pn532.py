"""A PN532 on a serial line or a USB adapter, by nfcpy (extra `badge`).

Promises:
* The line stays at 115,200 baud, the chip's own speed. nfcpy's `init` raises it to 921,600 where `stty` agrees; the
  acknowledgement that ends the change can be lost when the port is closed right after it, and a host that crashes
  leaves a chip that nobody finds until its power is cut. So the chip is woken here (`_pn532_line.py`) and nfcpy gets it
  after that. A chip that another program has left at a higher speed is brought back first.
* One device, named by its whole path. nfcpy's bare `tty` talks to every serial port, and a dust sensor may hang there.
* An own loop of `sense()`: `connect()` returns False at a fault of the line as at Ctrl-C.
* A card is one sighting until it was missed several times in a row. One that was torn away before it could be read is
  handed over without UID and URI: a plain UID may not pass for a card that signs.

Leaves the card's memory to `_cards.py`. No authentication of MIFARE Classic: its cipher proves nothing, its UID is
read. Tested on an emulated chip, on no real one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from balise_gateway.badges import needs
from balise_gateway.badges.readers._base import DeviceAway, ReaderSettings
from balise_gateway.badges.readers._loop import CardLoop, CardReader
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

NEEDS = needs.SERIAL


@dataclass(frozen=True, kw_only=True)
class Settings(ReaderSettings):
    """[[reader]] with kind = "pn532"."""

    path: Annotated[
        Path, Key("the reader's port, such as /dev/serial0 or /dev/serial/by-id/usb-…; nothing is searched")
    ]
    originality: Annotated[bool, Key("read NXP's signature of the UID too; takes 10 ms")] = False
    poll_s: Annotated[float, Key("how long to wait between two looks for a card", 0.02, 2.0)] = 0.1

    def problem(self) -> str | None:
        if self.path.is_absolute():
            return None
        given = str(self.path)
        if given.split(":")[0] in ("tty", "usb", "com"):
            return f"path = {given!r}: a search would talk to every serial port and disturb what hangs there; name one"
        return f"path = {given!r}: give one whole path, such as /dev/serial0"


class Reader(CardReader):
    """One PN532."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, str(settings.path))
        self._settings = settings

    def _open(self) -> CardLoop:
        try:
            from balise_gateway.badges.readers import _pn532_chip, _pn532_line
        except ImportError as error:
            raise MissingExtra("a reader of kind pn532", "nfcpy", "badge") from error
        line = _pn532_line.Line(str(self._settings.path))
        try:
            _pn532_line.wake(line, self._counters)
            chip = _pn532_chip.awake(line)
        except DeviceAway:
            line.close()
            raise
        return CardLoop(self, chip, self._settings.poll_s, self._settings.originality)
