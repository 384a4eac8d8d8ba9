"""What UART and socket objects share: bytes that the host pushed, and what is known about readiness.

Promises: bytes come out in order and once. The host pushes whole buffers with a wake-up, so most reads need no call.
Leaves to others: opening and writing.
"""

import io

import _bridge
from micropython import const

READABLE = const(1)
WRITABLE = const(4)
ERROR = const(8)
END = const(16)  # nothing will follow what was received
POLL = const(3)  # MP_STREAM_POLL
CLOSED = const(4)  # MP_STREAM_CLOSE
EINVAL = const(22)
UART_HANDLE = const(200)


class Stream(io.IOBase):
    def __init__(self, handle):
        self._handle = handle
        self._received = b""
        self._flags = 0

    def _ready(self, mask):
        """Which of the events in `mask` are known to hold; errors and the end count as readable, as in poll()."""
        flags = self._flags & (WRITABLE | ERROR)
        if self._received or self._flags & (ERROR | END):
            flags |= READABLE
        return flags & (mask | ERROR)

    def _feed(self, flags, received):
        self._flags = flags
        if received:
            self._received = self._received + received if self._received else received

    def _interest(self, mask):
        """This stream in the payload of WAIT: handle, events, bytes already here."""
        return bytes((self._handle, mask, len(self._received) & 255, len(self._received) >> 8))

    def _fetch(self):
        flags = _bridge.call(_bridge.FETCH, self._handle, 0, len(self._received))
        try:
            self._feed(flags, _bridge.reply())
        except MemoryError:
            lost((self,))
            raise

    def _take(self, count):
        received = self._received
        if count >= len(received):
            self._received = b""
            return received
        self._received = received[count:]
        return received[:count]

    def _await(self, mask, deadline_us):
        """Waits for one of the events; False when the deadline (FOREVER: none) came first."""
        while not self._ready(mask):
            if deadline_us != _bridge.FOREVER and _bridge.now_us >= deadline_us:
                return False
            wait((self,), self._interest(mask), deadline_us)
        return True

    def read(self, nbytes=-1):
        raise OSError(EINVAL)

    def readinto(self, buf, nbytes=-1):
        """As the board's: the number of bytes read, or None when nothing is here yet."""
        found = self.read(len(buf) if nbytes < 0 else min(nbytes, len(buf)))
        if found is None:
            return None
        buf[: len(found)] = found
        return len(found)

    def _take_line(self):
        end = self._received.find(b"\n") + 1
        return self._take(end if end else len(self._received))

    def ioctl(self, request, argument):
        if request == POLL:
            return self._ready(argument)
        if request == CLOSED:
            return 0
        return -EINVAL


def wait(streams, interest, until_us):
    """WAIT for these streams, whose interest is given, and feed them."""
    _bridge.size = 0
    try:
        _bridge.wait(until_us, interest)
        _feed_all(streams)
    except MemoryError:
        lost(streams)
        raise


def _feed_all(streams):
    """The reply to WAIT is handle, flags, size (two bytes) and bytes for each stream that is ready."""
    brought = _bridge.brought
    at = 0
    while at < _bridge.size:
        start = at + 4
        end = start + (brought[at + 2] | brought[at + 3] << 8)
        for stream in streams:
            if stream._handle == brought[at]:
                stream._feed(brought[at + 1], bytes(brought[start:end]) if end > start else b"")
                break
        at = end


def lost(streams):
    """There was no memory for the bytes of a reply: a connection with a hole in it is of no use to anybody."""
    if _bridge.size:
        for stream in streams:
            if stream._handle < UART_HANDLE:
                _bridge.call(_bridge.CLOSE, stream._handle)
