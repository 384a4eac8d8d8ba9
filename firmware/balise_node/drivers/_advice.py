"""Every way in which a sensor can fail, and what to try. Needed only while it is told."""

# Every way to fail has one of these names, and each name says what to try.
WHAT_TO_TRY = {
    "unknown model": "write a model of the drivers folder in config.json",
    "silent": "nothing came back: check power and ground, and that TX goes to RX and RX to TX",
    "garbage": "bytes came, but no frame: check the UART number, the baud rate and the model in config.json",
    "unasked": "only other frames came: compare the model in config.json; is the sensor shared with another reader?",
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
