"""PMS5003ST: dust, formaldehyde, temperature and humidity over UART 9600 8N1, asked in passive mode.

DS = Plantower "PMS5003ST data manual", as the drivers of ESPHome and PyPMS tell it: a frame of 40 bytes that
begins as the PMS5003's (appendix I). Promises all values of one moment, with the flag "fail" while the error byte is
not zero. Leaves to others the heat of the housing, which the thermometer shares, and that the electrochemical cell also
answers to alcohol.
"""

from balise_node.drivers._plantower import COUNTS, MASSES, Serial, counts, doubts, masses, signed, word

_FORMALDEHYDE_AT = 28  # DS appendix I: data 13, in 0.001 mg/m3
_TEMPERATURE_AT, _HUMIDITY_AT = 30, 32  # DS appendix I: data 14 and 15, in 0.1 Cel and 0.1 %RH
_STATUS_AT = 36  # DS appendix I: data 17, version and error; data 16 is reserved


class Sensor(Serial):
    MODEL = "pms5003st"
    CHANNELS = MASSES + COUNTS + ("formaldehyde", "temperature", "humidity", "pms_status")
    _BYTES = 40

    def sample(self) -> tuple[int, ...]:
        """0.1 ug/m3, 0.01 per cm3, 1 ug/m3 of formaldehyde, 1/100 Cel, 1/100 %RH, and 256 * version + error."""
        frame = self._frame()
        values = masses(self.MODEL, frame) + counts(frame, len(COUNTS))
        values += [word(frame, _FORMALDEHYDE_AT), 10 * signed(frame, _TEMPERATURE_AT), 10 * word(frame, _HUMIDITY_AT)]
        status = word(frame, _STATUS_AT)
        self.flags = doubts(status, len(values))
        values.append(status)
        return tuple(values)
