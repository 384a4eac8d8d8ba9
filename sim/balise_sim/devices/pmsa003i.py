"""PMSA003I dust sensor on I2C: the frame of a PMS5003 as 32 registers that are only read.

DS = Plantower "PMSA003I data manual" V2.6, appendix I. Not specified, so chosen here: registers that show the
moment they are read, all of one frame during a burst; values that climb evenly during warm-up.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._plantower import COUNTS, ERROR_FAULT, FAULTS, MASSES, STATUS, WORDS, Dust
from balise_sim.devices.base import Quantity, Register, RegisterDevice


class Model(Dust, RegisterDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {**MASSES, **COUNTS}
    REPORTS: ClassVar[Mapping[str, str]] = {"pms_status": "version in the high byte, error in the low one"}
    LAYOUT = (*WORDS, (STATUS, 1))
    REGISTERS: ClassVar[Mapping[int, Register]] = {at: Register(0, "r", "DS appendix I") for at in range(32)}
    FAULTS = (
        RegisterDevice.FAULTS
        | FAULTS
        | ERROR_FAULT
        | {
            "bad_sum": "the sum does not fit, as when a byte was damaged on the way",
            "no_head": "the registers are empty, as for a moment after power on",
        }
    )

    def __init__(self, address: int = 0x12, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.derive()
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self.power_up(now_us)

    def settle(self, now_us: int) -> None:
        frame = bytearray(self.frame(now_us))
        frame[-1] ^= self.has("bad_sum")
        self.memory[: len(frame)] = bytes(len(frame)) if self.has("no_head") else frame
