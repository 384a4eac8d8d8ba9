"""UART: bytes become visible when the line falls idle or a threshold is reached, and are lost when nobody reads."""

from typing import ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.port import ANY_PIN, EINVAL, PUSH_BYTES, SECOND_US, BusPort, WiringError, joined
from balise_sim.devices.base import DeviceModel, UARTDevice

GARBAGE = 0xF8  # what a byte reads as at another speed, or when its parity does not fit


def ninth_bit(byte: int, parity: int | None) -> int:
    """What follows the eight data bits: the parity bit (0 even, 1 odd, as machine.UART has it), or a stop bit."""
    return 1 if parity is None else byte.bit_count() % 2 ^ parity


def read_at(data: bytes, sent: int | None, expected: int | None) -> bytes:
    """Bytes sent with one parity as a receiver with another one takes them: a wrong ninth bit spoils a byte."""
    return bytes(byte if ninth_bit(byte, sent) == ninth_bit(byte, expected) else GARBAGE for byte in data)


class Port(BusPort):
    """One UART: at most one device, a receive buffer, and what the VM already holds of it; pins are (tx, rx)."""

    DEVICE = UARTDevice
    HANDLE = 200
    OPS: ClassVar = {Op.UART_OPEN: "on_open", Op.UART_WRITE: "on_write", Op.UART_IDLE: "on_idle"}

    def __init__(self, board: Board) -> None:
        self._fifo_bytes, self._threshold_bytes = board.uart_rx_fifo_bytes, board.uart_rx_threshold_bytes
        self._idle_symbols = board.uart_rx_idle_symbols
        self._device: UARTDevice | None = None
        self._wired_pins: tuple[int, ...] | None = None
        self._pins: tuple[int, ...] = (ANY_PIN, ANY_PIN)
        self._baud_hz, self._symbol_us, self._rxbuf_bytes = 0, 1042.0, 256
        self._parity: int | None = None
        self._waiting = bytearray()
        self._unread = 0
        self._tx_idle_us = 0
        self.overflowed_bytes = 0

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, UARTDevice)
        if self._device is not None:
            raise WiringError("a UART joins two ends: there is a device on it already")
        self._device, self._wired_pins = device, pins

    def open(
        self, pins: tuple[int, int], baud_hz: int, symbol_bits: int, rxbuf_bytes: int, parity: int | None = None
    ) -> None:
        self._parity = parity
        self._pins, self._baud_hz, self._rxbuf_bytes = pins, baud_hz, rxbuf_bytes
        self._symbol_us = symbol_bits * SECOND_US / baud_hz
        self._waiting.clear()
        self._unread = 0

    def close(self, request: Request, now_us: int) -> Reply:
        self._baud_hz = 0
        return Reply()

    def on_open(self, request: Request, now_us: int) -> Reply:
        """Payload: tx, rx, bits of a symbol, size of the receive buffer (2 bytes); small: no, even or odd parity."""
        if request.value <= 0:
            return Reply(-EINVAL)
        tx, rx, symbol_bits, low, high = request.payload
        parity = request.small - 1 if request.small else None
        self.open((tx, rx), request.value, symbol_bits, low | high << 8, parity)
        return Reply()

    def on_write(self, request: Request, now_us: int) -> Reply:
        return Reply(len(request.payload), b"", self.write(request.payload, now_us))

    def on_idle(self, request: Request, now_us: int) -> Reply:
        """The VM's time at which the last byte will have left."""
        return Reply(max(0, self._tx_idle_us - now_us + request.now_us))

    def _reached(self) -> UARTDevice | None:
        return self._device if self._baud_hz and joined(self._wired_pins, self._pins) else None

    def write(self, data: bytes, now_us: int) -> int:
        """Puts bytes on the line behind those still leaving; how long the VM is held up by a full FIFO."""
        start_us = max(now_us, self._tx_idle_us)
        self._tx_idle_us = start_us + round(len(data) * self._symbol_us)
        device = self._reached()
        if device is not None and device.baud_hz == self._baud_hz:
            device.receive(read_at(data, self._parity, device.PARITY), start_us)
        return max(0, self._tx_idle_us - now_us - round(self._fifo_bytes * self._symbol_us))

    def _advance(self, now_us: int) -> bool:
        """Takes in what has arrived; whether it is visible: in the middle of a burst only from the threshold on."""
        device = self._reached()
        if device is None:
            return False
        came = device.transmit(now_us)
        if came:
            if device.baud_hz != self._baud_hz:
                came = bytes((GARBAGE,)) * len(came)
            came = read_at(came, device.PARITY, self._parity)
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
