"""Senseair S8 CO2 sensor on the wire: Modbus input and holding registers, meter status, self-calibration period.

DS = Senseair TDE2067 "Modbus on Senseair S8" and PSP126 (S8 LP specification). Not specified, so chosen here: 30 ms
from question to answer; no CO2 before the first measurement is over; self-calibration takes the lowest of what was read
in its period.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices.base import Quantity, UARTDevice

ANSWER_US = 30_000
MEASURE_US = 4_000_000  # PSP126: measurement period
HOUR_US = 3_600_000_000
CLEAN_PPM, HIGHEST_PPM = 400, 10_000
ANY, OWN = 0xFE, 0x68  # DS "general"
HOLDING, INPUT, WRITE, REFUSED = 0x03, 0x04, 0x06, 0x80
BAD_FUNCTION, BAD_REGISTER, BAD_VALUE = 1, 2, 3  # Modbus exceptions
ACKNOWLEDGE, SPECIAL, ABC = 0x00, 0x01, 0x1F  # DS: HR1, HR2, HR32
BACKGROUND = 0x7C06  # DS HR2: calibration to the background
STATUS_FAULTS = {  # DS IR1
    "fatal": 0x01,
    "offset_regulation": 0x02,
    "algorithm": 0x04,
    "output": 0x08,
    "self_diagnostics": 0x10,
    "out_of_range": 0x20,
    "memory": 0x40,
}


def _crc_row(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (0xA001 * (crc & 1))
    return crc


CRC_TABLE = tuple(_crc_row(byte) for byte in range(256))


def sealed(body: bytes) -> bytes:
    """DS "Modbus frame": CRC-16, its low byte first."""
    crc = 0xFFFF
    for byte in body:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return body + crc.to_bytes(2, "little")


class Model(UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        "co2": Quantity(400.0, 10_000.0, 1.0, 600.0)
    }  # PSP126, extended range
    REPORTS: ClassVar[Mapping[str, str]] = {"senseair_s8_status": "IR1, the meter status"}
    FAULTS = UARTDevice.FAULTS | {
        "fatal": "status bit 0",
        "offset_regulation": "status bit 1",
        "algorithm": "status bit 2",
        "output": "status bit 3",
        "self_diagnostics": "status bit 4",
        "out_of_range": "status bit 5",
        "memory": "status bit 6",
        "refuses": "every question is refused",
    }
    COMMAND_HEAD, COMMAND_BYTES = bytes((ANY,)), 8

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.baseline_ppm = 0.0  # what was found by calibration; kept without power
        self._holding = {ACKNOWLEDGE: 0, SPECIAL: 0, ABC: 180}  # DS HR32: 180 h; kept without power
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._since_us = self._abc_us = now_us
        self._lowest_ppm = float(HIGHEST_PPM)

    def on_command(self, command: bytes, at_us: int) -> bool:
        if sealed(command[:6]) != command:
            return False
        function, register = command[1], int.from_bytes(command[2:4], "big")
        value = int.from_bytes(command[4:6], "big")
        answer: bytes | int = BAD_FUNCTION
        if function == WRITE:
            answer = self._write(register, value, at_us) or command[2:6]
        elif function in (HOLDING, INPUT):
            registers = self._holding if function == HOLDING else self._inputs(at_us)
            answer = self._read(registers, register, value)
        if self.has("refuses"):
            answer = BAD_FUNCTION
        refused = isinstance(answer, int)
        body = bytes((answer,)) if isinstance(answer, int) else answer
        self.emit(sealed(bytes((ANY, function | (REFUSED if refused else 0))) + body), at_us + ANSWER_US)
        return True

    def _inputs(self, at_us: int) -> dict[int, int]:
        """DS register map: IR1 to IR4, PWM output, type, memory map, firmware and serial number."""
        co2_ppm = self._co2_ppm(at_us)
        status = sum(bit for fault, bit in STATUS_FAULTS.items() if self.has(fault))
        numbers = {0x15: min(co2_ppm * 0x3FFF // 2000, 0x3FFF), 0x19: 1, 0x1A: 0x0103, 0x1B: 0x0048, 0x1C: 0x018B}
        return {0: status, 1: 0, 2: 1, 3: co2_ppm, 0x1D: 0x0551, 0x1E: 0x7B3B} | numbers

    def _read(self, registers: Mapping[int, int], first: int, count: int) -> bytes | int:
        wanted = range(first, first + count)
        if not 1 <= count <= 8:
            return BAD_VALUE
        if not all(register in registers for register in wanted):
            return BAD_REGISTER
        return bytes((2 * count,)) + b"".join(registers[register].to_bytes(2, "big") for register in wanted)

    def _write(self, register: int, value: int, at_us: int) -> int:
        """An exception, or 0."""
        if register not in self._holding:
            return BAD_REGISTER
        if register == ABC and value > 4800:
            return BAD_VALUE
        if register == SPECIAL and value == BACKGROUND:
            self.baseline_ppm = self.measure("co2", at_us) - CLEAN_PPM
            self._holding[ACKNOWLEDGE] |= 0x20
        else:
            self._holding[register] = value
        return 0

    def _co2_ppm(self, at_us: int) -> int:
        if at_us - self._since_us < MEASURE_US:
            return 0
        seen_ppm = self.measure("co2", at_us)
        self._lowest_ppm = min(self._lowest_ppm, seen_ppm)
        period_us = self._holding[ABC] * HOUR_US
        if period_us and at_us - self._abc_us >= period_us:
            self.baseline_ppm, self._lowest_ppm, self._abc_us = self._lowest_ppm - CLEAN_PPM, float(HIGHEST_PPM), at_us
        return round(max(seen_ppm - self.baseline_ppm, float(CLEAN_PPM)))
