"""A scraper that comes after every batch, and reads with prometheus_client's parser."""

import socket
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubError
from balise_gateway.hubs import RowHub
from balise_gateway.logbook.rows import HubRow
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._mosquitto import free_port

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class FarEnd:
    answers: ClassVar[dict[str, type[HubError]]] = {"no connection": HubAway}
    secrets: tuple[str, ...] = ()
    time_step_ms = 1
    shows_now = True

    def __init__(self, folder: Path) -> None:
        self.port, self.requests, self._answer, self._text = free_port(), 0, "ok", ""
        self._other: socket.socket | None = None

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        """Somebody else has the port, or gives it back."""
        self._answer = word
        self.close()
        if word == "no connection":
            self._other = socket.create_server(("127.0.0.1", self.port))

    def hub(self, **settings: Any) -> RowHub:
        kind = plugins.load(hubs, "prometheus")
        far_end = self

        class Scraped(kind.Hub):  # type: ignore[name-defined, misc]
            async def send(self, rows: Sequence[HubRow]) -> int:
                size: int = await super().send(rows)
                await far_end.scrape()
                return size

        words: dict[str, Any] = {"name": "h", "kind": "prometheus", "log": LOG, "port": self.port}
        made: RowHub = Scraped(kind.Settings(**(words | settings)), GATEWAY.kid, None, Random(1))
        return made

    async def scrape(self, accept: str = OPEN_METRICS) -> str:
        async with httpx.AsyncClient() as client:
            response = await client.get(f"http://127.0.0.1:{self.port}/metrics", headers={"Accept": accept})
        assert response.status_code == 200
        self.requests += 1
        self._text = response.text
        return response.text

    def held(self) -> list[Held]:
        return [
            Held(
                sample.labels["node"],
                sample.labels["channel"],
                round(float(sample.timestamp or 0) * 1000),
                Decimal(repr(sample.value)),
            )
            for family in text_string_to_metric_families(self._text)
            for sample in family.samples
        ]

    def captured(self) -> str:
        return self._text

    def close(self) -> None:
        if self._other is not None:
            self._other.close()
            self._other = None
