"""SPS30 dust sensor on its UART: SHDLC frames, idle, measurement and sleep mode, both formats, cleaning, status.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Not specified, so chosen here: 10 ms from order to answer (DS
table 7: at most 20); an order that does not fit the mode is answered with state 43 (seen for wake-up and stop), reading
in idle mode too; a sleeping sensor loses the first byte that wakes its interface.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from balise_sim.devices import _sps30
from balise_sim.devices.base import Quantity, UARTDevice

ANSWER_US = 10_000
OPEN_US = 100_000  # DS 5.3.5: so long the interface of a sleeping sensor stays open
FLAG, STUFF, FLIP = 0x7E, 0x7D, 0x20  # DS 5.2, table 5
STUFFED = {FLAG, STUFF, 0x11, 0x13}
OK, WRONG_LENGTH, UNKNOWN, WRONG_VALUE, NOT_NOW = 0, 1, 2, 4, 0x43  # DS table 6
ERROR_FLAG = 0x80  # DS figure 5


def sealed(number: int, state: int, data: bytes) -> bytes:
    """An answer as it goes over the line (DS figure 4)."""
    body = bytes((0, number, state, len(data))) + data
    plain = body + bytes((255 - sum(body) % 256,))
    return b"~" + b"".join(bytes((STUFF, b ^ FLIP)) if b in STUFFED else bytes((b,)) for b in plain) + b"~"


def opened(frame: bytes) -> bytes | None:
    """Number and data of an order, None where it is damaged."""
    plain, rest = bytearray(), iter(frame[1:-1])
    for byte in rest:
        plain.append(byte if byte != STUFF else next(rest, 0) ^ FLIP)
    if len(plain) < 4 or sum(plain) % 256 != 255 or plain[2] != len(plain) - 4:
        return None
    return bytes(plain[1:2] + plain[3:-1]) if plain[0] == 0 else None


class Order(NamedTuple):
    """One row of DS table 7."""

    act: Callable[["Model", bytes, int], bytes | int]  # gives the data of the answer, or a state that is an error
    lengths: tuple[int, ...]
    mode: str  # in which it is taken, "" in all but sleep mode
    where: str


class Model(UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = _sps30.CHANNELS
    REPORTS = _sps30.REPORTS
    FAULTS = (
        UARTDevice.FAULTS
        | _sps30.FAULTS
        | {"needs_two_wakes": "asleep, the pulse is not noticed: the first wake-up command opens the interface only"}
    )
    BAUD_HZ = 115_200  # DS 5
    COMMAND_HEAD, COMMAND_BYTES = b"~", 64

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._engine = _sps30.engine(self)
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._engine.power_up(now_us)
        self._output = _sps30.FLOATS
        self._open_until_us = -1

    def receive(self, data: bytes, now_us: int) -> None:
        if self._engine.mode == "sleeping" and now_us > self._open_until_us and data:
            late = self.has("needs_two_wakes")
            if not late or len(data) > 1:
                self._open_until_us = now_us + OPEN_US
            data = b"" if late else data[1:]
        super().receive(data, now_us)

    def cut(self, heard: bytearray) -> tuple[int, int] | None:
        """DS 5.2: from one 7E to the next; two of them side by side are an end and a beginning."""
        at = heard.find(FLAG)
        while at >= 0 and (end := heard.find(FLAG, at + 1)) == at + 1:
            at = end
        return (at, end + 1) if at >= 0 and end > 0 else None

    def on_command(self, command: bytes, at_us: int) -> bool:
        inside = opened(command)
        if inside is None:
            return False
        number, data = inside[0], inside[1:]
        engine = self._engine
        engine.settle(at_us)
        row = self.ORDERS.get(number)
        if engine.mode == "sleeping":
            if row is None or row.mode != "sleeping":
                return True
        elif row is not None and row.mode not in ("", engine.mode):
            self._answer(number, NOT_NOW, at_us)
            return True
        if row is None:
            self._answer(number, UNKNOWN, at_us)
        elif len(data) not in row.lengths:
            self._answer(number, WRONG_LENGTH, at_us)
        else:
            self._answer(number, row.act(self, data, at_us), at_us)
            if row.act is Model._reset:  # DS 5.3.11: after the answer
                self.reset(at_us)
        return True

    def _answer(self, number: int, found: bytes | int, at_us: int) -> None:
        state, data = (found, b"") if isinstance(found, int) else (OK, found)
        if self._engine.status & _sps30.ERRORS:
            state |= ERROR_FLAG
        self.emit(sealed(number, state, data), at_us + ANSWER_US)

    def _start(self, data: bytes, at_us: int) -> bytes | int:
        if data[0] != 1 or data[1] not in (_sps30.FLOATS, _sps30.INTEGERS):
            return WRONG_VALUE
        self._output = data[1]
        self._engine.start(at_us)
        return b""

    def _stop(self, data: bytes, at_us: int) -> bytes:
        self._engine.stop(at_us)
        return b""

    def _read(self, data: bytes, at_us: int) -> bytes:
        values, self._engine.new = self._engine.new, None
        return _sps30.packed(values, self._output)

    def _sleep(self, data: bytes, at_us: int) -> bytes:
        self._engine.mode = "sleeping"
        self._open_until_us = -1
        return b""

    def _wake(self, data: bytes, at_us: int) -> bytes:
        self._engine.mode = "idle"
        return b""

    def _clean(self, data: bytes, at_us: int) -> bytes:
        self._engine.clean(at_us)
        return b""

    def _interval(self, data: bytes, at_us: int) -> bytes | int:
        if data[0] != 0:
            return WRONG_VALUE
        if len(data) == 1:
            return self._engine.interval_s.to_bytes(4, "big")
        self._engine.interval_s = int.from_bytes(data[1:], "big")
        return b""

    def _information(self, data: bytes, at_us: int) -> bytes | int:
        text = {0: _sps30.PRODUCT_TYPE, 3: _sps30.SERIAL}.get(data[0])
        return WRONG_VALUE if text is None else text + b"\0"

    def _version(self, data: bytes, at_us: int) -> bytes:
        return bytes((*_sps30.FIRMWARE, 0, _sps30.HARDWARE, 0, *_sps30.SHDLC))

    def _status(self, data: bytes, at_us: int) -> bytes | int:
        if data[0] > 1:
            return WRONG_VALUE
        reserved = self.has("reserved_bits")
        shown = self._engine.status | (_sps30.RESERVED if reserved else 0)
        if data[0]:
            self._engine.status = 0
        return shown.to_bytes(4, "big") + bytes((STUFF if reserved else 0,))

    def _reset(self, data: bytes, at_us: int) -> bytes:
        return b""

    ORDERS: ClassVar[Mapping[int, Order]] = {
        0x00: Order(_start, (2,), "idle", "DS 5.3.1"),
        0x01: Order(_stop, (0,), "measuring", "DS 5.3.2"),
        0x03: Order(_read, (0,), "measuring", "DS 5.3.3"),
        0x10: Order(_sleep, (0,), "idle", "DS 5.3.4"),
        0x11: Order(_wake, (0,), "sleeping", "DS 5.3.5"),
        0x56: Order(_clean, (0,), "measuring", "DS 5.3.6"),
        0x80: Order(_interval, (1, 5), "", "DS 5.3.7"),
        0xD0: Order(_information, (1,), "", "DS 5.3.8"),
        0xD1: Order(_version, (0,), "", "DS 5.3.9"),
        0xD2: Order(_status, (1,), "", "DS 5.3.10"),
        0xD3: Order(_reset, (0,), "", "DS 5.3.11"),
    }
