"""A workbench: device models on buses shaped as drivers are handed them, on a virtual clock, without a board."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from balise_sim.buses.adc import CONVERSION_US, seen_uv
from balise_sim.buses.onewire import RESET_US, SLOT_US, Line
from balise_sim.devices._analog import AnalogDevice
from balise_sim.devices._i2s import I2SDevice
from balise_sim.devices._onewire import OneWireDevice, crc8
from balise_sim.devices.base import BusStuck, I2CDevice, Nack, SPIDevice, UARTDevice

I2C_BYTE_US = 25  # nine bits at 400 kHz, and a little
I2C_TIMEOUT_US = 50_000  # machine.I2C's default: so long it lets a chip hold the clock
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

    def bus(self, device: Any, line: Mapping[str, Any] | None = None) -> Any:
        """The bus that the device hangs on alone; `line` is the driver's LINE."""
        if device.BUS == "spi":
            return BenchSPI(self, device, line or {})
        return BUSES[device.BUS](self, device)


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


class BenchOneWire:
    """onewire.OneWire with one device, or several."""

    def __init__(self, bench: Bench, *devices: OneWireDevice) -> None:
        self._bench, self._line = bench, Line(devices)

    def _spend(self, duration_us: int) -> int:
        self._bench.calls += 1
        self._bench.now_us += duration_us
        return self._bench.now_us - duration_us

    def reset(self, required: bool = False) -> bool:
        return self._line.reset(self._spend(RESET_US))

    def write(self, buf: bytes) -> None:
        self._line.run(bytes(buf), self._spend(len(buf) * 8 * SLOT_US))

    def readinto(self, buf: bytearray) -> None:
        buf[:] = self._line.run(b"\xff" * len(buf), self._spend(len(buf) * 8 * SLOT_US))

    def crc8(self, data: bytes) -> int:
        return crc8(data)


class BenchADC:
    """machine.ADC of an ESP32."""

    def __init__(self, bench: Bench, device: AnalogDevice) -> None:
        self._bench, self._device = bench, device

    def read_uv(self) -> int:
        self._bench.calls += 1
        self._bench.now_us += CONVERSION_US
        return seen_uv("esp32", self._device.pin_uv(self._bench.now_us))


class BenchSPI:
    """balise_node.spi.Line with one device."""

    def __init__(self, bench: Bench, device: SPIDevice, line: Mapping[str, Any]) -> None:
        self._bench, self._device = bench, device
        self._mode = line.get("polarity", 0) * 2 + line.get("phase", 0)
        self._hz = line.get("baudrate", 500_000)  # the esp32 port's own
        self._selected = False

    def select(self) -> None:
        self._selected = True

    def deselect(self) -> None:
        self._selected = False

    def exchange(self, data: bytes, gap_us: int = 0) -> bytes:
        self._bench.calls += 1
        if not gap_us:
            return self._clock(data)
        came = b""
        for at in range(len(data)):
            self._bench.now_us += gap_us
            came += self._clock(data[at : at + 1])
        return came

    def _clock(self, data: bytes) -> bytes:
        start_us = self._bench.now_us
        self._bench.now_us += round(len(data) * 8_000_000 / self._hz)
        if not self._selected:
            return b"\xff" * len(data)
        return self._device.transfer(data, self._mode, self._hz, start_us)


BUSES: dict[str, Callable[..., Any]] = {
    "uart": BenchUART,
    "i2c": BenchI2C,
    "onewire": BenchOneWire,
    "adc": BenchADC,
    "i2s": BenchI2S,
}
