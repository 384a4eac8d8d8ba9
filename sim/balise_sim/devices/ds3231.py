"""DS3231 clock: time in decimal digits, conversion of its temperature, oscillator-stop flag, back-up cell.

DS = Maxim/Analog Devices DS3231 data sheet 19-5170, revision 10 (2015-03). The temperature is converted every 64 s and
when asked. Not specified, so chosen here: a chip fresh from the shop shows 2000-01-01, a Saturday. Not played: alarms,
the square wave, ageing, drift, 12-hour mode.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from balise_sim.devices.base import Quantity, Register, RegisterDevice

TIME, CONTROL, STATUS, TEMPERATURE = 0x00, 0x0E, 0x0F, 0x11  # DS figure 1
CONVERT, STOPPED, BUSY = 0x20, 0x80, 0x04  # DS "control register", "status register"
CONVERSION_US, EVERY_US = 125_000, 64_000_000  # DS "AC electrical characteristics", "temperature registers"
SECOND_US = 1_000_000
FIRST = datetime(2000, 1, 1, tzinfo=UTC)


def decimal(number: int) -> int:
    return number // 10 << 4 | number % 10


def number(digits: int) -> int:
    return (digits >> 4) * 10 + (digits & 15)


class Model(RegisterDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS "temperature registers": 10 bits
        "board_temperature": Quantity(-40.0, 85.0, 0.25, 25.0)
    }
    REPORTS: ClassVar[Mapping[str, str]] = {"ds3231_status": "register 0F: OSF 80, EN32kHz 08, BSY 04"}
    FAULTS = RegisterDevice.FAULTS | {
        "battery_dead": "the cell is empty: when the board's power fails, the time is lost and OSF set",
        "stopped": "the oscillator stands still: OSF is set, the time does not go on",
        "busy_forever": "a conversion never ends",
    }
    REGISTERS: ClassVar[Mapping[int, Register]] = {
        **{TIME + i: Register(0x00, "rw", "DS figure 1") for i in range(7)},
        CONTROL: Register(0x1C, "rw", "DS control register"),
        STATUS: Register(0x88, "rw", "DS status register"),
        TEMPERATURE: Register(0x00, "r", "DS temperature registers"),
        TEMPERATURE + 1: Register(0x00, "r", "DS temperature registers"),
    }

    def __init__(self, address: int = 0x68, seed: int = 0) -> None:
        super().__init__(address, seed)
        self._shown, self._since_us = FIRST, 0  # the time that was shown at that moment
        self._converts_until_us: int | None = None
        self._next_us = 0
        self._now_us = 0

    def reset(self, now_us: int) -> None:
        """The board's power came back; on its cell the clock went on."""
        self._converts_until_us, self._next_us = None, now_us
        self.memory[CONTROL] &= ~CONVERT
        if self.has("battery_dead"):
            self._clear()
            self._shown, self._since_us = FIRST, now_us

    def settle(self, now_us: int) -> None:
        if self.has("stopped"):
            self.memory[STATUS] |= STOPPED
            self._shown, self._since_us = self._time(self._now_us), now_us
        self._now_us = now_us
        self._show()
        if self._converts_until_us is None and now_us >= self._next_us:
            self._next_us += ((now_us - self._next_us) // EVERY_US + 1) * EVERY_US
            self._latch(now_us)
        if self._converts_until_us is not None and now_us >= self._converts_until_us and not self.has("busy_forever"):
            self._latch(self._converts_until_us)
            self._converts_until_us = None
            self.memory[CONTROL] &= ~CONVERT
        busy = self._converts_until_us is not None or self.has("busy_forever")
        self.memory[STATUS] = self.memory[STATUS] & ~BUSY | (BUSY if busy else 0)

    def on_register(self, register: int, value: int, now_us: int) -> None:
        if register == STATUS:  # DS: OSF can only be cleared, BSY not be written
            kept = self.memory[STATUS]
            value = value & ~(STOPPED | BUSY) | kept & BUSY | kept & value & STOPPED
        if register == CONTROL and value & CONVERT and self._converts_until_us is None:
            self._converts_until_us = now_us + CONVERSION_US
        super().on_register(register, value, now_us)
        if register < 7:
            self._set(now_us)

    def _time(self, now_us: int) -> datetime:
        return self._shown + timedelta(seconds=(now_us - self._since_us) // SECOND_US)

    def _show(self) -> None:
        time = self._time(self._now_us)
        fields = time.second, time.minute, time.hour, time.isoweekday(), time.day, time.month, time.year % 100
        self.memory[TIME : TIME + 7] = bytes(map(decimal, fields))
        self.memory[TIME + 5] |= 0x80 if time.year >= 2100 else 0  # DS figure 1: century

    def _set(self, now_us: int) -> None:
        """DS "clock and calendar": from the registers as they are now; what is no date changes nothing yet."""
        second, minute, hour, _, day, month, year = (number(digits) for digits in self.memory[TIME : TIME + 7])
        try:
            self._shown = datetime(2000 + year, month & 0x7F, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            return
        self._since_us = now_us

    def _latch(self, at_us: int) -> None:
        quarters = round(self.measure("board_temperature", at_us) * 4)
        self.memory[TEMPERATURE : TEMPERATURE + 2] = ((quarters << 6) & 0xFFFF).to_bytes(2, "big")
