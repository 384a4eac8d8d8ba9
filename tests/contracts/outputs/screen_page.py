"""The page: whoever opens it is its far end."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.testclient import TestClient

from balise_gateway.badges.outputs.screen_page import Output, Settings

SETTINGS: dict[str, object] = {}


class FarEnd:
    """A page that nobody has opened."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.output = Output(settings)

    def is_safe(self) -> bool:
        """No stream is open."""
        return self.output.status()["open_pages"] == 0

    def shows(self) -> bool:
        """Whoever opens the page is greeted."""
        answer = TestClient(Starlette(routes=self.output.routes())).get("/badge/screen?lang=en")
        return "Hello!" in answer.text

    def close(self) -> None:
        self.output.close()
