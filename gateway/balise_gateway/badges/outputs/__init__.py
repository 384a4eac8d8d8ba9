"""What people at the door see and hear. The contract `Output`, and one module per kind, found by its name.

A kind is a module with three names: `Settings`, a frozen dataclass of its configuration keys, `Output`, made with
`Output(settings)`, and `NEEDS`, what a service must be let at for it (`../needs.py`).
It imports heavy libraries when it shows something first, not before; what is missing then stands in its `status()`.
An output that is a page has `routes()` besides, for the gateway's page server, and `NEEDS_PAGE` in its settings.
"""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from balise_gateway.badges.showing import Showing

if TYPE_CHECKING:
    from starlette.routing import Route


class Output(Protocol):
    """A screen, a light, a sound, a door. Three methods; a constructor that only builds."""

    def show(self, showing: Showing) -> None:
        """Shows this from now on; returns at once, so that no verdict waits for a display.

        Never raises for a device.
        """
        ...

    def status(self) -> dict[str, object]:
        """`kind`, `state` ("up", or what is wrong and what to try)."""
        ...

    def close(self) -> None:
        """Leaves the device in its safe state: dark, silent, as the door is without power. May be called twice."""
        ...


@runtime_checkable
class PageOutput(Output, Protocol):
    """An output that is a page on the gateway's own page server."""

    def routes(self) -> "list[Route]":
        """Its paths, below `/badge/`."""
        ...
