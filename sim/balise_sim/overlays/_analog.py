"""ADC: the names that the board's port has; the host says what its converter sees."""

import _bridge
from micropython import const

_FULL_UV = const(3300000)


class ADC:
    def __init__(self, id, *, sample_ns=0, atten=None):
        self._pin = id if isinstance(id, int) else id._id
        self._uv()

    def _uv(self):
        try:
            return _bridge.call(_bridge.ADC, self._pin)
        except OSError:
            raise ValueError("invalid pin") from None

    def read_u16(self):
        return min(self._uv() * 65535 // _FULL_UV, 65535)


if _bridge.settings["platform"] == "esp32":

    class ADC(ADC):
        ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3

        def atten(self, atten):
            """Only 11 dB is played, with which a pin may have all the supply."""
            if atten != ADC.ATTN_11DB:
                raise ValueError("the simulated converter has 11 dB only")

        def read_uv(self):
            return self._uv()
