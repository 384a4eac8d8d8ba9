"""I2S, receiving: frames at the pace of the clock, a buffer of `ibuf` bytes that overflows when nobody reads.

As the ports of MicroPython do it: the clock runs from the moment the port is opened, hardware frames have 8 bytes
whatever firmware wants of them, mono is the left slot, and of what does not fit the oldest is lost. Not played: two
microphones on one line, transmitting.
"""

import struct
from array import array
from typing import ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.port import EINVAL, SECOND_US, BusPort, WiringError, joined
from balise_sim.devices._i2s import I2SDevice
from balise_sim.devices.base import DeviceModel

LINE = struct.Struct("<BBBBBI")  # sck, ws, sd, bits, format, ibuf
WANTED = struct.Struct("<I")
BLOCKING, NO_WAIT, WHEN = 0, 256, 512
FRAME_BYTES = 8
DMA_FRAMES = 256  # ESP32: firmware is told of no less
READABLE = 1


class Port(BusPort):
    """One I2S port; pins are (sck, ws, sd). `overrun_frames` counts what nobody read in time."""

    DEVICE = I2SDevice
    HANDLE = 220
    OPS: ClassVar = {Op.I2S_OPEN: "on_open", Op.I2S_READ: "on_read"}

    def __init__(self, board: Board) -> None:
        self._neighbours = board.platform == "rp2"  # RP2040: WS is the pin after SCK
        self._device: I2SDevice | None = None
        self._wired_pins: tuple[int, ...] | None = None
        self._pins: tuple[int, ...] = ()
        self._rate_hz = self._bits = self._slots = self._room_frames = 0
        self._start_us = self._next = 0
        self.overrun_frames = 0

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, I2SDevice)
        if self._device is not None:
            raise WiringError("there is a microphone on this I2S port already")
        self._device, self._wired_pins = device, pins

    def power_on(self, now_us: int) -> None:
        self._rate_hz = 0

    def close(self, request: Request, now_us: int) -> Reply:
        self._rate_hz = 0
        return Reply()

    def on_open(self, request: Request, now_us: int) -> Reply:
        """The clock starts."""
        sck, ws, sd, bits, stereo, ibuf_bytes = LINE.unpack(request.payload)
        if request.value <= 0 or bits not in (16, 32) or ibuf_bytes < FRAME_BYTES * DMA_FRAMES:
            return Reply(-EINVAL)
        if self._neighbours and ws != sck + 1:
            return Reply(-EINVAL)
        self._pins, self._rate_hz, self._bits, self._slots = (sck, ws, sd), request.value, bits, 1 + stereo
        self._room_frames = ibuf_bytes // FRAME_BYTES
        self._start_us, self._next = now_us, 0
        return Reply()

    def on_read(self, request: Request, now_us: int) -> Reply:
        """As many bytes as the payload says, in one of the three ways."""
        if not self._rate_hz:
            return Reply(-EINVAL)
        size = self._bits // 8 * self._slots
        wanted = WANTED.unpack(request.payload)[0] // size
        held = self._held(now_us)
        late_us = max(0, self._time_us(self._next + wanted) - now_us)
        if request.small == WHEN:
            return Reply(request.now_us + late_us, self._take(wanted))
        count = min(wanted, held) if request.small == NO_WAIT else wanted
        return Reply(count * size, self._take(count), late_us if request.small == BLOCKING else 0)

    def _time_us(self, frame: int) -> int:
        """When that many frames have come."""
        return self._start_us - (-frame * SECOND_US // self._rate_hz)

    def _held(self, now_us: int) -> int:
        """Frames in the buffer, after what did not fit was lost."""
        came = (now_us - self._start_us) * self._rate_hz // SECOND_US
        lost = max(0, came - self._next - self._room_frames)
        self.overrun_frames += lost
        self._next += lost
        return came - self._next

    def _take(self, count: int) -> bytes:
        first, self._next = self._next, self._next + count
        words = [self._words(slot, first, count) for slot in range(self._slots)]
        if self._bits == 16:
            words = [_upper_halves(each) for each in words]
        if self._slots == 1:
            return words[0]
        both = array("i" if self._bits == 32 else "h", bytes(2 * len(words[0])))
        for slot, each in enumerate(words):
            both[slot::2] = array(both.typecode, each)
        return both.tobytes()

    def _words(self, slot: int, first: int, count: int) -> bytes:
        if self._device is None or not joined(self._wired_pins, self._pins):
            return bytes(4 * count)
        return self._device.words(slot, (self._start_us, self._rate_hz), first, count)

    def fetch(self, unread: int, now_us: int) -> tuple[int, bytes]:
        """Whether there is something to read; its bytes come with I2S_READ only."""
        ready = self._rate_hz and self._held(now_us) >= DMA_FRAMES
        return READABLE if ready else 0, b""

    def collect(self, mask: int, unread: int, now_us: int) -> tuple[int, bytes] | None:
        """As `fetch`, for a waiting VM: None when nothing of `mask` is ready."""
        flags, data = self.fetch(unread, now_us)
        return (flags, data) if flags & mask else None

    def due_us(self, now_us: int) -> int | None:
        """When there will be something to read."""
        if not self._rate_hz:
            return None
        self._held(now_us)
        return max(now_us, self._time_us(self._next + DMA_FRAMES))


def _upper_halves(words: bytes) -> bytes:
    """32-bit words cut to 16 bits."""
    halves = bytearray(len(words) // 2)
    halves[0::2], halves[1::2] = words[2::4], words[3::4]
    return bytes(halves)
