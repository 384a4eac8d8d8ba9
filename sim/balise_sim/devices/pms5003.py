"""PMS5003 dust sensor on the wire: active and passive mode, read, sleep and wake, warm-up.

DS = Plantower "PMS5003 series data manual" V2.3 (2016). Active mode is played at its stable pace only (DS: 200 to
800 ms while the air changes quickly). Not specified, so chosen here: 10 ms from command to answer; active mode after
wake; values that climb evenly during warm-up; counts in proportion to the masses.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from balise_sim.devices.base import Quantity, UARTDevice

ANSWER_US = 10_000
WARMUP_US = 30_000_000  # DS "circuit attentions" 4
STABLE_US = 2_300_000  # DS "output result"
ZEROS_US = 3_000_000
VERSION = 0x97
COUNTS = (112, 32, 6, 1, 0, 0)  # >0.3 um to >10 um in 0.1 L for each ug/m3 of PM2.5


def sealed(data: bytes) -> bytes:
    """DS appendix I: 42 4D, length of data and sum, data, sum of everything before it."""
    frame = b"\x42\x4d" + (len(data) + 2).to_bytes(2, "big") + data
    return frame + sum(frame).to_bytes(2, "big")


class Model(UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS table 1: maximum range, resolution
        "pm1": Quantity(0.0, 1000.0, 1.0, 5.0),
        "pm2_5": Quantity(0.0, 1000.0, 1.0, 8.0),
        "pm10": Quantity(0.0, 1000.0, 1.0, 9.0),
    }
    FAULTS = UARTDevice.FAULTS | {
        "reply_between": "a mode reply stands before every data frame",
        "header_in_data": "the counts look like the head of a frame",
        "zeros_after_wake": "for 3 s after wake all values are zero",
        "stuck": "the values stay what they were when the fault began",
        "error_byte": "the error byte is not zero",
        "all_zero": "a frame of zeros with the right sum",
    }
    COMMAND_HEAD, COMMAND_BYTES = b"\x42\x4d", 7  # DS appendix II

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._air = [0, 0, 0]  # the three words of the last data frame
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._working, self._passive = True, False  # DS: active mode after power on
        self._since_us = now_us
        self._next_us = now_us + STABLE_US

    def on_command(self, command: bytes, at_us: int) -> bool:
        if sum(command[:5]) != int.from_bytes(command[5:], "big"):
            return False
        action = self.COMMANDS.get(command[2:5])
        if action is not None and (self._working or action is Model._wake):
            action(self, at_us)
        return True

    def next_report_us(self) -> int | None:
        return self._next_us if self._working and not self._passive else None

    def report(self, at_us: int) -> None:
        self._send_data(at_us)
        self._next_us = at_us + STABLE_US

    def _words(self, at_us: int) -> list[int]:
        if self.has("stuck"):
            return self._air
        ready = min((at_us - self._since_us) / WARMUP_US, 1.0)
        if self.has("zeros_after_wake") and at_us - self._since_us < ZEROS_US:
            ready = 0.0
        self._air = [round(self.measure(name, at_us) * ready) for name in ("pm1", "pm2_5", "pm10")]
        return self._air

    def _send_data(self, at_us: int) -> None:
        if self.has("reply_between"):
            self._reply(0xE1, self._passive, at_us)
        air = self._words(at_us)
        factory = [word if word <= 30 else word * 3 // 2 for word in air]  # "CF=1" leaves the other above 30 ug/m3
        counts = [min(air[1] * each, 0xFFFF) for each in COUNTS]
        if self.has("header_in_data"):
            counts[1:5] = [0x424D, 0x001C, 0x424D, 0x0004]
        data = b"".join(word.to_bytes(2, "big") for word in factory + air + counts)
        data += bytes((VERSION, 0x02 if self.has("error_byte") else 0))
        self.emit(sealed(bytes(26) if self.has("all_zero") else data), at_us)

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

    COMMANDS: ClassVar[Mapping[bytes, Callable[["Model", int], None]]] = {  # DS appendix II
        b"\xe1\x00\x00": _set_passive,
        b"\xe1\x00\x01": _set_active,
        b"\xe2\x00\x00": _read,
        b"\xe4\x00\x00": _sleep,
        b"\xe4\x00\x01": _wake,
    }
