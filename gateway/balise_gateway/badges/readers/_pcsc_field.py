"""A reader of pcscd's as a `Field`, and the card on it as a `Link`, by the calls of winscard.h.

Promises that whatever pcscd answers becomes a card, a CardLost, or a DeviceAway that says what to try. Imported only
when a reader of this kind runs: it needs pyscard.
"""

import time
from collections import Counter
from typing import Any

from smartcard import scard  # type: ignore[import-untyped]

from balise_gateway.badges.readers._base import DeviceAway
from balise_gateway.badges.readers._loop import PlacedCard
from balise_gateway.errors import CardLost

_STORAGE = bytes.fromhex("a000000306")  # in the ATR of a card without ISO 14443-4 (Part 3, 3.1.3.2.3.2)
_CLASSIC = (0x0001, 0x0002, 0x0026)  # names of cards, Part 3 supplement: MIFARE Classic 1K, 4K and Mini
_READ, _WRITE = 0x30, 0xA2  # of type 2 tags, for which there are pseudo-APDUs
_OK, _NAK, _ACK = b"\x90\x00", b"\x00", b"\x0a"
_THRU = b"\xd4\x42"  # InCommunicateThru of the PN532 in an ACR122U
_SILENCE = bytes.fromhex("ff00520000")  # ACR122U API 6.7: no sound when a card is found
_NOBODY = (scard.SCARD_E_NO_SERVICE, scard.SCARD_E_SERVICE_STOPPED)
_GONE = "the card went away, or does not answer: lay it down again, and hold it still"


