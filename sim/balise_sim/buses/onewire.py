"""1-Wire: one line that all pull low and nobody drives high, in slots of one bit; a port is known by its pin."""

from collections.abc import Iterable
from typing import ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.port import EINVAL, BusPort
from balise_sim.devices._onewire import OneWireDevice
from balise_sim.devices.base import DeviceModel

RESET_US, SLOT_US = 960, 70  # as MicroPython's _onewire spends them
RESET, WRITE, READ, WRITE_BIT, READ_BIT = range(5)


class Line:
    """The wire: each slot is the AND of what the master and all chips do."""

    def __init__(self, devices: Iterable[OneWireDevice]) -> None:
        self.devices = list(devices)

    def reset(self, now_us: int) -> bool:
        """Whether any chip says that it is there."""
        return max((device.presence(now_us) for device in self.devices), default=False)  # all hear the pulse

    def bit(self, level: int, now_us: int) -> int:
        """One slot; to read, the master leaves the line alone (1)."""
        line = min([level, *(device.level(now_us) for device in self.devices)])
        for device in self.devices:
            device.slot(line, now_us + SLOT_US)
        return line

    def byte(self, value: int, now_us: int) -> int:
        """Eight slots, the lowest bit first; to read, the master writes FF."""
        return sum(self.bit(value >> at & 1, now_us + at * SLOT_US) << at for at in range(8))

    def run(self, data: bytes, now_us: int) -> bytes:
        return bytes(self.byte(value, now_us + at * 8 * SLOT_US) for at, value in enumerate(data))


class Port(BusPort):
    """One pin with any number of chips."""

    DEVICE = OneWireDevice
    OPS: ClassVar = {Op.ONEWIRE: "on_request"}

    def __init__(self, board: Board) -> None:
        self._line = Line(())

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, OneWireDevice)
        self._line.devices.append(device)

    def on_request(self, request: Request, now_us: int) -> Reply:
        """`small`: reset, write the payload, read `value` bytes, write or read a bit, as overlays/onewire.py has it."""
        line, value = self._line, request.value
        if request.small == RESET:
            return Reply(int(line.reset(now_us)), b"", RESET_US)
        if request.small == WRITE:
            line.run(request.payload, now_us)
            return Reply(0, b"", len(request.payload) * 8 * SLOT_US)
        if request.small == READ:
            return Reply(0, line.run(b"\xff" * value, now_us), value * 8 * SLOT_US)
        if request.small in (WRITE_BIT, READ_BIT):
            return Reply(line.bit(1 if request.small == READ_BIT else value & 1, now_us), b"", SLOT_US)
        return Reply(-EINVAL)
