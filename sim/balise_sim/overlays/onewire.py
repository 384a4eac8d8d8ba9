"""`onewire` as MicroPython's frozen module: slots, bytes, the search for ROM codes.

Promises: a pin without 1-Wire devices reads as an idle line does: no presence, ones. Leaves to others: the devices.
"""

import _bridge
from micropython import const

_RESET, _WRITE, _READ, _WRITE_BIT, _READ_BIT = const(0), const(1), const(2), const(3), const(4)


class OneWireError(Exception):
    pass


class OneWire:
    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin):
        self.pin = pin
        self.pin.init(pin.OPEN_DRAIN, pin.PULL_UP)

    def _ask(self, action, value, payload=b"", idle=1):
        try:
            return _bridge.call(_bridge.ONEWIRE, self.pin._id, action, value, payload)
        except OSError:  # nothing is wired to this pin
            _bridge.size = 0
            return idle

    def reset(self, required=False):
        present = bool(self._ask(_RESET, 0, b"", 0))
        if required and not present:
            raise OneWireError
        return present

    def readbit(self):
        return self._ask(_READ_BIT, 0)

    def readbyte(self):
        found = bytearray(1)
        self.readinto(found)
        return found[0]

    def readinto(self, buf):
        self._ask(_READ, len(buf))
        came = _bridge.reply() or b"\xff" * len(buf)
        buf[:] = came

    def writebit(self, value):
        self._ask(_WRITE_BIT, 1 if value else 0)

    def writebyte(self, value):
        self._ask(_WRITE, 0, bytes((value,)))

    def write(self, buf):
        self._ask(_WRITE, 0, bytes(buf))

    def select_rom(self, rom):
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def scan(self):
        """The ROM codes of all devices, found by walking the tree of their bits."""
        found = []
        paths = [b""]  # of bits known so far, where both a 0 and a 1 exist below
        while paths:
            rom, turns = self._walk(paths.pop())
            if rom:
                found.append(rom)
                paths.extend(turns)
        return found

    def _walk(self, path):
        """One search: follows `path`, then always 0; the code, and the paths to a 1 where it had a choice."""
        if not self.reset():
            return None, ()
        self.writebyte(self.SEARCH_ROM)
        bits = bytearray()
        turns = []
        for at in range(64):
            zero_taken = self.readbit()
            one_taken = self.readbit()
            if zero_taken and one_taken:
                return None, ()
            bit = zero_taken
            if not zero_taken and not one_taken:
                if at < len(path):
                    bit = path[at]
                else:
                    turns.append(bytes(bits) + b"\x01")
            self.writebit(bit)
            bits.append(bit)
        rom = bytearray(8)
        for at, bit in enumerate(bits):
            rom[at >> 3] |= bit << (at & 7)
        return (rom, turns) if self.crc8(rom) == 0 else (None, ())

    def crc8(self, data):
        crc = 0
        for byte in data:
            for _ in range(8):
                crc, byte = (crc >> 1) ^ (0x8C if (crc ^ byte) & 1 else 0), byte >> 1
        return crc
