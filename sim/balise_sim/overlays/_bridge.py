"""The VM's end of the bridge: one request, one reply, and the board's clock in between.

Promises: `now_us` never goes back; every reply may move it forward; a look at the clock costs LOOK_US, so that busy
loops end; due timers and pin handlers run inside calls and waits. Leaves to others: what a request means (the host)
and how firmware sees it (machine, network, socket, time, select). The layout of both headers is in bridge.py.
"""

import array
import struct

from micropython import const

HELLO = const(1)
WAIT = const(2)
FINISH = const(3)
RESET = const(4)
WATCHDOG = const(5)
CLOCK = const(6)
RANDOM = const(7)
FLASH = const(8)
READY = const(9)
PIN = const(10)
EVENTS = const(11)
I2C_OPEN = const(12)
I2C = const(13)
I2C_SCAN = const(14)
UART_OPEN = const(15)
UART_WRITE = const(16)
UART_IDLE = const(17)
FETCH = const(18)
WLAN = const(20)
RESOLVE = const(21)
SOCKET = const(22)
CONNECT = const(23)
SEND = const(24)
CLOSE = const(25)
SPI_OPEN = const(26)
SPI = const(27)
I2S_OPEN = const(28)
I2S_READ = const(29)
ONEWIRE = const(30)
ADC = const(31)
PWM = const(32)
BLE = const(33)
PULSE = const(34)
MEMORY = const(35)
LOOK_US = const(3)
SHORT_US = const(200000)  # a pause up to this long is counted here, without asking the host
LEAD_US = const(250000)  # how far this clock may run before the host is asked
HEADER_BYTES = const(24)
ROOM_BYTES = const(512)
REPLY_BYTES = const(4096)  # no reply brings more
FOREVER = const(-1)

now_us = 0
rtc_us = 0  # board time (microseconds since the board's epoch) minus now_us
settings = {}
brought = bytearray(REPLY_BYTES)  # what came with the last reply, the first `size` bytes of it
size = 0
pin_handlers = {}
timers = []  # running machine.Timer objects; each has due_us and fire()

_sync_by_us = LEAD_US
_link = open(3, "r+b", buffering=0)  # noqa: SIM115 - open as long as the board lives
_request = bytearray(HEADER_BYTES + ROOM_BYTES)
_view = memoryview(_request)
_header = _view[:HEADER_BYTES]
_reply = array.array("q", (0, 0, 0))


def call(op, handle=0, small=0, value=0, payload=b""):
    """Asks the host; returns its value and leaves its bytes in `brought`. Raises OSError with the host's errno.

    Nothing is allocated between the request and the end of its reply: a MemoryError there would leave half a reply.
    """
    global now_us, size
    length = len(payload)
    struct.pack_into("<BBHIqq", _request, 0, op, handle, small, length, now_us, value)
    if not length:
        _link.write(_header)
    elif length <= ROOM_BYTES:
        end = HEADER_BYTES + length
        _request[HEADER_BYTES:end] = payload
        _link.write(_view[:end])
    else:
        _link.write(_header)
        _link.write(payload)
    _link.readinto(_reply)
    now_us = _reply[0]
    answer = _reply[1]
    extent = _reply[2]
    size = extent & 0xFFFFFFFF
    if size:
        _link.readinto(brought, size)
    if extent >> 32:
        _run_handlers()
    if answer < 0:
        raise OSError(-answer)
    return answer


def reply():
    """The bytes of the last reply."""
    return bytes(brought[:size])


def call_into(op, handle, small, payload, target):
    """As `call`, for a reply that lands in `target`: all of it, or as much of it as the host has."""
    global now_us
    struct.pack_into("<BBHIqq", _request, 0, op, handle, small, len(payload), now_us, len(target))
    end = HEADER_BYTES + len(payload)
    _request[HEADER_BYTES:end] = payload
    _link.write(_view[:end])
    _link.readinto(_reply)
    now_us = _reply[0]
    answer = _reply[1]
    extent = _reply[2]
    count = extent & 0xFFFFFFFF
    if count:
        _link.readinto(target, count)
    if extent >> 32:
        _run_handlers()
    if answer < 0:
        raise OSError(-answer)
    return answer


def look():
    """The time now, after the cost of looking."""
    global now_us
    now_us += LOOK_US
    if now_us > _sync_by_us:
        wait(now_us)
    return now_us


def pause(duration_us):
    """Lets time pass; timers and pin handlers run meanwhile."""
    global now_us
    end_us = now_us + duration_us
    if duration_us <= SHORT_US and not timers and end_us <= _sync_by_us:
        now_us = end_us
        return
    wait(end_us)
    while now_us < end_us:
        wait(end_us)


def wait(until_us, interest=b""):
    """Waits until then (FOREVER: no end), or until one of the handles in `interest` is ready, or a handler ran.

    The ready handles are in `brought`, as _streams.feed reads them.
    """
    global _sync_by_us
    end_us = until_us
    for timer in timers:
        if end_us == FOREVER or timer.due_us < end_us:
            end_us = timer.due_us
    call(WAIT, 0, 0, end_us, interest)
    _sync_by_us = now_us + LEAD_US
    for timer in timers:
        if timer.due_us <= now_us:
            _run_timers()
            break


def _run_timers():
    kept = reply()
    for timer in timers[:]:
        if timer.due_us <= now_us and timer in timers:
            timer.fire()
    _restore(kept)


def _run_handlers():
    kept = reply()
    call(EVENTS)
    changes = reply()
    for at in range(0, len(changes), 2):
        handler = pin_handlers.get(changes[at])
        if handler:
            handler(changes[at + 1])
    _restore(kept)


def _restore(kept):
    global size
    size = len(kept)
    brought[:size] = kept
