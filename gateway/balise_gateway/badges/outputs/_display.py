"""Small displays by luma: the picture of a showing is drawn and sent; a display that was unplugged is begun anew.

Promises that the display is dark when the gateway has ended. Leaves pictures to `_layout.py`, chips and buses to the
kinds.
"""

import importlib
from collections.abc import Callable
from typing import Any

from balise_gateway.badges.outputs import _layout, _letters, _pins
from balise_gateway.badges.outputs._layout import Layout
from balise_gateway.badges.outputs._screen import ScreenSettings
from balise_gateway.badges.outputs._worker import Pause
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import MissingExtra

SECOND_LOOK_S = 5.0  # a door that is held by hand is told, and a display that went away is noticed


class Display:
    """One display. `begin` makes luma's device."""

    def __init__(
        self,
        settings: ScreenSettings,
        layout: Layout,
        begin: Callable[[], Any],
    ) -> None:
        self._settings, self._layout, self._begin = settings, layout, begin
        self._device: Any = None
        self._letters: _letters.Source | None = None
        self.faults: tuple[type[Exception], ...] = ()

    def open(self) -> None:
        self._letters = self._letters or _letters.found()
        self.faults = _faults()
        self._device = self._begin()

    def play(self, showing: Showing, pause: Pause) -> None:
        shown = None
        while True:
            said = self._settings.said(showing, self._settings.language or "fr")
            if said != shown and self._letters is not None:
                self._device.display(_layout.picture(said, self._layout, self._letters))
                shown = said
            else:
                self._device.show()  # one command: fails when the display is gone
            if not pause(SECOND_LOOK_S):
                return

    def shut(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.cleanup()  # dark, and the bus let go


def _faults() -> tuple[type[Exception], ...]:
    """What luma raises beside OSError."""
    try:
        return (importlib.import_module("luma.core.error").Error, *_pins.faults())
    except ImportError as error:
        raise MissingExtra("a display", "luma", "badge") from error
