"""What all simulated Plantower dust sensors are: the air as words of a frame, and the serial kind's modes.

DS = Plantower "PMS5003 series data manual" V2.3 (2016). Not specified, so chosen here: 10 ms from command to answer;
active mode after wake, at its fast pace of 500 ms (DS: 200 to 800) while PM2.5 moves by 10 ug/m3 or more from frame to
frame; values that climb evenly during warm-up; until they are set, counts in proportion to the masses, and "CF=1"
masses that are half as much again above 30 ug/m3.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from balise_sim.devices.base import DeviceModel, Quantity, UARTDevice

ANSWER_US = 10_000
WARMUP_US = 30_000_000  # DS "circuit attentions" 4
STABLE_US, FAST_US = 2_300_000, 500_000  # DS "output result"
FAST_STEP_UGM3 = 10
ZEROS_US = 3_000_000
VERSION = 0x97
STATUS = "status"  # the word of version and error in a LAYOUT
RESERVED = "reserved"
MASSES: Mapping[str, Quantity] = {  # DS table 1: maximum range, resolution
    "pm1": Quantity(0.0, 1000.0, 1.0, 5.0),
    "pm2_5": Quantity(0.0, 1000.0, 1.0, 8.0),
    "pm10": Quantity(0.0, 1000.0, 1.0, 9.0),
    "pm1_cf1": Quantity(0.0, 1000.0, 1.0, 5.0),
    "pm2_5_cf1": Quantity(0.0, 1000.0, 1.0, 8.0),
    "pm10_cf1": Quantity(0.0, 1000.0, 1.0, 9.0),
}
COUNTS: Mapping[str, Quantity] = {  # DS appendix I: 16 bits, in 0.1 l
    "n_gt0_3_per_cm3": Quantity(0.0, 655.35, 0.01, 9.0),
    "n_gt0_5_per_cm3": Quantity(0.0, 655.35, 0.01, 2.6),
    "n_gt1_per_cm3": Quantity(0.0, 655.35, 0.01, 0.48),
    "n_gt2_5_per_cm3": Quantity(0.0, 655.35, 0.01, 0.08),
    "n_gt5_per_cm3": Quantity(0.0, 655.35, 0.01, 0.01),
    "n_gt10_per_cm3": Quantity(0.0, 655.35, 0.01, 0.005),
}
PER_UGM3 = {"n_gt0_3_per_cm3": 1.12, "n_gt0_5_per_cm3": 0.32, "n_gt1_per_cm3": 0.06, "n_gt2_5_per_cm3": 0.01}
# DS appendix I: each word of the data, and how much of it is one unit of its channel
WORDS: tuple[tuple[str, int], ...] = (
    *((name, 1) for name in ("pm1_cf1", "pm2_5_cf1", "pm10_cf1", "pm1", "pm2_5", "pm10")),
    *((name, 100) for name in COUNTS),
)
PM2_5_WORD = 4
FAULTS = {
    "zeros_after_wake": "for 3 s after wake all values are zero",
    "stuck": "the values stay what they were when the fault began",
    "near_zero": "no dust but a few of the finest grains, whatever the air: the mean is 0.1 or 0.2 ug/m3 for days",
    "all_zero": "a frame of zeros with the right sum",
}
ERROR_FAULT = {"error_byte": "the error byte is not zero"}


def sealed(data: bytes) -> bytes:
    """DS appendix I: 42 4D, length of data and sum, data, sum of everything before it."""
    frame = b"\x42\x4d" + (len(data) + 2).to_bytes(2, "big") + data
    return frame + sum(frame).to_bytes(2, "big")


class Dust(DeviceModel):
    """The words of a frame. A model calls derive() when it is built, and power_up() when it gets power or wakes."""

    LAYOUT: ClassVar[tuple[tuple[str, int], ...]]

    def derive(self) -> None:
        """What was not set follows from the masses of the air."""
        self._last: list[int] = [0] * len(self.LAYOUT)
        for name in self.CHANNELS:
            if name.endswith("_cf1"):
                self._values[name] = partial(self._factory_mass, name.removesuffix("_cf1"))
            elif name in COUNTS:
                self._values[name] = partial(self._count, PER_UGM3.get(name, 0.0))

    def power_up(self, now_us: int) -> None:
        self._since_us = now_us

    def frame(self, at_us: int) -> bytes:
        """What the sensor says at that moment."""
        data = b"".join(number.to_bytes(2, "big") for number in self.words(at_us))
        return sealed(bytes(len(data)) if self.has("all_zero") else data)

    def words(self, at_us: int) -> list[int]:
        if not self.has("stuck"):
            self._last = [self._word(name, scale, at_us) for name, scale in self.LAYOUT]
        return list(self._last)

    def _word(self, name: str, scale: int, at_us: int) -> int:
        if name == STATUS:
            return VERSION << 8 | (0x02 if self.has("error_byte") else 0)
        if name not in self.CHANNELS:
            return 0
        value = self.measure(name, at_us) * scale
        if name in MASSES or name in COUNTS:
            value *= self._ready(at_us)
            if self.has("near_zero"):
                value = 3 if name == "n_gt0_3_per_cm3" else 0
        return round(value) & 0xFFFF

    def _ready(self, at_us: int) -> float:
        working_us = at_us - self._since_us
        if self.has("zeros_after_wake") and working_us < ZEROS_US:
            return 0.0
        return min(working_us / WARMUP_US, 1.0)

    def _factory_mass(self, name: str, at_us: int) -> float:
        mass = self.measure(name, at_us)
        return mass if mass <= 30 else mass * 1.5

    def _count(self, each: float, at_us: int) -> float:
        return each * self.measure("pm2_5", at_us)


class Serial(Dust, UARTDevice):
    """The serial kind: active and passive mode, read, sleep and wake (DS appendix II)."""

    FAULTS = (
        UARTDevice.FAULTS
        | FAULTS
        | ERROR_FAULT
        | {
            "reply_between": "a mode reply stands before every data frame",
            "header_in_data": "counts look like the heads of frames",
        }
    )
    REPORTS: ClassVar[Mapping[str, str]] = {"pms_status": "version in the high byte, error in the low one"}
    COMMAND_HEAD, COMMAND_BYTES = b"\x42\x4d", 7
    HEADERS: ClassVar[tuple[int, ...]] = (0x424D, 0x001C, 0x424D, 0x0004)
    HEADERS_AT = 7  # data 8, the second count

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.derive()
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._working, self._passive = True, False  # DS: active mode after power on
        self.power_up(now_us)
        self._next_us = now_us + STABLE_US

    def on_command(self, command: bytes, at_us: int) -> bool:
        if sum(command[:5]) != int.from_bytes(command[5:], "big"):
            return False
        action = self.COMMANDS.get(command[2:5])
        if action is not None and (self._working or action is Serial._wake):
            action(self, at_us)
        return True

    def next_report_us(self) -> int | None:
        return self._next_us if self._working and not self._passive else None

    def report(self, at_us: int) -> None:
        before = self._last[PM2_5_WORD]
        self._send_data(at_us)
        moves = abs(self._last[PM2_5_WORD] - before) >= FAST_STEP_UGM3
        self._next_us = at_us + (FAST_US if moves else STABLE_US)

    def words(self, at_us: int) -> list[int]:
        found = super().words(at_us)
        if self.has("header_in_data"):
            found[self.HEADERS_AT : self.HEADERS_AT + len(self.HEADERS)] = self.HEADERS
        return found

    def _send_data(self, at_us: int) -> None:
        if self.has("reply_between"):
            self._reply(0xE1, self._passive, at_us)
        self.emit(self.frame(at_us), at_us)

    def _reply(self, number: int, value: int, at_us: int) -> None:
        self.emit(sealed(bytes((number, value))), at_us)

    def _set_passive(self, at_us: int) -> None:
        self._passive = True
        self._reply(0xE1, 0, at_us + ANSWER_US)

    def _set_active(self, at_us: int) -> None:
        self._passive, self._next_us = False, at_us + STABLE_US
        self._reply(0xE1, 1, at_us + ANSWER_US)

    def _read(self, at_us: int) -> None:
        if self._passive:
            self._send_data(at_us + ANSWER_US)

    def _sleep(self, at_us: int) -> None:
        self._working = False
        self._reply(0xE4, 0, at_us + ANSWER_US)

    def _wake(self, at_us: int) -> None:
        if not self._working:
            self.reset(at_us)

    COMMANDS: ClassVar[Mapping[bytes, Callable[["Serial", int], None]]] = {
        b"\xe1\x00\x00": _set_passive,
        b"\xe1\x00\x01": _set_active,
        b"\xe2\x00\x00": _read,
        b"\xe4\x00\x00": _sleep,
        b"\xe4\x00\x01": _wake,
    }
