"""SEN66 over I2C: PM1 to PM10, humidity, temperature, VOC and NOx index, CO2, particles per cm3, and the status.

DS = Sensirion "Datasheet SEN6x" version 0.91 (2025-08), as far as Sensirion's own driver (sensirion-i2c-sen66 1.3) says
the same. Promises values measured after they are asked for (particles per cm3 and the rest may be a second apart where
one ends between two reads), and the status register since the last sample; None for what the part does not know yet.
PM4 and PM10 are calculated from smaller grains. Leaves to others: a bus of at most 100 kHz ("freq_hz" in config.json),
and when to clean(). An index says how the air differs from this sensor's own last day, nothing more.
Where the sources disagree: after stop the sheet waits 1 s, Sensirion's driver 1.4 s; so does this one.
"""

from balise_node.drivers._particles import Particles, flagged, strings, words_to_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "sen66"

_ADDRESS = 0x6B  # DS 4
_NUMBERS, _PRESSURE, _CLEAN = 0x0316, 0x6720, 0x5607  # DS 4.8
_NAME, _SERIAL, _RESET = 0xD014, 0xD033, 0xD304  # DS 4.8
_WAIT_MS, _RESET_MS, _CLEAN_MS = 20, 1200, 10_000  # DS 4.8
_BOOT_MS = 100  # DS 3: start-up time after power on

# DS 4.4; CO2 has two bits in this family: 9 and 12
_FAN, _RHT, _GAS, _CO2_ERROR, _PM_ERROR, _SPEED = 1 << 4, 1 << 6, 1 << 7, 1 << 9 | 1 << 12, 1 << 11, 1 << 21
_PM, _AIR, _INDEX, _CO2 = (0, 1, 2, 3, 9, 10, 11, 12, 13), (4, 5), (6, 7), (8,)  # positions in CHANNELS
_FAIL, _SUSPECT = 4, 3  # QARTOD
_DOUBTS = (
    (_FAN | _PM_ERROR, _PM, _FAIL),
    (_SPEED, _PM, _SUSPECT),
    (_RHT, _AIR, _FAIL),
    (_RHT, _INDEX, _SUSPECT),  # the gas signals are corrected by humidity and temperature
    (_GAS, _INDEX, _FAIL),
    (_CO2_ERROR, _CO2, _FAIL),
)


class _Chip(Particles):
    STOP_MS = 1400
    READ, COUNT, READ_MS = 0x0300, 9, _WAIT_MS


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
        "co2",
        "n0_5_per_cm3",
        "n1_per_cm3",
        "n2_5_per_cm3",
        "n4_per_cm3",
        "n10_per_cm3",
        "sen66_status",
    )
    WARMUP_S = 60  # DS 2: PM needs 30 s, CO2 and NOx are unknown for the first seconds, gases need 60 s

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = _ADDRESS) -> None:
        self._chip = _Chip(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._measuring = False
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Fan, laser and heaters on."""
        if not self._measuring:
            self._chip.start()
            self._measuring = True

    def sample(self) -> "tuple[int | None, ...]":
        """In the order of CHANNELS."""
        self.flags = {}
        words, restarted = self._chip.fresh()
        made = words_to_values(words)
        counts = self._chip.ask(_NUMBERS, 5, _WAIT_MS)
        made += [None if count == 0xFFFF else 100 * count for count in counts]  # tenths to thousandths
        status = self._chip.status() & (_FAN | _RHT | _GAS | _CO2_ERROR | _PM_ERROR | _SPEED)
        made.append(status)
        self.flags = flagged(made, status, _DOUBTS, _PM + _INDEX + _CO2 if restarted else ())
        return tuple(made)

    def sleep(self) -> None:
        """Idle mode: fan, laser and heaters off."""
        self._measuring = False
        self._chip.stop()

    def set_pressure_hpa(self, pressure_hpa: int) -> None:
        """Of the air, 700 to 1200, which CO2 is corrected by; forgotten without power."""
        self._chip.tell(_PRESSURE, _WAIT_MS, (pressure_hpa,))

    def clean(self) -> None:
        """Ten seconds of full fan, out of measurement; wake() must follow."""
        self.sleep()
        self._chip.tell(_CLEAN, _CLEAN_MS)

    def reset(self) -> None:
        """As after power on: wake() must follow."""
        self._measuring = False
        self._chip.tell(_RESET, _RESET_MS)

    def name_and_serial(self) -> "list[str]":
        return [strings(self._chip.ask(command, 16, _WAIT_MS)) for command in (_NAME, _SERIAL)]
