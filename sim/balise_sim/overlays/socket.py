"""`socket` of the board: TCP clients, blocking and not.

Promises: the stream methods as MicroPython has them (None where nothing is here yet, OSError with an errno), a host
name looked up in the world's network. Leaves to others: TLS (_tls.py), servers and datagrams, which no node uses.
"""

import _bridge
from _memory import open_socket
from _streams import ERROR, READABLE, WRITABLE, Stream
from micropython import const

AF_INET, AF_INET6 = 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP = 0, 6, 17
SOL_SOCKET, SO_REUSEADDR, SO_BROADCAST, TCP_NODELAY = 4095, 4, 32, 1
_EAGAIN, _EBADF, _EOPNOTSUPP, _EINPROGRESS, _ETIMEDOUT = const(11), const(9), const(95), const(115), const(110)
_EVERYTHING = const(1 << 30)


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    _bridge.call(_bridge.RESOLVE, 0, 0, 0, host.encode())
    return [(AF_INET, SOCK_STREAM, 0, "", (_bridge.reply().decode(), port))]


class socket(Stream):
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=IPPROTO_TCP):
        if af != AF_INET or type != SOCK_STREAM:
            raise OSError(_EOPNOTSUPP)
        super().__init__(open_socket())
        self._timeout_us = _bridge.FOREVER

    def setblocking(self, value):
        self._timeout_us = _bridge.FOREVER if value else 0

    def settimeout(self, value):
        self._timeout_us = _bridge.FOREVER if value is None else int(value * 1000000)

    def setsockopt(self, level, optname, value):
        pass

    def fileno(self):
        return self._handle

    def makefile(self, mode="rb", buffering=0):
        return self

    def connect(self, address):
        host, port = address
        _bridge.call(_bridge.CONNECT, self._handle, port, 0, host.encode())
        if self._timeout_us == 0:
            raise OSError(_EINPROGRESS)
        self._need(WRITABLE)

    def _need(self, mask):
        """Waits as long as this socket may; raises when it cannot, or when the connection is broken."""
        deadline_us = _bridge.FOREVER if self._timeout_us < 0 else _bridge.now_us + self._timeout_us
        if not self._await(mask, deadline_us):
            raise OSError(_ETIMEDOUT if self._timeout_us else _EAGAIN)
        if self._flags & ERROR and not self._received:
            self._fetch()  # raises what went wrong

    def _receive(self, count):
        """Some bytes; b"" at the end; raises EAGAIN when there is nothing yet."""
        if not self._received:
            if not self._ready(READABLE):
                self._fetch()
            self._need(READABLE)
        return self._take(count)

    def recv(self, bufsize):
        return self._receive(bufsize)

    def recvfrom(self, bufsize):
        return self._receive(bufsize), ("0.0.0.0", 0)

    def read(self, size=-1):
        """Until `size` bytes or the end when blocking; else what is here, None when that is nothing."""
        wanted = _EVERYTHING if size < 0 else size
        found = b""
        while len(found) < wanted:
            try:
                part = self._receive(wanted - len(found))
            except OSError as error:
                if error.errno != _EAGAIN:
                    raise
                return found or None
            if not part:
                break
            found += part
        return found

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            try:
                part = self._receive(0)
            except OSError as error:
                if error.errno != _EAGAIN:
                    raise
                return line or None
            part = self._take_line()
            if not part:
                break
            line += part
        return line

    def send(self, bytes):
        """How many bytes went out; raises EAGAIN when none can go now."""
        while True:
            sent = _bridge.call(_bridge.SEND, self._handle, 0, 0, bytes)
            if sent or not len(bytes):
                return sent
            self._flags &= ~WRITABLE
            self._need(WRITABLE)

    def write(self, buf):
        """All of it when blocking; else what goes out now, None when that is nothing."""
        data = buf.encode() if isinstance(buf, str) else buf
        if self._timeout_us < 0:
            self.sendall(data)
            return len(data)
        try:
            return self.send(data)
        except OSError as error:
            if error.errno != _EAGAIN:
                raise
            return None

    def sendall(self, bytes):
        view = memoryview(bytes)
        at = 0
        while at < len(view):
            at += self.send(view[at:])

    def close(self):
        if self._handle:
            _bridge.call(_bridge.CLOSE, self._handle)
            self._handle = 0
            self._received = b""

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def bind(self, address):
        raise OSError(_EOPNOTSUPP)

    def listen(self, backlog=0):
        raise OSError(_EOPNOTSUPP)

    def accept(self):
        raise OSError(_EOPNOTSUPP)

    def sendto(self, bytes, address):
        raise OSError(_EOPNOTSUPP)
