"""Analogue inputs: what the board's converter makes of the voltage at a pin; a port is known by its pin."""

from typing import ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.port import BusPort, WiringError
from balise_sim.devices._analog import AnalogDevice
from balise_sim.devices.base import DeviceModel

CONVERSION_US = 40
# What read_uv() gives at ground and at the supply, with 11 dB of attenuation: an ESP32's converter reaches neither
SEEN_UV = {"esp32": (142_000, 3_134_000)}
SUPPLY_UV = 3_300_000


def seen_uv(platform: str, pin_uv: int) -> int:
    """What a board of that platform reads of a pin."""
    low, high = SEEN_UV.get(platform, (0, SUPPLY_UV))
    return min(max(pin_uv, low), high)


class Port(BusPort):
    """One pin with at most one voltage; with none, it is at ground."""

    DEVICE = AnalogDevice
    OPS: ClassVar = {Op.ADC: "on_read"}

    def __init__(self, board: Board) -> None:
        self._platform = board.platform
        self._device: AnalogDevice | None = None

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, AnalogDevice)
        if self._device is not None:
            raise WiringError("an analogue pin has one voltage: there is a device on it already")
        self._device = device

    def on_read(self, request: Request, now_us: int) -> Reply:
        """Microvolts."""
        pin_uv = self._device.pin_uv(now_us) if self._device is not None else 0
        return Reply(seen_uv(self._platform, pin_uv), b"", CONVERSION_US)
