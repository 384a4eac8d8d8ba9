"""What every simulated sensor is: quantities that tests and scenarios set, faults that they switch on, bytes on a bus.

A model has no clock: every bus call is handed `now_us`, the world's time in microseconds, which never goes back.
Nothing in it is random but what the seed gives, so the same calls give the same bytes. Leaves to others the bus itself
(who is connected to whom, FIFO sizes), the drivers, and the environment that the values come from.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar, NamedTuple

Value = float | Callable[[int], float]


class Quantity(NamedTuple):
    """What a sensor measures, in the unit of its channel: range and step of the data sheet, and what is usual.

    `share` is the step as a part of the value, where that is more.
    """

    low: float
    high: float
    resolution: float
    usual: float
    share: float = 0.0


class Register(NamedTuple):
    """One row of a data sheet's memory map."""

    reset: int
    access: str  # "r", "w" or "rw"
    where: str


class Nack(Exception):
    """Nobody acknowledged: no chip there, or one that is busy. A board's I2C raises OSError(errno)."""

    errno = 19  # ENODEV, as the esp32 port raises it


class BusStuck(Nack):
    """The chip holds the clock or the data line low until it is power-cycled or clocked free."""

    errno = 110  # ETIMEDOUT


class DeviceModel:
    """A sensor without its bus. FAULTS names what can be switched on, and says what is then seen.

    CHANNELS are what there is to measure, and can be set. REPORTS are the driver's other channels, which nothing in the
    world sets (status bits, indices that the driver computes), each with what it shows. COUNTED are those of
    CHANNELS that are concentrations per m3 of what the driver only counts, which is chance: {channel: (the driver's
    count, and the volume for it in litres)}; no driver has a channel of that name.
    """

    BUS: ClassVar[str]
    CHANNELS: ClassVar[Mapping[str, Quantity]]
    REPORTS: ClassVar[Mapping[str, str]] = {}
    COUNTED: ClassVar[Mapping[str, tuple[str, str]]] = {}
    FAULTS: ClassVar[dict[str, str]] = {}

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._values: dict[str, Value] = {name: quantity.usual for name, quantity in self.CHANNELS.items()}
        self._faults: set[str] = set()

    def set_channel(self, name: str, value: Value) -> None:
        """A number, or a function of now_us; what lies outside the range is held at its end, as a sensor saturates."""
        self._named(name, self.CHANNELS, "channel")
        self._values[name] = value

    def range(self, name: str) -> tuple[float, float]:
        self._named(name, self.CHANNELS, "channel")
        return self.CHANNELS[name].low, self.CHANNELS[name].high

    def fault(self, name: str, on: bool = True) -> None:
        self._named(name, self.FAULTS, "fault")
        (self._faults.add if on else self._faults.discard)(name)

    def reset(self, now_us: int) -> None:
        """Power came back at now_us: what the sensor does not keep in its own memory is at its start again."""
        raise NotImplementedError

    def has(self, fault: str) -> bool:
        return fault in self._faults

    def measure(self, name: str, at_us: int) -> float:
        """The quantity at that moment, within the sensor's range."""
        value, quantity = self._values[name], self.CHANNELS[name]
        number = value(at_us) if callable(value) else value
        return min(max(number, quantity.low), quantity.high)

    def _named(self, name: str, names: Mapping[str, object], kind: str) -> None:
        if name not in names:
            raise ValueError(f"{type(self).__module__}: no {kind} {name!r}; it has {', '.join(sorted(names))}")


@dataclass
class _Burst:
    """Bytes that follow each other on the line without a pause."""

    start_us: int
    data: bytes
    sent: int = 0


