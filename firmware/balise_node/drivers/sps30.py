"""SPS30 over I2C (pin SEL to ground): PM1 to PM10, particles per cm3, their typical size and the status.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Promises ten values of one moment, measured after they are asked
for, and the status register since the last sample. PM4 and PM10 are not measured but calculated from the smaller grains
(DS 1.1 note 4). Needs firmware 2.2 (DS table 8: status). Leaves to others: a bus of at most 100 kHz ("freq_hz" in
config.json) and 10 cm of cable (DS 6: beyond that take the UART), and that a sensor that is put to sleep every day
needs clean() once a week (DS 4.2).
"""

from balise_node.drivers import _sps30
from balise_node.drivers._particles import Particles, strings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "sps30"

_ADDRESS = 0x69  # DS 6
_SLEEP, _WAKE, _CLEAN, _INTERVAL = 0x1001, 0x1103, 0x5607, 0x8004  # DS 6.3.5 to 6.3.8
_SERIAL, _VERSION, _RESET = 0xD033, 0xD100, 0xD304  # DS 6.3.9, 6.3.10, 6.3.13
_WAIT_MS, _RESET_MS = 5, 100  # DS table 8
_BOOT_MS = 30  # not specified


class _Chip(Particles):
    START, START_MS = 0x0010, 20  # DS 6.3.1
    START_WORDS = (_sps30.FLOATS << 8,)
    STOP_MS = 20  # DS table 8
    READ, COUNT, READ_MS = 0x0300, 2 * _sps30.VALUES, _WAIT_MS  # DS 6.3.4


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = _sps30.CHANNELS
    WARMUP_S = _sps30.WARMUP_S

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = _ADDRESS) -> None:
        self._chip = _Chip(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._measuring = False
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Out of sleep mode, then fan and laser on.

        The first wake-up command only opens the interface of a sleeping sensor, which may acknowledge it or not (DS
        6.3.6); one that is awake does not need it.
        """
        if not self._measuring:
            self._chip.attempt(_WAKE, _WAIT_MS)
            self._chip.attempt(_WAKE, _WAIT_MS)
            self._chip.start()
            self._measuring = True

    def sample(self) -> "tuple[int, ...]":
        """In the order of CHANNELS; DS 1.1: up to 1000 ug/m3 and 3000 particles per cm3."""
        self.flags = {}
        words, restarted = self._chip.fresh()
        numbers = [words[at] << 16 | words[at + 1] for at in range(0, len(words), 2)]
        made = _sps30.values(MODEL, numbers, False)
        status = _sps30.known(self._chip.status())
        self.flags = _sps30.flags(status, restarted)
        made.append(status)
        return tuple(made)

    def sleep(self) -> None:
        """Fan, laser and interface off."""
        self._measuring = False
        self._chip.stop()
        self._chip.tell(_SLEEP, _WAIT_MS)

    def clean(self) -> None:
        """Ten seconds of full fan; only while it measures, and meanwhile there are no new values (DS 4.2)."""
        self._chip.tell(_CLEAN, _WAIT_MS)

    def clean_every(self, seconds: int) -> None:
        """How long the fan runs between two cleanings, 0 for ever; kept without power (DS 4.2, 6.3.8)."""
        self._chip.tell(_INTERVAL, 20, (seconds >> 16, seconds & 0xFFFF))

    def reset(self) -> None:
        """As after power on (DS 6.3.13): wake() must follow."""
        self._measuring = False
        self._chip.tell(_RESET, _RESET_MS)

    def serial_number(self) -> str:
        """DS 6.3.9."""
        return strings(self._chip.ask(_SERIAL, 16, _WAIT_MS))

    def version(self) -> "tuple[int, int]":
        """Firmware major and minor (DS 6.3.10)."""
        word = self._chip.ask(_VERSION, 1, _WAIT_MS)[0]
        return word >> 8, word & 0xFF
