"""Opens a board's buses as config.json wires them. Forgotten after the start.

Leaves to others what goes over the buses.
"""

import machine

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

_BAUD_HZ = 9600  # of most serial sensors
_SOUND_HZ = 48000
_SOUND_BYTES = 32768  # 85 ms: hardware frames have 8 bytes, also for mono
_RXBUF_BYTES = 512  # half a second of it: a sensor that talks unasked must not push an answer out


class Buses:
    """Opens the bus that a sensor of config.json hangs on, each once. `line`: the driver's LINE.

    Drivers are handed: uart a machine.UART, i2c a machine.I2C, spi a balise_node.spi.Line, onewire an onewire.OneWire,
    adc a machine.ADC, i2s a machine.I2S that receives 32-bit words at 48 kHz: the left slot only, or both (left first)
    for a microphone on the right, since boards have no mono of the right slot.
    """

    def __init__(self) -> None:
        self._shared: dict[tuple[str, int], Any] = {}

    def open(self, kind: str, sensor: "dict[str, Any]", line: "dict[str, Any]") -> "Any":
        """A bus of that kind. Raises ValueError when the board has no such bus or pin."""
        return getattr(self, "_" + kind)(sensor, line)

    def _uart(self, sensor: "dict[str, Any]", line: "dict[str, Any]") -> machine.UART:
        arguments = {"baudrate": _BAUD_HZ, "timeout": 0, "rxbuf": _RXBUF_BYTES}
        arguments.update(line)
        tx, rx = machine.Pin(sensor["tx"]), machine.Pin(sensor["rx"])
        return machine.UART(sensor["uart"], tx=tx, rx=rx, **arguments)

    def _i2c(self, sensor: "dict[str, Any]", line: "dict[str, Any]") -> "Any":
        key = "i2c", sensor["i2c"]
        if key not in self._shared:
            scl, sda = machine.Pin(sensor["scl"]), machine.Pin(sensor["sda"])
            self._shared[key] = machine.I2C(key[1], scl=scl, sda=sda, freq=sensor["freq_hz"])
        return self._shared[key]

    def _i2s(self, sensor: "dict[str, Any]", line: "dict[str, Any]") -> machine.I2S:
        form = machine.I2S.STEREO if sensor["right"] else machine.I2S.MONO
        arguments = {"mode": machine.I2S.RX, "bits": 32, "format": form, "rate": _SOUND_HZ, "ibuf": _SOUND_BYTES}
        arguments.update(line)
        sck, ws, sd = machine.Pin(sensor["sck"]), machine.Pin(sensor["ws"]), machine.Pin(sensor["sd"])
        return machine.I2S(sensor["i2s"], sck=sck, ws=ws, sd=sd, **arguments)

    def _onewire(self, sensor: "dict[str, Any]", line: "dict[str, Any]") -> "Any":
        key = "onewire", sensor["onewire"]
        if key not in self._shared:
            from onewire import OneWire  # not every node has such a bus

            self._shared[key] = OneWire(machine.Pin(key[1]))
        return self._shared[key]

    def _adc(self, sensor: "dict[str, Any]", line: "dict[str, Any]") -> machine.ADC:
        adc = machine.ADC(machine.Pin(sensor["adc"]))
        if hasattr(adc, "atten"):  # the esp32 port's: without attenuation a pin may have 1 V at most
            adc.atten(machine.ADC.ATTN_11DB)
        return adc

    def _spi(self, sensor: "dict[str, Any]", line: "dict[str, Any]") -> "Any":
        from balise_node.spi import Line  # most nodes have no such sensor, and little memory

        key = "spi", sensor["spi"]
        if key not in self._shared:
            pins = {name: machine.Pin(sensor[name]) for name in ("sck", "mosi", "miso")}
            self._shared[key] = machine.SPI(key[1], **pins)
        return Line(self._shared[key], machine.Pin(sensor["cs"], machine.Pin.OUT, value=1), line)
