"""The PN532's commands that reach cards: InListPassiveTarget, InDataExchange, InCommunicateThru and their kin.

Promises answers as NXP UM0701-02, 7.3 has them for ISO 14443 type A at 106 kbit/s; any other kind of card is never
found. Each method takes the parameters of a command and returns what follows its answer code, or PENDING; `spent_s` is
the time on air since it was last emptied. Leaves frames and the line to pn532.py. Figures that the manual does not give
are marked as estimates.
"""

from dataclasses import dataclass

from balise_sim.nfc.cards import Card
from balise_sim.nfc.faults import Faults
from balise_sim.nfc.field import SELECT_S, Field, air_s, in_order
from balise_sim.nfc.isodep import RATS, Picc

OK, TIMEOUT, BAD_CRC, BAD_FORMAT, AUTHENTICATION = 0x00, 0x01, 0x02, 0x13, 0x14  # 7.1, table 7
WRONG_CONTEXT = 0x27
MORE, TARGET_MASK = 0x40, 0x3F
MAX_TARGETS, LONGEST_PART = 2, 262
ENDLESS = 0xFF
TRY_S = 0.0025  # one request without an answer; an estimate
RX_MODE, FIFO_DATA = 0x6303, 0x6339
CHECK_CRC = 0x80  # of CIU_RxMode
REQA, ISO_DEP = 0x26, 0x20
AUTOMATIC_RATS = 0x10  # of SetParameters
COMPATIBILITY_WRITE, AUTHENTICATE_A, AUTHENTICATE_B = 0xA0, 0x60, 0x61
CASCADE_TAG = 0x88


class Pending(Exception):
    """The command goes on until a card comes or the host breaks it off."""


class BadSyntax(Exception):
    """The chip answers with its error frame."""


@dataclass
class Target:
    """A card that the chip has selected, under the number that the host uses."""

    number: int
    card: Card
    picc: Picc
    by_chip: bool = False  # the chip itself did RATS and speaks in blocks
    more: bytes = b""  # of an answer, still to be fetched
    begun: bytes = b""  # of a command, sent in parts


def crc_a(data: bytes) -> bytes:
    """ISO 14443-3, annex B: two bytes, low first."""
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte = (byte ^ byte << 4) & 0xFF
        crc = crc >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
    return crc.to_bytes(2, "little")


def plain_uid(data: bytes) -> bytes:
    """A UID as InListPassiveTarget takes it, without its cascade tags (7.3.5)."""
    if len(data) in (8, 12) and data[0] == CASCADE_TAG:
        data = data[1:]
    return data[:3] + data[4:] if len(data) == 11 and data[3] == CASCADE_TAG else data


