"""Sheets of cards: what is printed is what a scanner reads."""

import io
import re
import stat
from collections.abc import Iterable
from pathlib import Path

import pypdf
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from balise_gateway.badges.cards import sheet
from balise_gateway.errors import BadgeError
from balise_wire import card

HOME = "coroutine.example"
NUMBERS = [card.make_number(bytes([n] * 6)) for n in range(12)]
SCALE = 8

Box = tuple[float, float, float, float]  # x, y, width, height


def scanned(boxes: Iterable[Box], height: float, width: float) -> str:
    """The text of the QR code that these dark boxes are."""
    image = Image.new("L", (int(width * SCALE), int(height * SCALE)), 255)
    draw = ImageDraw.Draw(image)
    for x, y, wide, high in boxes:
        draw.rectangle((x * SCALE, y * SCALE, (x + wide) * SCALE - 1, (y + high) * SCALE - 1), fill=0)
    return " ".join(found.text for found in zxingcpp.read_barcodes(image))


def boxes_of_svg(path: str) -> list[Box]:
    """Lines of one unit's width: absolute start, then steps to the right, drawn (h) or not (m)."""
    found, x, y = [], 0.0, 0.0
    for command, words in re.findall(r"([Mmh])([-\d. ]+)", path):
        told = [float(word) for word in words.split()]
        if command == "h":
            found.append((x, y - 0.5, told[0], 1.0))
            x += told[0]
        else:
            x, y = (told[0], told[1]) if command == "M" else (x + told[0], y + told[1])
    return found


def test_every_card_of_the_page_is_read_by_a_scanner() -> None:
    made = sheet.page("La Coroutine <3", HOME, NUMBERS)
    assert "La Coroutine &lt;3" in made
    paths = re.findall(r'<path[^>]*d="([^"]+)"', made)
    assert [scanned(boxes_of_svg(path), 40, 40) for path in paths] == [card.home_url(HOME, n) for n in NUMBERS]
    assert re.findall(r"<b>([^<]+)</b>", made) == [card.printed(number) for number in NUMBERS]


def test_every_card_of_the_pdf_is_read_by_a_scanner() -> None:
    document = pypdf.PdfReader(io.BytesIO(sheet.pdf("La Coroutine", HOME, NUMBERS)))
    assert len(document.pages) == 2
    texts, codes = [], []
    for page in document.pages:
        texts += re.findall(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b", page.extract_text())
        data = page.get_contents().get_data().decode("latin-1")
        height = float(page.mediabox.height)
        dark = [
            (x, height - y - abs(h), w, abs(h))
            for x, y, w, h in (map(float, words.split()) for words in re.findall(r"((?:[-\d.]+ ){4})re f", data))
        ]
        codes += scanned(dark_from_top(dark), height, float(page.mediabox.width)).split()
    assert sorted(texts) == sorted(card.printed(number) for number in NUMBERS)
    assert sorted(codes) == sorted(card.home_url(HOME, number) for number in NUMBERS)


def dark_from_top(boxes: list[Box]) -> list[Box]:
    """fpdf2 writes the upper edge and a height below it; y here is that of the lower edge, from the top."""
    return [(x, y + high, wide, high) for x, y, wide, high in boxes]


@pytest.mark.parametrize("form", sheet.FORMS)
def test_the_files_are_for_their_owner_and_never_over_others(tmp_path: Path, form: str) -> None:
    out = tmp_path / f"cards{form}"
    table = sheet.write_sheet(out, "", HOME, NUMBERS[:2])
    assert table.read_text(encoding="utf-8").splitlines() == [
        "url,number",
        *(f"{card.home_url(HOME, number)},{card.printed(number)}" for number in NUMBERS[:2]),
    ]
    for path in (out, table):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(BadgeError, match="there already"):
        sheet.write_sheet(out, "", HOME, NUMBERS[:2])
    out.unlink()
    with pytest.raises(BadgeError, match=r"cards\.csv: is there already"):
        sheet.write_sheet(out, "", HOME, NUMBERS[:2])
    assert not out.exists()


def test_a_sheet_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadgeError, match=r"\.html or \.pdf"):
        sheet.write_sheet(tmp_path / "cards.docx", "", HOME, NUMBERS)
    assert not list(tmp_path.iterdir())
