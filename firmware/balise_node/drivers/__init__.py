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
(3 suspect, 4 fail), empty when all is well; the values stand beside it all the same. OPTIONS, the names of the
constructor's options that config.json may give beyond those of the bus. LINE, how the bus is opened when
not as usual: arguments of machine.UART, such as {"baudrate": 115200, "parity": 0}, of machine.SPI or machine.I2S.
PACED = True, where it matters how often sample() is called: the constructor is given period_s, the seconds of a row.

async listen(), for what must be measured without a pause, such as sound: the node runs it as a task from its start, for
ever, and it must leave the others their time (read what is there, await). sample() then gives what was heard since the
sample before, wake() and sleep() change nothing, and nobody's samples are kept. Where nobody listens, sample() looks
by itself for a moment.

Time is counted in sleep_ms steps, so a call ends even when a board has no clock yet. UART drivers expect
bus.read() to return what is there without waiting (timeout=0). A sensor that fails raises SensorError; nothing else.
"""

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node.drivers._shapes import Driver

# Every way to fail has one of these names, and each name says what to try.
WHAT_TO_TRY = {
    "unknown model": "write a model of the drivers folder in config.json",
    "silent": "nothing came back: check power and ground, and that TX goes to RX and RX to TX",
    "garbage": "bytes came, but no frame: check the UART number, the baud rate and the model in config.json",
    "unasked": "only other frames came: is the sensor shared with another reader?",
    "checksum": "bytes were damaged: shorten the cable and keep it away from the fan's supply",
    "tail": "a frame did not end where it should: shorten the cable and keep it away from the fan's supply",
    "not ready": "the sensor did not finish measuring: cut its power for a second",
    "wrong chip": "another chip answers here: id 58 is a BMP280, often sold as BME280, without humidity",
    "calibration": "the chip's factory calibration is unreadable: cut its power for a second, then replace it",
    "implausible": "no air has such values: cut the sensor's power for a second, then replace it",
    "error byte": "the sensor reports a fault of its own: clean fan and inlet, then replace it",
    "all zero": "the sensor answers with nothing in its frames: cut its power for a second, then replace it",
    "bad answer": "the sensor answers something else than it was asked: cut its power for a second",
    "refused": "the sensor refuses the order: cut its power for a second; if it stays, compare its firmware version",
    "warming up": "the sensor is not ready yet: wait for the time its data sheet gives",
    "no signal": "nothing moves on the data line: check the wires and the left/right pin of the microphone",
    "misaligned": "the words are a bit beside their place: shorten SCK and WS, or use another microphone or board",
    "no fix": "no satellite is heard: give the antenna a view of the sky",
    "out of range": "the voltage or current is beyond what this part can measure: check the wiring",
    "nack": "no chip answers at this address: check SDA, SCL, 3.3 V and the address in config.json",
    "bus stuck": "a chip holds the bus low: cut the power of all sensors on it for a second",
}


class SensorError(Exception):
    """A sensor gave no value: `what` is a name of WHAT_TO_TRY, `data` the bytes it was judged by."""

    def __init__(self, model: str, what: str, data: bytes = b"") -> None:
        seen = f" ({bytes(data).hex()})" if data else ""
        super().__init__(f"{model}: {what}{seen}: {WHAT_TO_TRY[what]}")
        self.model = model
        self.what = what
        self.data = bytes(data)


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
