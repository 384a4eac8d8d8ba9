"""A notice as PDF: a sign on A5, the information on A4.

Promises that every text is on the paper, in DejaVu where the machine has it, else in the letters that every reader of
PDF has, where œ becomes oe. Leaves words to `texts.py`.
"""

from typing import Any

from balise_gateway.badges.notices import Notice, Section, bound
from balise_gateway.badges.outputs import _letters, _look
from balise_gateway.errors import MissingExtra

_MARGIN_MM = {"A4": 17, "A5": 13}
_SIZES_MM = {"A4": (210.0, 297.0), "A5": (148.0, 210.0)}
_SIGN_MM = 42.0
_PLAIN = str.maketrans({"œ": "oe", "Œ": "OE", "’": "'", "–": "-", "—": "-", "…": "...", "€": "EUR", "\u202f": "\u00a0"})


def document(notice: Notice) -> bytes:
    """The file."""
    try:
        from fpdf import FPDF
    except ImportError as error:
        raise MissingExtra("a notice as PDF", "fpdf2", "badge") from error
    form = "A5" if notice.steps else "A4"
    pdf = FPDF(format=_SIZES_MM[form])
    pdf.set_margin(_MARGIN_MM[form])
    pdf.set_auto_page_break(True, _MARGIN_MM[form])
    pen = _Pen(pdf, "C" if notice.steps else "L")
    pdf.set_title(notice.title)
    pdf.set_lang(notice.language)
    pdf.add_page()
    pen.write(notice.place, 13 if notice.steps else 12, bold=True)
    if notice.steps:
        _sign(pdf)
    pen.write(notice.title, 30 if notice.steps else 20, bold=True)
    for step in notice.steps:
        pen.write(step, 19)
    if notice.draft:
        pen.write(notice.draft, 9, border=1, gap_mm=2)
    for section in notice.sections:
        _section(pen, section, 11.0 if notice.steps else 10.0)
    pen.write(notice.foot, 10 if notice.steps else 8, gap_mm=4)
    return bytes(pdf.output())


class _Pen:
    """Writes paragraphs, one below the other."""

    def __init__(self, pdf: Any, align: str) -> None:
        self._pdf, self._align = pdf, align
        files = _letters.files()
        self._font = "Helvetica" if files is None else "DejaVu"
        if files is not None:
            pdf.add_font("DejaVu", "", files[0])
            pdf.add_font("DejaVu", "B", files[1])

    def write(self, text: str, size: float, *, bold: bool = False, border: int = 0, gap_mm: float = 0.0) -> None:
        """A paragraph with some room above it."""
        self._pdf.ln(gap_mm)
        self._pdf.set_font(self._font, "B" if bold else "", size)
        told = bound(text)
        if self._font != "DejaVu":
            told = told.translate(_PLAIN).encode("latin-1", "replace").decode("latin-1")
        padding = 1.5 if border else 0
        self._pdf.multi_cell(
            0, size * 0.48, told, align=self._align, border=border, padding=padding, new_x="LMARGIN", new_y="NEXT"
        )


def _section(pen: _Pen, section: Section, size: float) -> None:
    pen.write(section.heading, size + 1.5, bold=True, gap_mm=2.5)
    for text in section.paragraphs:
        pen.write(text, size, gap_mm=0.8)
    for text in section.points:
        pen.write(f"- {text}", size, gap_mm=0.8)


def _sign(pdf: Any) -> None:
    """The shape that stands on the screen while it waits for a card."""
    left, top, scale = (pdf.w - _SIGN_MM) / 2, pdf.get_y() + 3, _SIGN_MM / 100
    pdf.set_line_width(_look.WIDTH * scale)
    pdf.set_draw_color(18, 53, 91)
    pdf.set_fill_color(18, 53, 91)
    for part in _look.LOOKS["ready"].shape:
        if isinstance(part, _look.Stroke):
            points = [(left + x * scale, top + y * scale) for x, y in part.points]
            pdf.polyline(points, fill=part.filled)
    pdf.set_line_width(0.3)
    pdf.set_draw_color(0, 0, 0)
    pdf.set_y(top + _SIGN_MM + 4)
