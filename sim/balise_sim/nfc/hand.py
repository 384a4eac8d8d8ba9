"""A hand before a simulated reader, moved by typed lines: cards laid and taken, cables pulled, faults switched on.

Promises that a card keeps its UID from run to run, as it is made of its name, and that a line which cannot be done says
what would. Leaves the terminal to `balise sim reader`, and the reader to pn532_tty.py.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from balise_sim.nfc import faults
from balise_sim.nfc.cards import Card, desfire, mifare_classic, ntag21x, ntag424
from balise_sim.nfc.pn532_tty import Pn532Tty

NXP = 0x04  # the manufacturer's code that a UID of 7 bytes begins with
CHIPS = ("ntag213", "ntag215", "ntag216", "ntag424", "classic", "desfire")
CRASH_BAUD = 921_600


class HandError(ValueError):
    """A line that cannot be done, and what to type instead."""


@dataclass(frozen=True)
class Move:
    words: str
    does: str
    run: Callable[[list[str]], str]


def uri_record(uri: str) -> bytes:
    """An NDEF message of one URI record, nothing abbreviated (NFC Forum, URI record type definition)."""
    payload = b"\x00" + uri.encode()
    if len(payload) < 0x100:
        return bytes([0xD1, 1, len(payload)]) + b"U" + payload
    return b"\xc1\x01" + len(payload).to_bytes(4, "big") + b"U" + payload


def card_named(name: str, chip: str, uri: str = "") -> Card:
    """A card whose UID is made of its name. Raises HandError for a chip there is none of, or that takes no such URL."""
    digest = hashlib.sha256(name.encode()).digest()
    uid = bytes([NXP]) + digest[:6]
    if chip not in CHIPS:
        raise HandError(f"no chip {chip!r}; there are {', '.join(CHIPS)}")
    if chip == "classic":
        return mifare_classic.Model(digest[:4])
    if chip == "desfire":
        return desfire.Model(uid)
    try:
        return _with_uri(ntag424.Model(uid) if chip == "ntag424" else ntag21x.Model(uid, chip.upper()), uri)
    except KeyError as error:
        raise HandError(f"an NTAG 424 fills in {{picc}}, {{uid}}, {{ctr}}, {{enc}} and {{cmac}}, not {error}") from None
    except ValueError as error:
        raise HandError(str(error)) from None


def _with_uri(card: ntag424.Model | ntag21x.Model, uri: str) -> Card:
    if isinstance(card, ntag424.Model) and "{" in uri:
        card.set_sun(uri)
    elif uri:
        card.set_ndef(uri_record(uri))
    return card


class Hand:
    """`do` one typed line; it returns what to show."""

    def __init__(self, reader: Pn532Tty) -> None:
        self._reader = reader
        self._cards: dict[str, Card] = {}
        self._moves = {
            move.words.split()[0]: move
            for move in (
                Move("card NAME CHIP [URL]", f"makes a card: {', '.join(CHIPS)}", self._card),
                Move("lay NAME", "lays a card on the reader", self._lay),
                Move("take [NAME]", "takes this card away, or all", self._take),
                Move("tear N", "the cards answer N commands more, then they are gone", self._tear),
                Move("fault NAME [TIMES]", f"{', '.join(faults.NAMES)}; 'fault off' ends all", self._fault),
                Move("crash", "leaves the chip at 921,600 baud, as a host does that crashes", self._crash),
                Move("power", "cuts the chip's power and gives it back", self._power),
                Move("unplug", "pulls the cable: the path is gone", self._unplug),
                Move("plug", "puts it back", self._plug),
                Move("show", "the cards, and what the chip is doing", self._show),
                Move("help", "this list", self._help),
            )
        }

    def do(self, line: str) -> str:
        """Raises HandError."""
        words = line.split()
        if not words:
            return ""
        move = self._moves.get(words[0])
        if move is None:
            raise HandError(f"{words[0]!r} is none of {', '.join(self._moves)}")
        try:
            return move.run(words[1:])
        except (IndexError, TypeError):
            raise HandError(f"type: {move.words}") from None

    def _card(self, words: list[str]) -> str:
        name, chip, *uri = words[0], words[1].lower(), *words[2:3]
        if name in self._cards:
            raise HandError(f"there is a card {name!r}: lay {name}")
        self._cards[name] = card_named(name, chip, *uri)
        return f"{name}: {chip} {self._cards[name].uid.hex()}"

    def _named(self, name: str) -> Card:
        if name not in self._cards:
            raise HandError(f"no card {name!r}: card {name} ntag213 https://…")
        return self._cards[name]

    def _lay(self, words: list[str]) -> str:
        self._reader.lay(self._named(words[0]))
        return self._show([])

    def _take(self, words: list[str]) -> str:
        self._reader.take_away(self._named(words[0]) if words else None)
        return self._show([])

    def _tear(self, words: list[str]) -> str:
        if not words[0].isdecimal():
            raise HandError("type: tear N")
        self._reader.tear_away_after(int(words[0]))
        return ""

    def _fault(self, words: list[str]) -> str:
        if words[0] == "off":
            self._reader.faults.switch_off()
            return ""
        times = words[1] if len(words) > 1 else ""
        if words[0] not in faults.NAMES or (times and not times.isdecimal()):
            raise HandError(f"type: fault NAME [TIMES], with one of {', '.join(faults.NAMES)}, or off")
        self._reader.faults.switch_on(words[0], int(times) if times else faults.ALWAYS)
        return faults.NAMES[words[0]]

    def _crash(self, words: list[str]) -> str:
        self._reader.leave_at(CRASH_BAUD)
        return self._show([])

    def _power(self, words: list[str]) -> str:
        self._reader.cut_power()
        return self._show([])

    def _unplug(self, words: list[str]) -> str:
        self._reader.unplug()
        return ""

    def _plug(self, words: list[str]) -> str:
        self._reader.replug()
        return str(self._reader.path)

    def _show(self, words: list[str]) -> str:
        lying = [name for name, card in self._cards.items() if card in self._reader.cards]
        on_it = " and ".join(lying) if lying else "nothing"
        return f"{on_it} on the reader; {self._reader.commands} commands heard, {self._reader.baud} baud"

    def _help(self, words: list[str]) -> str:
        return "\n".join(f"{move.words:<22} {move.does}" for move in self._moves.values())
