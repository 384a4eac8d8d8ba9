"""OPC-N3: coarse particles, counted one by one in a small flow of air, over SPI mode 1; PM, T and RH beside them.

DS = Alphasense 072-0503 "Supplemental SPI Information for the OPC-N3" Issue 2 (2018-12-10).
What is counted are particles of 16 to 40 um (bins 15 to 23): coarse bioaerosol candidates, an indication and no more.
Much pollen is of that size, and so are clumps of spores, wear of tyres, sand and fog; nothing here tells them apart. A
row of a minute sees a quarter of a litre, so an hour is mostly chance: every concentration comes with the exact 95 %
interval of its count, which says nothing of what the inlet lost or of what the grains were.

Promises that no air between two samples goes uncounted: fan and laser run all the time, sleep() leaves them on, and
reading a histogram begins the next one. The first one, of unknown length, is thrown away. Hour and day are hours and
days of counting, kept in blocks of 5 and 30 minutes, so they are up to one block short. Gaps do not age them, and
after a restart they begin anew: sampled_volume says how much was seen.
Leaves to others rain, the inlet, and that rows come at least every 60 s.

opc_n3_status, and what its bits make of the values beside it (3 suspect, 4 fail); the part itself has no status word:
    0  the fan is off (DS, command 13, byte 0): count, volume and PM 4
    1  the laser is off (DS, command 13, byte 4): count and PM 4
    2  the flow is below half of the usual 280 ml/min: count, volume and PM 3
    3  the interval was longer than 65 s, from which on the part logs for itself (60 s by its sheet): count and volume 3
    4  humidity above 85 %, where droplets count as grains (Crilley 2018, AMT 11:709): count and PM 3
    5  dust: PM10 of 50 ug/m3 (daily limit, directive 2008/50/EC) or more, and above three times PM2.5: count 3
    6  more than twice as many particles rejected as counted, and 100 at least: count and PM 3
    7  a PM value is not a number, as with a weak supply: that value is missing
    8  a bin is full: count and PM 3
    12 to 27  the laser's monitor as it came (DS, command 30, bytes 82 and 83), which ages
The thresholds of bits 2, 5 and 6 are our choice. Rows with bit 0 or 1 are left out of hour and day; these are suspect
when more than a tenth of their volume was counted under bits 2 to 6 or 8.
Where the part disagrees with its sheet: the fan's revolutions (bytes 80 and 81) are 0 in all public logs, so the fan
is judged by the flow, which the part derives from the particles' time of flight.
"""

from struct import unpack, unpack_from

from balise_node.drivers import SensorError
from balise_node.drivers._counting import Window, per_m3
from balise_node.drivers._modbus import crc16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import SPI, SleepMs

MODEL = "opc_n3"

_READY, _BUSY = 0xF3, 0x31  # DS, timing
_POWER, _STATUS, _HISTOGRAM = 0x03, 0x13, 0x30  # DS, commands
_FAN_ON, _LASER_ON = 0x03, 0x07  # DS, command 03: argument of _POWER
_STATUS_BYTES, _HISTOGRAM_BYTES = 6, 86  # DS, commands
_COARSE = 15  # DS, command 3C: bin 15 begins at 16 um, bin 23 ends at 40 um
_POLL_MS = 11  # DS, timing: more than 10 ms between the command and what follows
_POLLS = 20  # as in the maker's own example
_GAP_US = 15  # DS, timing: more than 10 us between bytes, less than 100
_RECOVER_MS = 2_100  # DS, timing: after a wrong byte or a long wait, more than 2 s of silence
_FAN_MS = 700  # DS, command 03: more than 600 ms
_LASER_MS = 300
_INTERVAL_MS = 4_000  # a new start inside sample(): an interval of known length, and a board's watchdog waits 8 s
_LONGEST_CS = 6_500  # 65 s: rows of a minute come a little late now and then
_SLOW_FLOW = 233  # 1/100 ml/s
_SPARSEST = 10  # 0.01 ml to each grain: ten million grains per m3, hundreds of times the worst pollen day
_MOST_TENTHS = 100_000  # ug/m3: 10 mg/m3 of dust, five times the part's own range
_FAN_OFF, _LASER_OFF, _SLOW, _LONG, _WET, _DUST, _REJECTS, _NAN, _FULL = [1 << bit for bit in range(9)]
_OFF, _DOUBT = _FAN_OFF | _LASER_OFF, _SLOW | _LONG | _WET | _DUST | _REJECTS | _FULL


