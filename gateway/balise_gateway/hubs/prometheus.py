"""Prometheus, which pulls: the newest value of each series at `http://<host>:<port>/metrics`, with its time.

In OpenMetrics or the older text form, as the scraper asks, by prometheus_client. Promises that a value has the time it
was measured at (of a window its start), so that a late scrape does not make it younger; that a series which brings
nothing new for `expire_s` is gone; and that nothing old is ever shown as new. The port opens with the first rows.
"Handed over" means shown here: who scrapes too seldom misses values, and for all of them there is
`prometheus_remote_write`. Values that failed stay away. Leaves names to `prometheus_names.py`.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from balise_gateway import serving
from balise_gateway.delivery.prometheus_names import LABELS, labels_of, metric_of, unit_of
from balise_gateway.errors import HubAway, MissingExtra
from balise_gateway.hubs import HubSettings, Traits
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import Key

Series = tuple[str, tuple[str, ...]]  # metric, values of LABELS


@dataclass(frozen=True, kw_only=True)
class Settings(HubSettings):
    """[[hub]] with kind = "prometheus"."""

    host: Annotated[str, Key("the address to listen on; 0.0.0.0 is every network")] = "127.0.0.1"
    port: Annotated[int, Key("the TCP port to listen on", least=0, most=65_535)] = 9617
    expire_s: Annotated[float, Key("a series that brings nothing new for so long is gone", least=1)] = 900.0


@dataclass(frozen=True)
class _Shown:
    row: HubRow
    value: Value
    since_s: float  # on the event loop's clock


class Hub:
    """One page of newest values."""

    traits = Traits(
        accepts_past=False, idempotent=True, ordered=True, batch_limit_bytes=1 << 20, batch_limit_rows=1_000
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings = settings
        self._shown: dict[Series, _Shown] = {}
        self._server: asyncio.Server | None = None
        self._connections: Iterable[Any] = ()

    async def send(self, rows: Sequence[HubRow]) -> int:
        await self._listen()
        now_s, size = asyncio.get_running_loop().time(), 0
        for row in rows:
            for value in row.values:
                series = metric_of(value), tuple(labels_of(row, value).values())
                before = self._shown.get(series)
                if before is None or before.row.utc_ms <= row.utc_ms:
                    self._shown[series] = _Shown(row, value, now_s)
                size += len(value.text)
        return size

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for connection in list(self._connections):
                connection.shutdown()

    def _collect(self) -> "Iterator[Any]":
        """One family per metric, as prometheus_client wants a collector to give it."""
        from prometheus_client.core import GaugeMetricFamily

        oldest_s = asyncio.get_running_loop().time() - self._settings.expire_s
        self._shown = {series: shown for series, shown in self._shown.items() if shown.since_s >= oldest_s}
        families: dict[str, Any] = {}
        for (metric, labels), shown in sorted(self._shown.items()):
            if metric not in families:
                text = f"{shown.value.channel} in {shown.value.unit} (SenML), as last measured."
                families[metric] = GaugeMetricFamily(metric, text, labels=LABELS, unit=unit_of(shown.value))
            families[metric].add_metric(labels, shown.value.number, timestamp=shown.row.utc_ms / 1000)
        yield from families.values()

    async def _listen(self) -> None:
        if self._server is not None:
            return
        prometheus_client = _library()
        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self._collect))
        application = prometheus_client.make_asgi_app(registry)
        factory, self._connections = serving.protocol(application, 'a hub of kind "prometheus"')
        where = self._settings.host, self._settings.port
        try:
            self._server = await asyncio.get_running_loop().create_server(factory, *where)
        except OSError as error:
            raise HubAway(f"cannot listen on {where[0]}:{where[1]}: {error.strerror or error}") from error


class _Collector:
    """prometheus_client asks an object."""

    def __init__(self, collect: Any) -> None:
        self.collect = collect


def _library() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise MissingExtra('a hub of kind "prometheus"', "prometheus-client", "gateway") from error
    return prometheus_client
