"""I2C and UART: one request to the host for each transaction or buffer.

Promises: the errors of the board (its errno when nobody acknowledges), bus time charged by the host, a receive buffer
of `rxbuf` bytes that overflows. Leaves to others: the devices.
"""

import _bridge
from _streams import READABLE, Stream
from micropython import const

_STOP = const(256)
_UART_HANDLE = const(200)
_RXBUF_BYTES = const(256)  # the default of the esp32 and rp2 ports


def _number(pin):
    if pin is None:
        return 255
    return pin if isinstance(pin, int) else pin._id


class I2C:
    def __init__(self, id=-1, *, scl=None, sda=None, freq=400000, timeout=50000):
        self._id = id & 255
        wiring = bytes((_number(sda), _number(scl))) + timeout.to_bytes(4, "little")
        try:
            self._handle = _bridge.call(_bridge.I2C_OPEN, self._id, 0, freq, wiring)
        except OSError:
            raise ValueError("I2C({}) doesn't exist or has other pins".format(id)) from None  # noqa: UP032

    def scan(self):
        _bridge.call(_bridge.I2C_SCAN, self._handle)
        return list(_bridge.reply())

    def readfrom(self, addr, nbytes, stop=True):
        target = bytearray(nbytes)
        self.readfrom_into(addr, target, stop)
        return bytes(target)

    def readfrom_into(self, addr, buf, stop=True):
        _bridge.call_into(_bridge.I2C, self._handle, addr | (_STOP if stop else 0), b"", buf)

    def writeto(self, addr, buf, stop=True):
        _bridge.call(_bridge.I2C, self._handle, addr | (_STOP if stop else 0), -1, buf)
        return len(buf)

    def writevto(self, addr, vector, stop=True):
        return self.writeto(addr, b"".join(vector), stop)

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        target = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, target, addrsize=addrsize)
        return bytes(target)

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        _bridge.call_into(_bridge.I2C, self._handle, addr | _STOP, memaddr.to_bytes(addrsize // 8, "big"), buf)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        self.writeto(addr, memaddr.to_bytes(addrsize // 8, "big") + bytes(buf))

    def deinit(self):
        pass


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        super().__init__(-1, scl=scl, sda=sda, freq=freq, timeout=timeout)


class UART(Stream):
    RTS, CTS = 1, 2
    INV_RX, INV_TX = 4, 32
    IRQ_RX, IRQ_RXIDLE = 1, 4096

    def __init__(self, id, baudrate=9600, bits=8, parity=None, stop=1, **options):
        super().__init__(_UART_HANDLE + id)
        self._id = id
        self._pins = (None, None)
        self._rxbuf = _RXBUF_BYTES
        self._timeout_us = self._timeout_char_us = 0
        self.init(baudrate, bits, parity, stop, **options)

    def init(self, baudrate=9600, bits=8, parity=None, stop=1, **options):
        """`options`: tx, rx, txbuf, rxbuf, timeout, timeout_char, invert, flow, rts, cts."""
        for name in options:
            if name not in ("tx", "rx", "txbuf", "rxbuf", "timeout", "timeout_char", "invert", "flow", "rts", "cts"):
                raise TypeError("extra keyword arguments given")
        self._pins = (options.get("tx", self._pins[0]), options.get("rx", self._pins[1]))
        self._rxbuf = options.get("rxbuf", self._rxbuf)
        self._timeout_us = (options.get("timeout") or 0) * 1000
        symbol_bits = 1 + bits + stop + (parity is not None)
        self._timeout_char_us = (options.get("timeout_char") or 0) * 1000
        if self._timeout_us:  # then the ports wait for two symbols at least between characters
            self._timeout_char_us = max(self._timeout_char_us, 2 * symbol_bits * 1000000 // baudrate)
        pins = bytes((_number(self._pins[0]), _number(self._pins[1]), symbol_bits, self._rxbuf & 255, self._rxbuf >> 8))
        parity = 0 if parity is None else 1 + (parity & 1)  # none, even, odd
        try:
            _bridge.call(_bridge.UART_OPEN, self._handle, parity, baudrate, pins)
        except OSError:
            raise ValueError("UART({}) does not exist or has other pins".format(self._id)) from None  # noqa: UP032

    def any(self):
        self._fetch()
        return len(self._received)

    def read(self, nbytes=-1):
        """Up to `nbytes` (all when negative); waits `timeout` for the first byte and `timeout_char` between others."""
        count = nbytes if nbytes >= 0 else 65535
        self._gather(count)
        return self._take(count) or None

    def readline(self):
        self._fetch()
        first = True
        while self._received.find(b"\n") < 0 and self._more(first):
            first = False
        return self._take_line() or None

    def _gather(self, count):
        if len(self._received) >= count:
            return
        self._fetch()
        first = not self._received
        while len(self._received) < count and self._more(first):
            first = False

    def _more(self, first):
        """Waits for further bytes; False when none came in time."""
        known = len(self._received)
        limit_us = _bridge.now_us + (self._timeout_us if first else self._timeout_char_us)
        kept, self._received = self._received, b""
        came = self._await(READABLE, limit_us) if limit_us > _bridge.now_us else False
        self._received = kept + self._received
        return came and len(self._received) > known

    def write(self, buf):
        data = buf.encode() if isinstance(buf, str) else bytes(buf)
        return _bridge.call(_bridge.UART_WRITE, self._handle, 0, 0, data)

    def txdone(self):
        return _bridge.call(_bridge.UART_IDLE, self._handle) <= _bridge.now_us

    def flush(self):
        idle_us = _bridge.call(_bridge.UART_IDLE, self._handle)
        while _bridge.now_us < idle_us:
            _bridge.pause(idle_us - _bridge.now_us)

    def deinit(self):
        _bridge.call(_bridge.CLOSE, self._handle)
