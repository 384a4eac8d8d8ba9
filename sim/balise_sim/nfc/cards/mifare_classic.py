"""MIFARE Classic EV1 1K with a UID of 4 bytes (NXP MF1S50yyX_V1), as far as a reader sees it without its keys.

Promises the answers to selection, and a NAK to the commands of type 2 tags, after which the card is silent until it is
selected again. Leaves out its authentication (CRYPTO1), which proves nothing any more, and so its memory.
"""

NAK_NOT_ALLOWED = b"\x04"  # 9.4, table 10: operation not allowed
CHALLENGE = bytes.fromhex("01200145")
AUTHENTICATE_A, AUTHENTICATE_B = 0x60, 0x61


class Model:
    atqa, sak, ats = b"\x00\x04", 0x08, None

    def __init__(self, uid: bytes) -> None:
        if len(uid) != 4:
            raise ValueError(f"this MIFARE Classic has a UID of 4 bytes, not {len(uid)}")
        self.uid = uid
        self._listens = False

    def activate(self) -> None:
        self._listens = True

    def away(self) -> None:
        self._listens = False

    def exchange(self, frame: bytes) -> bytes | None:
        if not self._listens:
            return None
        if frame[:1] in (bytes([AUTHENTICATE_A]), bytes([AUTHENTICATE_B])) and len(frame) == 2:
            return CHALLENGE  # a fixed one: nothing here can answer the reader's reply to it
        self._listens = False
        return None if frame == b"\x50\x00" or not frame else NAK_NOT_ALLOWED