class Radio:
    def __init__(self, field: Field, faults: Faults) -> None:
        self.field, self._faults = field, faults
        self.registers: dict[int, int] = {}
        self.reset()

    def reset(self) -> None:
        self.field.switch(False)
        self.targets: list[Target] = []
        self.spent_s = 0.0
        self.parameters = 0x14  # 7.2.9: fAutomaticATR_RES and fAutomaticRATS
        self.passive_retries, self.exchange_retries, self.timeout_code = ENDLESS, 0, 0x0A  # 7.3.1
        self.ready = False  # SAMConfiguration has ended the mode of a low battery (7.2.10)
        self.registers.clear()
        self.registers.update({0x6302: 0x80, RX_MODE: 0x80, FIFO_DATA: 0})

    def _spend(self, seconds: float) -> None:
        self.spent_s += seconds

    @property
    def _timeout_s(self) -> float:
        """7.3.1, item 2: 100 us doubled with each step; 0 waits for ever, which is told as a second here."""
        return 1.0 if not self.timeout_code else 100e-6 * 2 ** (min(self.timeout_code, 16) - 1)

    # RFConfiguration

    def configure(self, data: bytes) -> bytes:
        if not data:
            raise BadSyntax
        item, values = data[0], data[1:]
        sizes = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
        if sizes.get(item) != len(values):
            raise BadSyntax
        if item == 0x01:
            self.field.switch(bool(values[0] & 1))
            if not self.field.on:
                self.targets = []
        elif item == 0x02:
            self.timeout_code = values[2]
        elif item == 0x04:
            self.exchange_retries = values[0]
        elif item == 0x05:
            self.passive_retries = values[2]
        return b""

    # Selection

    def list_targets(self, data: bytes) -> bytes:
        if len(data) < 2 or not 1 <= data[0] <= MAX_TARGETS or data[1] > 4:
            raise BadSyntax
        self.field.switch(True)
        found = self._found(data[0], data[1], plain_uid(data[2:]))
        if not found:
            self.registers[FIFO_DATA] = REQA
            if self.passive_retries == ENDLESS:
                raise Pending
            self._spend(TRY_S * (self.passive_retries + 1))
        self.targets = [Target(number, card, Picc(card)) for number, card in enumerate(found, 1)]
        return bytes([len(found)]) + b"".join(self._select(target) for target in self.targets)

    def _found(self, most: int, kind: int, uid: bytes) -> list[Card]:
        cards = self.field.cards
        if kind or not self.ready or (len(cards) > 1 and self._faults.strikes("crowded")):
            return []
        return in_order([card for card in cards if not uid or card.uid == uid])[:most]

    def _select(self, target: Target) -> bytes:
        card = target.card
        card.activate()
        self._spend(SELECT_S)
        self.registers[RX_MODE] |= CHECK_CRC
        self.registers[FIFO_DATA] = card.sak
        answer = bytes([target.number]) + card.atqa + bytes([card.sak, len(card.uid)]) + card.uid
        if not card.sak & ISO_DEP or not self.parameters & AUTOMATIC_RATS:
            return answer
        ats = target.picc.exchange(bytes([RATS, 0x50])) or b""
        target.by_chip = bool(ats)
        self._spend(air_s(bytes(2), ats))
        return answer + ats

    def _target(self, number: int) -> Target | None:
        return next((target for target in self.targets if target.number == number), None)

    def select(self, data: bytes) -> bytes:
        if len(data) != 1:
            raise BadSyntax
        target = self._target(data[0])
        if target is None:
            return bytes([WRONG_CONTEXT])
        if not self.field.reaches(target.card):
            self._spend(self._timeout_s)
            return bytes([TIMEOUT])
        self._select(target)
        return bytes([OK])

    def deselect(self, data: bytes) -> bytes:
        """InDeselect: the card stays listed and may be selected again; number 0 means all."""
        return self._let_go(data, forget=False)

    def release(self, data: bytes) -> bytes:
        return self._let_go(data, forget=True)

    def _let_go(self, data: bytes, forget: bool) -> bytes:
        if len(data) != 1:
            raise BadSyntax
        chosen = [target for target in self.targets if data[0] in (0, target.number)]
        if not chosen and data[0]:
            return bytes([WRONG_CONTEXT])
        for target in chosen:
            target.card.away()
            self._spend(air_s(b"\xc2", b"\xc2"))
        if forget:
            self.targets = [target for target in self.targets if target not in chosen]
        return bytes([OK])

    # Exchange

    def _over_air(self, target: Target, frame: bytes) -> bytes | None:
        """One frame and its answer, without CRC; None for silence, after the time-out."""
        heard = None
        if self.field.reaches(target.card):
            heard = target.picc.exchange(frame) if target.card.ats is not None else target.card.exchange(frame)
        self._spend(air_s(frame, heard) + (self._timeout_s if heard is None else 0))
        return heard

    def communicate_thru(self, data: bytes) -> bytes:
        """The frame as it is; with the check of CRC switched off, the answer's own CRC comes along."""
        if not self.targets:
            self._spend(self._timeout_s)
            return bytes([TIMEOUT])
        heard = self._over_air(self.targets[0], data)
        if heard is None:
            return bytes([TIMEOUT])
        four_bits = len(heard) == 1 and heard[0] < 0x10 and self.targets[0].card.ats is None
        if self.registers[RX_MODE] & CHECK_CRC:
            return bytes([BAD_CRC]) if four_bits else bytes([OK]) + heard
        return bytes([OK]) + heard + (b"" if four_bits else crc_a(heard))

    def exchange(self, data: bytes) -> bytes:
        if not data:
            raise BadSyntax
        target = self._target(data[0] & TARGET_MASK)
        if target is None:
            return bytes([WRONG_CONTEXT])
        if data[0] & MORE:
            target.begun += data[1:]
            return bytes([OK])
        command, target.begun = target.begun + data[1:], b""
        if not command and target.more:
            return self._part(target)
        status, answer = self._in_blocks(target, command) if target.by_chip else self._as_type_2(target, command)
        if status != OK:
            return bytes([status])
        target.more = answer
        return self._part(target)

    def _part(self, target: Target) -> bytes:
        part, target.more = target.more[:LONGEST_PART], target.more[LONGEST_PART:]
        return bytes([OK | (MORE if target.more else 0)]) + part

    def _in_blocks(self, target: Target, command: bytes) -> tuple[int, bytes]:
        heard = target.card.exchange(command) if self.field.reaches(target.card) else None
        self._spend(air_s(command, heard) + (self._timeout_s if heard is None else 0))
        return (TIMEOUT, b"") if heard is None else (OK, heard)

    def _as_type_2(self, target: Target, command: bytes) -> tuple[int, bytes]:
        """The chip knows MIFARE's commands (7.3.8): it answers ACKs itself, and splits a write of 16 bytes in two."""
        if command[:1] in (bytes([AUTHENTICATE_A]), bytes([AUTHENTICATE_B])):
            self._over_air(target, command[:2])
            return AUTHENTICATION, b""  # none of our cards takes a key; nor is GET_VERSION (60) sent as it is
        if command[:1] == bytes([COMPATIBILITY_WRITE]) and len(command) == 18:
            if self._over_air(target, command[:2]) != b"\x0a":
                return BAD_FORMAT, b""
            command = command[2:]
        for _ in range(self.exchange_retries + 1):
            heard = self._over_air(target, command)
            if heard is not None:
                break
        else:
            return TIMEOUT, b""
        if len(heard) == 1 and heard[0] < 0x10:
            return (OK, b"") if heard == b"\x0a" else (BAD_FORMAT, b"")  # which error, the manual does not say
        return OK, heard

    def is_there(self) -> bool:
        """Diagnose's attention request: whether the selected card still answers."""
        return bool(self.targets) and self.field.reaches(self.targets[0].card)

    def status(self) -> bytes:
        """What GetGeneralStatus tells of the targets (7.2.3)."""
        listed = b"".join(bytes([target.number, 0, 0, 0]) for target in self.targets)
        return bytes([OK, int(self.field.on), len(self.targets)]) + listed
