"""One question, one fresh answer over a UART that also carries noise, halves of frames and frames nobody asked for.

Leaves to the drivers what their frames look like and mean.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, Framing, SleepMs, Wanted

_LOOK_MS = 100  # between looks, once the answer is late; each look is a round trip on a simulated board
_KEEP_BYTES = 256  # the longest frame of all our sensors, several times over


class Dialogue:
    """Asks one sensor; `framing` has HEAD (how a frame begins), size() and fault().

    framing.size(data, at) is the length of the frame that may begin at data[at] (more than is there: the rest is
    still on its way), or 0 if none can. framing.fault(frame) is the name of what is wrong with it, or None.
    """

    def __init__(self, model: str, bus: "UART", sleep_ms: "SleepMs", framing: "Framing", timeout_ms: int) -> None:
        self._model = model
        self._bus = bus
        self._sleep_ms = sleep_ms
        self._framing = framing
        self._timeout_ms = timeout_ms

    def tell(self, order: bytes) -> None:
        """Sends what the sensor does not answer."""
        self._bus.write(order)

    def ask(self, question: bytes, wanted: "Wanted", first_ms: int) -> bytes:
        """The newest sound frame for which wanted(frame) is true; the first look comes after first_ms.

        Three bus calls when the answer is in time. The first one throws away what came before the question: an
        answer to an earlier one that was given up, or frames of a sensor that talks unasked, would be old values.
        """
        self._bus.read()
        self._bus.write(question)
        data, fault, waited_ms, step_ms = b"", "silent", 0, first_ms
        while waited_ms < self._timeout_ms:
            self._sleep_ms(step_ms)
            waited_ms += step_ms
            step_ms = _LOOK_MS
            data = (data + (self._bus.read() or b""))[-_KEEP_BYTES:]
            answer, fault = self._newest(data, wanted)
            if answer:
                return answer
        raise SensorError(self._model, fault, data)

    def _newest(self, data: bytes, wanted: "Wanted") -> tuple[bytes, str]:
        """The last frame that is sound and wanted, or b"" and the name of the best reason why there is none."""
        framing = self._framing
        answer, fault = b"", "garbage" if data else "silent"
        at = data.find(framing.HEAD)
        while at >= 0:
            size = framing.size(data, at)
            step = 1  # a head may also stand inside noise or data: after a false start the search goes on within it
            if 0 < size <= len(data) - at:
                frame = data[at : at + size]
                problem = framing.fault(frame)
                if problem is None:
                    step = size
                    answer = frame if wanted(frame) else answer
                fault = problem or "unasked"
            at = data.find(framing.HEAD, at + step)
        return answer, fault
