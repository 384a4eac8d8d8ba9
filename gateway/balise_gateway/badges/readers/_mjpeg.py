"""Whole JPEG pictures out of a stream of them (MJPEG), by the markers of ITU-T T.81.

Promises the newest whole picture of what has arrived, and bounded memory whatever comes. Leaves decoding to Pillow.
"""

MOST_BYTES = 8 * 1024 * 1024  # of one picture
_START = b"\xff\xd8\xff"
_SOI, _EOI = 0xD8, 0xD9
_BARE = (0x01, *range(0xD0, 0xD8))  # TEM and RSTn: no length follows (T.81 table B.1)


class Pictures:
    """Takes bytes, gives the newest whole picture."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._data = bytearray()
        self._at = 0  # where the next marker is looked for
        self.dropped = 0  # pictures that were too large, or fell apart

    def feed(self, data: bytes) -> bytes | None:
        self._data += data
        newest = None
        while (picture := self._next()) is not None:
            newest = picture
        return newest

    def _next(self) -> bytes | None:
        if not self._data.startswith(_START) and not self._seek_start(0):
            return None
        end = self._end()
        if end is None:
            if len(self._data) > self._most_bytes:
                self._fall_apart()
            return None
        picture = bytes(self._data[:end])
        del self._data[:end]
        self._at = 0
        return picture

    def _seek_start(self, after: int) -> bool:
        """Drops what stands before the next start of a picture."""
        start = self._data.find(_START, after)
        del self._data[: start if start >= 0 else max(0, len(self._data) - len(_START) + 1)]
        self._at = 0
        return start >= 0

    def _fall_apart(self) -> None:
        self.dropped += 1
        self._seek_start(len(_START))

    def _end(self) -> int | None:
        """Where the picture that begins at 0 ends; None when its end has not come.

        Segments are stepped over by their lengths, since a thumbnail inside one has an end of its own; in coded data,
        FF 00 is a byte FF (T.81 B.1.1.5), so any other marker is one.
        """
        data, at = self._data, max(self._at, 2)
        while 0 <= (at := data.find(0xFF, at)) <= len(data) - 2:
            marker = data[at + 1]
            if marker == _EOI:
                return at + 2
            if marker == _SOI:  # the one before was torn off
                self.dropped += 1
                del data[:at]
                at = 2
            elif marker == 0xFF:  # a fill byte
                at += 1
            elif marker == 0 or marker in _BARE:
                at += 2
            elif at + 4 <= len(data):
                at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            else:
                return None
            self._at = at
        return None
