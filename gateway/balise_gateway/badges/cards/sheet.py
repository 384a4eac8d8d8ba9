"""A batch of cards on paper: a sheet to print and cut (HTML or PDF, A4), and a table for a card printer (CSV).

Promises that each card shows its number and a QR code with its address, and that files are for their owner only: who
has the number of a card without a chip has the card. Leaves numbers to its caller.
"""

import csv
import html
import io
import os
from collections.abc import Sequence
from pathlib import Path

from balise_gateway.errors import BadgeError, MissingExtra
from balise_wire import card

CARD_MM = (85.6, 53.98)  # ID-1, ISO/IEC 7810
COLUMNS, ROWS = 2, 5
_LEFT_MM, _TOP_MM, _QR_MM, _MARGIN_MM = 19.4, 13.5, 38.0, 5.0
FORMS = (".html", ".pdf")

_PAGE = """<!doctype html>
<html lang="fr"><head><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 13.5mm 19.4mm }}
body {{ margin: 0; font: 10pt sans-serif }}
main {{ display: grid; grid-template-columns: 85.6mm 85.6mm }}
article {{ box-sizing: border-box; width: 85.6mm; height: 53.98mm; padding: 5mm; border: .2mm dashed #999;
  display: flex; gap: 4mm; align-items: center; break-inside: avoid; overflow: hidden }}
article svg {{ width: 38mm; height: 38mm; flex: none }}
b {{ font: bold 11pt monospace; white-space: nowrap }}
p {{ margin: 0 0 2mm; overflow-wrap: anywhere }}
</style></head><body><main>
{cards}
</main></body></html>
"""
_CARD = "<article>{qr}<div><p>{name}</p><b>{number}</b></div></article>"


def check_name(out: Path) -> None:
    """Raises BadgeError when no sheet can be made with this name."""
    if out.suffix not in FORMS:
        raise BadgeError(f"{out.name}: the sheet is {' or '.join(FORMS)}; name it so")
    if out.exists():
        raise BadgeError(f"{out}: is there already; name another file")


def write_sheet(out: Path, name: str, home: str, numbers: Sequence[str]) -> Path:
    """Writes the sheet, and the table beside it; returns the table's path. Never over another file."""
    table = out.with_suffix(".csv")
    write_pages(out, name, home, numbers)
    try:
        _write_new(table, csv_of(home, numbers).encode())
    except BadgeError:
        out.unlink()
        raise
    return table


def write_pages(out: Path, name: str, home: str, numbers: Sequence[str]) -> None:
    """Writes the sheet alone. Never over another file."""
    check_name(out)
    _write_new(out, pages(out.suffix, name, home, numbers))


def pages(form: str, name: str, home: str, numbers: Sequence[str]) -> bytes:
    """The sheet in one of `FORMS`. Raises MissingExtra."""
    return pdf(name, home, numbers) if form == ".pdf" else page(name, home, numbers).encode()


def csv_of(home: str, numbers: Sequence[str]) -> str:
    """url,number: one line a card, as card printers take it."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(("url", "number"))
    writer.writerows((card.home_url(home, number), card.printed(number)) for number in numbers)
    return made.getvalue()


def page(name: str, home: str, numbers: Sequence[str]) -> str:
    """One HTML file that needs no other."""
    try:
        import segno
    except ModuleNotFoundError as error:
        raise MissingExtra("a sheet of cards", "segno", "badge") from error
    cards = []
    for number in numbers:
        qr = segno.make(card.home_url(home, number), error="m", micro=False).svg_inline(border=2, omitsize=True)
        cards.append(_CARD.format(qr=qr, name=html.escape(name or home), number=card.printed(number)))
    return _PAGE.format(title=html.escape(name or home), cards="\n".join(cards))


def pdf(name: str, home: str, numbers: Sequence[str]) -> bytes:
    """The same as PDF; the QR code is drawn square by square, so that it prints sharp at any size."""
    try:
        import segno
        from fpdf import FPDF
    except ModuleNotFoundError as error:
        raise MissingExtra("a sheet of cards", str(error.name), "badge") from error
    made = FPDF(format="A4")
    made.set_auto_page_break(False)
    made.set_title(_latin(name or home))
    width, height = CARD_MM
    for at, number in enumerate(numbers):
        row, column = divmod(at % (COLUMNS * ROWS), COLUMNS)
        if row == column == 0:
            made.add_page()
        x, y = _LEFT_MM + column * width, _TOP_MM + row * height
        made.set_draw_color(160)
        made.rect(x, y, width, height)
        rows = list(segno.make(card.home_url(home, number), error="m", micro=False).matrix)
        _draw(made, rows, x + _MARGIN_MM, y + (height - _QR_MM) / 2)
        text_x = x + 2 * _MARGIN_MM + _QR_MM
        made.set_font("Helvetica", size=10)
        made.set_xy(text_x, y + 14)
        made.multi_cell(width - _QR_MM - 3 * _MARGIN_MM, 5, _latin(name or home), align="L")
        made.set_font("Courier", style="B", size=11)
        made.set_xy(text_x, y + 32)
        made.cell(text=card.printed(number))
    return bytes(made.output())


def _draw(made: object, rows: Sequence[Sequence[int]], x: float, y: float) -> None:
    side = _QR_MM / len(rows)
    made.set_fill_color(0)  # type: ignore[attr-defined]
    for down, row in enumerate(rows):
        for right, is_dark in enumerate(row):
            if is_dark:
                made.rect(x + right * side, y + down * side, side, side, style="F")  # type: ignore[attr-defined]


def _latin(text: str) -> str:
    """PDF's own fonts know Latin-1 only."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _write_new(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadgeError(f"{path}: is there already; name another file") from error
    except OSError as error:
        raise BadgeError(f"{path}: {error.strerror}; is the folder there, and yours?") from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)
