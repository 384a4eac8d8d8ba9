"""The host's end of the bridge to one VM: requests in, replies out, one at a time.

A request is 24 bytes, little endian: op u8, handle u8, small u16, length u32 of the payload, now i64 (the VM's clock,
microseconds since boot), value i64; then the payload. A reply is 24 bytes: now i64 (the VM's new clock), value i64
(negative: an errno), extent i64 (payload length in the low 32 bits, number of pending pin events above); then the
payload. The VM asks and the host answers; a request may stay unanswered while the world goes on ("parked").

Promises: `serve` runs handlers until one parks or the VM ends; a VM that computes for PATIENCE_S without asking is
reported as hung. Leaves to others: what requests mean (calls.py) and when to resume (node.py).
"""

import enum
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

REQUEST = struct.Struct("<BBHIqq")
REPLY = struct.Struct("<qqq")
CHUNK_BYTES, MAX_PAYLOAD_BYTES = 65536, 1 << 20
MAX_REPLY_BYTES = 4096  # what a VM has room for
TIMEVAL = struct.Struct("@ll")
LOOK_S, PATIENCE_S = 0.05, 30.0  # wall time: how often a silent VM's console is emptied, and when it counts as hung


class Op(enum.IntEnum):
    """What a VM can ask for; the numbers are those of overlays/_bridge.py."""

    HELLO = 1
    WAIT = 2
    FINISH = 3
    RESET = 4
    WATCHDOG = 5
    CLOCK = 6
    RANDOM = 7
    FLASH = 8
    READY = 9
    PIN = 10
    EVENTS = 11
    I2C_OPEN = 12
    I2C = 13
    I2C_SCAN = 14
    UART_OPEN = 15
    UART_WRITE = 16
    UART_IDLE = 17
    FETCH = 18
    WLAN = 20
    RESOLVE = 21
    SOCKET = 22
    CONNECT = 23
    SEND = 24
    CLOSE = 25
    SPI_OPEN = 26
    SPI = 27
    I2S_OPEN = 28
    I2S_READ = 29
    ONEWIRE = 30
    ADC = 31
    PWM = 32
    BLE = 33
    PULSE = 34
    MEMORY = 35


class Request(NamedTuple):
    """One request, unpacked."""

    op: int
    handle: int
    small: int
    now_us: int
    value: int
    payload: bytes


class Reply(NamedTuple):
    """An answer: `value` negative is an errno; `cost_us` is how long the VM was busy with it."""

    value: int = 0
    payload: bytes = b""
    cost_us: int = 0


class State(enum.Enum):
    """Why `serve` returned."""

    PARKED = enum.auto()
    GARBLED = enum.auto()
    AHEAD = enum.auto()
    ENDED = enum.auto()
    HUNG = enum.auto()


Handler = Callable[[Request], Reply | None]


class Bridge:
    """Serves one VM. `on_silence` is called when the VM computes for long, so that its console does not fill up."""

    def __init__(self, end: socket.socket, handlers: Mapping[int, Handler], on_silence: Callable[[], None]) -> None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEVAL.pack(0, round(LOOK_S * 1e6)))
        self._fd = end.fileno()
        self._handlers = handlers
        self._on_silence = on_silence
        self._deferred: Request | None = None
        self.horizon_us = 0
        self.requests = 0
        self.last_us = 0
        self.pending = 0

    def answer(self, now_us: int, value: int = 0, payload: bytes = b"") -> None:
        """Answers the request that is parked; the VM goes on computing, so `serve` must follow."""
        message = REPLY.pack(now_us, value, len(payload) | self.pending << 32) + payload
        try:
            os.write(self._fd, message)
        except BrokenPipeError:
            pass  # the VM is gone; serve() will find out

    def serve(self) -> State:
        """Answers requests until one parks. Blocks while the VM computes, which costs no virtual time.

        A request from beyond `horizon_us` is kept, and answered by the next `serve`: the world must catch up first.
        """
        while True:
            got, self._deferred = self._deferred or self._receive(), None
            if isinstance(got, State):
                return got
            if got.now_us > self.horizon_us and got.op != Op.WAIT:
                self._deferred = got
                return State.AHEAD
            self.requests += 1
            self.last_us = got.now_us
            reply = self._handlers[got.op](got)
            if reply is None:
                return State.PARKED
            self.answer(got.now_us + reply.cost_us, reply.value, reply.payload)

    @property
    def ahead_us(self) -> int:
        """The VM's time of the request that was kept."""
        return self._deferred.now_us if self._deferred else 0

    def _receive(self) -> Request | State:
        message, needed = b"", REQUEST.size
        while len(message) < needed:
            part = self._read()
            if isinstance(part, State):
                return part
            message += part
            if len(message) >= REQUEST.size:
                op, handle, small, length, now_us, value = REQUEST.unpack_from(message)
                if op not in self._handlers or length > MAX_PAYLOAD_BYTES:
                    return State.GARBLED
                needed = REQUEST.size + length
        return Request(op, handle, small, now_us, value, message[REQUEST.size :])

    def _read(self) -> bytes | State:
        waited_s = 0.0
        while waited_s < PATIENCE_S:
            try:
                return os.read(self._fd, CHUNK_BYTES) or State.ENDED
            except BlockingIOError:
                waited_s += LOOK_S
                self._on_silence()
            except ConnectionResetError:
                return State.ENDED
        return State.HUNG
