"""PMS5003ST on the wire: a PMS5003 with formaldehyde, temperature and humidity, in frames of 40 bytes.

DS = Plantower "PMS5003ST data manual", appendix I. Not specified, so chosen here: a cell and a thermometer that
are right from the first frame, and as warm as the air.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._plantower import COUNTS, MASSES, RESERVED, STATUS, WORDS, Serial
from balise_sim.devices.base import Quantity


class Model(Serial):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        **MASSES,
        **COUNTS,
        "formaldehyde": Quantity(0.0, 2000.0, 1.0, 15.0),  # DS table 1: 0 to 2 mg/m3
        "temperature": Quantity(-10.0, 60.0, 0.1, 20.0),  # DS table 1: working range
        "humidity": Quantity(0.0, 99.0, 0.1, 50.0),
    }
    LAYOUT = (*WORDS, ("formaldehyde", 1), ("temperature", 10), ("humidity", 10), (RESERVED, 1), (STATUS, 1))