class PcscReader:
    """One reader, with one card at a time."""

    def __init__(self, context: Any, name: str, has_raw: bool, counters: Counter[str]) -> None:
        self._context, self._name, self.has_raw, self._counters = context, name, has_raw, counters
        self._is_loud = False
        self._refused_state = -1
        self._card: PcscCard | None = None

    def keep_quiet(self) -> None:
        """The buzzer is silenced with the first card: without one, drivers pass nothing on."""
        self._is_loud = True

    def find(self, patience_s: float) -> "PcscCard | None":
        """pcscd and its drivers bound what one answer may take, `patience_s` what all of them may."""
        self._let_go()
        tap = self._tap()
        if tap is None:
            return None
        state, atr = tap
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        result, handle, protocol = scard.SCardConnect(self._context, self._name, scard.SCARD_SHARE_SHARED, protocols)
        if result != scard.SCARD_S_SUCCESS:
            self._refused("taken" if result == scard.SCARD_E_SHARING_VIOLATION else "mute card", state)
            return None
        self._card = PcscCard(self, (handle, protocol), atr, state, time.monotonic() + patience_s)
        if self._is_loud:
            self._silence(self._card)
        self._card.identify()
        return self._card

    def _silence(self, card: "PcscCard") -> None:
        try:
            answer = card.transmit(_SILENCE)
        except CardLost:  # taken away at once: the next card will do
            return
        self._is_loud = False
        if answer[-2:-1] != b"\x90":
            self._counters["buzzer not silenced"] += 1

    def is_here(self, card: PlacedCard) -> bool:
        """The upper half of the state counts cards laid down and taken away: no change, same card."""
        tap = self._tap()
        return tap is not None and isinstance(card, PcscCard) and tap[0] == card.state

    def close(self) -> None:
        self._let_go()
        scard.SCardReleaseContext(self._context)

    def _tap(self) -> tuple[int, bytes] | None:
        """The state of the reader and its card's ATR, if there is a card."""
        asked = [(self._name, scard.SCARD_STATE_UNAWARE)]
        result, states = scard.SCardGetStatusChange(self._context, 0, asked)
        if result != scard.SCARD_S_SUCCESS or not states:
            raise _away(result)
        _, state, atr = states[0]
        if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE):
            raise DeviceAway("unplugged", "the reader is gone; plug it in again")
        if not state & scard.SCARD_STATE_PRESENT:
            return None
        if state & scard.SCARD_STATE_MUTE:
            self._refused("mute card", state)
            return None
        return state & ~0xFFFF, bytes(byte & 0xFF for byte in atr)

    def _refused(self, why: str, state: int) -> None:
        """Counted once for each card that is laid down."""
        if self._refused_state != state & ~0xFFFF:
            self._refused_state = state & ~0xFFFF
            self._counters[why] += 1

    def _let_go(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            scard.SCardDisconnect(card.handle, scard.SCARD_UNPOWER_CARD)


class PcscCard:
    """The card on the reader: a `Link`."""

    def __init__(self, reader: PcscReader, way: tuple[Any, int], atr: bytes, state: int, until_s: float) -> None:
        self._reader, self.state, self._until_s = reader, state, until_s
        self.handle, self._protocol = way
        self.uid = b""
        at = atr.find(_STORAGE)
        self.is_iso = at < 0
        self.has_raw = reader.has_raw
        self.is_classic = at >= 0 and int.from_bytes(atr[at + 6 : at + 8], "big") in _CLASSIC

    def identify(self) -> None:
        """Reads the UID; a card that is gone already has none, and is found out when it is read."""
        try:
            answer = self.transmit(bytes.fromhex("ffca000000"))
        except CardLost:
            return
        self.uid = answer[:-2] if answer[-2:] == _OK else b""

    def transmit(self, apdu: bytes) -> bytes:
        """One APDU and its answer, status words last."""
        if time.monotonic() > self._until_s:
            raise CardLost("the card takes too long: take it away, and lay it down again")
        how = scard.SCARD_PCI_T0 if self._protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        result, answer = scard.SCardTransmit(self.handle, how, list(apdu))
        if result in _NOBODY:
            raise _away(result)
        if result != scard.SCARD_S_SUCCESS or len(answer) < 2:
            raise CardLost(_GONE)
        return bytes(byte & 0xFF for byte in answer)

    def exchange(self, command: bytes) -> bytes:
        if self.is_iso:
            return self.transmit(command)
        if command[:1] == bytes([_READ]) and len(command) == 2:
            return self._told(bytes([0xFF, 0xB0, 0, command[1], 16]), empty=b"")
        if command[:1] == bytes([_WRITE]) and len(command) == 6:
            return self._told(bytes([0xFF, 0xD6, 0, command[1], 4]) + command[2:], empty=_ACK)
        if not self.has_raw:
            return _NAK  # the reader has no words for it
        return self._thru(command)

    def reselect(self) -> None:
        """The reader has done it: after a refusal it selects the card anew. Raises CardLost when that is gone."""
        if not self._is_alive():
            raise CardLost(_GONE)

    def _told(self, apdu: bytes, empty: bytes) -> bytes:
        answer = self.transmit(apdu)
        if answer[-2:] == _OK:
            return answer[:-2] or empty
        return self._refusal()

    def _thru(self, command: bytes) -> bytes:
        apdu = bytes([0xFF, 0, 0, 0, len(_THRU) + len(command)]) + _THRU + command
        answer = self.transmit(apdu)
        if answer[-2:] != _OK or answer[:3] != b"\xd5\x43\x00":
            return self._refusal()
        return answer[3:-2]

    def _refusal(self) -> bytes:
        """A reader says 63 00 when the card refuses, and also when it is gone."""
        if not self._is_alive():
            raise CardLost(_GONE)
        return _NAK

    def _is_alive(self) -> bool:
        return self.transmit(bytes.fromhex("ffb0000004"))[-2:] == _OK


def opened(part_of_name: str, direct: bool | None, buzzer: bool, counters: Counter[str]) -> PcscReader:
    """The one reader with such a name. Raises DeviceAway."""
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if result != scard.SCARD_S_SUCCESS:
        raise _away(result)
    try:
        name = _named(context, part_of_name)
    except DeviceAway:
        scard.SCardReleaseContext(context)
        raise
    reader = PcscReader(context, name, "ACR122" in name.upper() if direct is None else direct, counters)
    if not buzzer:
        reader.keep_quiet()
    return reader


def _named(context: Any, part: str) -> str:
    result, names = scard.SCardListReaders(context, [])
    if result == scard.SCARD_E_NO_READERS_AVAILABLE:
        names = []
    elif result != scard.SCARD_S_SUCCESS:
        raise _away(result)
    fitting = [name for name in names if part.casefold() in name.casefold()]
    if len(fitting) == 1:
        return str(fitting[0])
    seen = ", ".join(repr(name) for name in names) or "none; is it plugged in, and pn533 blacklisted?"
    if fitting:
        raise DeviceAway("several readers", f"say which with `reader`; there are {seen}")
    raise DeviceAway("no such device", f"pcscd sees no reader of this name; there are: {seen}")


def _away(result: int) -> DeviceAway:
    if result in _NOBODY:
        return DeviceAway("no service", "pcscd does not run: systemctl enable --now pcscd.socket")
    if result in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
        return DeviceAway("unplugged", "the reader is gone; plug it in again")
    return DeviceAway("pcscd fails", f"it says {result & 0xFFFFFFFF:08x}; systemctl restart pcscd")