class Sensor:
    MODEL = MODEL
    BUS = "spi"
    # fmt: off
    CHANNELS = (
        "coarse_count", "sampled_volume",
        "coarse_1h_per_m3", "coarse_1h_low_per_m3", "coarse_1h_high_per_m3",
        "coarse_24h_per_m3", "coarse_24h_low_per_m3", "coarse_24h_high_per_m3",
        "pm1", "pm2_5", "pm10", "temperature", "humidity", "opc_n3_status",
    )
    # fmt: on
    WARMUP_S = 10  # DS, command 03: 5 to 10 s for a steady flow
    LINE = {"baudrate": 500_000, "polarity": 0, "phase": 1}  # DS, timing: mode 1, 300 to 750 kHz  # noqa: RUF012

    def __init__(self, bus: "SPI", sleep_ms: "SleepMs") -> None:
        self._bus, self._sleep_ms = bus, sleep_ms
        self._hour, self._day = Window(12, 30_000), Window(48, 180_000)
        self._counting = False  # an interval of known length is under way
        self._refused = False  # fan or laser stayed off although they were switched on
        self._tries = 0
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """The first time: fan and laser on, unless they run, and the histogram of unknown length away."""
        self._tries = 1
        if not self._counting:
            self._start()

    def sample(self) -> "tuple[int | None, ...]":
        """What was counted since the last sample; volume in ml, concentrations in tenths per m3, PM in 0.1 ug/m3."""
        self._tries = 1
        self.flags = {}
        began = self._counting
        if not began:
            self._start()
            self._sleep_ms(_INTERVAL_MS)
        block, off = self._histogram(), self._off()
        if began and bool(off) != self._refused:  # it lost its power since, or came back
            if off:
                self._start()
            self._sleep_ms(_INTERVAL_MS)
            block, off = self._histogram(), self._off()
        elif off:
            self._switch_on(0)
        self._refused = bool(off)
        return self._told(block, off)

    def sleep(self) -> None:
        """Nothing: a counter that rests lets grains pass uncounted."""

    def _start(self) -> None:
        if self._off():
            self._switch_on(_FAN_MS)
            self._sleep_ms(_LASER_MS)
        self._histogram()
        self._counting = True

    def _switch_on(self, wait_ms: int) -> None:
        self._command(_POWER, bytes((_FAN_ON,)))
        self._sleep_ms(wait_ms)
        self._command(_POWER, bytes((_LASER_ON,)))

    def _off(self) -> int:
        """The bits of what does not run (DS, command 13)."""
        status = self._command(_STATUS, bytes((_STATUS,)) * _STATUS_BYTES)
        return (0 if status[0] & 1 else _FAN_OFF) | (0 if status[4] & 1 else _LASER_OFF)

    def _histogram(self) -> bytes:
        """DS, command 30; the part begins a new one."""
        block = self._command(_HISTOGRAM, bytes((_HISTOGRAM,)) * _HISTOGRAM_BYTES)
        if crc16(block[:-2]) != block[-2] | block[-1] << 8:
            raise SensorError(MODEL, "checksum", block)
        return block

    def _command(self, number: int, data: bytes) -> bytes:
        """What comes back while `data` goes out behind a command that the part is ready for; tried twice a call."""
        while True:
            self._bus.select()
            fault, answer = self._call(number)
            if not fault:
                came = self._bus.exchange(data, _GAP_US)
                self._bus.deselect()
                return came
            self._bus.deselect()
            if not self._tries:
                raise SensorError(MODEL, fault, bytes((number, answer)))
            self._tries -= 1
            self._sleep_ms(_RECOVER_MS)

    def _call(self, number: int) -> tuple[str, int]:
        """Sends the command until the part is ready (DS, timing); the name of what went wrong, and the last answer."""
        answer = _BUSY
        for _ in range(_POLLS):
            answer = self._bus.exchange(bytes((number,)))[0]
            if answer == _READY:
                return "", answer
            if answer != _BUSY:
                return ("silent" if answer in (0x00, 0xFF) else "bad answer"), answer
            self._sleep_ms(_POLL_MS)
        return "not ready", answer

    def _told(self, block: bytes, off: int) -> "tuple[int | None, ...]":
        counts = unpack_from("<24H", block, 0)
        period_cs, flow, raw_t, raw_rh = unpack_from("<4H", block, 52)
        rejected = sum(unpack_from("<4H", block, 72))
        pm = [tenths(block[at : at + 4]) for at in (60, 64, 68)]
        coarse, volume = sum(counts[_COARSE:]), period_cs * flow // 100
        if (not off and coarse * _SPARSEST > volume) or max([value or 0 for value in pm]) > _MOST_TENTHS:
            raise SensorError(MODEL, "implausible", block)
        humidity = (10000 * raw_rh + 32767) // 65535  # DS, command 30
        bits = off
        bits |= _SLOW if flow < _SLOW_FLOW else 0
        bits |= _LONG if period_cs > _LONGEST_CS else 0
        bits |= _WET if humidity > 8500 else 0
        bits |= _DUST if (pm[2] or 0) >= 500 and (pm[2] or 0) > 3 * (pm[1] or 0) else 0
        bits |= _REJECTS if rejected >= 100 and rejected > 2 * sum(counts) else 0
        bits |= _NAN if None in pm else 0
        bits |= _FULL if 65535 in counts else 0
        if not off:
            for window in (self._hour, self._day):
                window.add(coarse, volume, period_cs, bool(bits & _DOUBT))
        values = [coarse, (volume + 50) // 100] + self._concentrations() + pm  # noqa: RUF005 - MicroPython has no [*x]
        self._judge(bits, pm)
        values += [(17500 * raw_t + 32767) // 65535 - 4500, humidity, bits | unpack_from("<H", block, 82)[0] << 12]
        return tuple(values)

    def _concentrations(self) -> "list[int | None]":
        """Value and bounds over an hour and over a day, and their flags."""
        values: list[int | None] = []
        for at, window in ((2, self._hour), (5, self._day)):
            count, volume, doubtful = window.totals()
            found = per_m3(count, volume)
            if found[0] is not None and doubtful * 10 > volume:
                self.flags.update({at: 3, at + 1: 3, at + 2: 3})
            values.extend(found)
        return values

    def _judge(self, bits: int, pm: "list[int | None]") -> None:
        """Flags of this row's own count, volume and PM, as the module's table says."""
        if bits & (_OFF | _DOUBT):
            self.flags[0] = 4 if bits & _OFF else 3
        if bits & (_FAN_OFF | _SLOW | _LONG):
            self.flags[1] = 4 if bits & _FAN_OFF else 3
        if bits & (_OFF | _SLOW | _WET | _REJECTS | _FULL):
            for at, value in enumerate(pm):
                if value is not None:
                    self.flags[8 + at] = 4 if bits & _OFF else 3


def tenths(word: bytes) -> "int | None":
    """Tenths of an IEEE 754 number of 32 bits, least byte first, rounded; None when it is none. Integers only."""
    bits = unpack("<I", word)[0]
    exponent, fraction = (bits >> 23 & 0xFF) - 150, (bits & 0x7FFFFF | 0x800000) * 10
    if exponent == 255 - 150:
        return None
    if bits >> 31 and bits << 1 & 0xFFFFFFFF:
        raise SensorError(MODEL, "implausible", word)  # no air weighs less than nothing
    if exponent >= 0:
        return int(fraction << min(exponent, 8))  # implausible anyway
    return int(((fraction >> min(-exponent, 40) - 1) + 1) >> 1)
