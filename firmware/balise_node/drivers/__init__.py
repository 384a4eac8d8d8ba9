"""Sensor drivers: the values of one moment as scaled integers, or a SensorError that says what failed.

Leaves to others when to sample, averaging, correction and sending. Runs on MicroPython and on CPython: a driver imports
no hardware, its bus and its sleep_ms are handed in. Every module of this folder whose name does not begin with "_" is a
driver, its name is the sensor's model, and it holds one class:

    class Sensor:
        MODEL     the name of the module
        BUS       a kind of bus: "uart", "i2c", "spi", "i2s", "onewire" or "adc"; board.py says what each is handed as
        CHANNELS  names from balise_wire.channels, in the order of sample()
        WARMUP_S  seconds from wake() to the first sample() worth keeping

        __init__(bus, sleep_ms, **options)  keeps what it is given; no byte moves
        wake()    brings the sensor to work; allowed at any time, and again
        sample()  one integer per channel, scaled as balise_wire.channels says, or None where the sensor
                  itself declares a value missing; never a value older than the call
        sleep()   lets the sensor rest until wake()

Optional: `flags`, where the sensor judges its own values: {position in CHANNELS: QARTOD flag} of the last sample()
(3 suspect, 4 fail), empty when all is well; the values stand beside it all the same. LINE, how the bus is opened when
not as usual: arguments of machine.UART, such as {"baudrate": 115200, "parity": 0}, of machine.SPI or machine.I2S.
PACED = True, where it matters how often sample() is called: the constructor is given period_s, the seconds of a row.

A display is a driver without CHANNELS, whose sample() gives () when it is there; it has show(lines), from the top.

async listen(), for what must be measured without a pause, such as sound: the node runs it as a task from its start, for
ever, and it must leave the others their time (read what is there, await). sample() then gives what was heard since the
sample before, wake() and sleep() change nothing, and nobody's samples are kept. Where nobody listens, sample() looks
by itself for a moment.

Time is counted in sleep_ms steps, so a call ends even when a board has no clock yet. UART drivers expect
bus.read() to return what is there without waiting (timeout=0). A sensor that fails raises SensorError; nothing else.
"""

import sys

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node.drivers._shapes import Driver


class SensorError(Exception):
    """A sensor gave no value: `what` is a name of _advice.WHAT_TO_TRY, `data` the bytes it was judged by."""

    def __init__(self, model: str, what: str, data: bytes = b"") -> None:
        super().__init__(model, what)
        self.model = model
        self.what = what
        self.data = bytes(data)

    def __str__(self) -> str:
        seen = f" ({self.data.hex()})" if self.data else ""
        return f"{self.model}: {self.what}{seen}{_to_try(self.what)}"


def _to_try(what: str) -> str:
    """What to try, read when it is told and forgotten again: a board has little memory, and sensors seldom fail."""
    try:
        from balise_node.drivers._advice import WHAT_TO_TRY
    except MemoryError:
        return ""
    if sys.implementation.name == "micropython":
        del sys.modules["balise_node.drivers._advice"]
        globals().pop("_advice", None)
    return ": " + WHAT_TO_TRY[what]


def load(model: str) -> "type[Driver]":
    """The driver class of a model, imported only now: a node pays memory for the sensors it has."""
    if not model or model.startswith("_") or "." in model or "/" in model:
        raise SensorError(model, "unknown model")
    module = None
    try:
        module = __import__("balise_node.drivers." + model, None, None, ("Sensor",))
    except ImportError as error:
        if model not in str(error):  # a driver that lacks something is another fault than a missing driver
            raise
    if module is None:  # raised here, for MicroPython prints a warning at each "raise from"
        raise SensorError(model, "unknown model")
    driver: type[Driver] = module.Sensor
    return driver
