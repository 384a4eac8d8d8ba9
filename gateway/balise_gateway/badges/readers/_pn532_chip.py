"""A PN532 that is awake, in nfcpy's hands: looks for cards, and exchanges commands with one.

Promises that faults of the line come out as LineFault, by whatever exception nfcpy tells them; that a card cannot hold
the reader up, whatever it answers; and that nfcpy's loggers, which tell card numbers, are silent. Imported only when a
reader of this kind runs: it needs nfcpy.
"""

import logging
import struct
import time
from typing import Any

import nfc.clf  # type: ignore[import-untyped]
import nfc.clf.pn532  # type: ignore[import-untyped]
import nfc.tag  # type: ignore[import-untyped]
import nfc.tag.tt4  # type: ignore[import-untyped]

from balise_gateway.badges.readers._base import DeviceAway
from balise_gateway.badges.readers._loop import LineFault, PlacedCard
from balise_gateway.badges.readers._pn532_line import Line, unplugged
from balise_gateway.errors import CardLost

_TYPE2_S = 0.06  # of an NTAG21x's slowest command, and a wide margin (rev. 3.2, table 24: 10 ms)
_ISO, _CLASSIC, _TYPE_BITS = 0x20, 0x08, 0x60
_READ_REGISTERS, _WRITE_REGISTERS, _CONFIGURE, _EXCHANGE = 0x06, 0x08, 0x32, 0x42  # UM0701-02, 7.2 and 7.3.9
_MODES = bytes.fromhex("630263036305")  # CIU_TxMode, CIU_RxMode, CIU_TxAuto
_TIMEOUTS = 0x02  # the item of RFConfiguration that is no switch
# What nfcpy 1.0.4 raises when an answer of the chip is cut off, spoilt or missing: it unpacks what it did not check.
_FAULTS = (OSError, IndexError, ValueError, TypeError, struct.error, nfc.clf.pn532.Chipset.Error)
_LOST = (nfc.clf.CommunicationError, nfc.tag.TagCommandError)

logging.getLogger("nfc").setLevel(logging.CRITICAL + 1)


class _Chipset(nfc.clf.pn532.Chipset):  # type: ignore[misc]
    """Tells the chip nothing twice. nfcpy reads and writes the same registers and sets the same timeout before each
    command to a card: three commands of four, 10 ms at 115,200 baud. InCommunicateThru changes none of them (UM0701-02,
    7.3.9); selecting, switching the field, and whatever goes wrong have them set anew.
    """

    def __init__(self, *told: Any, **more: Any) -> None:
        self._last: dict[int, tuple[bytes, Any]] = {}  # command and answer, by code
        super().__init__(*told, **more)

    def command(self, cmd_code: int, cmd_data: bytes, timeout: float) -> Any:
        data = bytes(cmd_data)
        if self._last.get(cmd_code, (None,))[0] == data:
            return self._last[cmd_code][1]
        last, self._last = self._last, {}  # as it stays when this raises
        answer = super().command(cmd_code, cmd_data, timeout)
        if cmd_code == _EXCHANGE:
            self._last = last if answer and answer[0] == 0 else {}
        elif cmd_code == _WRITE_REGISTERS:
            last.pop(_READ_REGISTERS, None)
            self._last = {**last, cmd_code: (data, answer)}
        elif (cmd_code, data) == (_READ_REGISTERS, _MODES) or (cmd_code == _CONFIGURE and data[0] == _TIMEOUTS):
            self._last = {**last, cmd_code: (data, answer)}
        return answer


