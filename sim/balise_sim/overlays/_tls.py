"""`tls` of the board: the VM's own Mbed TLS over simulated sockets.

Promises: a wrapped socket takes the memory that it takes on the board, and more while it shakes hands, and is refused
with ENOMEM where the board has none left; asyncio can wait for it. Its random numbers are the host's, so that bytes on
the line differ between runs. Leaves to others: certificates and ciphers (the VM's), the time a handshake takes.
"""

import _memory
import tls as _vm  # `from tls import *` of ssl.py must not find its name here
import uselect
from _streams import CLOSED, POLL, READABLE, WRITABLE, Stream

CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = _vm.CERT_NONE, _vm.CERT_OPTIONAL, _vm.CERT_REQUIRED
PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = _vm.PROTOCOL_TLS_CLIENT, _vm.PROTOCOL_TLS_SERVER
MBEDTLS_VERSION = _vm.MBEDTLS_VERSION


class SSLContext:
    def __init__(self, protocol):
        self._inner = _vm.SSLContext(protocol)
        for name in ("get_ciphers", "set_ciphers", "load_cert_chain", "load_verify_locations"):
            setattr(self, name, getattr(self._inner, name))

    @property
    def verify_mode(self):
        return self._inner.verify_mode

    @verify_mode.setter
    def verify_mode(self, value):
        self._inner.verify_mode = value

    def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        """A stream; the handshake's memory is given back when it is over."""
        _memory.take(_memory.TLS)
        try:
            wrapped = SSLSocket(sock)
            wrapped._wrap(self._inner, server_side, do_handshake_on_connect, server_hostname)
        except BaseException:
            _memory.give(_memory.TLS)
            raise
        return wrapped


class SSLSocket(Stream):
    def __init__(self, sock):
        super().__init__(sock._handle)
        self._sock = sock
        self._inner = None
        self._shakes = False

    def _wrap(self, context, server_side, at_once, server_hostname):
        _memory.take(_memory.TLS_HANDSHAKE)
        self._shakes = True
        try:
            self._inner = context.wrap_socket(
                self._sock, server_side=server_side, do_handshake_on_connect=at_once, server_hostname=server_hostname
            )
        except BaseException:
            self._shaken()
            raise
        self._poll = uselect.poll()
        self._poll.register(self._inner, READABLE)
        if at_once:
            self._shaken()

    def _shaken(self):
        if self._shakes:
            self._shakes = False
            _memory.give(_memory.TLS_HANDSHAKE)

    def _ready(self, mask):
        """What Mbed TLS says: it may have bytes that the socket has not, and need to read before it can write."""
        self._poll.modify(self._inner, mask & (READABLE | WRITABLE))
        for _, events in self._poll.ipoll(0):
            return events
        return 0

    def _feed(self, flags, received):
        self._sock._feed(flags, received)

    def _interest(self, mask):
        """A socket that can be written to and a TLS that cannot: it waits for the other side's part of a handshake."""
        return self._sock._interest(READABLE if self._sock._ready(WRITABLE) & WRITABLE else mask)

    def _got(self, found):
        if found:
            self._shaken()
        return found

    def read(self, size=-1):
        return self._got(self._inner.read() if size < 0 else self._inner.read(size))

    def readinto(self, buf, nbytes=-1):
        return self._got(self._inner.readinto(buf) if nbytes < 0 else self._inner.readinto(buf, nbytes))

    def readline(self):
        return self._got(self._inner.readline())

    def write(self, buf):
        return self._inner.write(buf)

    def setblocking(self, value):
        self._inner.setblocking(value)
        self._sock.setblocking(value)

    def ioctl(self, request, argument):
        if request == POLL:
            return self._ready(argument)
        if request == CLOSED:
            self.close()
        return 0

    def close(self):
        if self._handle:
            self._handle = 0
            self._inner.close()
            self._sock.close()
            self._shaken()
            _memory.give(_memory.TLS)

    def cipher(self):
        return self._inner.cipher()
