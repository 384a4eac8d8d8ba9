"""A workbench: device models on buses shaped as machine.UART and machine.I2C, on a virtual clock, without a board."""

from collections.abc import Callable
from typing import TypeVar

from balise_sim.devices.base import BusStuck, DeviceModel, I2CDevice, Nack, UARTDevice

I2C_BYTE_US = 25  # nine bits at 400 kHz, and a little
I2C_TIMEOUT_US = 50_000  # machine.I2C's default: so long it lets a chip hold the clock
T = TypeVar("T")
RXBUF_BYTES = 256  # machine.UART's default on esp32 and rp2: what does not fit is lost


class Bench:
    """The clock that a driver sleeps on and its device is asked by."""

    def __init__(self) -> None:
        self.now_us = 0
        self.calls = 0

    def sleep_ms(self, ms: int) -> None:
        self.now_us += ms * 1000

    def bus(self, device: DeviceModel) -> "BenchUART | BenchI2C":
        return BenchUART(self, device) if isinstance(device, UARTDevice) else BenchI2C(self, device)


class BenchUART:
    """machine.UART with timeout=0, one device at its other end."""

    def __init__(self, bench: Bench, device: UARTDevice) -> None:
        self._bench, self._device = bench, device
        self._held = bytearray()

    def _fetch(self) -> None:
        self._bench.calls += 1
        self._held += self._device.transmit(self._bench.now_us)
        del self._held[RXBUF_BYTES:]

    def any(self) -> int:
        self._fetch()
        return len(self._held)

    def read(self, nbytes: int = -1) -> bytes | None:
        self._fetch()
        count = len(self._held) if nbytes < 0 else nbytes
        data = bytes(self._held[:count])
        del self._held[:count]
        return data or None

    def readinto(self, buf: bytearray) -> int | None:
        data = self.read(len(buf))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf: bytes) -> int:
        self._bench.calls += 1
        self._device.receive(bytes(buf), self._bench.now_us)
        return len(buf)


class BenchI2C:
    """machine.I2C with one device."""

    def __init__(self, bench: Bench, device: I2CDevice) -> None:
        self._bench, self._device = bench, device

    def _transfer(self, addr: int, count: int, act: Callable[[int], T]) -> T:
        self._bench.calls += 1
        held_us = self._device.hold_us(self._bench.now_us) if addr == self._device.address else 0
        self._bench.now_us += min(held_us, I2C_TIMEOUT_US) + I2C_BYTE_US * (count + 1)
        if held_us > I2C_TIMEOUT_US:
            raise OSError(BusStuck.errno, f"{addr} holds the clock")
        try:
            if addr != self._device.address:
                raise Nack(f"nobody at {addr}")
            return act(self._bench.now_us)
        except Nack as error:
            raise OSError(error.errno, str(error)) from error

    def writeto(self, addr: int, buf: bytes, stop: bool = True) -> int:
        self._transfer(addr, len(buf), lambda now_us: self._device.write(bytes(buf), now_us))
        return len(buf)

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        return self._transfer(addr, nbytes, lambda now_us: self._device.read(nbytes, now_us))

    def writeto_mem(self, addr: int, memaddr: int, buf: bytes) -> None:
        self.writeto(addr, bytes((memaddr,)) + bytes(buf))

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int) -> bytes:
        def act(now_us: int) -> bytes:
            self._device.write(bytes((memaddr,)), now_us)
            return self._device.read(nbytes, now_us)

        return self._transfer(addr, nbytes + 2, act)

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: bytearray) -> None:
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf))
