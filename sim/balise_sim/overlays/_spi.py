"""SPI: one request to the host for each run of bytes.

Promises: the esp32 port's parameters and their defaults; bus time charged by the host; a bus that was let go says so.
Leaves to others: the devices, and chip select, which firmware holds by a Pin.
"""

import _bridge
from _ports import _number
from micropython import const

_LSB = const(4)
_RUN_BYTES = const(512)  # what a request has room for


class SPI:
    MSB, LSB = 0, 1

    def __init__(self, id, baudrate=500000, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        self._id = self._handle = id & 255
        self._pins = bytearray((255, 255, 255))
        self._settings = [baudrate, polarity, phase, bits, firstbit]
        self.init(sck=sck, mosi=mosi, miso=miso)

    def init(self, baudrate=-1, *, polarity=-1, phase=-1, bits=-1, firstbit=-1, sck=None, mosi=None, miso=None):
        """What is not given stays as it is."""
        for at, value in enumerate((baudrate, polarity, phase, bits, firstbit)):
            if value >= 0:
                self._settings[at] = value
        for at, pin in enumerate((sck, mosi, miso)):
            if pin is not None:
                self._pins[at] = _number(pin)
        hz, polarity, phase, bits, firstbit = self._settings
        if bits != 8:
            raise ValueError("bits must be 8")
        small = polarity << 1 | phase | (_LSB if firstbit else 0)
        try:
            self._handle = _bridge.call(_bridge.SPI_OPEN, self._id, small, hz, self._pins)
        except OSError:
            raise ValueError("SPI({}) doesn't exist or cannot run so".format(self._id)) from None  # noqa: UP032

    def deinit(self):
        self._handle = None

    def write_readinto(self, write_buf, read_buf):
        if len(write_buf) != len(read_buf):
            raise ValueError("buffers must be the same length")
        if len(write_buf) <= _RUN_BYTES:
            self._transfer(write_buf, read_buf)
            return
        sent, came = memoryview(write_buf), memoryview(read_buf)
        for at in range(0, len(sent), _RUN_BYTES):
            self._transfer(sent[at : at + _RUN_BYTES], came[at : at + _RUN_BYTES])

    def write(self, buf):
        self.write_readinto(buf, bytearray(len(buf)))

    def read(self, nbytes, write=0):
        target = bytearray(nbytes)
        self.readinto(target, write)
        return bytes(target)

    def readinto(self, buf, write=0):
        self.write_readinto(bytes((write,)) * len(buf), buf)

    def _transfer(self, sent, came):
        if self._handle is None:
            raise OSError("transfer on deinitialized SPI")
        _bridge.call_into(_bridge.SPI, self._handle, 0, sent, came)


class SoftSPI(SPI):
    def __init__(self, baudrate=500000, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        if sck is None or mosi is None or miso is None:
            raise ValueError("must specify all of sck/mosi/miso")
        super().__init__(
            -1,
            baudrate,
            polarity=polarity,
            phase=phase,
            bits=bits,
            firstbit=firstbit,
            sck=sck,
            mosi=mosi,
            miso=miso,
        )
