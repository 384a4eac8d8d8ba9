"""A folder on a real disk, read with the standard library's CSV reader."""

import csv
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubDenied, HubError
from balise_gateway.hubs import RowHub
from contracts.far_ends import GATEWAY, LOG, Held

TEXTS = ("csv", "senml", "geojson", "openaq")


class FarEnd:
    answers: ClassVar[dict[str, type[HubError]]] = {"no connection": HubAway, "a file": HubDenied}
    secrets: tuple[str, ...] = ()
    time_step_ms = 1

    def __init__(self, folder: Path) -> None:
        self.folder, self._answer = folder / "readings", "ok"
        self.folder.mkdir()

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        """The disk that the folder is on is taken out and put in again."""
        self._answer, away = word, self.folder.with_name("elsewhere")
        if word != "ok":
            self.folder.rename(away)
        if word == "a file":
            self.folder.touch()
        if word == "ok":
            away.rename(self.folder)

    @property
    def requests(self) -> int:
        return len(list(self.folder.iterdir()))

    def hub(self, **settings: Any) -> RowHub:
        kind = plugins.load(hubs, "files")
        words: dict[str, Any] = {"name": "h", "kind": "files", "log": LOG, "folder": self.folder, "forms": TEXTS}
        made: RowHub = kind.Hub(kind.Settings(**(words | settings)), GATEWAY.kid, None, Random(1))
        return made

    def lines(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for path in sorted(self.folder.glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                found += csv.DictReader(file)
        return found

    def held(self) -> list[Held]:
        return [
            Held(line["node"], line["channel"], _utc_ms(line["time"]), Decimal(line["value"])) for line in self.lines()
        ]

    def captured(self) -> str:
        paths = sorted(path for path in self.folder.iterdir() if path.suffix != ".db")
        return "".join(f"== {path.name}\n{path.read_text(encoding='utf-8')}" for path in paths)

    def close(self) -> None:
        pass


def _utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
