"""SGP41 (and SGP40, without NOx): ticks of volatile organic compounds and nitrogen oxides over I2C, and their index.

DS = Sensirion "Datasheet SGP41", version 1.0 (2021-12), by the names of its sections; SGP40: "Datasheet SGP40", version
1.0 (2020-07). Promises ticks of a hot plate: each sample measures twice and keeps the second. Ticks rise with the
logarithm of a resistance, and tell nothing by themselves. The index (_gas_index.py) needs a sample every 1 to 10 s: it
is given when the node's period_s is 10 or less, from 45 s after the start on; else it is None, and the ticks are there
for whoever wants to compute. The index is of this sensor's own last day: 100 (VOC) or 1 (NOx) is usual, not clean, and
no two sensors compare. Leaves to others the air's humidity and temperature: the chip is told 50 % and 25 Cel, which
switches its own compensation off. The plate stays hot between samples: cold, it would have to be conditioned anew, and
the index would start again.
"""

from balise_node.drivers._sensirion import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._gas_index import GasIndex
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "sgp41"

_MEASURE, _MEASURE_40 = 0x2619, 0x260F  # DS "measure raw signals"; SGP40 3.1
_MEASURE_MS = 51  # DS "measure raw signals": at most 50 ms
_HEAT_MS = 170  # github.com/Sensirion/gas-index-algorithm, low-power example: from cold to a measurement of use
_CONDITION = 0x2612
_CONDITION_MS = 7000  # DS "execute conditioning": 10 s is advised, more destroys; a Pico's watchdog bites at 8 s
_FEATURES, _IS_40 = 0x202F, 0x0020  # the lowest nine bits: 0040 is an SGP41 (ESPHome, sgp4x.h)
_USUAL_AIR = (0x8000, 0x6666)  # DS "measure raw signals": 50 %RH, 25 Cel
_BOOT_MS = 1  # DS 2.2: 0.6 ms
_NO_TICKS = 65000  # _gas_index.py: the algorithm takes those between 0 and here
_LONGEST_PACE_S = 10
_FAIL = 4


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("voc_raw", "nox_raw", "voc_index", "nox_index")
    WARMUP_S = 10  # the conditioning, when it is new
    PACED = True

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x59, period_s: int = 60) -> None:
        self._chip = Commands(MODEL, bus, sleep_ms, address, _BOOT_MS)
        self._sleep_ms = sleep_ms
        self._measure, self._pixels = 0, 0  # how to measure, and how many words that gives; 0: not known yet
        self._indices = _indices(period_s) if period_s <= _LONGEST_PACE_S else []
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """The first time: which chip it is, and the conditioning of the NOx pixel, which blocks for 7 s."""
        if not self._pixels:
            features = self._chip.ask(_FEATURES, 1, 2)[0]
            if features & 0x1FF == _IS_40:
                self._measure, self._pixels = _MEASURE_40, 1
                return
            self._chip.tell(_CONDITION, _CONDITION_MS, _USUAL_AIR)
            self._chip.tell(_MEASURE, _MEASURE_MS, _USUAL_AIR)  # ends the conditioning, before anything can fail
            self._measure, self._pixels = _MEASURE, 2

    def sample(self) -> "tuple[int | None, ...]":
        """Ticks of VOC and NOx, 0 to 65535, and each one's index, 1 to 500; None where there is none."""
        if not self._pixels:
            self.wake()
        self._chip.tell(self._measure, _MEASURE_MS + _HEAT_MS, _USUAL_AIR)
        ticks = self._chip.ask(self._measure, self._pixels, _MEASURE_MS, _USUAL_AIR)
        self.flags = {at: _FAIL for at, tick in enumerate(ticks) if not 0 < tick < _NO_TICKS}
        found: list[int | None] = [index.process(tick) for index, tick in zip(self._indices, ticks)]  # noqa: B905
        nothing = [None] * (2 - self._pixels)
        return tuple(ticks + nothing + found + [None] * (2 - len(found)))

    def sleep(self) -> None:
        """Nothing to do: the plate stays hot."""


def _indices(period_s: int) -> "list[GasIndex]":
    """Imported here, for a slower node has no use for what it takes of memory."""
    from balise_node.drivers._gas_index import GasIndex

    return [GasIndex(period_s), GasIndex(period_s, nox=True)]
