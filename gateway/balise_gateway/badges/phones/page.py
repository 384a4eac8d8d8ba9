"""What a phone shows: where the card's number is typed, then the verdict in the words of the screen at the door.

Promises that every text from outside is escaped, that the number stays on the phone only where its owner ticks that,
and that the page works without JavaScript, which does nothing but that. Leaves requests to `routes.py`.
"""

from collections.abc import Mapping
from html import escape

from balise_gateway.badges.csp import hash_source
from balise_gateway.badges.outputs import _look
from balise_gateway.badges.outputs._words import Said

PATH = "/badge/phone"
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:1.2rem;max-width:30rem;color:#1b1b1b;"
    "background:#fff}h1{font-size:1.4rem;margin:.2rem 0 1rem}label{display:block;font-weight:600}"
    "input[type=text],button{font:inherit;padding:.8rem;border:2px solid #777;border-radius:.5rem;width:100%;"
    "box-sizing:border-box;margin:.4rem 0;background:#fff;color:inherit}"
    "button{background:#1d3557;border-color:#1d3557;color:#fff;font-weight:600;margin-top:1rem}"
    ".hint{color:#555;font-size:.95rem;margin:.2rem 0 .8rem}.keep{font-weight:400;margin-top:.6rem}"
    ".wrong{padding:.8rem;border-left:.4rem solid #8c1c13;background:#fbeae8;border-radius:.4rem}"
    ".said{padding:1.2rem;border-radius:.6rem}.said svg{width:6rem;display:block}.said h1{font-size:1.8rem}"
    "footer{margin-top:2rem}a{color:#1d3557}"
) + "".join(
    f'.said[data-state="{state}"]{{background:{look.background};color:{look.ink}}}'
    for state, look in _look.LOOKS.items()
)
_SCRIPT = (
    "(function(){var k='balise-card',s;try{s=localStorage}catch(e){return}"
    "var n=document.getElementById('n'),r=document.getElementById('r');if(!n)return;"
    "var m=s.getItem(k);if(m){n.value=m;r.checked=true}"
    "n.form.addEventListener('submit',function(){if(r.checked)s.setItem(k,n.value);else s.removeItem(k)})})()"
)
_WORDS = {
    "title": ("Noter mon passage", "Note my visit"),
    "number": ("Numéro de votre carte", "Number of your card"),
    "where": (
        "10 signes, comme 14D2P-F2DBV : sur la carte, ou chez votre lieu d’attache.",
        "10 characters, as 14D2P-F2DBV: on the card, or from your home place.",
    ),
    "keep": ("Retenir sur ce téléphone", "Remember on this phone"),
    "send": ("Noter mon passage", "Note my visit"),
    "code": (
        "Ce code n’est plus bon : scannez celui que l’écran montre maintenant.",
        "This code is no longer good: scan the one that the screen shows now.",
    ),
    "later": ("Trop de demandes : attendez une minute.", "Too many requests: wait a minute."),
    "missing": ("Il manque le numéro de votre carte.", "The number of your card is missing."),
}


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src {hash_source(_STYLE)}; "
    f"script-src {hash_source(_SCRIPT)}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def form(place: str, here: str, english: bool, wrong: str = "") -> str:
    """Where the number is typed. `here`: the code that the phone has scanned; `wrong` names what was."""
    told = f'<p class="wrong" role="alert">{_word(wrong, english)}</p>' if wrong else ""
    asks = "" if wrong in ("code", "later") else _asks(here, english)
    return _page(place, f"<h1>{escape(place)}</h1>{told}{asks}", here, english)


def verdict(place: str, said: Said, here: str, english: bool) -> str:
    """What was said of the number, as the screen at the door says it."""
    look = _look.LOOKS.get(said.state, _look.LOOKS["away"])
    credit = f"<p><strong>{escape(said.credit)}</strong></p>" if said.credit else ""
    body = (
        f'<div class="said" role="status" data-state="{escape(said.state)}">{_look.svg(look)}'
        f"<h1>{escape(said.headline)}</h1><p>{escape(said.text)}</p>{credit}</div><p>{escape(place)}</p>"
    )
    return _page(place, body, here, english)


def _asks(here: str, english: bool) -> str:
    lang = '<input type="hidden" name="lang" value="en">' if english else ""
    return (
        f'<form method="post" action="{PATH}">{lang}<input type="hidden" name="here" value="{escape(here)}">'
        f'<label for="n">{_word("number", english)}</label>'
        '<input type="text" id="n" name="number" required autocomplete="off" autocapitalize="characters" '
        'maxlength="200">'
        f'<p class="hint">{_word("where", english)}</p>'
        f'<label class="keep"><input type="checkbox" id="r"> {_word("keep", english)}</label>'
        f"<button>{_word('send', english)}</button></form>"
    )


def _page(place: str, body: str, here: str, english: bool) -> str:
    to, lang, name = ("fr", "fr", "Français") if english else ("en", "en", "English")
    other = f'<a href="{PATH}?here={escape(here)}&amp;lang={to}" lang="{lang}">{name}</a>'
    return (
        f'<!doctype html><html lang="{"en" if english else "fr"}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(place)} – {_word('title', english)}</title><style>{_STYLE}</style>{body}"
        f"<footer>{other}</footer><script>{_SCRIPT}</script></html>"
    )


def _word(name: str, english: bool) -> str:
    return _WORDS[name][1 if english else 0]
