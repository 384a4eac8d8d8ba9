"""What the SPS30 is on both of its buses: what it measures, how it sends that, and its faults.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Firmware is 2.2.
"""

import struct
from collections.abc import Mapping

from balise_sim.devices._seconds import Engine, Trouble, World
from balise_sim.devices.base import Quantity

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
TROUBLES = {  # DS 4.4
    "fan_stopped": Trouble(FAN),
    "laser_current": Trouble(LASER, ends=True),
    "fan_speed": Trouble(SPEED, ends=True, of_speed=True),
}


def engine(world: World) -> Engine:
    return Engine(world, tuple(CHANNELS), TROUBLES)


def packed(values: Mapping[str, float] | None, output: int) -> bytes:
    """DS 4.3; nothing where there are no values."""
    if values is None:
        return b""
    *numbers, size_m = (values[name] for name in CHANNELS)
    if output == FLOATS:
        return struct.pack(">10f", *numbers, size_m * 1e6)
    return struct.pack(">10H", *(round(number) for number in numbers), round(size_m * 1e9))
