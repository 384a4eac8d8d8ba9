"""PMS5003T on the wire: a PMS5003 whose data 11 and 12 are temperature and humidity.

DS = Plantower "PMS5003T data manual", appendix I. Not specified, so chosen here: a thermometer that is right
from the first frame, and as warm as the air.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._plantower import COUNTS, MASSES, STATUS, WORDS, Serial
from balise_sim.devices.base import Quantity


class Model(Serial):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        **MASSES,
        **{name: COUNTS[name] for name in list(COUNTS)[:4]},
        "temperature": Quantity(-10.0, 60.0, 0.1, 20.0),  # DS table 1: working range
        "humidity": Quantity(0.0, 99.0, 0.1, 50.0),
    }
    LAYOUT = (*WORDS[:10], ("temperature", 10), ("humidity", 10), (STATUS, 1))
    HEADERS = (0x424D, 0x001C, 0x424D)
