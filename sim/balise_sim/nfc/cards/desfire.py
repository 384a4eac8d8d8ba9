"""MIFARE DESFire EV1 as a reader sees it that has no key: UID, kind, and no NDEF (NXP MF3ICx1, AN10833, ISO 7816-4).

Promises the answers to selection and RATS, GetVersion in its three frames, the empty list of applications, and the
refusal of all else. Leaves out applications and authentication.
"""

MORE = 0xAF
NATIVE_CLASS = 0x90
HARDWARE, SOFTWARE = bytes.fromhex("04010101001605"), bytes.fromhex("04010101041605")  # DESFire EV1 2K
BATCH = bytes.fromhex("ba5480c8602013")  # made up: batch number, week and year
GET_VERSION, GET_APPLICATIONS = 0x60, 0x6A
COMMAND_ABORTED, ILLEGAL_COMMAND, LENGTH_ERROR = b"\x91\xca", b"\x91\x1c", b"\x91\x7e"
NOT_FOUND, CLASS_NOT_SUPPORTED, INSTRUCTION_NOT_SUPPORTED = b"\x6a\x82", b"\x6e\x00", b"\x6d\x00"


class Model:
    atqa, sak, ats = b"\x03\x44", 0x20, bytes.fromhex("067577810280")

    def __init__(self, uid: bytes) -> None:
        if len(uid) != 7:
            raise ValueError(f"a DESFire has a UID of 7 bytes, not {len(uid)}")
        self.uid = uid
        self._frames: list[bytes] = []

    def activate(self) -> None:
        self._frames = []

    def away(self) -> None:
        self._frames = []

    def exchange(self, frame: bytes) -> bytes | None:
        if len(frame) < 4:
            return LENGTH_ERROR
        if frame[0] == NATIVE_CLASS:
            return self._native(frame[1])
        if frame[0] != 0x00:
            return CLASS_NOT_SUPPORTED
        return NOT_FOUND if frame[1] == 0xA4 else INSTRUCTION_NOT_SUPPORTED

    def _native(self, command: int) -> bytes:
        going_on = command == MORE and bool(self._frames)
        if command == GET_VERSION:
            self._frames = [HARDWARE, SOFTWARE, self.uid + BATCH]
        elif not going_on:
            aborted, self._frames = bool(self._frames), []
            if command == GET_APPLICATIONS and not aborted:
                return b"\x91\x00"
            return COMMAND_ABORTED if aborted else ILLEGAL_COMMAND
        part = self._frames.pop(0)
        return part + bytes([0x91, MORE if self._frames else 0x00])
