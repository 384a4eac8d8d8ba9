"""A workbench: device models on buses shaped as machine.UART, I2C and I2S, on a virtual clock, without a board."""

from collections.abc import Callable
from typing import Any, TypeVar

from balise_sim.devices.base import DeviceModel, I2CDevice, I2SDevice, Nack, UARTDevice

I2C_BYTE_US = 25  # nine bits at 400 kHz, and a little
I2S_RATE_HZ, I2S_FRAMES = 48_000, 4_096  # and how many the board's buffer holds
T = TypeVar("T")
RXBUF_BYTES = 256  # machine.UART's default on esp32 and rp2: what does not fit is lost


class Bench:
    """The clock that a driver sleeps on and its device is asked by."""

    def __init__(self) -> None:
        self.now_us = 0
        self.calls = 0

    def sleep_ms(self, ms: int) -> None:
        self.now_us += ms * 1000

    def bus(self, device: DeviceModel) -> "BenchUART | BenchI2C | BenchI2S":
        if isinstance(device, I2SDevice):
            return BenchI2S(self, device)
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
        self._bench.now_us += I2C_BYTE_US * (count + 1)
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


class BenchI2S:
    """machine.I2S in its blocking mode: 32-bit words of the left slot at 48 kHz, one microphone."""

    def __init__(self, bench: Bench, device: I2SDevice) -> None:
        self._bench, self._device = bench, device
        self._clock = (bench.now_us, I2S_RATE_HZ)
        self._next = 0

    def readinto(self, buf: Any) -> int:
        self._bench.calls += 1
        view = memoryview(buf).cast("B")
        count = len(view) // 4
        came = (self._bench.now_us - self._clock[0]) * I2S_RATE_HZ // 1_000_000
        self._next = max(self._next, came - I2S_FRAMES)
        view[:] = self._device.words(0, self._clock, self._next, count)
        self._next += count
        self._bench.now_us = max(self._bench.now_us, self._clock[0] + -(-self._next * 1_000_000 // I2S_RATE_HZ))
        return len(view)
