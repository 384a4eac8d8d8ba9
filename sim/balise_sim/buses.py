"""A board's pins, I2C buses and UARTs, with the device models wired to them.

Promises: bus time by the bus's own speed, the board's errno when nobody acknowledges, UART bytes that become visible
when the line falls idle or a threshold is reached, and that are lost when nobody reads. A bus that firmware opens on
other pins than the wires is empty. Leaves to others: what devices answer (devices/), and when (they have no clock).
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from balise_boards import Board
from balise_sim.devices.base import DeviceModel, I2CDevice, Nack, UARTDevice

ANY_PIN = 255
I2C_BITS_PER_BYTE, I2C_GAP_US = 9, 2.5
SECOND_US = 1_000_000
GARBAGE = 0xF8  # what a byte reads as at another speed
PUSH_BYTES = 1024  # what one reply brings
EINVAL, ENODEV = 22, 19


class WiringError(ValueError):
    """A device that cannot be wired as asked; the text says what the board has."""


@dataclass(frozen=True)
class Wire:
    """One device on a board: model stem, bus such as "i2c0" or "uart2", and its pins where they matter.

    `options` go to the model (an I2C address, a seed). `pins` is (sda, scl) or (tx, rx) of the board.
    """

    model: str
    bus: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pins: tuple[int, int] | None = None


def load_model(wire: Wire) -> DeviceModel:
    """An instance of the device model. Raises WiringError when there is no such model."""
    try:
        module = importlib.import_module(f"balise_sim.devices.{wire.model}")
    except ModuleNotFoundError as missing:
        raise WiringError(f"no device model {wire.model!r}: {missing}") from missing
    model: DeviceModel = module.Model(**wire.options)
    return model


class I2CBus:
    """One I2C port: devices by address."""

    def __init__(self, nack_errno: int) -> None:
        self._nack_errno = nack_errno
        self._devices: list[tuple[I2CDevice, tuple[int, int] | None]] = []
        self._pins = (ANY_PIN, ANY_PIN)
        self._byte_us = 25.0

    def attach(self, device: I2CDevice, pins: tuple[int, int] | None) -> None:
        self._devices.append((device, pins))

    def open(self, pins: tuple[int, int], freq_hz: int) -> None:
        self._pins = pins
        self._byte_us = I2C_BITS_PER_BYTE * SECOND_US / freq_hz + I2C_GAP_US

    def is_wired_to(self, pins: tuple[int, int]) -> bool:
        return any(wired in (None, pins) for _, wired in self._devices)

    def _reached(self) -> list[I2CDevice]:
        return [d for d, pins in self._devices if pins is None or ANY_PIN in self._pins or pins == self._pins]

    def transact(self, address: int, data: bytes, wanted: int, now_us: int) -> tuple[int, bytes, int]:
        """Writes `data`, then reads `wanted` bytes (-1: no read); (0 or -errno, bytes read, duration)."""
        sent = 1 + len(data) if data or wanted < 0 else 0
        received = 1 + wanted if wanted >= 0 else 0
        cost_us = round((sent + received) * self._byte_us)
        for device in self._reached():
            if device.address == address:
                return *self._with(device, data, wanted, now_us), cost_us
        return -self._nack_errno, b"", round(self._byte_us)

    def _with(self, device: I2CDevice, data: bytes, wanted: int, now_us: int) -> tuple[int, bytes]:
        try:
            if data or wanted < 0:
                device.write(data, now_us)
            return 0, device.read(wanted, now_us + round(len(data) * self._byte_us)) if wanted >= 0 else b""
        except Nack as refusal:
            # ENODEV is what a model says for "nobody there"; each port has its own number for it
            return -(self._nack_errno if refusal.errno == ENODEV else refusal.errno), b""

    def scan(self, now_us: int) -> tuple[bytes, int]:
        """The addresses that acknowledge, and the duration."""
        found = {device.address for device in self._reached() if self.transact(device.address, b"", -1, now_us)[0] == 0}
        return bytes(sorted(found)), round(112 * self._byte_us)


class UartPort:
    """One UART: at most one device, a receive buffer, and what the VM already holds of it."""

    def __init__(self, board: Board) -> None:
        self._fifo_bytes, self._threshold_bytes = board.uart_rx_fifo_bytes, board.uart_rx_threshold_bytes
        self._idle_symbols = board.uart_rx_idle_symbols
        self._device: UARTDevice | None = None
        self._wired_pins: tuple[int, int] | None = None
        self._pins = (ANY_PIN, ANY_PIN)
        self._baud_hz, self._symbol_us, self._rxbuf_bytes = 0, 1042.0, 256
        self._waiting = bytearray()
        self._unread = 0
        self._tx_idle_us = 0
        self.overflowed_bytes = 0

    def attach(self, device: UARTDevice, pins: tuple[int, int] | None) -> None:
        if self._device is not None:
            raise WiringError("a UART joins two ends: there is a device on it already")
        self._device, self._wired_pins = device, pins

    def open(self, pins: tuple[int, int], baud_hz: int, symbol_bits: int, rxbuf_bytes: int) -> None:
        self._pins, self._baud_hz, self._rxbuf_bytes = pins, baud_hz, rxbuf_bytes
        self._symbol_us = symbol_bits * SECOND_US / baud_hz
        self._waiting.clear()
        self._unread = 0

    def close(self) -> None:
        self._baud_hz = 0

    def _reached(self) -> UARTDevice | None:
        wired = self._wired_pins
        joined = wired is None or ANY_PIN in self._pins or wired == self._pins
        return self._device if self._baud_hz and joined else None

    def write(self, data: bytes, now_us: int) -> int:
        """Puts bytes on the line behind those still leaving; how long the VM is held up by a full FIFO."""
        start_us = max(now_us, self._tx_idle_us)
        self._tx_idle_us = start_us + round(len(data) * self._symbol_us)
        device = self._reached()
        if device is not None and device.baud_hz == self._baud_hz:
            device.receive(data, start_us)
        return max(0, self._tx_idle_us - now_us - round(self._fifo_bytes * self._symbol_us))

    @property
    def tx_idle_us(self) -> int:
        return self._tx_idle_us

    def _advance(self, now_us: int) -> bool:
        """Takes in what has arrived; whether it is visible: in the middle of a burst only from the threshold on."""
        device = self._reached()
        if device is None:
            return False
        came = device.transmit(now_us)
        if came:
            if device.baud_hz != self._baud_hz:
                came = bytes((GARBAGE,)) * len(came)
            room = max(0, self._rxbuf_bytes + self._fifo_bytes - self._unread - len(self._waiting))
            self.overflowed_bytes += max(0, len(came) - room)
            self._waiting += came[:room]
        if not self._waiting or len(self._waiting) >= self._threshold_bytes:
            return bool(self._waiting)
        due_us = device.due_us(now_us)
        return due_us is None or due_us - now_us > 2 * self._symbol_us

    def fetch(self, unread: int, now_us: int) -> tuple[int, bytes]:
        """(flags, visible bytes) for the VM, which still has `unread` bytes."""
        self._unread = unread
        data = b""
        if self._advance(now_us):
            data = bytes(self._waiting[:PUSH_BYTES])
            del self._waiting[:PUSH_BYTES]
            self._unread += len(data)
        return 4, data

    def collect(self, mask: int, unread: int, now_us: int) -> tuple[int, bytes] | None:
        """As `fetch`, for a waiting VM: None when nothing of `mask` is ready."""
        flags, data = self.fetch(unread, now_us)
        return (flags, data) if data or mask & flags else None

    def due_us(self, now_us: int) -> int | None:
        """When it is worth looking again; None while the line is silent."""
        device = self._reached()
        due_us = device.due_us(now_us) if device is not None else None
        return None if due_us is None else max(due_us, now_us) + round(self._idle_symbols * self._symbol_us)


class Pins:
    """Digital levels: what firmware drives, what the world drives, and edges that firmware watches."""

    def __init__(self, board: Board, on_edge: Callable[[], None]) -> None:
        self._known, self._on_edge = set(board.gpio), on_edge
        self.outputs: dict[int, int] = {}
        self._driven: dict[int, int] = {}
        self._pulls: dict[int, int] = {}
        self._watched: dict[int, int] = {}
        self.edges = bytearray()  # (pin, edge) pairs that the VM has not taken yet

    def forget(self) -> None:
        """A reset: every pin is an input again; what the world drives stays."""
        self.outputs.clear()
        self._pulls.clear()
        self._watched.clear()
        self.edges.clear()

    def drive(self, pin: int, level: int) -> None:
        """The world sets a pin, as a button or a sensor's output does."""
        before = self.level(pin)
        self._driven[pin] = level
        edge = 1 if level > before else 2 if level < before else 0
        if edge & self._watched.get(pin, 0):
            self.edges += bytes((pin, edge))
            self._on_edge()

    def level(self, pin: int) -> int:
        pulled = 1 if self._pulls.get(pin) == 2 else 0
        return self._driven.get(pin, self.outputs.get(pin, pulled))

    def request(self, pin: int, action: int, value: int) -> int:
        """configure, read, write, watch, as overlays/_pins.py numbers them; the level read, or -errno."""
        if pin not in self._known:
            return -EINVAL
        if action == 0:
            self._pulls[pin] = value >> 8
            if value & 255 == 1:
                self.outputs.pop(pin, None)
        elif action == 1:
            return self.level(pin)
        elif action == 2:
            self.outputs[pin] = value
        else:
            self._watched[pin] = value
        return 0


