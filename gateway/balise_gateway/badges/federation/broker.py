"""The broker: shows the way from a QR code to the right home's login page, and learns nothing on the way.

`GET /v1/table` hands on the signed table. `GET /<prefix>` leads to that home; a browser keeps what stands behind `#`,
the card's number, to itself and takes it along (RFC 9110 section 10.2.2). `GET /p/<host>` is what a poster's code
opens: which home is yours? The choice is remembered in the browser only. Promises that nothing is written about a
request: no log, no cookie, no file. Leaves TLS to a proxy before it.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from balise_gateway.badges.csp import hash_source
from balise_gateway.errors import MissingExtra, PaperError
from balise_wire.errors import WireError
from balise_wire.places import Place, Table, peek_table, read_table

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

HOST_FIELD = "host"  # in the login page's address: where the visitor stands
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:1.5rem;max-width:32rem;color:#1b1b1b;"
    "background:#fff}h1{font-size:1.5rem}ul{list-style:none;padding:0}li{margin:.6rem 0}"
    "li a{display:block;padding:.9rem 1rem;border:2px solid #35507a;border-radius:.5rem;color:#1d3557;"
    "text-decoration:none;font-weight:600}li a:focus,li a:hover{background:#e8eef7}"
    "li.mine a{background:#1d3557;color:#fff}footer{margin-top:2rem;color:#555;font-size:.9rem}"
)
_SCRIPT = (
    "(function(){var k='balise-home',s;try{s=localStorage}catch(e){return}"
    "var ul=document.querySelector('ul');if(!ul)return;"
    "ul.addEventListener('click',function(e){var a=e.target.closest('a');if(a)s.setItem(k,a.dataset.home)});"
    "var m=s.getItem(k);ul.querySelectorAll('a').forEach(function(a){if(a.dataset.home===m){"
    "a.parentNode.className='mine';ul.insertBefore(a.parentNode,ul.firstChild)}})})()"
)
_WORDS = {
    "title": ("Vous êtes ici : {}", "You are here: {}"),
    "ask": ("De quel lieu êtes-vous membre ?", "Which place are you a member of?"),
    "note": (
        "Votre choix reste dans votre navigateur. Cette page ne garde aucune trace de votre passage.",
        "Your choice stays in your browser. This page keeps no trace of your visit.",
    ),
    "unknown": ("Ce code ne mène nulle part", "This code leads nowhere"),
    "try": (
        "Le lieu n’est pas, ou n’est plus, dans la table des lieux. Demandez à l’accueil.",
        "The place is not, or no longer, in the table of places. Ask at the desk.",
    ),
    "other": ('<a href="?lang=en" lang="en">English</a>', '<a href="?" lang="fr">Français</a>'),
}


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src {hash_source(_STYLE)}; "
    f"script-src {hash_source(_SCRIPT)}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Strict-Transport-Security": "max-age=31536000",
    "Cache-Control": "no-store",
}


class TableFile:
    """The table in a file that somebody else replaces. `key`: only a table that it signed is used."""

    def __init__(self, path: Path, key: bytes | None = None) -> None:
        self._path, self._key = path, key
        self._stamp: tuple[int, int, int] | None = None
        self.data = b""
        self.table: Table | None = None

    def look(self) -> Table:
        """The table as it is now; one that is older or does not hold does not take its place. Raises PaperError."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp
                self._take(self._path.read_bytes())
        except OSError as error:
            if self.table is None:
                raise PaperError("table", f"{self._path}: cannot be read ({error.strerror})") from error
        except WireError as error:
            if self.table is None:
                what = f"{self._path}: {error}; is it what `balise badge table make` wrote?"
                raise PaperError("table", what) from error
        if self.table is None:
            raise PaperError("none", f"{self._path}: no table that holds")
        return self.table

    def _take(self, data: bytes) -> None:
        new = peek_table(data) if self._key is None else read_table(data, self._key)
        if self.table is None or new.number > self.table.number:
            self.table, self.data = new, data


def app(file: TableFile) -> "Starlette":
    """The broker, for any ASGI server whose access log is off."""
    try:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, RedirectResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtra("the broker", "starlette", "gateway") from error

    async def table(_request: Request) -> Response:
        file.look()
        return Response(file.data, media_type="application/cose", headers=HEADERS)

    async def to_home(request: Request) -> Response:
        home = file.look().by_prefix.get(request.path_params["prefix"].lower())
        if home is None or not _is_web(home.login):
            return HTMLResponse(_nowhere(request), 404, HEADERS)
        return RedirectResponse(home.login, 302, HEADERS)

    async def poster(request: Request) -> Response:
        found = file.look()
        host = found.by_id.get(request.path_params["host"].lower())
        if host is None:
            return HTMLResponse(_nowhere(request), 404, HEADERS)
        return HTMLResponse(_choice(host, found, _english(request)), headers=HEADERS)

    async def no_table(_request: Request, _error: Exception) -> Response:
        return Response("no table of places here; please come again later", 503, HEADERS, "text/plain")

    routes = [Route("/v1/table", table), Route("/p/{host}", poster), Route("/{prefix}", to_home)]
    return Starlette(routes=routes, exception_handlers={PaperError: no_table})


def login_at(login: str, host: str) -> str:
    """The address of a home's login page for somebody who stands at this host."""
    parts = urlsplit(login)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (HOST_FIELD, host)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))


def _is_web(address: str) -> bool:
    """Whether a browser can be led there; one wrong address in the table must not take the page from all others."""
    try:
        parts = urlsplit(address)
        return parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        return False


def _choice(host: Place, table: Table, english: bool) -> str:
    homes = sorted((place for place in table.places if _is_web(place.login)), key=lambda place: place.name.casefold())
    items = "".join(_item(home, host) for home in homes)
    title = _word("title", english).format(escape(host.name))
    body = f"<h1>{title}</h1><p>{_word('ask', english)}</p><ul>{items}</ul>"
    return _page(title, body, english)


def _item(home: Place, host: Place) -> str:
    address = escape(login_at(home.login, host.id))
    return f'<li><a href="{address}" data-home="{escape(home.id)}">{escape(home.name)}</a></li>'


def _nowhere(request: "Request") -> str:
    english = _english(request)
    title = _word("unknown", english)
    return _page(title, f"<h1>{title}</h1><p>{_word('try', english)}</p>", english)


def _page(title: str, body: str, english: bool) -> str:
    return (
        f'<!doctype html><html lang="{"en" if english else "fr"}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style>{body}<footer><p>{_word('note', english)}</p><p>{_word('other', english)}</p></footer>"
        f"<script>{_SCRIPT}</script></html>"
    )


def _english(request: "Request") -> bool:
    return bool(request.query_params.get("lang") == "en")


def _word(name: str, english: bool) -> str:
    return _WORDS[name][1 if english else 0]
