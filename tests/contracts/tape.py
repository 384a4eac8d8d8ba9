"""Plays the vectors of one driver, on CPython and on MicroPython: the bus is a tape, the driver is the real one.

A vector file (tests/node/vectors/<model>.json) has "answers" and "registers" that hold for all its cases, and "cases":

    why        what is tried, unique in the file
    from       where the expectation comes from
    answers    {hex written: hex that comes back}, added to the file's. UART: a list of hex strings comes in that many
               reads. I2C: a list is one answer for each time that it is written, then its last; null is no acknowledge.
               SPI: {first byte after select: all that comes until deselect}, a list as on I2C; behind its end comes FF
    registers  {hex number: hex bytes from there on}, added to the file's; a list is read one after the other, then its
               last; a chip without registers does not acknowledge (I2C), or gives no presence pulse (1-Wire)
    heard      what a part says unasked, as hex in so many reads; nothing has come yet at the first read
    microvolts what an analogue pin shows, one read after the other, then the last; a case's instead of the file's
    sound      hex of the 32-bit words that a microphone sends over and over, instead of the file's; "" stays silent
    options    for the driver's constructor
    sample     what wake() and then sample() give, or
    flags      with it: {channel: QARTOD flag} as the sensor judges that sample; none when left out
    expect     the name of the SensorError that one of them raises
    sent       optional: all that is written by wake(), sample() and sleep(), as hex; on SPI from select to deselect

The first case is the golden one: each byte that comes back in it is spoilt in turn, and the driver must notice. Where
that cannot be, "unguarded" says why, for the whole file or as {hex key of answers or registers: why}.

Alone it is a program: `micropython tape.py MODEL FILE` prints the outcome of each case as a line of JSON. FILE has a
line of JSON for what holds for all cases, then one for each case: a board has no room for them all at once.
"""

import json
import sys
from array import array

from balise_node.drivers import SensorError, load


class Tape:
    """All shapes in which a bus is handed, with its answers written down; no bus has fewer methods."""

    present = True

    def __init__(self, answers, registers, microvolts=(), sound=b""):
        self._sound = array("i", sound)
        self._played = 0
        self._microvolts = list(microvolts)
        self._answers = {key: list(value) if isinstance(value, list) else value for key, value in answers.items()}
        self._registers = {int(number, 16): listed(values) for number, values in registers.items()}
        self._pending = []
        self._turns = {}  # SPI: what is left of a list of answers
        self._written = self._stream = b""
        self.sent = []
        self.calls = 0
        self.waited_ms = 0

    def sleep_ms(self, ms):
        self.waited_ms += ms

    def says(self, heard):
        """Lets the part speak by itself."""
        if heard:
            self._pending.append(None)
            self._pending += listed(heard)

    def _take(self, data):
        self.calls += 1
        self.sent.append(bytes(data).hex() if data else "")  # MicroPython 1.27 makes bytes of no bytes
        return self._answers.get(self.sent[-1], [])

    def write(self, data):
        self._pending += listed(self._take(data))
        return len(data)

    def read(self, nbytes=-1):
        self.calls += 1
        return self._pending.pop(0) if self._pending else None

    def play(self, buf):
        """As machine.I2S.readinto: the words go on where they were."""
        self.calls += 1
        if not self._sound:
            return 0
        at = 0
        while at < len(buf):
            count = min(len(self._sound) - self._played, len(buf) - at)
            memoryview(buf)[at : at + count] = self._sound[self._played : self._played + count]
            at += count
            self._played = (self._played + count) % len(self._sound)
        return 4 * len(buf)

    def writeto(self, addr, buf, stop=True):
        answer = self._take(buf)
        if isinstance(answer, list) and answer:
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            raise OSError(19)
        self._pending = listed(answer)
        return len(buf)

    def readfrom(self, addr, nbytes, stop=True):
        data = self.read()
        if data is None or len(data) != nbytes:
            raise OSError(5)
        return data

    def writeto_mem(self, addr, memaddr, buf):
        if not self._registers:
            raise OSError(19)
        self._take(bytes((memaddr,)) + bytes(buf))

    def readfrom_mem(self, addr, memaddr, nbytes):
        self.calls += 1
        if not self._registers:
            raise OSError(19)
        for start, runs in self._registers.items():
            if start <= memaddr and memaddr + nbytes <= start + len(runs[0]):
                run = runs.pop(0) if len(runs) > 1 else runs[0]
                return run[memaddr - start : memaddr - start + nbytes]
        raise OSError(5)

    def reset(self, required=False):
        self.calls += 1
        return self.present

    def readinto(self, buf):
        """As onewire.OneWire: where nobody answers, the line reads as ones. Words are for I2S."""
        if isinstance(buf, array):
            return self.play(buf)
        data = (self.read() or b"") + b"\xff" * len(buf)
        buf[:] = data[: len(buf)]
        return None

    def crc8(self, data):
        crc = 0
        for byte in data:
            for bit in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ byte >> bit) & 1 else 0)
        return crc

    def read_uv(self):
        self.calls += 1
        return self._microvolts.pop(0) if len(self._microvolts) > 1 else self._microvolts[0]

    def select(self):
        self._written = b""

    def exchange(self, data, gap_us=0):
        self.calls += 1
        if not self._written:
            head = bytes(data[:1]).hex()
            turns = self._turns.setdefault(head, listed(self._answers.get(head, "")))
            self._stream = turns.pop(0) if len(turns) > 1 else turns[0]
        start = len(self._written)
        self._written += data
        came = self._stream[start : start + len(data)]
        return came + b"\xff" * (len(data) - len(came))

    def deselect(self):
        self.sent.append(self._written.hex())


def listed(values):
    """One hex string or several, as a list of bytes."""
    return [bytes.fromhex(value) for value in (values if isinstance(values, list) else [values]) if value is not None]


def merged(vectors, case, key):
    both = dict(vectors.get(key, {}))
    both.update(case.get(key, {}))
    return both


def play(model, vectors, case):
    """The outcome of one case: its sample or its error, and what went over the bus."""
    silent = case.get("registers") == {}
    sound = bytes.fromhex(case.get("sound", vectors.get("sound", "")))
    microvolts = case.get("microvolts", vectors.get("microvolts", ()))
    tape = Tape(
        merged(vectors, case, "answers"), {} if silent else merged(vectors, case, "registers"), microvolts, sound
    )
    tape.present = not silent
    tape.says(case.get("heard", vectors.get("heard", [])))
    sensor = load(model)(tape, tape.sleep_ms, **case.get("options", {}))
    outcome = {"why": case["why"], "calls_before_wake": tape.calls}
    try:
        sensor.wake()
        outcome["sample"] = list(sensor.sample())
        outcome["flags"] = {sensor.CHANNELS[at]: flag for at, flag in getattr(sensor, "flags", {}).items()}
        sensor.sleep()
    except SensorError as error:
        outcome["expect"] = error.what
        outcome["told"] = str(error)
    outcome["sent"] = tape.sent
    outcome["waited_ms"] = tape.waited_ms
    return outcome


def main(model, path):
    with open(path) as file:
        vectors = json.loads(file.readline())
        for line in file:
            print(json.dumps(play(model, vectors, json.loads(line))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
