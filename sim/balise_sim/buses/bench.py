"""A board's workbench: its pins and the ports of its buses, and what is wired to them."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from balise_boards import BUS_PINS, Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.pins import Pins
from balise_sim.buses.port import EINVAL, BusPort, WiringError
from balise_sim.devices.base import DeviceModel

BY_PINS = 255  # a handle that means: the port whose pins stand at the head of the payload


@dataclass(frozen=True)
class Wire:
    """One device on a board: model stem, bus such as "i2c0" or "uart2", and its pins where they matter.

    `options` go to the model (an I2C address, a seed). `pins` are the board's, in the order that the bus's module says.
    """

    model: str
    bus: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pins: tuple[int, ...] | None = None


def load_model(wire: Wire) -> DeviceModel:
    """An instance of the device model. Raises WiringError when there is no such model."""
    try:
        module = importlib.import_module(f"balise_sim.devices.{wire.model}")
    except ModuleNotFoundError as missing:
        raise WiringError(f"no device model {wire.model!r}: {missing}") from missing
    model: DeviceModel = module.Model(**wire.options)
    return model


def port_class(kind: str) -> type[BusPort]:
    """The ports of a kind of bus."""
    found: type[BusPort] = importlib.import_module(f"balise_sim.buses.{kind}").Port
    return found


class Bench:
    """Everything wired to one board. `devices` are the models by their stem, for scenarios and tests.

    `ports` are the board's ports by kind and number; `kinds` the classes of those kinds.
    """

    def __init__(self, board: Board, on_edge: Callable[[], None]) -> None:
        self.board = board
        self.pins = Pins(board, on_edge)
        self.kinds = {kind: port_class(kind) for kind in sorted({bus.kind for bus in board.buses})}
        self.ports: dict[str, dict[int, BusPort]] = {kind: {} for kind in self.kinds}
        for bus in board.buses:
            self.ports[bus.kind][bus.number] = port = self.kinds[bus.kind](board)
            port.watch(self.pins)
        self.devices: dict[str, DeviceModel] = {}

    def attach(self, wire: Wire) -> DeviceModel:
        """Wires a device. Raises WiringError when the board has no such bus, or it does not fit the device."""
        device = load_model(wire)
        kind = wire.bus.rstrip("0123456789")
        number = wire.bus.removeprefix(kind)
        port = self.ports.get(kind, {}).get(int(number or -1))
        if port is None or not isinstance(device, port.DEVICE):
            fits = ", ".join(f"{device.BUS}{n}" for n in sorted(self.ports.get(device.BUS, {})))
            raise WiringError(f"{wire.model} on {wire.bus}: {self.board.name} has {fits or 'no bus'} for it")
        port.attach(device, wire.pins)
        self.devices[wire.model] = device
        return device

    def handlers(self) -> dict[Op, tuple[str, str]]:
        """The (kind of bus, method) that answers each request."""
        return {op: (kind, method) for kind, found in self.kinds.items() for op, method in found.OPS.items()}

    def source(self, handle: int) -> Any:
        """The port with that handle, for firmware that waits for it; None when there is none."""
        for kind, found in self.kinds.items():
            port = self.ports[kind].get(handle - found.HANDLE) if found.HANDLE else None
            if port is not None:
                return port
        return None

    def answer(self, kind: str, method: str, request: Request, now_us: int) -> Reply:
        """What a port says to a request of the VM; a request that opens a port is told its number."""
        number = request.handle - self.kinds[kind].HANDLE
        if request.handle == BY_PINS:
            number = self._by_pins(kind, tuple(request.payload[: len(BUS_PINS[kind])]))
        port = self.ports[kind].get(number)
        if port is None:
            return Reply(-EINVAL)
        reply: Reply = getattr(port, method)(request, now_us)
        return reply._replace(value=number) if method == "on_open" and reply.value == 0 else reply

    def _by_pins(self, kind: str, pins: tuple[int, ...]) -> int:
        """The port that a bus in software on these pins is: the one wired there, else the first."""
        wired = [number for number, port in self.ports[kind].items() if port.is_wired_to(pins)]
        return (wired or sorted(self.ports[kind]))[0]

    def power_on(self, now_us: int) -> None:
        """Power came: devices and pins are at their start."""
        self.pins.forget()
        for ports in self.ports.values():
            for port in ports.values():
                port.power_on(now_us)
        for device in self.devices.values():
            device.reset(now_us)
