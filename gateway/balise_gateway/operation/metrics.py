"""How the gateway is, for Prometheus: the status document as metrics, at `/metrics` of the page.

Promises base units (seconds, bytes), `_total` for what only rises, and no value of a sensor: those are for `hubs/`.
Leaves the text form to prometheus_client, which speaks OpenMetrics to those who ask for it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balise_gateway.errors import MissingExtra
from balise_gateway.journal.file import FILE_NAME

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from starlette.routing import Route

Document = Mapping[str, Any]
_MS_PER_S = 1_000
_OPEN = "application/openmetrics-text"
OPEN_METRICS = f"{_OPEN}; version=1.0.0"  # the two forms that are told; what else a scraper may ask for is not parsed


def exposition(document: Document, data_dir: Path, accept: str) -> tuple[bytes, str]:
    """(text, content type) for a scraper that accepts this."""
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
    except ImportError as error:
        raise MissingExtra("/metrics", "prometheus-client", "gateway") from error

    class Collector:
        def collect(self) -> "Iterator[Metric]":
            yield from _metrics(document, data_dir)

    registry = CollectorRegistry()
    registry.register(Collector())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def route(status: Callable[[], Document], data_dir: Path) -> "Route":
    """`/metrics`, for the page's server."""
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    made: dict[str, tuple[Document, bytes, str]] = {}  # by form: of which status

    async def metrics(request: Request) -> Response:
        document, form = status(), OPEN_METRICS if _OPEN in request.headers.get("accept", "") else ""
        if form not in made or made[form][0] is not document:
            made[form] = (document, *exposition(document, data_dir, form))
        _, text, content_type = made[form]
        return Response(text, headers={"Content-Type": content_type})

    return Route("/metrics", metrics)


def _metrics(document: Document, data_dir: Path) -> "Iterator[Metric]":
    yield from _journal(document, data_dir)
    yield from _nodes(document)
    yield from _logs(document)
    yield from _ingests(document)
    yield from _badge(document.get("badge") or {})


def _journal(document: Document, data_dir: Path) -> "Iterator[Metric]":
    journal, clock = document.get("journal", {}), document.get("clock", {})
    yield _gauge("journal_usable", "1 while the journal can be read and written", [((), journal.get("error") is None)])
    yield _counter("commits", "transactions that took frames", [((), journal.get("commits", 0))])
    yield _gauge("frames_pending", "frames in memory, not yet on disk", [((), journal.get("pending_frames", 0))])
    yield _counter("frames_repeated", "frames that came again", [((), journal.get("repeated_frames", 0))])
    taken = _by_name(journal.get("not_taken", {}))
    yield _counter("frames_not_taken", "frames that come again: no room, or no journal", taken, ("reason",))
    refused = _by_name(document.get("refused", {}))
    yield _counter("frames_refused", "frames that were kept aside, by reason", refused, ("reason",))
    found = data_dir / FILE_NAME
    yield _gauge(
        "journal_bytes", "the size of the journal's file", [((), found.stat().st_size if found.exists() else 0)]
    )
    unsure_ms = clock.get("uncertainty_ms")
    yield _gauge("clock_known", "1 when the gateway knows the time", [((), unsure_ms is not None)])
    if unsure_ms is not None:
        yield _gauge("clock_uncertainty_seconds", "how wrong the time may be", [((), unsure_ms / _MS_PER_S)])


def _nodes(document: Document) -> "Iterator[Metric]":
    nodes = document.get("nodes", [])
    yield _counter("node_rows", "rows that were taken", [((n["name"],), n["rows"]) for n in nodes], ("node",))
    times = [((n["name"],), n["latest_utc_ms"] / _MS_PER_S) for n in nodes if n.get("latest_utc_ms")]
    yield _gauge("node_latest_timestamp_seconds", "when the newest row was measured", times, ("node",))


