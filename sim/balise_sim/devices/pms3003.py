"""PMS3003 dust sensor on the wire: frames of 24 bytes, unasked, from the moment it has power.

DS = Plantower "PMS3003 data manual" (LOGOELE): data 7 to 9 are reserved, no commands. Not specified, so chosen here: a
frame every 900 ms; values that climb evenly during warm-up; 51 in the last reserved byte, as recorded sensors have it.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._plantower import FAULTS, MASSES, RESERVED, WORDS, Dust
from balise_sim.devices.base import Quantity, UARTDevice

PERIOD_US = 900_000
MARK = 0x0051


class Model(Dust, UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = MASSES
    LAYOUT = (*WORDS[:6], (RESERVED, 1), (RESERVED, 1), (RESERVED, 1))
    FAULTS = UARTDevice.FAULTS | FAULTS | {"header_in_data": "reserved words look like the head of a frame"}
    COMMAND_HEAD, COMMAND_BYTES = b"\x42\x4d", 7

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.derive()
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self.power_up(now_us)
        self._next_us = now_us + PERIOD_US

    def words(self, at_us: int) -> list[int]:
        found = super().words(at_us)
        found[6:] = (0x424D, 0x0014, 0x424D) if self.has("header_in_data") else (0, 0, MARK)
        return found

    def on_command(self, command: bytes, at_us: int) -> bool:
        """DS: none is known to it."""
        return False

    def next_report_us(self) -> int | None:
        return self._next_us

    def report(self, at_us: int) -> None:
        self.emit(self.frame(at_us), at_us)
        self._next_us = at_us + PERIOD_US
