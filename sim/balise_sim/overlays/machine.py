"""`machine` of the board: chip-level functions; pins, buses and timers come from their own files.

Promises: the names and parameters of the real module, as far as a sensor node needs them; a name that is missing here
is missing, not silently wrong. Leaves to others: everything behind the pins (the host's device models).
"""

import _bridge
from _analog import ADC
from _i2s import I2S
from _pins import Pin, Signal
from _ports import I2C, UART, SoftI2C
from _pulses import PWM, time_pulse_us
from _spi import SPI, SoftSPI
from _timers import RTC, WDT, Timer
from micropython import const

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

__all__ = (
    "ADC",
    "I2C",
    "I2S",
    "PWM",
    "RTC",
    "SPI",
    "UART",
    "WDT",
    "Pin",
    "Signal",
    "SoftI2C",
    "SoftSPI",
    "Timer",
    "time_pulse_us",
)

_TO_RESET, _TO_SLEEP, _TO_SOFT_RESET = const(1), const(2), const(3)
_SLEEPS = const(3)
_cpu_hz = _bridge.settings["cpu_hz"]


def unique_id():
    return bytes.fromhex(_bridge.settings["unique_id"])


def reset_cause():
    return _bridge.settings["reset_cause"]


if _bridge.settings["platform"] == "esp32":
    SLEEP, DEEPSLEEP = 2, 4
    PIN_WAKE, TIMER_WAKE = 2, 4

    def wake_reason():
        return TIMER_WAKE if reset_cause() == DEEPSLEEP_RESET else 0


def reset():
    _bridge.call(_bridge.RESET, 0, _TO_RESET)


def soft_reset():
    _bridge.call(_bridge.RESET, 0, _TO_SOFT_RESET)


def deepsleep(time_ms=0):
    """Ends this boot; the next one comes after `time_ms`, or never when 0 (nothing else wakes this board)."""
    _bridge.call(_bridge.RESET, 0, _TO_SLEEP, time_ms)


def lightsleep(time_ms=0):
    _bridge.call(_bridge.CLOCK, 0, _SLEEPS, 1)
    if time_ms:
        _bridge.pause(time_ms * 1000)
    while not time_ms:
        _bridge.wait(_bridge.FOREVER)
    _bridge.call(_bridge.CLOCK, 0, _SLEEPS, 0)


def idle():
    _bridge.look()


def freq(hz=None):
    global _cpu_hz
    if hz is None:
        return _cpu_hz
    _cpu_hz = hz
    return None


def disable_irq():
    return 0


def enable_irq(state):
    pass
