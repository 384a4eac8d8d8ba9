"""NTAG 424 DNA: a type 4 tag with secure unique NFC messages, SUN (NXP data sheet NT4H2421Gx, rev. 3.0; AN12196).

Promises the files of the NDEF application with their access rights, EV2 authentication and secure messaging, key and
settings changes, and at each tap a URL that the keys alone can have made: the read counter rises with the first of the
reads that follow each other without another command between (9.3.1). An error ends a session, as on the chip. Leaves
out the delays after many wrong keys, LRP, random UIDs, SetConfiguration and chained commands.

    card = Model(uid)
    card.set_sun("https://pass.example/t?picc_data={picc}&cmac={cmac}")   # a URL and where its mirrors stand
    card.keys[1], card.keys[2] = file_key, meta_key
    card.ndef_file.counter = 60                                           # the next tap is number 61
"""

import os
from collections.abc import Callable

from balise_sim.nfc.cards import _aes, _sdm
from balise_sim.nfc.cards._files import FULL, MACED, NDEF_ID, PLAIN, File, factory_files, sun
from balise_sim.nfc.cards._sdm import FREE
from balise_sim.nfc.cards._session import INTEGRITY_ERROR, OK, Refused, Session

APPLICATION, APPLICATION_ID, MASTER_ID = bytes.fromhex("d2760000850101"), 0xE110, 0x3F00
HARDWARE, SOFTWARE = bytes.fromhex("04040230001105"), bytes.fromhex("04040201021105")
BATCH = bytes.fromhex("cd659451103918")  # made up: batch number, week and year
KEYS = 5
MORE, ORIGINAL = 0xAF, 0x90
# 10.2, table 23: the second byte of the status
ILLEGAL, NO_SUCH_KEY, BAD_LENGTH, DENIED, BAD_PARAMETER = 0x1C, 0x40, 0x7E, 0x9D, 0x9E
BAD_AUTHENTICATION, BOUNDARY, ABORTED, NO_FILE = 0xAE, 0xBE, 0xCA, 0xF0
# ISO 7816-4
ISO_OK, ISO_LENGTH, ISO_SECURITY, ISO_NO_FILE_SELECTED = b"\x90\x00", b"\x67\x00", b"\x69\x82", b"\x69\x86"
ISO_NOT_FOUND, ISO_PARAMETERS, ISO_OFFSET = b"\x6a\x82", b"\x6a\x86", b"\x6b\x00"
ISO_CLASS, ISO_INSTRUCTION = b"\x6e\x00", b"\x6d\x00"


