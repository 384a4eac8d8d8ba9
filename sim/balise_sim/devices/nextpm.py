"""NextPM dust sensor on the wire: the maker's simple protocol, sleep and work, state byte, means over three times.

DS = Tera Sensor "NextPM User Guide" V3.6 (2021-07-02), "simplified serial port communication": UART 115200 8E1. Not
specified, so chosen here: 350 ms from command to answer; a mean is of five moments; zeros until the first 15 s are
over; asleep, an order that needs data is answered by the state alone, as published drivers expect it; a fan ratio or an
address out of range changes nothing. One published driver saw two bytes where DS has one fan ratio: one is played.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from balise_sim.devices.base import Quantity, UARTDevice

ANSWER_US = 350_000  # DS "NextPM responses"
READY_US = 15_000_000  # DS "state code", bit 2
SECOND_US = 1_000_000
MOMENTS = 5
ASLEEP, NOT_READY = 0x01, 0x04
LAYOUT = (  # DS "command frame 0x11, 0x12 and 0x13": the words of the data
    *(("n1_per_cm3", 1000), ("n2_5_per_cm3", 1000), ("n10_per_cm3", 1000)),
    *(("pm1", 10), ("pm2_5", 10), ("pm10", 10)),
)
STATE_FAULTS = {  # DS "state code"
    "degraded": 0x02,
    "not_ready": NOT_READY,
    "heater": 0x08,
    "thermometer": 0x10,
    "fan": 0x20,
    "memory": 0x40,
    "laser": 0x80,
}
SPOILT = 0xF8  # what a byte is read as whose parity bit does not fit


def sealed(body: bytes) -> bytes:
    """DS "send a command": the last byte makes the sum of all zero."""
    return body + bytes((-sum(body) % 256,))


class Model(UARTDevice):
    BAUD_HZ, BITS_PER_BYTE, PARITY = 115_200, 11, 0
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS: steps of 0.1 ug/m3 and one piece per litre, 16 bits
        "pm1": Quantity(0.0, 1000.0, 0.1, 5.0),
        "pm2_5": Quantity(0.0, 1000.0, 0.1, 8.0),
        "pm10": Quantity(0.0, 1000.0, 0.1, 9.0),
        "n1_per_cm3": Quantity(0.0, 65.535, 0.001, 13.0),
        "n2_5_per_cm3": Quantity(0.0, 65.535, 0.001, 13.1),
        "n10_per_cm3": Quantity(0.0, 65.535, 0.001, 13.2),
    }
    REPORTS: ClassVar[Mapping[str, str]] = {"nextpm_status": "the state byte of the data frame"}
    FAULTS = UARTDevice.FAULTS | {
        "degraded": "state bit 1, with plausible values",
        "not_ready": "state bit 2 for ever, with zeros",
        "heater": "state bit 3",
        "thermometer": "state bit 4",
        "fan": "state bit 5",
        "memory": "state bit 6",
        "laser": "state bit 7",
        "sleeps": "it never wakes: orders for data are answered by the state alone",
        "parity": "one byte of every frame has the wrong parity bit",
    }
    COMMAND_HEAD, COMMAND_BYTES = b"\x81", 4
    FIRMWARE = 0x1047

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.inside_c, self.inside_pct = 25.0, 40.0
        self._address = 1  # of the Modbus protocol; kept without power
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._working, self._since_us, self._fan_pct = True, now_us, 50

    def command_bytes(self, begun: bytes) -> int:
        return 4 if begun[1:2] in (b"\x21", b"\x22") else 3

    def on_command(self, command: bytes, at_us: int) -> bool:
        if sum(command) % 256:
            return False
        number, value = command[1], command[2]
        action = self.COMMANDS.get(number)
        if action is not None:
            needs_data = number not in (0x15, 0x16, 0x17)
            body = None if needs_data and not self._is_awake() else action(self, value, at_us)
            head = bytes((0x81, 0x16 if body is None else number, self._state(at_us)))
            self.emit(sealed(head + (body or b"")), at_us + ANSWER_US)
        return True

    def _is_awake(self) -> bool:
        return self._working and not self.has("sleeps")

    def _state(self, at_us: int) -> int:
        if not self._is_awake():
            return ASLEEP
        state = NOT_READY if at_us - self._since_us < READY_US else 0
        for fault, bit in STATE_FAULTS.items():
            state |= bit if self.has(fault) else 0
        return state

    def _data(self, at_us: int, span_s: int) -> bytes:
        if self._state(at_us) & NOT_READY:
            return bytes(12)
        span_us = min(at_us - self._since_us, span_s * SECOND_US)
        moments = [at_us - span_us * i // MOMENTS for i in reversed(range(MOMENTS))]
        words = b""
        for name, scale in LAYOUT:
            mean = sum(self.measure(name, moment) for moment in moments) / MOMENTS
            words += round(mean * scale).to_bytes(2, "big")
        return words

    def _mean_10_s(self, _value: int, at_us: int) -> bytes:
        return self._data(at_us, 10)

    def _mean_60_s(self, _value: int, at_us: int) -> bytes:
        return self._data(at_us, 60)

    def _mean_900_s(self, _value: int, at_us: int) -> bytes:
        return self._data(at_us, 900)

    def _inside(self, _value: int, _at_us: int) -> bytes:
        return round(self.inside_c * 100).to_bytes(2, "big") + round(self.inside_pct * 100).to_bytes(2, "big")

    def _power(self, _value: int, at_us: int) -> bytes:
        self._working = not self._working
        if self._working:
            self._since_us = at_us
        return b""

    def _tell_state(self, _value: int, _at_us: int) -> bytes:
        return b""

    def _firmware(self, _value: int, _at_us: int) -> bytes:
        return self.FIRMWARE.to_bytes(2, "big")

    def _fan(self, ratio_pct: int, _at_us: int) -> bytes:
        if 30 <= ratio_pct <= 100:
            self._fan_pct = ratio_pct
        return bytes((self._fan_pct,))

    def _modbus_address(self, address: int, _at_us: int) -> bytes:
        if 1 <= address <= 247:
            self._address = address
        return bytes((self._address,))

    def _deformed(self, frame: bytes) -> bytes:
        if self.has("parity"):
            at = self._random.randrange(len(frame))
            frame = frame[:at] + bytes((SPOILT if frame[at] != SPOILT else 0,)) + frame[at + 1 :]
        return super()._deformed(frame)

    COMMANDS: ClassVar[Mapping[int, Callable[["Model", int, int], bytes]]] = {
        0x11: _mean_10_s,
        0x12: _mean_60_s,
        0x13: _mean_900_s,
        0x14: _inside,
        0x15: _power,
        0x16: _tell_state,
        0x17: _firmware,
        0x21: _fan,
        0x22: _modbus_address,
    }