def _logs(document: Document) -> "Iterator[Metric]":
    logs = document.get("logs", [])
    named = [((log["name"],), log) for log in logs]
    yield _counter("log_envelopes", "signed envelopes", [(name, log["next_seq"] - 1) for name, log in named], ("log",))
    yield _counter("log_signed_bytes", "their bytes", [(name, log["bytes"]) for name, log in named], ("log",))
    pending = [(name, log["pending_rows"]) for name, log in named]
    yield _gauge("log_pending_rows", "rows that are committed and not signed yet", pending, ("log",))
    hubs = [(name, log["hub"]) for name, log in named if "hub" in log]
    lag = [(name, hub["lag_envelopes"]) for name, hub in hubs]
    yield _gauge("hub_lag_envelopes", "envelopes that the hub does not hold", lag, ("hub",))
    parked = [(name, len(hub["parked"])) for name, hub in hubs]
    yield _gauge("hub_parked_envelopes", "envelopes that the hub refused (at most 20 are counted)", parked, ("hub",))
    live = [(name, hub) for name, hub in hubs if "answers" in hub]
    usable = [(name, hub.get("error") is None) for name, hub in live]
    yield _gauge("hub_usable", "1 while the last delivery was answered", usable, ("hub",))
    yield _counter("hub_answers", "deliveries that were answered", [(n, hub["answers"]) for n, hub in live], ("hub",))
    sent = [(name, hub.get("sent_bytes", 0)) for name, hub in live]
    yield _counter("hub_sent_bytes", "bytes handed over, without what the network adds", sent, ("hub",))


def _ingests(document: Document) -> "Iterator[Metric]":
    ingests = document.get("ingests", [])
    labels = ("kind", "where")
    up = [((each["kind"], each["where"]), each["state"] == "up") for each in ingests]
    yield _gauge("ingest_up", "1 while it can take frames", up, labels)
    events = [
        ((each["kind"], each["where"], name), count) for each in ingests for name, count in each["counters"].items()
    ]
    yield _counter("ingest_events", "what happened there, by name", events, (*labels, "event"))


def _badge(badge: Document) -> "Iterator[Metric]":
    """A place's; no card and no person is in its document."""
    if not badge:
        return
    taps = [(_verdict(name), count) for name, count in badge.get("shown", {}).items()]
    yield _counter("badge_taps", "cards that were shown, by what was said", taps, ("verdict", "reason"))
    took_ms = badge.get("verdict_ms")
    took = [] if took_ms is None else [((), took_ms / _MS_PER_S)]
    yield _gauge("badge_verdict_seconds", "how long a verdict took: the middle of the newest ones", took)
    yield _gauge("badge_visits_waiting", "visits that a partner lacks", [((), badge.get("waiting", 0))])
    yield _counter("badge_taps_not_kept", "taps that the disk did not take", [((), badge.get("not_kept", 0))])
    up = [((each["kind"], each["name"]), each["state"] == "up") for each in badge.get("readers", [])]
    yield _gauge("badge_reader_up", "1 while cards can be read there", up, ("kind", "reader"))
    lists, away = badge.get("lists", []), badge.get("away", {})
    ages = [((each["home"],), each["age_s"]) for each in lists if each["age_s"] is not None]
    yield _gauge("badge_list_age_seconds", "how old a home's list of cards is", ages, ("home",))
    silent = [((each["home"],), each["home"] in away) for each in lists]
    yield _gauge("badge_place_away", "1 while a home does not answer when asked for its list", silent, ("home",))
    yield _counter("badge_refused", "what others sent and was not taken", list(_refused(badge)), ("what", "reason"))


def _verdict(name: str) -> tuple[str, str]:
    state, _, reason = name.partition(": ")
    return state, reason


def _refused(badge: Document) -> Iterator[tuple[tuple[str, str], int]]:
    lists: Counter[str] = Counter()
    for each in badge.get("lists", []):
        lists.update(each["refused"])
    visits, table = badge.get("visits_of_others", {}), badge.get("table", {})
    for what, counts in (("visits", visits.get("refused", {})), ("list", lists), ("table", table.get("refused", {}))):
        yield from (((what, reason), count) for reason, count in counts.items())


Samples = Sequence[tuple[tuple[str, ...], Any]]


def _by_name(counts: Mapping[str, int]) -> Samples:
    return [((name,), count) for name, count in counts.items()]


def _gauge(name: str, says: str, samples: Samples, labels: tuple[str, ...] = ()) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"balise_{name}", says, labels=labels), samples)


def _counter(name: str, says: str, samples: Samples, labels: tuple[str, ...] = ()) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"balise_{name}", says, labels=labels), samples)


def _filled(family: Any, samples: Samples) -> "Metric":
    for names, value in samples:
        family.add_metric(names, float(value))
    found: Metric = family
    return found
