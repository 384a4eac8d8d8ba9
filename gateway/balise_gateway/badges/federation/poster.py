"""The poster of a place: a QR code for the wall that leads to the broker, which asks for the visitor's home.

Promises a code that is printed large enough to be read from two metres, with the address in words below it. Leaves the
page behind it to `broker.py`.
"""

from html import escape
from typing import TYPE_CHECKING

from balise_gateway.errors import BadgeError, MissingExtra

if TYPE_CHECKING:
    import segno

A4_WIDTH_MM, CODE_MM, CODE_TOP_MM = 210, 120, 95
QUIET_MODULES = 4  # ISO/IEC 18004: four modules of white around the code
_FRENCH = ("Vous êtes membre d’un autre lieu ?", "Scannez ce code, choisissez votre lieu, et votre passage est compté.")
_ENGLISH = ("Are you a member of another place?", "Scan this code, choose your place, and your visit is counted.")


def address(broker: str, host: str) -> str:
    """What the code says. Raises BadgeError for what no phone would open."""
    if not broker.startswith(("https://", "http://")):
        raise BadgeError(f"--broker {broker!r}: the whole address is needed, such as https://{broker}")
    return f"{broker.rstrip('/')}/p/{host}"


def html(name: str, url: str) -> str:
    """The poster as a page that prints on one sheet."""
    code = _code(url).svg_inline(scale=10, border=QUIET_MODULES)
    style = (
        "@page{size:A4;margin:15mm}body{font-family:sans-serif;text-align:center}svg{width:120mm;height:120mm}"
        "h1{font-size:28pt}p{font-size:16pt;margin:.3em}.en{color:#444;font-size:13pt}code{font-size:12pt}"
    )
    return (
        f'<!doctype html><html lang="fr"><meta charset="utf-8"><title>{escape(name)}</title><style>{style}</style>'
        f"<h1>{escape(name)}</h1><p>{_FRENCH[0]}</p><p>{_FRENCH[1]}</p>"
        f'<p class="en" lang="en">{_ENGLISH[0]}<br>{_ENGLISH[1]}</p>{code}<p><code>{escape(url)}</code></p></html>\n'
    )


def pdf(name: str, url: str) -> bytes:
    """The poster as a PDF of one page. Raises BadgeError for a name that the standard fonts do not have."""
    try:
        from fpdf import FPDF
    except ImportError as error:
        raise MissingExtra("a poster as PDF", "fpdf2", "badge") from error
    if not _is_western(name):
        raise BadgeError(f"{name!r} has letters that a PDF's standard fonts do not have; make an .html and print that")
    sheet = FPDF(format="A4")
    sheet.set_title(name)
    sheet.add_page()
    lines = [
        (name, 30, "B"),
        (_FRENCH[0], 18, ""),
        (_FRENCH[1], 14, ""),
        (_ENGLISH[0], 13, "I"),
        (_ENGLISH[1], 12, "I"),
    ]
    sheet.set_y(25)
    for text, size_pt, style in lines:
        sheet.set_font("helvetica", style, size_pt)
        sheet.multi_cell(0, size_pt * 0.5, text.replace("’", "'"), align="C", new_x="LMARGIN", new_y="NEXT")
    matrix = list(_code(url).matrix)
    module_mm = CODE_MM / (len(matrix) + 2 * QUIET_MODULES)
    left_mm, top_mm = (A4_WIDTH_MM - module_mm * len(matrix)) / 2, CODE_TOP_MM + QUIET_MODULES * module_mm
    for row, modules in enumerate(matrix):
        for column, dark in enumerate(modules):
            if dark:
                x_mm, y_mm = left_mm + column * module_mm, top_mm + row * module_mm
                sheet.rect(x_mm, y_mm, module_mm, module_mm, style="F")
    sheet.set_y(CODE_TOP_MM + CODE_MM + 5)
    sheet.set_font("courier", "", 12)
    sheet.multi_cell(0, 6, url, align="C")
    return bytes(sheet.output())


def _code(url: str) -> "segno.QRCode":
    try:
        import segno
    except ImportError as error:
        raise MissingExtra("a poster", "segno", "badge") from error
    return segno.make_qr(url, error="q")


def _is_western(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