class Model:
    """A card as it comes from the factory: five keys of zeros. `chance` gives that many random bytes."""

    atqa, sak, ats = b"\x03\x44", 0x20, bytes.fromhex("067777710280")

    def __init__(self, uid: bytes, signature: bytes = bytes(56), chance: Callable[[int], bytes] = os.urandom) -> None:
        if len(uid) != 7:
            raise ValueError(f"an NTAG 424 DNA has a UID of 7 bytes, not {len(uid)}")
        self.uid, self.signature, self.chance = uid, signature, chance
        self.keys = [bytes(16) for _ in range(KEYS)]
        self.key_versions = [0] * KEYS
        self.files = factory_files()
        self.activate()

    def activate(self) -> None:
        self.session: Session | None = None
        self._in_application = False
        self._selected: File | None = None
        self._seen: dict[int, bytes] = {}  # the file with SDM that is being read, as it is seen, by its number
        self._last_command = b""
        self._goes_on: Callable[[bytes], tuple[int, bytes]] | None = None

    def away(self) -> None:
        self.activate()

    # From behind

    @property
    def ndef_file(self) -> File:
        return self.files[NDEF_ID]

    def set_ndef(self, message: bytes) -> None:
        """An NDEF message with its length before it. Raises ValueError when it does not fit."""
        content = self.ndef_file.content
        if len(message) + 2 > len(content):
            raise ValueError(f"{len(message)} bytes of NDEF do not fit into {len(content) - 2}")
        content[: len(message) + 2] = len(message).to_bytes(2, "big") + message

    def set_sun(self, template: str, meta_key: int = 2, file_key: int = 1) -> None:
        """A URL in which {picc}, {uid}, {ctr}, {enc} and {cmac} stand where the chip fills in; the counter begins at 0.

        The CMAC covers what stands from {enc} up to it, or nothing.
        """
        payload, sdm = sun(template, meta_key, file_key)
        self.set_ndef(bytes([0xD1, 1, len(payload)]) + b"U" + payload)
        self.ndef_file.sdm, self.ndef_file.counter = sdm, 0

    # Commands

    def exchange(self, frame: bytes) -> bytes | None:
        if len(frame) < 4:
            return ISO_LENGTH
        data = frame[5 : 5 + frame[4]] if len(frame) > 5 else b""
        if len(frame) > 5 and len(frame) not in (5 + frame[4], 6 + frame[4]):
            return ISO_LENGTH
        if frame[:2] != self._last_command:
            self._seen, self._last_command = {}, frame[:2]
        if frame[0] == 0x90:
            return self._native(frame[1], data)
        if frame[0] != 0x00:
            return ISO_CLASS
        self._goes_on = None
        match frame[1]:
            case 0xA4:
                return self._select(frame[2], data)
            case 0xB0:
                return self._read_binary(frame)
            case 0xD6:
                return self._update_binary(frame, data)
        return ISO_INSTRUCTION

    # ISO 7816-4 (10.9)

    def _select(self, how: int, data: bytes) -> bytes:
        if how == 0x04 and data == APPLICATION:
            return self._enter(True)
        if how not in (0x00, 0x02, 0x04):
            return ISO_PARAMETERS
        identifier = int.from_bytes(data, "big") if len(data) == 2 and how != 0x04 else 0
        if identifier in (APPLICATION_ID, MASTER_ID) and how == 0x00:
            return self._enter(identifier == APPLICATION_ID)
        if identifier not in self.files or not self._in_application:
            return ISO_NOT_FOUND
        self._selected = self.files[identifier]
        return ISO_OK

    def _enter(self, application: bool) -> bytes:
        self.activate()
        self._in_application = application
        return ISO_OK

    def _placed(self, frame: bytes) -> tuple[File | None, int]:
        """The file that a command means, by its short identifier or by selection, and the offset."""
        if not frame[2] & 0x80:
            return self._selected, frame[2] << 8 | frame[3]
        if self._in_application:
            self._selected = self.files.get(0xE100 | frame[2] & 0x1F)
        return self._selected, frame[3]

    def _read_binary(self, frame: bytes) -> bytes:
        file, offset = self._placed(frame)
        if file is None:
            return ISO_NO_FILE_SELECTED
        if len(frame) != 5:
            return ISO_LENGTH
        size = len(file.content)
        if offset >= size:
            return ISO_OFFSET
        end = offset + frame[4] if frame[4] else min(offset + 256, size)
        if end > size:
            return ISO_LENGTH
        try:
            if self._mode(file, file.read, file.read_write) != PLAIN:
                return ISO_SECURITY
            return self._content(file)[offset:end] + ISO_OK
        except Refused:
            return ISO_SECURITY

    def _update_binary(self, frame: bytes, data: bytes) -> bytes:
        file, offset = self._placed(frame)
        if file is None:
            return ISO_NO_FILE_SELECTED
        if not data or offset + len(data) > len(file.content):
            return ISO_LENGTH
        try:
            if self._mode(file, file.write, file.read_write) != PLAIN:
                return ISO_SECURITY
        except Refused:
            return ISO_SECURITY
        file.content[offset : offset + len(data)] = data
        return ISO_OK

    # Files

    def _mode(self, file: File, *rights: int) -> int:
        """How data travel (8.2.3.3): as the file says for who has a key, plain where all may."""
        if self.session is not None and self.session.key_number in rights:
            return file.mode
        if FREE not in rights:
            raise Refused(DENIED if self.session else BAD_AUTHENTICATION)
        return PLAIN

    def _content(self, file: File) -> bytes:
        """As who reads it now sees it; the first look counts (9.3.1, 9.3.2)."""
        if file.number not in self._seen:
            self._seen = {}
            if file.sdm is None or self.session is not None:
                return bytes(file.content)
            if file.counter >= (file.sdm.limit if file.sdm.options & _sdm.LIMIT else 0xFFFFFF):
                raise Refused(DENIED)
            file.counter += 1
            self._seen[file.number] = _sdm.mirrored(
                bytes(file.content), file.sdm, self.uid, file.counter, self.keys, self.chance
            )
        return self._seen[file.number]

    def _file(self, data: bytes) -> File:
        found = [file for file in self.files.values() if data[:1] == bytes([file.number])]
        if not found or not self._in_application:
            raise Refused(NO_FILE)
        return found[0]

    def _answered(self, mode: int, data: bytes) -> tuple[int, bytes]:
        """An answer in this mode; in a session also a plain one counts as a command."""
        if self.session is None:
            return OK, data
        if mode == PLAIN:
            self.session.counter += 1
            return OK, data
        return OK, self.session.sealed(data) if mode == FULL else self.session.signed(data)

    def _carried(self, mode: int, code: int, header: bytes, data: bytes) -> bytes:
        if self.session is None or mode == PLAIN:
            return data
        take = self.session.opened if mode == FULL else self.session.checked
        return take(code, header, data)

    def _span(self, file: File, data: bytes) -> tuple[int, int]:
        """Offset and length as WriteData and ReadData have them; length 0 is all that is left."""
        if len(data) < 7:
            raise Refused(BAD_LENGTH)
        offset, length = int.from_bytes(data[1:4], "little"), int.from_bytes(data[4:7], "little")
        if offset + length > len(file.content) or offset >= len(file.content):
            raise Refused(BOUNDARY)
        return offset, length or len(file.content) - offset

    def _write_data(self, data: bytes) -> tuple[int, bytes]:
        file = self._file(data)
        offset, length = self._span(file, data)
        mode = self._mode(file, file.write, file.read_write)
        plain = self._carried(mode, 0x8D, data[:7], data[7:])
        if len(plain) != length:
            raise Refused(BAD_LENGTH)
        file.content[offset : offset + length] = plain
        return self._answered(MACED if mode == FULL else mode, b"")

    def _read_data(self, data: bytes) -> tuple[int, bytes]:
        file = self._file(data)
        offset, length = self._span(file, data)
        mode = self._mode(file, file.read, file.read_write)
        if self.session is not None and mode != PLAIN:
            self.session.checked(0xAD, data[:7], data[7:])
        return self._answered(mode, self._content(file)[offset : offset + length])

    def _get_file_settings(self, data: bytes) -> tuple[int, bytes]:
        if self.session is not None:
            self.session.checked(0xF5, data[:1], data[1:])
        return self._answered(MACED, self._file(data).settings)

    def _change_file_settings(self, data: bytes) -> tuple[int, bytes]:
        file = self._file(data)
        if file.change != FREE:
            self._must_have(file.change)
        plain = self._carried(FULL, 0x5F, data[:1], data[1:])
        try:
            file.change_settings(plain)
        except _sdm.BadSettings:
            raise Refused(BAD_PARAMETER) from None
        return self._answered(MACED, b"")

    def _get_file_counters(self, data: bytes) -> tuple[int, bytes]:
        file = self._file(data)
        if self.session is not None:
            self.session.checked(0xF6, data[:1], data[1:])
        if file.sdm is None:
            raise Refused(DENIED)
        if file.sdm.counter_read != FREE:
            self._must_have(file.sdm.counter_read)
        return self._answered(FULL, file.counter.to_bytes(3, "little") + bytes(2))

    def _native(self, code: int, data: bytes) -> bytes:
        try:
            status, answer = self._execute(code, data)
        except Refused as refusal:
            status, answer = refusal.status, b""
            self.session = self._goes_on = None  # 9.1.1: an error ends the session
        return answer + bytes([0x91, status])

    def _execute(self, code: int, data: bytes) -> tuple[int, bytes]:
        goes_on, self._goes_on = self._goes_on, None
        if code == MORE and goes_on is not None:
            return goes_on(data)
        if goes_on is not None:
            raise Refused(ABORTED)
        commands: dict[int, Callable[[bytes], tuple[int, bytes]]] = {
            0x60: self._get_version,
            0x71: self._authenticate_first,
            0x77: self._authenticate_again,
            0x51: self._get_card_uid,
            0xC4: self._change_key,
            0x64: self._get_key_version,
            0xF5: self._get_file_settings,
            0x5F: self._change_file_settings,
            0xF6: self._get_file_counters,
            0x8D: self._write_data,
            0xAD: self._read_data,
            0x3C: self._read_signature,
        }
        if code not in commands:
            raise Refused(ILLEGAL)
        return commands[code](data)

    def _get_version(self, data: bytes) -> tuple[int, bytes]:
        session = self.session
        if session is not None:
            session.checked(0x60, b"", data)
        last = self.uid + BATCH

        def third(_: bytes) -> tuple[int, bytes]:
            return OK, last if session is None else last + session.signed(HARDWARE + SOFTWARE + last)[-8:]

        def second(_: bytes) -> tuple[int, bytes]:
            self._goes_on = third
            return MORE, SOFTWARE

        self._goes_on = second
        return MORE, HARDWARE

    # Authentication (9.1.5, 9.1.6)

    def _authenticate_first(self, data: bytes) -> tuple[int, bytes]:
        if len(data) < 2 or len(data) != 2 + data[1]:
            raise Refused(BAD_LENGTH)
        return self._challenge(data[0], first=True)

    def _authenticate_again(self, data: bytes) -> tuple[int, bytes]:
        if len(data) != 1:
            raise Refused(BAD_LENGTH)
        if self.session is None:
            raise Refused(DENIED)
        return self._challenge(data[0], first=False)

    def _challenge(self, number: int, first: bool) -> tuple[int, bytes]:
        if number >= KEYS or not self._in_application:
            raise Refused(NO_SUCH_KEY)
        key, ours, before = self.keys[number], self.chance(16), self.session
        self.session = None

        def second(data: bytes) -> tuple[int, bytes]:
            if len(data) != 32:
                raise Refused(BAD_LENGTH)
            plain = _aes.decrypted(key, data)
            theirs = plain[:16]
            if plain[16:] != _aes.rotated(ours):
                raise Refused(BAD_AUTHENTICATION)
            keys = _aes.session_keys(key, theirs, ours)
            if before is not None and not first:
                self.session = Session(number, *keys, before.transaction, before.counter)
                return OK, _aes.encrypted(key, _aes.rotated(theirs))
            self.session = Session(number, *keys, self.chance(4))
            return OK, _aes.encrypted(key, self.session.transaction + _aes.rotated(theirs) + bytes(12))

        self._goes_on = second
        return MORE, _aes.encrypted(key, ours)

    def _must_have(self, *keys: int) -> Session:
        if self.session is None:
            raise Refused(BAD_AUTHENTICATION)
        if self.session.key_number not in keys:
            raise Refused(DENIED)
        return self.session

    # Keys and what the card is

    def _get_card_uid(self, data: bytes) -> tuple[int, bytes]:
        session = self._must_have(*range(KEYS))
        session.checked(0x51, b"", data)
        return OK, session.sealed(self.uid)

    def _change_key(self, data: bytes) -> tuple[int, bytes]:
        session = self._must_have(0)
        number = data[0] if data else KEYS
        if number >= KEYS:
            raise Refused(NO_SUCH_KEY)
        plain = session.opened(0xC4, data[:1], data[1:])
        if len(plain) != (17 if number == 0 else 21):
            raise Refused(BAD_LENGTH)
        new = plain[:16]
        if number:
            new = bytes(a ^ b for a, b in zip(new, self.keys[number], strict=True))
            if _aes.crc32_nk(new) != plain[17:]:
                raise Refused(INTEGRITY_ERROR)
        self.keys[number], self.key_versions[number] = new, plain[16]
        if number == session.key_number:
            self.session = None
            return OK, b""
        return OK, session.signed(b"")

    def _get_key_version(self, data: bytes) -> tuple[int, bytes]:
        session, header = self.session, data[:1]
        if session is not None:
            session.checked(0x64, header, data[1:])
        if not header or header[0] >= KEYS:
            raise Refused(NO_SUCH_KEY)
        version = bytes([self.key_versions[header[0]]])
        return OK, version if session is None else session.signed(version)

    def _read_signature(self, data: bytes) -> tuple[int, bytes]:
        session, header = self.session, data[:1]
        if session is not None:
            session.checked(0x3C, header, data[1:])
        if header != b"\x00":
            raise Refused(BAD_PARAMETER)
        return ORIGINAL, self.signature if session is None else session.sealed(self.signature, ORIGINAL)
