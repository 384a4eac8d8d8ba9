"""I2C: devices by address, the time of each byte, the board's errno when nobody acknowledges, a clock held low."""

from typing import ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.port import ANY_PIN, EINVAL, ENODEV, ETIMEDOUT, SECOND_US, BusPort, joined
from balise_sim.devices.base import DeviceModel, I2CDevice, Nack

I2C_BITS_PER_BYTE, I2C_GAP_US = 9, 2.5
MAX_FREQ_HZ = 5_000_000


class Port(BusPort):
    """One I2C port: devices by address; pins are (sda, scl)."""

    DEVICE = I2CDevice
    OPS: ClassVar = {Op.I2C_OPEN: "on_open", Op.I2C: "on_transfer", Op.I2C_SCAN: "on_scan"}

    def __init__(self, board: Board) -> None:
        self._nack_errno = board.i2c_nack_errno
        self._devices: list[tuple[I2CDevice, tuple[int, ...] | None]] = []
        self._pins: tuple[int, ...] = (ANY_PIN, ANY_PIN)
        self._byte_us = 25.0
        self._timeout_us = 50_000

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, I2CDevice)
        self._devices.append((device, pins))

    def on_open(self, request: Request, now_us: int) -> Reply:
        if not 0 < request.value <= MAX_FREQ_HZ:
            return Reply(-EINVAL)
        self._pins = tuple(request.payload[:2])
        self._timeout_us = int.from_bytes(request.payload[2:6], "little")
        self._byte_us = I2C_BITS_PER_BYTE * SECOND_US / request.value + I2C_GAP_US
        return Reply()

    def on_transfer(self, request: Request, now_us: int) -> Reply:
        return Reply(*self.transact(request.small & 0x7F, request.payload, request.value, now_us))

    def on_scan(self, request: Request, now_us: int) -> Reply:
        found, cost_us = self.scan(now_us)
        return Reply(0, found, cost_us)

    def is_wired_to(self, pins: tuple[int, ...]) -> bool:
        return any(wired in (None, pins) for _, wired in self._devices)

    def _reached(self) -> list[I2CDevice]:
        return [device for device, wired in self._devices if joined(wired, self._pins)]

    def transact(self, address: int, data: bytes, wanted: int, now_us: int) -> tuple[int, bytes, int]:
        """Writes `data`, then reads `wanted` bytes (-1: no read); (0 or -errno, bytes read, duration)."""
        sent = 1 + len(data) if data or wanted < 0 else 0
        received = 1 + wanted if wanted >= 0 else 0
        cost_us = round((sent + received) * self._byte_us)
        for device in self._reached():
            if device.address == address:
                status, answer, held_us = self._with(device, data, wanted, now_us)
                return status, answer, cost_us + held_us
        return -self._nack_errno, b"", round(self._byte_us)

    def _with(self, device: I2CDevice, data: bytes, wanted: int, now_us: int) -> tuple[int, bytes, int]:
        """0 or -errno, bytes read, and how long the device held the clock."""
        answer, held_us = b"", device.hold_us(now_us)
        if held_us > self._timeout_us:
            return -ETIMEDOUT, b"", self._timeout_us
        try:
            if data or wanted < 0:
                device.write(data, now_us + held_us)
            if wanted >= 0:
                answer = device.read(wanted, now_us + held_us + round(len(data) * self._byte_us))
        except Nack as refusal:
            # ENODEV is what a model says for "nobody there"; each port has its own number for it
            return -(self._nack_errno if refusal.errno == ENODEV else refusal.errno), b"", held_us
        return 0, answer, held_us

    def scan(self, now_us: int) -> tuple[bytes, int]:
        """The addresses that acknowledge, and the duration."""
        found = {device.address for device in self._reached() if self.transact(device.address, b"", -1, now_us)[0] == 0}
        return bytes(sorted(found)), round(112 * self._byte_us)