class Bench:
    """Everything wired to one board. `devices` are the models by their stem, for scenarios and tests."""

    def __init__(self, board: Board, on_edge: Callable[[], None]) -> None:
        self.board = board
        self.pins = Pins(board, on_edge)
        self.i2c: dict[int, I2CBus] = {b.number: I2CBus(board.i2c_nack_errno) for b in board.buses if b.kind == "i2c"}
        self.uart: dict[int, UartPort] = {b.number: UartPort(board) for b in board.buses if b.kind == "uart"}
        self.devices: dict[str, DeviceModel] = {}

    def attach(self, wire: Wire) -> DeviceModel:
        """Wires a device. Raises WiringError when the board has no such bus, or it does not fit the device."""
        device = load_model(wire)
        ports: dict[str, I2CBus | UartPort] = {f"i2c{n}": bus for n, bus in self.i2c.items()}
        ports |= {f"uart{n}": port for n, port in self.uart.items()}
        port = ports.get(wire.bus)
        match port, device:
            case I2CBus(), I2CDevice():
                port.attach(device, wire.pins)
            case UartPort(), UARTDevice():
                port.attach(device, wire.pins)
            case _:
                fits = sorted(name for name in ports if name.startswith(device.BUS))
                raise WiringError(f"{wire.model} on {wire.bus}: {self.board.name} has {', '.join(fits)} for it")
        self.devices[wire.model] = device
        return device

    def i2c_by_pins(self, pins: tuple[int, int]) -> int:
        """The bus that a software I2C on these pins is: the one wired there, else the first."""
        wired = [number for number, bus in self.i2c.items() if bus.is_wired_to(pins)]
        return (wired or sorted(self.i2c))[0]

    def power_on(self, now_us: int) -> None:
        """Power came: devices and pins are at their start."""
        self.pins.forget()
        for device in self.devices.values():
            device.reset(now_us)
