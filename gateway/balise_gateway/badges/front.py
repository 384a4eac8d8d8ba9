"""What stands on the screen now: the verdict for a while, then what is true in between.

Promises that a verdict is shown at once and for its time, and that a reader which is unplugged is never hidden behind
"welcome". Leaves drawing to `outputs/`, and time to its caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from balise_gateway.badges.outputs import Output, PageOutput
from balise_gateway.badges.readers import Reader
from balise_gateway.badges.showing import Showing

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Front:
    """All outputs of a place, showing the same."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.outputs = outputs
        self.now = Showing("ready")
        self._until_s = 0.0
        self._has_begun = False

    def tell(self, showing: Showing, now_s: float) -> None:
        """A verdict, from now on for its time."""
        self._until_s = now_s + showing.until_s
        self._show(showing)

    def rest(self, readers: Sequence[Reader], waiting: int, sending: bool, now_s: float) -> None:
        """What is true between two cards; nothing while a verdict is still to be read."""
        if now_s >= self._until_s:
            self._show(replace(idle(readers, sending and waiting > 0), waiting=waiting))

    def status(self) -> list[Mapping[str, object]]:
        """Of each output."""
        return [output.status() for output in self.outputs]

    def routes(self) -> "list[BaseRoute]":
        """Those of outputs that are pages; they stand before whatever else answers below `/badge`."""
        pages = [output for output in self.outputs if isinstance(output, PageOutput)]
        return [route for page in pages for route in page.routes()]

    def close(self) -> None:
        """Leaves every device in its safe state."""
        for output in self.outputs:
            output.close()

    def _show(self, showing: Showing) -> None:
        if showing != self.now or showing.until_s or not self._has_begun:  # the same verdict twice is two cards
            self.now, self._has_begun = showing, True
            for output in self.outputs:
                output.show(showing)


def idle(readers: Sequence[Reader], sending: bool) -> Showing:
    """What stands there while nobody shows a card."""
    if any(reader.status()["state"] != "up" for reader in readers):
        return Showing("unplugged")
    return Showing("sending" if sending else "ready")
