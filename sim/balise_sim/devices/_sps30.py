"""An SPS30 behind its connector: modes, values once a second, fan cleaning, the status register.

UART and I2C are shells around it. DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Firmware is 2.2. Values are
right from the first one on: the start-up time of DS 1.1 is how long noise is averaged, and these have none. Not
specified, so chosen here: a stopped fan or a weak laser leaves the values as they are; time asleep does not count
towards the next cleaning.
"""

import struct
from collections.abc import Mapping
from typing import Protocol

from balise_sim.devices.base import Quantity

SECOND_US = 1_000_000  # DS 1.1, 4.1: new readings every second
CLEANING_US = 10_000_000  # DS 4.2
START_UP_US = 3_000_000  # DS 4.4: so long the fan's speed is not looked at
WEEK_S = 604_800  # DS 4.2: default interval of cleaning
FLOATS, INTEGERS = 3, 5  # DS 4.3
FAN, LASER, SPEED = 1 << 4, 1 << 5, 1 << 21  # DS 4.4
ERRORS = FAN | LASER  # DS 4.4: the other one is a warning
RESERVED = 0x7E111300  # bits that the sheet says nothing of; as bytes three that SHDLC has to stuff
PRODUCT_TYPE, SERIAL = b"00080000", b"8F3A21C07E4D115B"  # DS 5.3.8; the serial number has 16 digits (DS 7.2)
FIRMWARE, HARDWARE, SHDLC = (2, 2), 7, (2, 0)

MASS = Quantity(0.0, 1000.0, 0.1, 8.0)  # DS 1.1: range; the step of a float is chosen here
NUMBER = Quantity(0.0, 3000.0, 0.001, 50.0)
CHANNELS: Mapping[str, Quantity] = {
    **dict.fromkeys(("pm1", "pm2_5", "pm4", "pm10"), MASS),
    **dict.fromkeys(("n0_5_per_cm3", "n1_per_cm3", "n2_5_per_cm3", "n4_per_cm3", "n10_per_cm3"), NUMBER),
    "typical_particle_size": Quantity(0.3e-6, 10e-6, 1e-9, 0.5e-6),  # DS 1.1: the sizes that it sees, here in m
}
REPORTS = {"sps30_status": "bits 4 fan, 5 laser and 21 fan speed of the status register"}
FAULTS = {
    "no_new_values": "it measures, but there is never a new value",
    "fan_stopped": "the fan is on, but does not turn: bit 4 of the status",
    "fan_speed": "the fan turns too fast or too slowly: bit 21 of the status",
    "laser_current": "the laser's current is out of range: bit 5 of the status",
    "reserved_bits": "reserved bits of the status are set",
}
DISTURBED = {"fan_stopped": FAN, "fan_speed": SPEED, "laser_current": LASER}


class World(Protocol):
    """What the engine asks of its device model."""

    def measure(self, name: str, at_us: int) -> float: ...
    def has(self, fault: str) -> bool: ...


class Engine:
    """The sensor itself. Every call is handed a time that does not go back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.interval_s = WEEK_S  # DS 4.2: kept without power
        self.power_up(0)

    def power_up(self, now_us: int) -> None:
        """DS 4.1: idle mode."""
        self.mode = "idle"
        self.format = FLOATS
        self.status = 0
        self._fan_us = 0  # how long the fan has run since it was cleaned
        self._new: list[float] | None = None
        self._latest: list[float] | None = None
        self._begin(now_us)

    def _begin(self, now_us: int) -> None:
        self._started_us = now_us
        self._seconds = 0
        self._due = False  # whether a second has ended whose values are not taken yet
        self._wrong = dict.fromkeys(DISTURBED, 0)
        self._cleaned_us = now_us  # the end of the last cleaning

    def start(self, output: int, now_us: int) -> None:
        """From idle mode only (DS 4.1)."""
        self.mode, self.format = "measuring", output
        self._new = self._latest = None
        self._begin(now_us)

    def stop(self, now_us: int) -> None:
        self.settle(now_us)
        self.mode = "idle"

    def clean(self, now_us: int) -> None:
        """DS 4.2; while it measures."""
        self.settle(now_us)
        self._cleaned_us = now_us + CLEANING_US
        self._fan_us = 0

    def settle(self, now_us: int) -> None:
        """Lives through the seconds up to now."""
        if self.mode != "measuring":
            return
        while self._seconds < (now_us - self._started_us) // SECOND_US:
            self._seconds += 1
            self._second(self._started_us + self._seconds * SECOND_US)
        at_us = self._started_us + self._seconds * SECOND_US
        if self._due and at_us > self._cleaned_us and not self._world.has("no_new_values"):
            self._latest = self._new = [self._world.measure(name, at_us) for name in CHANNELS]
        self._due = False

    def _second(self, at_us: int) -> None:
        self._due = True
        self._fan_us += SECOND_US
        for fault, bit in DISTURBED.items():
            self._wrong[fault] = self._wrong[fault] + 1 if self._world.has(fault) else 0
            if bit == SPEED and (at_us - self._started_us <= START_UP_US or at_us <= self._cleaned_us):
                self._wrong[fault] = 0
            if self._wrong[fault] >= 2:  # DS 4.4: twice in succession
                self.status |= bit
            elif bit != FAN:  # DS 4.4: all but this one end by themselves
                self.status &= ~bit
        if 0 < self.interval_s * SECOND_US <= self._fan_us:
            self._cleaned_us = at_us + CLEANING_US
            self._fan_us = 0

    def take(self, now_us: int, again: bool = False) -> bytes:
        """The new values in the format of start(), once; with `again` the latest; nothing where none are (DS 4.3)."""
        self.settle(now_us)
        found = self._latest if again else self._new
        self._new = None
        if found is None:
            return b""
        size_um = found[-1] * 1e6
        if self.format == FLOATS:
            return struct.pack(">10f", *found[:-1], size_um)
        return struct.pack(">10H", *(round(value) for value in found[:-1]), round(size_um * 1000))

    def has_new(self, now_us: int) -> bool:
        self.settle(now_us)
        return self._new is not None

    def shown_status(self, now_us: int) -> int:
        self.settle(now_us)
        return self.status | (RESERVED if self._world.has("reserved_bits") else 0)
