"""Lets a driver that measures without a pause hear a vector file's sound, under MicroPython's asyncio.

Beside tape.py, so that drivers that do not listen need no memory for it.
"""

import asyncio
import io
import json

from tape import Tape

from balise_node.drivers import load


class Stream(io.IOBase):
    """A tape as asyncio sees machine.I2S: there is always something to read."""

    def __init__(self, tape):
        self._tape = tape

    def readinto(self, buf):
        return self._tape.play(buf)

    def ioctl(self, request, argument):
        return argument & 1 if request == 3 else 0  # MP_STREAM_POLL


def listen(model, path):
    """Prints how many turns another task had, and the sample after so much sound."""
    with open(path) as file:
        tape = Tape({}, {}, sound=bytes.fromhex(json.load(file)["sound"]))
    sensor = load(model)(Stream(tape), tape.sleep_ms)

    async def beside():
        listening = asyncio.create_task(sensor.listen())
        turns = 0
        while tape.calls < 100:
            turns += 1
            await asyncio.sleep(0)
        print(json.dumps([turns, list(sensor.sample())]))
        listening.cancel()

    asyncio.run(beside())
