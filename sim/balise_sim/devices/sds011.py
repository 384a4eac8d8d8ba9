"""SDS011 dust sensor on the wire: all commands, active and query mode, sleep, working period, warm-up.

PR = Nova Fitness "Laser Dust Sensor Control Protocol" V1.3 (2015-07-20); DS = "SDS011 specification" V1.3 (2015-10-09).
Not specified, so chosen here: 20 ms from command to answer; values that climb evenly during warm-up; in the resting
part of a working period, a query is not answered and any other command is.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from balise_sim.devices.base import Quantity, UARTDevice

ANSWER_US = 20_000
WARMUP_US = 30_000_000  # PR 3.4: stable after 30 s of work
SECOND_US = 1_000_000  # DS: one report a second
WORK_US = 30_000_000  # PR 3.5: with a working period of n minutes, 30 s of work end in one report
EVERY_SENSOR = b"\xff\xff"  # PR 2


def sealed(kind: int, body: bytes) -> bytes:
    """PR 1: head, kind, six bytes, low byte of their sum, tail."""
    return bytes((0xAA, kind)) + body + bytes((sum(body) & 0xFF, 0xAB))


class Model(UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS: range and step of both outputs
        "pm2_5": Quantity(0.0, 999.9, 0.1, 8.0),
        "pm10": Quantity(0.0, 999.9, 0.1, 14.0),
    }
    FAULTS = UARTDevice.FAULTS | {
        "reply_between": "a reply to a command that nobody sent stands before every data frame",
        "sleeping_ignores_queries": "the sensor stays asleep: neither a query nor the work command is answered",
        "garbled_wake": "woken, the sensor says five bytes that mean nothing, as recorded of units of 2018",
        "id_changed": "the sensor answers with another id, as after an exchange",
    }
    COMMAND_HEAD, COMMAND_BYTES = b"\xaa\xb4", 19  # PR 1
    FIRMWARE = bytes((18, 11, 16))  # year, month, day, as many units of 2019 say

    def __init__(self, device_id: int = 0xA160, seed: int = 0) -> None:
        super().__init__(seed)
        self._id = device_id.to_bytes(2, "big")
        self._query_mode = False  # PR 3.1: factory default is active; kept without power
        self._period_min = 0  # PR 3.5: kept without power
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._working = True  # PR 3.4: works after power on
        self._since_us = now_us
        self._start_cycle(now_us)

    def _start_cycle(self, now_us: int) -> None:
        self._cycle_us = now_us
        self._next_us = now_us + (WORK_US if self._period_min else SECOND_US)

    def on_command(self, command: bytes, at_us: int) -> bool:
        body = command[2:17]
        if command[18] != 0xAB or sum(body) & 0xFF != command[17]:
            return False
        if body[13:15] not in (EVERY_SENSOR, self._shown_id()):
            return True
        wakes = body[:3] == b"\x06\x01\x01" and not self.has("sleeping_ignores_queries")
        action = self.COMMANDS.get(body[0])
        if action is not None and (wakes or self._awake()):
            action(self, body, at_us)
        return True

    def next_report_us(self) -> int | None:
        return self._next_us if self._awake() and not self._query_mode else None

    def report(self, at_us: int) -> None:
        self._send_data(at_us)
        self._next_us = at_us + (self._period_min * 60 * SECOND_US or SECOND_US)

    def _awake(self) -> bool:
        return self._working and not self.has("sleeping_ignores_queries")

    def _shown_id(self) -> bytes:
        return bytes(byte ^ 0x5A for byte in self._id) if self.has("id_changed") else self._id

    def _send_data(self, at_us: int) -> None:
        if self.has("reply_between"):
            self._reply(b"\x08\x00" + bytes((self._period_min, 0)), at_us)
        ready = min((at_us - self._since_us) / WARMUP_US, 1.0)
        words = [round(self.measure(name, at_us) * ready * 10) for name in ("pm2_5", "pm10")]
        body = b"".join(word.to_bytes(2, "little") for word in words)
        self.emit(sealed(0xC0, body + self._shown_id()), at_us)

    def _reply(self, four: bytes, at_us: int) -> None:
        self.emit(sealed(0xC5, four + self._shown_id()), at_us + ANSWER_US)

    def _mode(self, body: bytes, at_us: int) -> None:  # PR 3.1
        if body[1]:
            self._query_mode = bool(body[2])
            self._next_us = at_us + SECOND_US
        self._reply(bytes((2, body[1], self._query_mode, 0)), at_us)

    def _query(self, body: bytes, at_us: int) -> None:  # PR 3.2
        span_us = self._period_min * 60 * SECOND_US
        if not span_us or (at_us - self._cycle_us) % span_us < WORK_US:
            self._send_data(at_us + ANSWER_US)

    def _set_id(self, body: bytes, at_us: int) -> None:  # PR 3.3
        self._id = body[11:13]
        self._reply(b"\x05\x00\x00\x00", at_us)

    def _power(self, body: bytes, at_us: int) -> None:  # PR 3.4
        if body[1] and self._working != bool(body[2]):
            self.reset(at_us)
            self._working = bool(body[2])
            if self._working and self.has("garbled_wake"):
                self.emit(self._random.randbytes(5), at_us + ANSWER_US)
                return
        self._reply(bytes((6, body[1], self._working, 0)), at_us)

    def _period(self, body: bytes, at_us: int) -> None:  # PR 3.5
        if body[1] and body[2] <= 30:
            self._period_min = body[2]
            self._start_cycle(at_us)
        self._reply(bytes((8, body[1], self._period_min, 0)), at_us)

    def _firmware(self, body: bytes, at_us: int) -> None:  # PR 3.6
        self._reply(b"\x07" + self.FIRMWARE, at_us)

    COMMANDS: ClassVar[Mapping[int, Callable[["Model", bytes, int], None]]] = {
        2: _mode,
        4: _query,
        5: _set_id,
        6: _power,
        7: _firmware,
        8: _period,
    }
