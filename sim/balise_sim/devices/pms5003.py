"""PMS5003 dust sensor on the wire: active and passive mode, read, sleep and wake, warm-up.

DS = Plantower "PMS5003 series data manual" V2.3 (2016), appendices I and II. What no sheet says is chosen in
_plantower.py, which all serial models share.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices._plantower import COUNTS, MASSES, STATUS, WORDS, Serial
from balise_sim.devices.base import Quantity


class Model(Serial):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {**MASSES, **COUNTS}
    LAYOUT = (*WORDS, (STATUS, 1))
