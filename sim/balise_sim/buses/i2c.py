"""I2C: devices by address, the time of each byte, the board's errno when nobody acknowledges, a clock held low."""

import functools
import operator
from typing import TYPE_CHECKING, ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.buses.port import ANY_PIN, EINVAL, ENODEV, ETIMEDOUT, SECOND_US, BusPort, joined
from balise_sim.devices.base import DeviceModel, I2CDevice, Nack

if TYPE_CHECKING:
    from balise_sim.buses.pins import Pins

CLOCKS_TO_FREE = 9  # NXP UM10204 3.1.16: a chip that holds SDA lets go within nine clocks
I2C_BITS_PER_BYTE, I2C_GAP_US = 9, 2.5
MAX_FREQ_HZ = 5_000_000


class Port(BusPort):
    """One I2C port: devices by address; pins are (sda, scl).

    Two chips of one address both listen, and what they say is ANDed, as open drains do. A chip that holds the bus low
    stops all of it. The esp32 port clocks a held bus free by itself after a time-out; this bus waits for firmware to
    do it.
    """

    DEVICE = I2CDevice
    FAULTS: ClassVar = {
        "stuck_data": "SDA is held low in the middle of a byte until a Pin sends nine clocks, or power goes",
        "stuck_clock": "SCL is held low until power goes",
        "nack_data": "chips acknowledge their addresses and refuse the first byte of data",
    }
    OPS: ClassVar = {Op.I2C_OPEN: "on_open", Op.I2C: "on_transfer", Op.I2C_SCAN: "on_scan"}

    def __init__(self, board: Board) -> None:
        self._nack_errno = board.i2c_nack_errno
        self._devices: list[tuple[I2CDevice, tuple[int, ...] | None]] = []
        self._pins: tuple[int, ...] = (ANY_PIN, ANY_PIN)
        self._byte_us = 25.0
        self._timeout_us = 50_000
        self._board_pins: Pins | None = None
        self._clocks, self._clock_level = 0, 1

    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        assert isinstance(device, I2CDevice)
        self._devices.append((device, pins))

    def watch(self, pins: "Pins") -> None:
        self._board_pins = pins
        pins.on_write.append(self._pin_written)

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        self._clocks = 0
        self._hold()

    def power_on(self, now_us: int) -> None:
        """What held the bus begins anew."""
        self.faults = self.faults - {"stuck_data", "stuck_clock"}
        self._hold()

    def _hold(self) -> None:
        """Pins read what the bus shows."""
        for pin, name in zip(self._pins, ("stuck_data", "stuck_clock"), strict=True):
            if self._board_pins is not None and pin != ANY_PIN:
                if name in self.faults:
                    self._board_pins.drive(pin, 0)
                else:
                    self._board_pins.release(pin)

    def _pin_written(self, pin: int, level: int) -> None:
        if "stuck_data" not in self.faults or pin != self._pins[1]:
            return
        self._clocks += level > self._clock_level
        self._clock_level = level
        if self._clocks >= CLOCKS_TO_FREE:
            self.fault("stuck_data", on=False)

    def on_open(self, request: Request, now_us: int) -> Reply:
        if not 0 < request.value <= MAX_FREQ_HZ:
            return Reply(-EINVAL)
        self._pins = tuple(request.payload[:2])
        if self.faults:
            self._hold()
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
        reached = self._reached()
        if {"stuck_data", "stuck_clock"} & self.faults or any(device.has("stuck_low") for device in reached):
            return -ETIMEDOUT, b"", self._timeout_us
        called = [device for device in reached if device.address == address]
        if called and data and "nack_data" in self.faults:
            return -self._nack_errno, b"", round(2 * self._byte_us)
        outcomes = [self._with(device, data, wanted, now_us) for device in called]
        if outcomes:
            heard = [outcome for outcome in outcomes if outcome[0] == 0] or outcomes[:1]
            answer = bytes(
                functools.reduce(operator.and_, column) for column in zip(*(o[1] for o in heard), strict=True)
            )
            return heard[0][0], answer, cost_us + max(outcome[2] for outcome in outcomes)
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
