"""PMS5003T: masses and counts of dust, temperature and humidity over UART 9600 8N1, asked in passive mode.

DS = Plantower "PMS5003T data manual", as the drivers of ESPHome and PyPMS tell it: the frame of the PMS5003
(appendix I) with temperature and humidity as data 11 and 12, in place of the two coarsest counts. Promises all values
of one moment, with the flag "fail" while the error byte is not zero. Leaves to others the heat of the housing, which
the thermometer shares.
"""

from balise_node.drivers._plantower import COUNTS_FINE, MASSES, Serial, counts, doubts, masses, signed, word

_TEMPERATURE_AT, _HUMIDITY_AT = 24, 26  # DS appendix I: data 11 and 12, in 0.1 Cel and 0.1 %RH
_STATUS_AT = 28  # DS appendix I: data 13, version and error


class Sensor(Serial):
    MODEL = "pms5003t"
    CHANNELS = MASSES + COUNTS_FINE + ("temperature", "humidity", "pms_status")

    def sample(self) -> tuple[int, ...]:
        """0.1 ug/m3, 0.01 per cm3, 1/100 Cel, 1/100 %RH, and 256 * version + error."""
        frame = self._frame()
        values = masses(self.MODEL, frame) + counts(frame, len(COUNTS_FINE))
        values += [10 * signed(frame, _TEMPERATURE_AT), 10 * word(frame, _HUMIDITY_AT)]
        status = word(frame, _STATUS_AT)
        self.flags = doubts(status, len(values))
        values.append(status)
        return tuple(values)
