"""Sensor libraries of others, as they are on the package index, on our buses: our board, and the bench's time.

Promises that not a byte of theirs is changed, that none finds a real board and that none really waits. Leaves to
test_independent.py what they have to read.
"""

import importlib
import logging  # with the lines below: what they import is imported before, with the real time
import struct
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import serial

from contracts.bench import Bench
from contracts.tape import Tape

IMPORTED_BEFORE = (logging, serial, struct)
IMPORTED_LATE = ("adafruit_bus_device.i2c_device",)  # by a constructor, when the stand-ins are gone
FOLDER = Path(sys.prefix) / "strangers"  # set-up lays those there that must not stand beside the real MicroPython
LOOK_S = 0.001


class Time(ModuleType):
    """What they use of the module time, counted by the bench or tape that is at work."""

    def __init__(self) -> None:
        super().__init__("time")
        self.us = 0

    def monotonic(self) -> float:
        return self.us / 1_000_000

    time = perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)


class StrangeBench(Bench):
    """A workbench whose clock is the one that the libraries sleep on."""

    @property
    def now_us(self) -> int:
        return TIME.us

    @now_us.setter
    def now_us(self, now_us: int) -> None:
        TIME.us = now_us


TIME = Time()


def module(name: str, **names: object) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(names)
    return made


# What CircuitPython has built in, as far as they import it; for annotations most of it
STAND_INS = {
    "time": TIME,
    "busio": module("busio", I2C=object, SPI=object, UART=object),
    "digitalio": module("digitalio", DigitalInOut=object, Direction=object),
    "micropython": module("micropython", const=lambda value: value),
}


@cache
def library(name: str) -> Any:
    """A module of theirs, imported while the stand-ins stand in; afterwards everybody else finds the real ones."""
    assert FOLDER.exists(), f"{FOLDER} is missing: run 'sh ./set-up venv dev'"
    real = {each: sys.modules.get(each) for each in STAND_INS}
    sys.modules.update(STAND_INS)
    sys.path.append(str(FOLDER))
    try:
        for late in IMPORTED_LATE if name.startswith("adafruit") else ():
            importlib.import_module(late)
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))
        for each, found in real.items():
            if found is None:
                del sys.modules[each]
            else:
                sys.modules[each] = found


class RegisterTape(Tape):
    """A tape for those who write a register's number and read, in two transactions."""

    def writeto(self, addr: int, buf: bytes, stop: bool = True) -> int:
        if len(buf) > 1:
            self.writeto_mem(addr, buf[0], buf[1:])
        self._register = bytes(buf[:1])
        return len(buf)

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        found: bytes = self.readfrom_mem(addr, self._register[0], nbytes)
        return found


class BusioI2C:
    """busio.I2C over one that is shaped as machine.I2C."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        pass

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        self._bus.writeto(address, bytes(buffer[start:end]))

    def readfrom_into(self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None) -> None:
        buffer[start:end] = self._bus.readfrom(address, len(buffer[start:end]))

    def writeto_then_readfrom(self, address: int, out: bytes, into: bytearray, **cuts: int | None) -> None:
        self.writeto(address, out, start=cuts.get("out_start") or 0, end=cuts.get("out_end"))
        self.readfrom_into(address, into, start=cuts.get("in_start") or 0, end=cuts.get("in_end"))


class BusioUART:
    """busio.UART over one that is shaped as machine.UART: read() waits for all that it is asked for."""

    TIMEOUT_S = 3.0

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self._held = b""

    def read(self, nbytes: int) -> bytes | None:
        until_s = TIME.monotonic() + self.TIMEOUT_S
        while len(self._held) < nbytes and TIME.monotonic() < until_s:
            TIME.sleep(LOOK_S)
            self._held += self._bus.read() or b""
        data, self._held = self._held[:nbytes], self._held[nbytes:]
        return data or None


class Transceiver:
    """What sensirion-i2c-driver talks to, over one that is shaped as machine.I2C."""

    API_VERSION = 1
    channel_count = None
    OK, NACK = 0, 2

    def __init__(self, bus: Any) -> None:
        self._bus = bus

    def transceive(
        self, slave_address: int, tx_data: bytes | None, rx_length: int | None, read_delay: float, timeout: float
    ) -> tuple[int, OSError | None, bytes]:
        try:
            if tx_data is not None:
                self._bus.writeto(slave_address, bytes(tx_data))
            TIME.sleep(read_delay)
            return self.OK, None, self._bus.readfrom(slave_address, rx_length) if rx_length else b""
        except OSError as error:
            return self.NACK, error, b""


def i2c_connection(bus: Any) -> Any:
    return library("sensirion_i2c_driver").I2cConnection(Transceiver(bus))


def i2c_channel(bus: Any, address: int) -> Any:
    crc = library("sensirion_i2c_driver").CrcCalculator(8, 0x31, 0xFF, 0x00)
    adapter = library("sensirion_driver_adapters.i2c_adapter.i2c_channel")
    return adapter.I2cChannel(i2c_connection(bus), slave_address=address, crc=crc)


def shdlc_channel(bus: Any) -> Any:
    """What sensirion-uart-sps30 talks to, over one that is shaped as machine.UART; frames are the library's own."""
    adapter = library("sensirion_driver_adapters.shdlc_adapter.shdlc_channel")
    frames = library("sensirion_shdlc_driver.serial_frame_builder")
    errors = library("sensirion_shdlc_driver.errors")

    class Port(adapter.ShdlcTransceiver):
        def transceive(self, slave_address: int, command_id: int, data: bytes, response_timeout: float) -> Any:
            bus.read()
            bus.write(frames.ShdlcSerialMosiFrameBuilder(slave_address, command_id, data).to_bytes())
            answer = frames.ShdlcSerialMisoFrameBuilder()
            until_s = TIME.monotonic() + response_timeout
            while TIME.monotonic() < until_s:
                TIME.sleep(LOOK_S)
                if answer.add_data(bus.read() or b""):
                    return answer.interpret_data()
            raise errors.ShdlcTimeoutError

    return adapter.ShdlcChannel(Port())
