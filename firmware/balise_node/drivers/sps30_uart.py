"""SPS30 over UART 115200 8N1 (pin SEL left open): PM1 to PM10, particles per cm3, their typical size and the status.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Promises ten values of one moment, measured after they are asked
for, and the status register since the last sample. PM4 and PM10 are not measured but calculated from the smaller grains
(DS 1.1 note 4). Needs firmware 2.2 (DS table 7: status). Leaves to others: that a sensor that is
put to sleep every day needs clean() once a week (DS 4.2).
Where the sensor does more than DS 5.3.5: awake, it answers a wake-up command with state 43 (seen on real ones).
"""

from balise_node.drivers import SensorError, _sps30
from balise_node.drivers._shdlc import Line, order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "sps30_uart"

_START, _STOP, _READ = 0x00, 0x01, 0x03  # DS 5.3.1 to 5.3.3
_SLEEP, _WAKE, _CLEAN = 0x10, 0x11, 0x56  # DS 5.3.4 to 5.3.6
_INFORMATION, _VERSION, _STATUS, _RESET = 0xD0, 0xD1, 0xD2, 0xD3  # DS 5.3.8 to 5.3.11
_SERIAL = b"\x03"  # DS 5.3.8
_AND_CLEAR = b"\x01"  # DS 5.3.10: "clear all bits after reading", so that each sample has its own
_PULSE = b"\xff"  # DS 5.3.5: opens the interface of a sleeping sensor for 100 ms
_WAKE_MS = 10  # DS table 7: at most 5 ms
_LOOKS, _LOOK_MS = 5, 50


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    CHANNELS = _sps30.CHANNELS
    WARMUP_S = _sps30.WARMUP_S
    LINE = {"baudrate": 115200}  # noqa: RUF012 - MicroPython has no ClassVar (DS 5)

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._sleep_ms = sleep_ms
        self._line = Line(MODEL, bus, sleep_ms)
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Out of sleep mode, then fan and laser on.

        The wake-up command is sent twice behind the pulse: where the pulse was too short to be noticed, the first one
        opens the interface (DS 5.3.5).
        """
        self._line.tell(_PULSE)
        self._line.tell(order(_WAKE))
        self._sleep_ms(_WAKE_MS)
        self._line.ask(_WAKE)
        self._start()

    def sample(self) -> "tuple[int, ...]":
        """In the order of CHANNELS; DS 1.1: up to 1000 ug/m3 and 3000 particles per cm3."""
        self.flags = {}
        self._line.ask(_READ)  # what was measured before this call
        data, restarted = self._fresh(), False
        if not data and self._start():  # its power was cut since wake()
            data, restarted = self._fresh(), True
        if len(data) == 4 * _sps30.VALUES:
            width, whole = 4, False
        elif len(data) == 2 * _sps30.VALUES:  # somebody else has started it with the other format (DS 4.3)
            width, whole = 2, True
        else:
            raise SensorError(MODEL, "bad answer" if data else "not ready", data)
        numbers = [int.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width)]
        made = _sps30.values(MODEL, numbers, whole)
        status = _sps30.known(int.from_bytes(self._must(_STATUS, _AND_CLEAR, 5)[:4], "big"))
        self.flags = _sps30.flags(status, restarted)
        made.append(status)
        return tuple(made)

    def sleep(self) -> None:
        """Fan, laser and interface off."""
        self._line.ask(_STOP)  # refused where it was not measuring (DS 5.3.2)
        self._must(_SLEEP)

    def clean(self) -> None:
        """Ten seconds of full fan; only while it measures, and meanwhile there are no new values (DS 4.2)."""
        self._must(_CLEAN)

    def reset(self) -> None:
        """As after power on (DS 5.3.11): wake() must follow."""
        self._must(_RESET)

    def serial_number(self) -> str:
        """DS 5.3.8."""
        return "".join([chr(byte) for byte in self._must(_INFORMATION, _SERIAL) if byte])

    def version(self) -> "tuple[int, int, int]":
        """Firmware major and minor, hardware revision (DS 5.3.9)."""
        data = self._must(_VERSION, b"", 7)
        return data[0], data[1], data[3]

    def _start(self) -> bool:
        """Whether it was not measuring until now (DS 5.3.1)."""
        return self._line.ask(_START, bytes((1, _sps30.FLOATS))) is not None

    def _fresh(self) -> bytes:
        """The next values, or nothing where none come; the sensor answers with nothing until it has new ones."""
        self._sleep_ms(_sps30.PERIOD_MS)
        for _ in range(_LOOKS):
            data = self._line.ask(_READ)
            if data:
                return data
            self._sleep_ms(_LOOK_MS)
        return b""

    def _must(self, number: int, data: bytes = b"", count: int = 0) -> bytes:
        """The answer to an order that is not to be refused, with at least so many bytes."""
        answer = self._line.ask(number, data)
        if answer is None:
            raise SensorError(MODEL, "refused", bytes((number,)))
        if len(answer) < count:
            raise SensorError(MODEL, "bad answer", answer)
        return answer
