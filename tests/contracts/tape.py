"""Plays the vectors of one driver, on CPython and on MicroPython: the bus is a tape, the driver is the real one.

A vector file (tests/node/vectors/<model>.json) has "answers" and "registers" that hold for all its cases, and "cases":

    why        what is tried, unique in the file
    from       where the expectation comes from
    answers    {hex written: hex that comes back}, added to the file's; a list of hex strings comes in that many reads
    registers  {hex number: hex bytes from there on}, added to the file's; a list is read one after the other, then its
               last; a chip without registers does not acknowledge
    sound      hex of the 32-bit words that a microphone sends over and over, instead of the file's; "" stays silent
    options    for the driver's constructor
    sample     what wake() and then sample() give, or
    flags      with it: {channel: QARTOD flag} as the sensor judges that sample; none when left out
    expect     the name of the SensorError that one of them raises
    sent       optional: all that is written by wake(), sample() and sleep(), as hex

Alone it is a program: `micropython tape.py MODEL FILE` prints the outcome of each case as a line of JSON.
"""

import json
import sys
from array import array

from balise_node.drivers import SensorError, load


class Tape:
    """All shapes, machine.UART, I2C and I2S, of a bus whose answers are written down; no bus has fewer methods."""

    def __init__(self, answers, registers, sound=b""):
        self._sound = array("i", sound)
        self._played = 0
        self._answers = answers
        self._registers = {int(number, 16): listed(values) for number, values in registers.items()}
        self._pending = []
        self.sent = []
        self.calls = 0
        self.waited_ms = 0

    def sleep_ms(self, ms):
        self.waited_ms += ms

    def _take(self, data):
        self.calls += 1
        self.sent.append(bytes(data).hex())
        self._pending += listed(self._answers.get(self.sent[-1], []))

    def write(self, data):
        self._take(data)
        return len(data)

    def read(self, nbytes=-1):
        self.calls += 1
        return self._pending.pop(0) if self._pending else None

    def readinto(self, buf):
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
        self._take(buf)
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


def listed(values):
    """One hex string or several, as a list of bytes."""
    return [bytes.fromhex(value) for value in (values if isinstance(values, list) else [values])]


def merged(vectors, case, key):
    both = dict(vectors.get(key, {}))
    both.update(case.get(key, {}))
    return both


def play(model, vectors, case):
    """The outcome of one case: its sample or its error, and what went over the bus."""
    silent = case.get("registers") == {}
    sound = bytes.fromhex(case.get("sound", vectors.get("sound", "")))
    tape = Tape(merged(vectors, case, "answers"), {} if silent else merged(vectors, case, "registers"), sound)
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
        vectors = json.load(file)
    for case in vectors["cases"]:
        print(json.dumps(play(model, vectors, case)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
