"""The page of a screen at the door: one file of HTML, kept up to date by server-sent events.

Promises that it asks nothing of other servers, that it works in a browser of a kiosk without anybody at it (it connects
again by itself), that it says so itself when it hears nothing, never in green, and that texts are texts: nothing
from outside becomes markup. Leaves words to `_words.py`, colours and shapes to `_look.py`, routes to `screen_page.py`.
"""

import json
from html import escape

from balise_gateway.badges.csp import hash_source
from balise_gateway.badges.outputs import _look, _words
from balise_gateway.badges.outputs._words import Language, Said

ALIVE_S = 5  # between two signs of life when nothing happens
_PATIENCE_MS = 12_500  # two of them may be lost

_STYLE = """
*{box-sizing:border-box;margin:0}
html,body{height:100%}
body{font-family:"DejaVu Sans",system-ui,sans-serif;overflow:hidden;cursor:none;transition:background-color .25s}
main{height:100%;display:grid;grid-template-columns:minmax(0,3fr) minmax(0,7fr);align-items:center;gap:4vmin;
padding:4vmin 5vmin 13vmin;--fit:1}
#signs{display:grid;place-items:center}
#signs span{display:none;width:min(54vmin,27vw)}
#signs svg{display:block;width:100%}
h1{font-size:calc(min(14vmin,8vw)*var(--fit));line-height:1.08;font-weight:700;letter-spacing:-.01em;
text-wrap:balance}
p{font-size:calc(min(7.2vmin,4.6vw)*var(--fit));line-height:1.25;margin-top:calc(3.5vmin*var(--fit));text-wrap:pretty}
#credit{display:inline-block;font-weight:700;border:.7vmin solid;border-radius:2.4vmin;padding:.35em .7em;
white-space:nowrap;
font-size:calc(min(6.4vmin,3.3vw)*var(--fit))}
p:empty{display:none!important}
footer{position:fixed;inset:auto 0 0 0;padding:0 5vmin 3vmin;display:flex;gap:4vmin;font-size:min(4.8vmin,3.4vw)}
footer span:first-child{flex:1;font-weight:700;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
@media (max-aspect-ratio:1/1){main{grid-template-columns:1fr;grid-template-rows:auto auto;align-content:center;
justify-items:center;text-align:center;gap:5vmin}#signs span{width:44vw}h1{font-size:calc(10.5vw*var(--fit))}
p{font-size:calc(5.4vw*var(--fit))}#credit{font-size:calc(4.6vw*var(--fit))}}
#phone{display:none;position:fixed;right:4vmin;bottom:11vmin;width:min(30vmin,26vw);text-align:center;
font-size:min(3.6vmin,2.6vw)}
#phone img{display:block;width:100%;border-radius:1.2vmin}
body[data-state="ready"] #phone,body[data-state="sending"] #phone{display:block}
@media (min-aspect-ratio:1/1) and (min-height:360px){body[data-state="ready"] main.coded,
body[data-state="sending"] main.coded{padding-right:calc(8vmin + min(30vmin,26vw))}}
@media (max-height:359px){#phone{display:none!important}}
main.new #signs span{animation:come .35s ease-out}
@keyframes come{from{transform:scale(.8)}}
@media (prefers-reduced-motion:reduce){*{animation:none!important;transition:none!important}}
"""

# Texts are set as textContent; a state that the page does not know is shown as "away".
_SCRIPT = """
const room = document.body, page = document.querySelector("main"), away = JSON.parse(room.dataset.away);
const at = name => document.getElementById(name);
let heard = Date.now(), source = null;
function put(name, text) { if (at(name).textContent !== text) at(name).textContent = text; }
function show(said) {
  const isNew = room.dataset.state !== said.state || at("headline").textContent !== said.headline;
  room.dataset.state = at(said.state) ? said.state : "away";
  for (const name of ["headline", "text", "credit", "foot"]) put(name, said[name]);
  fit();
  if (isNew) { page.classList.remove("new"); void page.offsetWidth; page.classList.add("new"); }
}
function fit() {
  const told = at("told"), style = getComputedStyle(page), signs = at("signs");
  const isBelow = innerWidth <= innerHeight;
  const beside = isBelow ? signs.offsetHeight + parseFloat(style.rowGap) : 0;
  const free = page.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom) - beside;
  for (let share = 100; share >= 40; share -= 4) {
    page.style.setProperty("--fit", share / 100);
    if (told.scrollHeight <= free + 1 && told.scrollWidth <= told.clientWidth + 1) break;
  }
}
function lost() { show(away); }
function connect() {
  source = new EventSource(room.dataset.events);
  source.addEventListener("show", told => { heard = Date.now(); show(JSON.parse(told.data)); });
  source.addEventListener("alive", () => { heard = Date.now(); });
  source.onerror = lost;
}
setInterval(() => {
  if (Date.now() - heard < Number(room.dataset.patience)) return;
  lost();
  heard = Date.now();
  if (source) source.close();
  connect();
}, 1000);
const picture = document.querySelector("#phone img");
if (picture) setInterval(() => { picture.src = "/badge/phone/code.svg?" + Date.now(); }, 20000);
addEventListener("resize", fit);
fit();
connect();
"""


def _colours() -> str:
    each = (
        f'body[data-state="{state}"]{{background:{look.background};color:{look.ink}}}'
        f'body[data-state="{state}"] #{state}{{display:block}}'
        for state, look in _look.LOOKS.items()
    )
    return "".join(each)


_WHOLE_STYLE = _STYLE + _colours()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src {hash_source(_WHOLE_STYLE)}; "
    f"script-src {hash_source(_SCRIPT)}; connect-src 'self'; img-src data: 'self'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def html(name: str, said: Said, language: Language, has_code: bool = False) -> str:
    """The whole page, which shows `said` before it hears anything else; `has_code`: with a code for phones."""
    code = f'<div id="phone"><img src="/badge/phone/code.svg" alt="">{_words.phone(language)}</div>' if has_code else ""
    signs = "".join(f'<span id="{state}">{_look.svg(look)}</span>' for state, look in _look.LOOKS.items())
    lost = escape(json.dumps(form(_words.away(language)), ensure_ascii=False))
    body = (
        f'<body data-state="{said.state}" data-events="/badge/screen/events?lang={language}" '
        f'data-patience="{_PATIENCE_MS}" data-away="{lost}">'
    )
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,"><noscript><meta http-equiv="refresh" content="3"></noscript>'
        f"<title>{escape(name) or 'Balise'}</title><style>{_WHOLE_STYLE}</style>{body}"
        f'<main{" class=coded" if has_code else ""}><div id="signs">{signs}</div>'
        '<div id="told" role="status" aria-live="assertive" aria-atomic="true">'
        f'<h1 id="headline">{escape(said.headline)}</h1><p id="text">{escape(said.text)}</p>'
        f'<p id="credit">{escape(said.credit)}</p></div></main>{code}'
        f'<footer><span>{escape(name)}</span><span id="foot">{escape(said.foot)}</span></footer>'
        f"<script>{_SCRIPT}</script></body></html>"
    )


def form(said: Said) -> dict[str, str]:
    """What an event carries."""
    return {
        "state": said.state,
        "headline": said.headline,
        "text": said.text,
        "credit": said.credit,
        "foot": said.foot,
    }


def event(said: Said) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2): JSON has no line breaks of its own."""
    return f"event: show\nretry: 2000\ndata: {json.dumps(form(said), ensure_ascii=False)}\n\n".encode()


ALIVE = b"event: alive\ndata:\n\n"
