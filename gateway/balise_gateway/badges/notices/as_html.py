"""A notice as one page of HTML that prints well: a sign on A5 or A4, the information on A4. Nothing from elsewhere."""

from html import escape

from balise_gateway.badges.notices import Notice, Section, bound
from balise_gateway.badges.outputs import _look

_STYLE = """
@page{size:A4;margin:18mm}
*{box-sizing:border-box}
body{font:11pt/1.45 "DejaVu Sans",Arial,sans-serif;color:#111;max-width:174mm;margin:0 auto;padding:6mm 0}
h1{font-size:24pt;line-height:1.15;margin:.2em 0}
h2{font-size:13pt;margin:1.1em 0 .2em;break-after:avoid}
p,li{margin:.25em 0}
ul{margin:.2em 0;padding-left:1.3em}
section{break-inside:avoid}
.place{font-weight:700;margin:0}
.draft{border:.5mm solid #111;padding:2mm 3mm;font-size:9.5pt}
.gap{background:#ffc533;padding:0 .2em}
footer{margin-top:1.5em;font-size:8.5pt;border-top:.3mm solid #111;padding-top:2mm}
.sign{text-align:center;max-width:none}
.sign svg{width:52mm;color:#12355b}
.sign h1{font-size:40pt;margin:.1em 0 0}
.sign .steps{font-size:22pt;margin:.1em 0 .8em}
.sign .place{font-size:16pt}
.sign h2{font-size:15pt}
.sign p{font-size:12pt}
.sign footer{font-size:11pt}
"""


def page(notice: Notice) -> str:
    """The whole page; a notice with steps is a sign."""
    is_sign = bool(notice.steps)
    body = "".join(_section(section) for section in notice.sections)
    head = f'<p class="place">{_text(notice.place)}</p>'
    if is_sign:
        steps = "<br>".join(_text(step) for step in notice.steps)
        head += f'{_look.svg(_look.LOOKS["ready"])}<h1>{_text(notice.title)}</h1><p class="steps">{steps}</p>'
    else:
        head += f'<h1>{_text(notice.title)}</h1><p class="draft">{_text(notice.draft)}</p>'
    return (
        f'<!doctype html><html lang="{notice.language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(notice.title)}</title><style>{_STYLE}</style>"
        f'<body class="{"sign" if is_sign else "information"}"><header>{head}</header>{body}'
        f"<footer>{_text(notice.foot)}</footer></body></html>\n"
    )


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{_text(text)}</p>" for text in section.paragraphs)
    points = "".join(f"<li>{_text(text)}</li>" for text in section.points)
    listed = f"<ul>{points}</ul>" if points else ""
    return f"<section><h2>{_text(section.heading)}</h2>{paragraphs}{listed}</section>"


def _text(text: str) -> str:
    """Escaped; what is still to be filled in is marked."""
    return escape(bound(text)).replace("[", '<span class="gap">[').replace("]", "]</span>")
