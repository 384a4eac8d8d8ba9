"""MH-Z19 CO2 sensor on the wire: reading, zero point, self-calibration on and off, preheating.

DS = Winsen "MH-Z19B user's manual" V1.0. Not specified, so chosen here: 20 ms from command to answer; 410 ppm
while it preheats, as many units say; self-calibration takes the lowest of what was read in 24 h; only a reading is
answered. The temperature byte (in Cel, plus 40) is in no manual, and known from many drivers.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices.base import Quantity, UARTDevice

ANSWER_US = 20_000
PREHEAT_US = 180_000_000  # DS table 1
DAY_US = 86_400_000_000  # DS "self-calibration": every 24 h
CLEAN_PPM = 400


class Model(UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        "co2": Quantity(400.0, 5000.0, 1.0, 600.0),  # DS table 1
        "board_temperature": Quantity(0.0, 50.0, 1.0, 24.0),  # DS table 1: working range
    }
    FAULTS = UARTDevice.FAULTS | {
        "preheating": "it says 410 ppm, as while it preheats",
        "stuck": "the values stay what they were when the fault began",
        "head_in_data": "the three bytes that no manual explains are FF 86 FF, as the head of a frame",
    }
    COMMAND_HEAD, COMMAND_BYTES = b"\xff\x01", 9  # DS "commands"

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.baseline_ppm = 0.0  # what was found by calibration; kept without power
        self._told = [0, 0]
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._since_us = now_us
        self._calibrates, self._day_us, self._lowest_ppm = True, now_us, 5000.0  # DS: on after power on

    def on_command(self, command: bytes, at_us: int) -> bool:
        if sum(command[1:]) % 256:
            return False
        number, value = command[2], command[3]
        if number == 0x86:
            self._answer(at_us)
        elif number == 0x87:
            self.baseline_ppm = self.measure("co2", at_us) - CLEAN_PPM
        elif number == 0x79:
            self._calibrates = value == 0xA0
            self._day_us, self._lowest_ppm = at_us, 5000.0
        return True

    def _answer(self, at_us: int) -> None:
        if not self.has("stuck"):
            self._told = [round(self._co2_ppm(at_us)), round(self.measure("board_temperature", at_us)) + 40]
        unknown = b"\xff\x86\xff" if self.has("head_in_data") else bytes(3)
        body = b"\x86" + self._told[0].to_bytes(2, "big") + bytes((self._told[1],)) + unknown
        self.emit(b"\xff" + body + bytes((-sum(body) % 256,)), at_us + ANSWER_US)

    def _co2_ppm(self, at_us: int) -> float:
        if self.has("preheating") or at_us - self._since_us < PREHEAT_US:
            return 410.0
        seen_ppm = self.measure("co2", at_us)
        self._lowest_ppm = min(self._lowest_ppm, seen_ppm)
        if self._calibrates and at_us - self._day_us >= DAY_US:
            self.baseline_ppm, self._day_us, self._lowest_ppm = self._lowest_ppm - CLEAN_PPM, at_us, 5000.0
        return max(seen_ppm - self.baseline_ppm, float(CLEAN_PPM))
