"""The station page: what the sensors say and how the gateway is, as plain HTML, and the same as JSON.

Promises that every text from outside is escaped, that nothing but reading is offered, and that a port which is taken
does not stop the gateway. Leaves what is said to `status.py`. French unless English is asked for (`/?lang=en`).
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from balise_gateway import page_badge, serving
from balise_gateway.config import PageSettings
from balise_gateway.errors import MissingExtra
from balise_gateway.log import event
from balise_gateway.logbook.rows import YEAR_10000_MS
from balise_gateway.status import Document

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import BaseRoute

RETRY_S = 10.0

_WORDS = {
    "title": ("Station Balise", "Balise station"),
    "node": ("Capteur", "Node"),
    "time": ("Mesuré à (UTC)", "Measured at (UTC)"),
    "values": ("Dernières valeurs", "Latest values"),
    "rows": ("Mesures gardées", "Rows kept"),
    "none": ("pas encore de mesure", "nothing measured yet"),
    "no_clock": ("heure inconnue", "time not known"),
    "missing": ("manquant", "missing"),
    "doubtful": ("douteux", "doubtful"),
    "log": ("Registre", "Log"),
    "envelopes": ("Lots signés", "Signed batches"),
    "bytes": ("Octets signés par valeur", "Signed bytes per value"),
    "lag": ("À livrer", "To deliver"),
    "state": ("État", "State"),
    "ok": ("tout va bien", "all is well"),
    "journal": ("Journal", "Journal"),
    "refused": ("Trames refusées", "Frames refused"),
    "other": ('<a href="/?lang=en" lang="en">English</a>', '<a href="/" lang="fr">Français</a>'),
}
_STYLE = (
    "body{font-family:sans-serif;margin:1rem;max-width:60rem}table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "td,th{border:1px solid #999;padding:.3rem .6rem;text-align:left;vertical-align:top}.bad{color:#a00}"
)


def check_installed() -> None:
    """Raises MissingExtra where a library of the page is not installed."""
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtra("the section [page]", str(error.name), "gateway") from error
    del starlette, uvicorn


def app(status: Callable[[], Document], more: "Sequence[BaseRoute]" = ()) -> "Starlette":
    """The pages and `more` paths, for any ASGI server."""
    try:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, JSONResponse, Response
        from starlette.routing import Route as Path
    except ImportError as error:
        raise MissingExtra("the station page", "starlette", "gateway") from error

    async def home(request: Request) -> Response:
        return HTMLResponse(html(status(), english=request.query_params.get("lang") == "en"))

    async def document(request: Request) -> Response:
        return JSONResponse(status())

    return Starlette(routes=[Path("/", home), Path("/status.json", document), *more])


async def serve(settings: PageSettings, status: Callable[[], Document], more: "Sequence[BaseRoute]" = ()) -> None:
    """Serves until cancelled."""
    factory, connections = serving.protocol(app(status, more), "the station page")
    server = await _listen(settings, factory)
    try:
        await asyncio.get_running_loop().create_future()  # until cancelled
    finally:
        server.close()
        for connection in list(connections):
            connection.shutdown()


async def _listen(settings: PageSettings, factory: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    while True:
        try:
            server = await asyncio.get_running_loop().create_server(factory, settings.host, settings.port)
        except OSError as error:
            event("page cannot listen", where=f"{settings.host}:{settings.port}", why=error.strerror or error)
            await asyncio.sleep(RETRY_S)
            continue
        event("page is served", where=f"http://{settings.host}:{settings.port}/")
        return server


def html(document: Document, *, english: bool) -> str:
    """The page of this status."""
    word = {name: both[1 if english else 0] for name, both in _WORDS.items()}
    nodes = _table([word["node"], word["time"], word["values"], word["rows"]], _node_rows(document, word))
    badges = page_badge.html(_part(document, "badge"), english=english)
    heads = [word[name] for name in ("log", "envelopes", "bytes", "lag", "state")]
    logs = _table(heads, _log_rows(document, word))
    return (
        f'<!doctype html><html lang="{"en" if english else "fr"}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="30">'
        f"<title>{word['title']}</title><style>{_STYLE}</style>"
        f"<h1>{word['title']}</h1>{badges}{nodes}{logs}{_health(document, word)}<p>{word['other']}</p></html>"
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _node_rows(document: Document, word: dict[str, str]) -> list[list[str]]:
    return [
        [
            escape(str(node["name"])),
            _moment(node["latest_utc_ms"], word) if node["latest"] else word["none"],
            "<br>".join(_value(value, word) for value in node["latest"]),
            str(node["rows"]),
        ]
        for node in _list(document, "nodes")
    ]


def _value(value: dict[str, Any], word: dict[str, str]) -> str:
    name, unit = escape(str(value["name"])), escape(str(value["unit"]))
    if value["value"] is None:
        return f"{name}: {word['missing']}"
    text = f"{name}: {escape(str(value['value']))} {unit}"
    return f'<span class="bad">{text} ({word["doubtful"]})</span>' if value["flag"] in (3, 4) else text


def _moment(utc_ms: object, word: dict[str, str]) -> str:
    if not isinstance(utc_ms, int) or utc_ms >= YEAR_10000_MS:
        return word["no_clock"]
    return datetime.fromtimestamp(utc_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _log_rows(document: Document, word: dict[str, str]) -> list[list[str]]:
    rows = []
    for log in _list(document, "logs"):
        hub = log.get("hub", {})
        per_reading = "–" if log["bytes_per_reading"] is None else str(log["bytes_per_reading"])
        lag = str(hub["lag_envelopes"]) if hub else "–"
        rows.append(
            [escape(str(log["name"])), str(log["next_seq"] - 1), per_reading, lag, _state(hub.get("error"), word)]
        )
    return rows


def _health(document: Document, word: dict[str, str]) -> str:
    journal, refused = document.get("journal"), document.get("refused")
    error = journal.get("error") if isinstance(journal, dict) else None
    counts = refused.items() if isinstance(refused, dict) else ()
    told = ", ".join(f"{escape(str(reason))}: {count}" for reason, count in counts) or "0"
    return f"<p>{word['journal']}: {_state(error, word)}</p><p>{word['refused']}: {told}</p>"


def _state(error: object, word: dict[str, str]) -> str:
    return f'<span class="bad">{escape(str(error))}</span>' if error else word["ok"]


def _part(document: Document, name: str) -> dict[str, Any] | None:
    found = document.get(name)
    return found if isinstance(found, dict) else None


def _list(document: Document, name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    return found if isinstance(found, list) else []
