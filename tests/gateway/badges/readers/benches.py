"""One bench per kind of reader: how its device is plugged in and pulled out, and how something is held before it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from balise_gateway.badges.seen import Seen
from gateway.badges.readers.card_benches import PcscBench, Pn532Bench
from gateway.badges.readers.code_benches import CameraBench, SerialBench, WedgeBench


class Bench(Protocol):
    """What the suite wants of the world around a reader. Things are numbered; `text` says what a number stands for."""

    reader: Any
    writes: bool  # whether cards can be written with it

    def settings(self) -> dict[str, object]: ...

    def plug(self) -> None: ...

    def unplug(self) -> None: ...

    async def show(self, number: int) -> None: ...

    async def keep(self) -> None:
        """What is shown stays for several readings."""
        ...

    async def take_away(self) -> None:
        """Nothing is shown any more, long enough to be away."""
        ...

    async def disturb(self) -> None:
        """Everything that such a device may say wrongly."""
        ...

    def rest(self) -> None:
        """Ends what the bench itself has started beside plugging its device in."""
        ...

    def is_it(self, seen: Seen, number: int) -> bool: ...

    def secrets(self, number: int) -> list[str]:
        """Texts that must not be found anywhere."""
        ...

    def close(self) -> None: ...


BENCHES: dict[str, Callable[[Path], Bench]] = {
    "camera_qr": CameraBench,
    "keyboard_wedge": WedgeBench,
    "pcsc": PcscBench,
    "pn532": Pn532Bench,
    "serial_qr": SerialBench,
}
