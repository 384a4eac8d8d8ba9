"""What a part on an I2S bus is: one word a frame, in its slot.

Leaves to others what the words hold (_microphone.py), and the clock (buses/i2s.py).
"""

from array import array
from typing import ClassVar

from balise_sim.devices.base import DeviceModel


class I2SDevice(DeviceModel):
    """A microphone on an I2S bus: it answers the clock with one word a frame in its slot. A model has sound()."""

    BUS = "i2s"
    FAULTS: ClassVar[dict[str, str]] = {
        "dead_pin": "the data line is not connected, and floats high: every bit is 1",
        "wrong_slot": "the L/R pin is where it should not be: the sound comes in the other slot",
        "one_bit_shift": "every word comes one bit late",
    }

    def __init__(self, right: bool = False, seed: int = 0) -> None:
        super().__init__(seed)
        self.right = right

    def words(self, slot: int, clock: tuple[int, int], first: int, count: int) -> bytes:
        """So many 32-bit words of a slot (0 left, 1 right), from a frame on; `clock`: began at us, frames a second."""
        if self.has("dead_pin"):
            return b"\xff" * (4 * count)
        if slot != self.right ^ self.has("wrong_slot"):
            return bytes(4 * count)
        words = self.sound(clock, first, count)
        if self.has("one_bit_shift"):
            words = array("I", (word >> 1 for word in array("I", words))).tobytes()
        return words

    def sound(self, clock: tuple[int, int], first: int, count: int) -> bytes:
        """The words of its own slot."""
        raise NotImplementedError