class Pn532:
    """The open chip: a `Field`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._frontend: Any = nfc.clf.ContactlessFrontend()
        log = logging.getLogger("nfc.clf.pn532")
        try:
            self._frontend.device = nfc.clf.pn532.Device(_Chipset(line, logger=log), logger=log)
        except _FAULTS as error:
            raise self._fault() from error
        self._frontend.device._path = line.port

    def find(self, patience_s: float, uid: bytes = b"") -> "Target | None":
        """Any card, or the one of this UID. The field goes off first: the card starts afresh."""
        try:
            found = self._frontend.sense(nfc.clf.RemoteTarget("106A", sel_req=bytearray(uid) if uid else None))
        except _FAULTS as error:
            raise self._fault() from error
        return Target(self, found, patience_s) if found is not None and found.sdd_res else None

    def is_here(self, card: PlacedCard) -> bool:
        return isinstance(card, Target) and card.is_here()

    def exchange(self, data: bytes, timeout_s: float) -> bytes:
        try:
            answer = self._frontend.exchange(data, timeout_s)
        except _FAULTS as error:
            raise self._fault() from error
        if answer is None:  # nothing is selected any more
            raise nfc.clf.TimeoutError
        return bytes(answer)

    def close(self) -> None:
        """Sends the chip to sleep; a chip that is gone needs no sleep."""
        try:
            self._frontend.close()
        except _FAULTS:
            self._line.is_gone = True
        finally:
            self._line.close()

    def _fault(self) -> Exception:
        return unplugged() if self._line.is_gone else LineFault()


class Target:
    """A card that was selected: a `Link`."""

    has_raw = True

    def __init__(self, chip: Pn532, found: Any, patience_s: float) -> None:
        self._chip, self._found = chip, found
        self.uid = bytes(found.sdd_res)
        sak = found.sel_res[0]
        self.is_iso = bool(sak & _ISO)
        self.is_classic = not sak & _TYPE_BITS and bool(sak & _CLASSIC)
        self._patience_s, self._until_s = patience_s, time.monotonic() + patience_s
        self._blocks: Any = None

    def exchange(self, command: bytes) -> bytes:
        try:
            if not self.is_iso:
                return self._bounded(command, _TYPE2_S)
            if self._blocks is None:
                self._blocks = nfc.tag.tt4.Type4ATag(_Air(self), self._found)
            return bytes(self._blocks.transceive(bytearray(command)))
        except _LOST as error:
            raise CardLost("the card went away, or does not answer: lay it down again, and hold it still") from error
        except (IndexError, struct.error, ZeroDivisionError) as error:  # nfcpy trusts the blocks of a card
            raise CardLost("the card answers in a way that no card should") from error

    def reselect(self) -> None:
        found = self._chip.find(self._patience_s, self.uid)
        if found is None or found.uid != self.uid:
            raise CardLost("the card went away: lay it down again, and hold it still")
        self._found, self._blocks = found._found, None

    def is_here(self) -> bool:
        """Whether the card still answers, asked without selecting it again: a random UID would be another one."""
        self._until_s = time.monotonic() + self._patience_s
        try:
            if self._blocks is not None:
                self._blocks._dep.exchange(None)  # R(NAK), ISO 14443-4 annex A
            elif self.is_iso or self.is_classic:
                return False
            else:
                self._bounded(b"\x30\x00", _TYPE2_S)
        except (*_LOST, IndexError):
            return False
        return True

    def _bounded(self, data: bytes, timeout_s: float) -> bytes:
        if time.monotonic() > self._until_s:
            raise CardLost("the card takes too long: take it away, and lay it down again")
        return self._chip.exchange(data, timeout_s)


class _Air:
    """What nfcpy's ISO-DEP asks of a frontend: the exchange, within the card's time, and the sizes of frames."""

    max_send_data_size, max_recv_data_size = 263, 262  # host frames of the PN532, less status and command

    def __init__(self, target: Target) -> None:
        self._target = target

    def exchange(self, data: bytes, timeout: float) -> bytearray:
        return bytearray(self._target._bounded(bytes(data), timeout))


def awake(line: Line) -> Pn532:
    """nfcpy's start-up, tried twice: a byte that was lost at the first opening is not there at the second."""
    for _ in range(2):
        try:
            return Pn532(line)
        except LineFault as error:
            fault = error
    raise DeviceAway("no answer", "the chip answers wrongly: a loose wire, or 3.3 V where it wants 5 V?") from fault
