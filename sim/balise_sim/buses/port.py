"""What every kind of bus is for a board: ports by number, devices wired to them, and requests of the VM answered."""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from balise_boards import Board
from balise_sim.bridge import Op, Reply, Request
from balise_sim.devices.base import DeviceModel

if TYPE_CHECKING:
    from balise_sim.buses.pins import Pins

ANY_PIN = 255
SECOND_US = 1_000_000
EINVAL, ENODEV, ETIMEDOUT = 22, 19, 110
PUSH_BYTES = 1024  # what one reply to WAIT brings of one port


class WiringError(ValueError):
    """A device that cannot be wired as asked; the text says what the board has."""


class BusPort(abc.ABC):
    """One port of one kind. OPS maps each request to the method that answers it: method(request, now_us) -> Reply.

    HANDLE is the handle of port 0; port n has HANDLE + n. `now_us` is the world's time. A port that firmware can wait
    for (a UART, I2S) also has fetch, collect and due_us, as station.NodeSocket has. PINS names the pins of a wire.
    """

    DEVICE: ClassVar[type[DeviceModel]]
    HANDLE: ClassVar[int] = 0
    OPS: ClassVar[Mapping[Op, str]]

    @abc.abstractmethod
    def __init__(self, board: Board) -> None: ...

    @abc.abstractmethod
    def attach(self, device: DeviceModel, pins: tuple[int, ...] | None) -> None:
        """Wires a device to these pins of the board; None: to whatever pins firmware opens. Raises WiringError."""

    def watch(self, pins: "Pins") -> None:  # noqa: B027 - most buses look at no other pins
        """The board's pins, for a bus that is told by others than its own (SPI: chip select)."""

    def is_wired_to(self, pins: tuple[int, ...]) -> bool:
        """Whether a device would be reached through these pins."""
        return False

    def power_on(self, now_us: int) -> None:  # noqa: B027 - most buses forget nothing
        """Power came, to the board and to what is wired to it."""

    def close(self, request: Request, now_us: int) -> Reply:
        """Firmware lets go of the port."""
        return Reply()


def joined(wired: tuple[int, ...] | None, opened: tuple[int, ...]) -> bool:
    """Whether a device wired to some pins is reached through those that firmware opened."""
    return wired is None or ANY_PIN in opened or wired == opened
