"""PMS5003 (and PMS7003, PMSA003, same protocol): masses and counts of dust over UART 9600 8N1, asked in passive mode.

DS = Plantower "PMS5003 series data manual" V2.3 (2016). Promises six mass concentrations, six counts and the version
and error bytes of one moment; the sensor's steps are 1 ug/m3 and 0.01 per cm3. While the error byte is not zero, the
values are given all the same, with the flag "fail". Leaves to others what the numbers are worth: the size bins are not
sizes (Kuula 2020, Ouimette 2022), and so is PM10 a guess from smaller grains.
"""

from balise_node.drivers._plantower import COUNTS, MASSES, Serial, counts, doubts, masses, word

_STATUS_AT = 28  # DS appendix I: data 13, version and error


class Sensor(Serial):
    MODEL = "pms5003"
    CHANNELS = MASSES + COUNTS + ("pms_status",)

    def sample(self) -> tuple[int, ...]:
        """0.1 ug/m3, 0.01 per cm3, and 256 * version + error; DS table 1: 0 to 500 ug/m3, at most 1000."""
        frame = self._frame()
        values = masses(self.MODEL, frame) + counts(frame, len(COUNTS))
        status = word(frame, _STATUS_AT)
        self.flags = doubts(status, len(values))
        values.append(status)
        return tuple(values)
