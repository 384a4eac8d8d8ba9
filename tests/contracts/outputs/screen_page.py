"""The page: whoever opens it is its far end."""

from pathlib import Path

from balise_gateway.badges.outputs.screen_page import Output, Settings

SETTINGS: dict[str, object] = {}


class FarEnd:
    """A page that nobody has opened."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.output = Output(settings)

    def is_safe(self) -> bool:
        """No stream is open."""
        return self.output.status()["open_pages"] == 0

    def close(self) -> None:
        self.output.close()
