"""SPI: whole bytes both ways at once, to the device whose chip select firmware holds low; nobody there reads FF.

Left out: words that are not eight bits wide (the ports of MicroPython that we run on refuse them as well).
"""

from typing import ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.pins import Pins
from balise_sim.buses.port import ANY_PIN, EINVAL, SECOND_US, BusPort, WiringError, joined
from balise_sim.devices.base import DeviceModel, SPIDevice

BITS_PER_BYTE, MAX_HZ = 8, 80_000_000
OWN_PINS = 3
LSB_FIRST = 4  # in `small` of a request to open, above the mode's two bits
TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Port(BusPort):
    """One SPI port; pins are (sck, mosi, miso) and, of a wire, the device's chip select behind them.

    A wire without pins is a device whose chip select is tied to ground.
    """

    DEVICE = SPIDevice
    OPS: ClassVar = {Op.SPI_OPEN: "on_open", Op.SPI: "on_transfer"}

    def __init__(self, board: Board) -> None:
        self._devices: list[tuple[SPIDevice, tuple[int, ...] | None]] = []
        self._levels: Pins | None = None
        self._pins: tuple[int, ...] = (ANY_PIN,) * OWN_PINS
        self._mode, self._hz, self._turned = 0, 0, False

    def watch(self, pins: Pins) -> None:
        self._levels = pins

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, SPIDevice)
        if pins is not None and len(pins) != OWN_PINS + 1:
            raise WiringError(f"an SPI wire has four pins (sck, mosi, miso, chip select), not {len(pins)}")
        if self._devices and None in (pins, self._devices[0][1]):
            raise WiringError("devices that share an SPI bus need a chip select each: name the pins of both wires")
        self._devices.append((device, pins))

    def is_wired_to(self, pins: tuple[int, ...]) -> bool:
        return any(wired is None or wired[:OWN_PINS] == pins for _, wired in self._devices)

    def on_open(self, request: Request, now_us: int) -> Reply:
        if not 0 < request.value <= MAX_HZ:
            return Reply(-EINVAL)
        self._pins = tuple(request.payload[:OWN_PINS])
        self._mode, self._turned, self._hz = request.small & 3, bool(request.small & LSB_FIRST), request.value
        return Reply()

    def on_transfer(self, request: Request, now_us: int) -> Reply:
        if not self._hz:
            return Reply(-EINVAL)
        sent = request.payload.translate(TURNED) if self._turned else request.payload
        came = self.exchange(sent, now_us)
        cost_us = round(len(sent) * BITS_PER_BYTE * SECOND_US / self._hz)
        return Reply(0, came.translate(TURNED) if self._turned else came, cost_us)

    def exchange(self, sent: bytes, now_us: int) -> bytes:
        """What comes back for these bytes. Of two that are selected at once, the one that pulls low wins each bit."""
        came = b"\xff" * len(sent)
        for device, wired in self._devices:
            if self._is_selected(wired):
                answer = device.transfer(sent, self._mode, self._hz, now_us)
                came = bytes(a & b for a, b in zip(came, answer, strict=True))
        return came

    def _is_selected(self, wired: tuple[int, ...] | None) -> bool:
        if wired is None:
            return True
        held_low = self._levels is not None and self._levels.outputs.get(wired[OWN_PINS], 1) == 0
        return held_low and joined(wired[:OWN_PINS], self._pins)