class UARTDevice(DeviceModel):
    """A sensor on a serial line. A model has the class attributes below and on_command(); it speaks by emit()."""

    BUS = "uart"
    BAUD_HZ: ClassVar[int] = 9600
    BITS_PER_BYTE: ClassVar[int] = 10  # start, eight, stop; 11 with parity
    PARITY: ClassVar[int | None] = None  # 0 even, 1 odd
    COMMAND_HEAD: ClassVar[bytes]
    COMMAND_BYTES: ClassVar[int]  # of the longest
    FAULTS: ClassVar[dict[str, str]] = {
        "silence": "no byte leaves the sensor",
        "flipped_bit": "one bit of every frame is wrong",
        "split": "every frame comes in two halves, 150 ms apart",
        "glued": "every frame comes right behind the one before it",
        "noise": "random bytes stand before every frame, as from 5 V spikes",
        "boot_text": "every frame comes behind the text of a boot loader",
    }

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._heard = bytearray()
        self._heard_us = 0
        self._bursts: deque[_Burst] = deque()
        self._line_free_us = 0
        self._before = b""

    @property
    def baud_hz(self) -> int:
        return self.BAUD_HZ

    def receive(self, data: bytes, now_us: int) -> None:
        """Bytes that the board begins to send at now_us."""
        self._speak_until(now_us)
        self._heard_us = max(self._heard_us, now_us) + self._span_us(len(data))
        self._heard += data
        while (found := self.cut(self._heard)) is not None:
            at, end = found
            understood = self.on_command(bytes(self._heard[at:end]), self._heard_us)
            del self._heard[: end if understood else at + 1]
        del self._heard[: -self.COMMAND_BYTES]

    def cut(self, heard: bytearray) -> tuple[int, int] | None:
        """Where the first command begins and ends in what was heard, None while there is no whole one.

        A sensor whose commands differ in length has its own; COMMAND_BYTES is then the length of the longest.
        """
        at = heard.find(self.COMMAND_HEAD)
        end = at + self.command_bytes(bytes(heard[at:])) if at >= 0 else 0
        return (at, end) if at >= 0 and end <= len(heard) else None

    def transmit(self, now_us: int) -> bytes:
        """All bytes whose stop bit ended by now_us and that were not taken yet."""
        self._speak_until(now_us)
        taken = bytearray()
        while self._bursts and self._bursts[0].start_us < now_us:
            burst = self._bursts[0]
            done = min((now_us - burst.start_us) * self.BAUD_HZ // (self.BITS_PER_BYTE * 1_000_000), len(burst.data))
            taken += burst.data[burst.sent : done]
            burst.sent = max(done, burst.sent)
            if burst.sent < len(burst.data):
                break
            self._bursts.popleft()
        return bytes(taken)

    def due_us(self, now_us: int) -> int | None:
        """When the next byte not yet taken is complete; None while the sensor has nothing to say."""
        self._speak_until(now_us)
        if self._bursts:
            burst = self._bursts[0]
            return burst.start_us + self._span_us(burst.sent + 1)
        report_us = self.next_report_us()
        return None if report_us is None or self.has("silence") else report_us + self._span_us(1)

    def command_bytes(self, begun: bytes) -> int:
        """How long the command is that begins so: all have COMMAND_BYTES, unless a model says otherwise."""
        return self.COMMAND_BYTES

    def on_command(self, command: bytes, at_us: int) -> bool:
        """What the sensor does when the last byte of a command arrived; False if it is none (wrong checksum)."""
        raise NotImplementedError

    def next_report_us(self) -> int | None:
        """When the sensor will next speak unasked."""
        return None

    def report(self, at_us: int) -> None:
        """Speaks unasked, and sets next_report_us() to a later moment."""
        raise NotImplementedError

    def emit(self, frame: bytes, at_us: int) -> None:
        """Puts one frame on the line at at_us, or behind what is still on it, as the faults deform it."""
        whole, self._before = self._deformed(frame), frame
        if self.has("silence"):
            return
        half = len(whole) // 2 if self.has("split") else len(whole)
        for piece in (whole[:half], whole[half:]):
            if piece:
                start_us = max(at_us, self._line_free_us)
                self._bursts.append(_Burst(start_us, piece))
                self._line_free_us = start_us + self._span_us(len(piece))
                at_us = self._line_free_us + 150_000

    def _deformed(self, frame: bytes) -> bytes:
        if self.has("flipped_bit"):
            bit = self._random.randrange(len(frame) * 8)
            frame = frame[: bit // 8] + bytes((frame[bit // 8] ^ 1 << bit % 8,)) + frame[bit // 8 + 1 :]
        if self.has("glued"):
            frame = self._before + frame
        if self.has("noise"):
            frame = self._random.randbytes(self._random.randrange(1, 9)) + frame
        if self.has("boot_text"):
            frame = b"\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n" + frame
        return frame

    def _speak_until(self, now_us: int) -> None:
        while (report_us := self.next_report_us()) is not None and report_us <= now_us:
            self.report(report_us)

    def _span_us(self, count: int) -> int:
        return -(-count * self.BITS_PER_BYTE * 1_000_000 // self.BAUD_HZ)


class I2CDevice(DeviceModel):
    """A chip on an I2C bus: a model has on_write() and on_read(), which may raise Nack."""

    BUS = "i2c"
    FAULTS: ClassVar[dict[str, str]] = {
        "nack": "the chip does not acknowledge its address, as if unplugged",
        "stuck_low": "the chip holds the bus low",
    }

    def __init__(self, address: int, seed: int = 0) -> None:
        super().__init__(seed)
        self.address = address

    def write(self, data: bytes, now_us: int) -> None:
        """One write transaction to this chip's address; no data at all is a probe of the address."""
        self._acknowledge()
        if data:
            self.on_write(data, now_us)

    def read(self, n: int, now_us: int) -> bytes:
        """One read transaction from this chip's address."""
        self._acknowledge()
        return self.on_read(n, now_us)

    def hold_us(self, now_us: int) -> int:
        """How long the chip would hold the clock low if it were spoken to now; the bus pays, then reads or writes."""
        return 0

    def on_write(self, data: bytes, now_us: int) -> None:
        raise NotImplementedError

    def on_read(self, n: int, now_us: int) -> bytes:
        raise NotImplementedError

    def _acknowledge(self) -> None:
        if self.has("stuck_low"):
            raise BusStuck(f"0x{self.address:02x} holds the bus low")
        if self.has("nack"):
            raise Nack(f"0x{self.address:02x} does not acknowledge")


class RegisterDevice(I2CDevice):
    """A chip of 8-bit registers with a pointer that counts up: a model has REGISTERS, on_register() and settle()."""

    REGISTERS: ClassVar[Mapping[int, Register]]
    WRITES_IN_PAIRS: ClassVar[bool] = False  # a write goes on as register, value, register, value

    def __init__(self, address: int, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.memory = bytearray(256)
        self._pointer = 0
        self._clear()

    def on_write(self, data: bytes, now_us: int) -> None:
        self.settle(now_us)
        self._pointer = data[0]
        if self.WRITES_IN_PAIRS:
            pairs = list(zip(data[0::2], data[1::2], strict=False))
        else:
            pairs = [((data[0] + i) & 0xFF, value) for i, value in enumerate(data[1:])]
        for register, value in pairs:
            if "w" in self.REGISTERS.get(register, Register(0, "r", "")).access:
                self.on_register(register, value, now_us)

    def on_read(self, n: int, now_us: int) -> bytes:
        self.settle(now_us)
        self._pointer, start = (self._pointer + n) & 0xFF, self._pointer
        return bytes(self.memory[(start + i) & 0xFF] for i in range(n))

    def on_register(self, register: int, value: int, now_us: int) -> None:
        """What a written register does; by itself it keeps its value."""
        self.memory[register] = value

    def settle(self, now_us: int) -> None:
        """Brings status and data registers to what they are at now_us; called before every transaction."""

    def _clear(self) -> None:
        for register, row in self.REGISTERS.items():
            self.memory[register] = row.reset


class SPIDevice(DeviceModel):
    """A part on an SPI bus: a model has MODE, MIN_HZ, MAX_HZ and on_byte().

    In another mode, or at a clock beyond its own, the part samples at the wrong edges: all bytes are one bit late.
    """

    BUS = "spi"
    MODE: ClassVar[int]  # 2 * polarity + phase
    MIN_HZ: ClassVar[int] = 1
    MAX_HZ: ClassVar[int]
    FLIP_EVERY_BYTES: ClassVar[int] = 32
    FAULTS: ClassVar[dict[str, str]] = {
        "silence": "the part drives nothing: every byte reads FF",
        "flipped_bit": f"one bit in every {FLIP_EVERY_BYTES} bytes from the part is wrong",
        "wrong_mode": "the part works in another SPI mode than its data sheet says",
    }

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._said = 0

    def transfer(self, data: bytes, mode: int, hz: int, now_us: int) -> bytes:
        """Bytes that the board clocks out from now_us on, without a pause; as many come back."""
        if self.has("silence"):
            return b"\xff" * len(data)
        fits = mode == self.MODE and self.MIN_HZ <= hz <= self.MAX_HZ and not self.has("wrong_mode")
        byte_us = 8_000_000 / hz
        moments_us = [now_us + round(at * byte_us) for at in range(len(data) + 1)]
        heard = data if fits else _shifted(data)
        said = bytes(self.on_byte(byte, *moments_us[at : at + 2]) for at, byte in enumerate(heard))
        return self._flipped(said if fits else _shifted(said))

    def on_byte(self, byte: int, at_us: int, until_us: int) -> int:
        """What the part says while that byte comes in, between these two moments."""
        raise NotImplementedError

    def _flipped(self, said: bytes) -> bytes:
        before, self._said = self._said, self._said + len(said)
        if not self.has("flipped_bit"):
            return said
        flips = bytearray(said)
        for at in range(-before % self.FLIP_EVERY_BYTES, len(said), self.FLIP_EVERY_BYTES):
            flips[at] ^= 1 << self._random.randrange(8)
        return bytes(flips)


def _shifted(data: bytes) -> bytes:
    """All bits one place later, as a receiver reads them that samples at the other edge."""
    return (int.from_bytes(b"\x00" + data, "big") >> 1).to_bytes(len(data) + 1, "big")[1:]
