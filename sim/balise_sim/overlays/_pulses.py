"""PWM, and the measuring of pulses.

Promises: the world sees which pins are driven how, and says what pulses it sends. Leaves to others: what they mean.
"""

import _bridge
from micropython import const

_FULL_U16 = const(65535)
_SECOND_NS = const(1000000000)
_START, _STOP = const(1), const(0)


def _number(pin):
    return pin if isinstance(pin, int) else pin._id


class PWM:
    def __init__(self, dest, *, freq=0, duty_u16=0, duty_ns=0, invert=False):
        self._pin = _number(dest)
        self._freq = 1000
        self._duty = 0
        self.init(freq=freq, duty_u16=duty_u16, duty_ns=duty_ns, invert=invert)

    def init(self, *, freq=0, duty_u16=0, duty_ns=0, invert=False):
        """What is 0 stays as it is."""
        self._freq = freq or self._freq
        if duty_ns:
            duty_u16 = duty_ns * self._freq * _FULL_U16 // _SECOND_NS
        if duty_u16:
            self._duty = _FULL_U16 - duty_u16 if invert else duty_u16
        self._tell()

    def _tell(self):
        try:
            _bridge.call(_bridge.PWM, self._pin, _START, self._freq << 16 | min(max(0, self._duty), _FULL_U16))
        except OSError:
            raise ValueError("invalid pin") from None

    def freq(self, value=None):
        if value is None:
            return self._freq
        if value <= 0:
            raise ValueError("frequency must be above 0")
        self._freq = value
        self._tell()
        return None

    def duty_u16(self, value=None):
        if value is None:
            return self._duty
        self._duty = value
        self._tell()
        return None

    def duty_ns(self, value=None):
        if value is None:
            return self._duty * _SECOND_NS // (_FULL_U16 * self._freq)
        self.duty_u16(value * self._freq * _FULL_U16 // _SECOND_NS)
        return None

    def deinit(self):
        _bridge.call(_bridge.PWM, self._pin, _STOP)


def time_pulse_us(pin, pulse_level, timeout_us=1000000):
    """Microseconds; -2 when no pulse began in time, -1 when it did not end."""
    length_us = _bridge.call(_bridge.PULSE, _number(pin), pulse_level, timeout_us)
    return length_us if length_us < timeout_us else timeout_us - 1 - length_us
