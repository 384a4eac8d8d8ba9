"""SEN55, SEN54, SEN50 over I2C: PM1 to PM10, humidity, temperature, VOC and NOx index, and the status.

DS = Sensirion "Datasheet SEN5x" version 2 (2022-03). Promises the values of one second, measured after they are asked
for, and the status register since the last sample; None for what the part has not (SEN54: no NOx; SEN50: PM only) or
does not know yet. PM4 and PM10 are calculated from smaller grains (DS 2.2 note 5). Leaves to others: a bus of at most
100 kHz ("freq_hz" in config.json), keeping voc_state() while the power is off, and that a sensor that rests every day
needs clean() once a week (DS 5.2). An index says how the air differs from this sensor's own last day, nothing more; it
needs a sensor that goes on measuring.
Where the sensor disagrees with DS 6.1.5: an unknown signed value is 7FFF (Sensirion's own driver); FFFF is -1.
"""

from balise_node.drivers._particles import Particles, flagged, strings, words_to_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "sen55"

_ADDRESS = 0x69  # DS 6
_VOC_STATE, _CLEAN, _INTERVAL = 0x6181, 0x5607, 0x8004  # DS 6.1.11 to 6.1.13
_NAME, _SERIAL, _VERSION, _RESET = 0xD014, 0xD033, 0xD100, 0xD304  # DS 6.1.14 to 6.1.16, 6.1.19
_WAIT_MS, _RESET_MS = 20, 100  # DS table 12
_BOOT_MS = 50  # DS table 8

# DS 5.4; bit 19 says that the fan is being cleaned, and then there are no new values
_FAN, _LASER, _RHT, _GAS, _CLEANING, _SPEED = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 19, 1 << 21
_PM, _AIR, _INDEX = (0, 1, 2, 3), (4, 5), (6, 7)  # positions in CHANNELS
_FAIL, _SUSPECT = 4, 3  # QARTOD
_DOUBTS = (
    (_FAN | _LASER, _PM, _FAIL),
    (_SPEED, _PM, _SUSPECT),
    (_RHT, _AIR, _FAIL),
    (_RHT, _INDEX, _SUSPECT),  # the gas signals are corrected by humidity and temperature
    (_GAS, _INDEX, _FAIL),
)


class _Chip(Particles):
    READ, COUNT, READ_MS = 0x03C4, 8, _WAIT_MS  # DS 6.1.5


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = (
        "pm1",
        "pm2_5",
        "pm4",
        "pm10",
        "humidity",
        "temperature",
        "voc_index",
        "nox_index",
        "sen5x_status",
    )
    WARMUP_S = 60  # DS table 5: until gases are reliably detected; DS table 3: PM needs 30 s

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = _ADDRESS) -> None:
        self._chip = _Chip(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._measuring = False
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Fan and laser on. The index begins anew (DS 6.1.11) unless restore() is called instead."""
        if not self._measuring:
            self._chip.start()
            self._measuring = True

    def sample(self) -> "tuple[int | None, ...]":
        """In the order of CHANNELS (DS 6.1.5); DS table 3: up to 1000 ug/m3, DS table 5: index 1 to 500."""
        self.flags = {}
        words, restarted = self._chip.fresh()
        made = words_to_values(words)
        status = self._chip.status() & (_FAN | _LASER | _RHT | _GAS | _CLEANING | _SPEED)
        made.append(status)
        self.flags = flagged(made, status, _DOUBTS, _PM + _INDEX if restarted else ())
        return tuple(made)

    def sleep(self) -> None:
        """Idle mode: fan, laser and heaters off."""
        self._measuring = False
        self._chip.stop()

    def voc_state(self) -> bytes:
        """What the index has learned, to be kept by whoever can; of use after 3 h of measuring (DS 6.1.11)."""
        return b"".join([word.to_bytes(2, "big") for word in self._chip.ask(_VOC_STATE, 4, _WAIT_MS)])

    def restore(self, state: bytes) -> None:
        """As wake(), with what voc_state() gave no more than ten minutes ago (DS 6.1.11)."""
        words = tuple([state[at] << 8 | state[at + 1] for at in range(0, 8, 2)])
        self._chip.stop()
        self._chip.tell(_VOC_STATE, _WAIT_MS, words)
        self._chip.tell(_Chip.START, _Chip.START_MS)
        self._measuring = True

    def clean(self) -> None:
        """Ten seconds of full fan; only while it measures, and meanwhile there are no new values (DS 5.2)."""
        self._chip.tell(_CLEAN, _WAIT_MS)

    def clean_every(self, seconds: int) -> None:
        """How long the fan runs between two cleanings, 0 for ever; forgotten without power (DS 6.1.13)."""
        self._chip.tell(_INTERVAL, _WAIT_MS, (seconds >> 16, seconds & 0xFFFF))

    def reset(self) -> None:
        """As after power on (DS 6.1.19): wake() must follow."""
        self._measuring = False
        self._chip.tell(_RESET, _RESET_MS)

    def name_and_serial(self) -> "list[str]":
        """Which of the family it is (DS 6.1.14), and its number (DS 6.1.15)."""
        return [strings(self._chip.ask(command, 16, _WAIT_MS)) for command in (_NAME, _SERIAL)]

    def version(self) -> int:
        """Of the firmware (DS 6.1.16)."""
        return self._chip.ask(_VERSION, 1, _WAIT_MS)[0] >> 8
