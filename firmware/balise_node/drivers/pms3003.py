"""PMS3003: masses of dust over UART 9600 8N1, from a sensor that speaks unasked and takes no commands.

DS = Plantower "PMS3003 data manual" (LOGOELE): frames of 24 bytes, one about every second. Promises the six mass
concentrations of a frame that came after sample() was called. Leaves to others rest and wake: only the sensor's SET pin
can do that, so the laser of a sensor that is wired without it always runs.
The last three words are reserved (DS): sensors that were recorded have their version there, and no error byte.
"""

from balise_node.drivers._plantower import MASSES, Serial, masses


class Sensor(Serial):
    MODEL = "pms3003"
    CHANNELS = MASSES
    _BYTES = 24

    def wake(self) -> None:
        """Nothing to do: it speaks from the moment it has power."""

    def sample(self) -> tuple[int, ...]:
        """0.1 ug/m3; DS: 0 to 500 is the effective range."""
        return tuple(masses(self.MODEL, self._line.ask(b"", self._is_data, 1000)))

    def sleep(self) -> None:
        """Nothing to do: no command does it."""
