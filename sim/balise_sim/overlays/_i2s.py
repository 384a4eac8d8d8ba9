"""I2S, receiving: sound comes at its own pace, and what nobody takes in time is lost.

Promises: one request to the host for each block; blocking, non-blocking (irq) and asyncio modes as the board has them;
blocks of any size land where firmware wants them. Leaves to others: the microphone, and what was lost (buses/i2s.py).
Processor time is not modelled: firmware that is too slow on a board is not here, unless it says so with a sleep.
"""

import struct

import _bridge
from _streams import READABLE, Stream

_HANDLE = 220
_BLOCKING, _NO_WAIT, _WHEN = 0, 256, 512  # I2S_READ: wait for all, take what is there, or all, and when it came
_NAMES = ("sck", "ws", "sd", "mode", "bits", "format", "rate", "ibuf")


class I2S(Stream):
    RX, TX = 1, 2
    MONO, STEREO = 0, 1

    def __init__(self, id, **options):
        super().__init__(_HANDLE + id)
        self._handler = None
        self._in_asyncio = False
        self.init(**options)

    def init(self, **options):
        """All of `_NAMES` are needed, as on the board."""
        for name in options:
            if name not in _NAMES:
                raise TypeError("extra keyword arguments given")
        sck, ws, sd, mode, bits, format, rate, ibuf = [options[name] for name in _NAMES]
        if mode != I2S.RX:
            raise ValueError("invalid mode")
        line = struct.pack("<BBBBBI", sck._id, ws._id, sd._id, bits, format, ibuf)
        try:
            _bridge.call(_bridge.I2S_OPEN, self._handle, 0, rate, line)
        except OSError:
            raise ValueError("I2S({}) does not exist or cannot be so".format(self._handle - _HANDLE)) from None  # noqa: UP032

    def readinto(self, buf):
        """The number of bytes: all that fit, or in asyncio mode what is there; with a handler it returns at once."""
        if self._handler:
            self.due_us = self._read(_WHEN, buf)  # a board fills it bit by bit until then
            _bridge.timers.append(self)
            return _size(buf)
        if not self._in_asyncio:
            return self._read(_BLOCKING, buf)
        self._flags = 0
        return self._read(_NO_WAIT, buf)

    def _read(self, how, buf):
        return _bridge.call_into(_bridge.I2S_READ, self._handle, how, struct.pack("<I", _size(buf)), buf)

    def irq(self, handler):
        """`handler(i2s)` after each block; from now on readinto does not wait."""
        self._handler = handler

    def fire(self):
        """The block is complete; called by the bridge when `due_us` has come."""
        _bridge.timers.remove(self)
        self._handler(self)

    def _ready(self, mask):
        self._in_asyncio = True  # since somebody polls
        return self._flags & READABLE & mask

    def _interest(self, mask):
        return bytes((self._handle, mask, 0, 0))

    def deinit(self):
        _bridge.call(_bridge.CLOSE, self._handle)


def _size(buf):
    """Bytes of an array of any kind: a memoryview here has no itemsize."""
    return len(buf) * len(bytes(memoryview(buf)[:1]))
