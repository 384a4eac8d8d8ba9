"""A bill as a sheet of paper: A4, what is to be paid first, what to check and VAT last.

Promises that the warnings stand above every figure, and the same bytes for the same bill from the same
version of the library. Leaves texts to `sheet.py`.
"""

from typing import Any

from balise_gateway.badges.billing.sheet import Cents, Sheet, Table
from balise_gateway.errors import MissingExtra

_FONT = "Helvetica"  # one of the fonts that every reader has (PDF 32000-1 section 9.6.2.2): Latin letters only
_GREY, _AMBER, _GREEN = (235, 238, 240), (255, 240, 205), (222, 243, 224)
_NUMBER_MM, _LINE_MM = 32, 6.5
_SMALLEST = 5.5  # points


def to_pdf(sheet: Sheet) -> bytes:
    """The sheet. Raises MissingExtra."""
    try:
        from fpdf import FPDF
    except ImportError as error:
        raise MissingExtra("a bill as PDF", "fpdf2", "badge") from error

    class Paper(FPDF):
        """Says on each page whose it is, and which one."""

        def footer(self) -> None:
            self.set_y(-13)
            self.set_font(_FONT, "", 8)
            self.set_text_color(90)
            told = " - ".join(value for _, value in sheet.head[:3])
            self.cell(0, 5, _latin(f"{told} - {self.page_no()}/{{nb}}"), align="C")
            self.set_text_color(0)

    pdf = Paper(format="A4")
    pdf.set_creation_date(sheet.made)
    pdf.set_title(sheet.words.title)
    pdf.set_margin(15)
    pdf.set_draw_color(190)
    pdf.set_auto_page_break(True, 18)
    pdf.add_page()
    pdf.set_font(_FONT, "B", 17)
    pdf.cell(0, 11, _latin(sheet.words.title), new_x="LMARGIN", new_y="NEXT")
    _head(pdf, sheet)
    for number, text in enumerate(sheet.warnings):
        _box(pdf, text, _GREEN if not number and text == sheet.words.countersigned else _AMBER)
    for table in sheet.tables:
        _table(pdf, table, sheet)
    pdf.ln(4)
    for text in sheet.notes:
        _line(pdf, text, size=9)
    return bytes(pdf.output())


def _head(pdf: Any, sheet: Sheet) -> None:
    for name, value in sheet.head:
        pdf.set_font(_FONT, "", 9)
        pdf.set_text_color(90)
        pdf.cell(58, 5, _latin(name))
        pdf.set_text_color(0)
        pdf.multi_cell(0, 5, _latin(value), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)


def _box(pdf: Any, text: str, colour: tuple[int, int, int]) -> None:
    pdf.set_fill_color(*colour)
    pdf.set_font(_FONT, "B", 10)
    pdf.multi_cell(0, 8, _latin(text), fill=True, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1.5)


def _line(pdf: Any, text: str, size: float) -> None:
    pdf.set_font(_FONT, "", size)
    pdf.multi_cell(0, 5, _latin(text), new_x="LMARGIN", new_y="NEXT")


def _table(pdf: Any, table: Table, sheet: Sheet) -> None:
    if pdf.will_page_break(11 + 3 * _LINE_MM):  # a title never stands alone at the foot of a page
        pdf.add_page()
    pdf.ln(3)
    pdf.set_font(_FONT, "B", 12)
    pdf.cell(0, 8, _latin(table.title), new_x="LMARGIN", new_y="NEXT")
    if not table.rows:
        _line(pdf, sheet.words.nothing, size=10)
        return
    texts = sum(isinstance(cell, str) for cell in table.rows[0])
    text_mm = (pdf.epw - _NUMBER_MM * (len(table.columns) - texts)) / texts
    widths = [text_mm] * texts + [_NUMBER_MM] * (len(table.columns) - texts)
    _titles(pdf, table, widths)
    for cells in table.rows:
        if pdf.will_page_break(_LINE_MM):
            pdf.add_page()
            _titles(pdf, table, widths)
        shown = [sheet.amount(cell.cents) if isinstance(cell, Cents) else str(cell) for cell in cells]
        _row(pdf, shown, widths, texts)


def _titles(pdf: Any, table: Table, widths: list[float]) -> None:
    pdf.set_font(_FONT, "B", 9)
    pdf.set_fill_color(*_GREY)
    texts = sum(isinstance(cell, str) for cell in table.rows[0])
    for number, (name, width) in enumerate(zip(table.columns, widths, strict=True)):
        pdf.cell(width, _LINE_MM, _latin(name), fill=True, align="L" if number < texts else "R")
    pdf.ln(_LINE_MM)


def _row(pdf: Any, cells: list[str], widths: list[float], texts: int) -> None:
    """One line a row, with long names in smaller letters; what still does not fit stands whole in the other forms."""
    for number, (text, width) in enumerate(zip(cells, widths, strict=True)):
        shown, size = _latin(text), 10.0
        pdf.set_font(_FONT, "", size)
        while size > _SMALLEST and pdf.get_string_width(shown) > width - 2:
            size -= 0.5
            pdf.set_font(_FONT, "", size)
        while pdf.get_string_width(shown) > width - 2:
            shown = shown.removesuffix("...")[:-1] + "..."
        pdf.cell(width, _LINE_MM, shown, border="B", align="L" if number < texts else "R")
    pdf.ln(_LINE_MM)


def _latin(text: str) -> str:
    """What the font has no letter for becomes a question mark."""
    return text.encode("latin-1", "replace").decode("latin-1")
