"""The broker and its posters: where codes lead, and that nobody can find out afterwards who scanned them."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader
from typer.testing import CliRunner

from balise_gateway.badges.federation.broker import HEADERS, TableFile, app
from balise_gateway.badges.federation.poster import html, pdf
from balise_gateway.errors import BadgeError, PaperError
from balise_tools.badge import app as commands
from balise_wire.envelope import Signer
from balise_wire.places import sign_table
from gateway.badges.federation.places import FEDERATION, HOME, HOST, THIRD, place, signed, table

LOGIN = f"https://{HOME}/federated_login?client=a%26b"
PLACES = [
    place(HOME, login=LOGIN),
    place(HOST, login=f"https://{HOST}/login"),
    place(THIRD, login="javascript:alert(1)"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.cose"
    path.write_bytes(signed(3, PLACES))
    return path


def get(file: TableFile, path: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app(file))
        async with httpx.AsyncClient(transport=transport, base_url="https://badge.example") as client:
            return await client.get(path)

    return asyncio.run(asked())


def test_a_prefix_leads_to_its_homes_login_page_and_the_number_stays_in_the_browser(file: Path) -> None:
    answer = get(TableFile(file), "/home")
    assert (answer.status_code, answer.headers["location"]) == (302, LOGIN)
    assert get(TableFile(file), "/HOME").headers["location"] == LOGIN  # some QR codes are in capitals
    assert "#" not in answer.headers["location"]  # else the browser would drop its own (RFC 9110 section 10.2.2)


def test_unknown_prefixes_and_addresses_that_are_no_web_page_lead_nowhere(file: Path) -> None:
    for path in ("/nobody", "/third", "/p/nobody.example"):
        answer = get(TableFile(file), path)
        assert answer.status_code == 404
        assert "location" not in answer.headers
        assert "Demandez à l’accueil" in answer.text


def test_a_posters_page_offers_every_home_and_names_the_host(file: Path) -> None:
    answer = get(TableFile(file), f"/p/{HOST}")
    assert answer.status_code == 200
    assert "Vous êtes ici : Host" in answer.text
    assert f'href="https://{HOME}/federated_login?client=a%26b&amp;host={HOST}"' in answer.text
    assert "javascript:" not in answer.text
    assert "Which place are you a member of?" in get(TableFile(file), f"/p/{HOST}?lang=en").text


def test_names_in_the_table_are_text_and_not_code(tmp_path: Path) -> None:
    import dataclasses

    evil = dataclasses.replace(place(HOST, login=f"https://{HOST}/?<script>"), name="<script>alert(1)</script>")
    (tmp_path / "t").write_bytes(signed(1, [evil]))
    text = get(TableFile(tmp_path / "t"), f"/p/{HOST}").text
    assert "<script>alert" not in text
    assert "<title>Vous êtes ici : &lt;script&gt;" in text


@pytest.mark.parametrize("login", ["https://[", "https://", "https://[::1/login", "HTTPS:login"])
def test_one_address_that_is_none_takes_the_page_from_nobody_else(tmp_path: Path, login: str) -> None:
    (tmp_path / "t").write_bytes(signed(1, [place(HOME, login=LOGIN), place(HOST, login=login)]))
    answer = get(TableFile(tmp_path / "t"), f"/p/{HOST}")
    assert answer.status_code == 200
    assert "federated_login" in answer.text
    assert get(TableFile(tmp_path / "t"), "/host").status_code == 404


def test_without_a_table_nobody_is_told_where_it_should_lie(tmp_path: Path) -> None:
    answer = get(TableFile(tmp_path / "secret place" / "t"), "/home")
    assert answer.status_code == 503
    assert "secret place" not in answer.text


def test_the_table_is_handed_on_as_it_was_signed(file: Path) -> None:
    answer = get(TableFile(file), "/v1/table")
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"] == "application/cose"


def test_every_answer_is_closed_to_others_and_sets_no_cookie(file: Path) -> None:
    for path in ("/home", "/nobody", f"/p/{HOST}", "/v1/table"):
        answer = get(TableFile(file), path)
        assert "set-cookie" not in answer.headers
        assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_a_table_that_is_replaced_is_used_and_an_older_one_is_not(file: Path) -> None:
    served = TableFile(file, FEDERATION.public_key)
    served.look()
    for data, number in (
        (signed(4), 4),
        (signed(2), 4),
        (sign_table(Signer(bytes(32)), table(9)), 4),
        (b"nonsense", 4),
        (signed(5), 5),
    ):
        file.with_suffix(".new").write_bytes(data)
        os.replace(file.with_suffix(".new"), file)
        assert served.look().number == number
    with pytest.raises(PaperError):
        TableFile(file.parent / "nothing").look()


@contextmanager
def running(folder: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    command = [sys.executable, "-m", "balise_tools", "badge", "broker", "--port", "0", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout is not None
        first = process.stdout.readline().decode()
        found = re.search(r"http://\S+", first)
        assert found is not None, first
        yield found.group(), process
    finally:
        process.terminate()
        process.wait(20)


def test_a_running_broker_writes_nothing_about_those_who_ask(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cwd"
    folder.mkdir()
    before = file.read_bytes()
    with running(folder, "--table", str(file), "--key", FEDERATION.public_key.hex()) as (where, process):
        with httpx.Client(base_url=where) as client:
            codes = [client.get(path).status_code for path in ("home", "secret-visit", f"p/{HOST}", "v1/table", "%00")]
        process.terminate()
        assert process.stdout is not None
        said = process.stdout.read()
    assert codes == [302, 404, 200, 200, 404]
    assert said == b""
    assert list(folder.iterdir()) == []
    assert file.read_bytes() == before


def test_a_broker_without_a_good_table_does_not_start(file: Path) -> None:
    words = ["broker", "--table", str(file), "--key", Signer(bytes(32)).public_key.hex()]
    found = CliRunner().invoke(commands, words)
    assert found.exit_code == 1
    assert "unknown key" in found.output


def test_a_poster_has_a_code_that_a_phone_reads(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "poster.pdf"
    words = ["poster", HOST, "--table", str(file), "--broker", "https://badge.example/", "--out", str(out)]
    assert CliRunner().invoke(commands, words).exit_code == 0
    (page,) = PdfReader(out).pages
    text = page.extract_text()
    assert "Host" in text
    assert f"https://badge.example/p/{HOST}" in text
    assert read_code(page.get_contents().get_data()) == f"https://badge.example/p/{HOST}"  # type: ignore[union-attr]


def read_code(content: bytes) -> str:
    """What a scanner reads off the black rectangles of a PDF page."""
    image = Image.new("L", (840, 1188), 255)  # four pixels a millimetre
    for rect in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) (-?[\d.]+) re f", content):
        x, y, width, height = (float(value) * 840 / 595.28 for value in rect)
        box = sorted((round(y), round(y + height)))
        for row in range(box[0], box[1]):
            for column in range(round(x), round(x + width)):
                image.putpixel((column, 1187 - row), 0)
    return str(zxingcpp.read_barcodes(image)[0].text)


def test_a_poster_as_a_page_escapes_the_name_and_one_that_no_font_has_is_told() -> None:
    assert "<h1>A &amp; B</h1>" in html("A & B", "https://b.example/p/a.example")
    assert "<svg" in html("A", "https://b.example/p/a.example")
    with pytest.raises(BadgeError, match="html"):
        pdf("Ždiar", "https://b.example/p/a.example")


def test_a_poster_of_a_place_that_is_not_in_the_table_is_not_made(file: Path) -> None:
    words = ["poster", "nobody.example", "--table", str(file), "--broker", "https://b.example"]
    assert CliRunner().invoke(commands, words).exit_code == 1


def test_a_brokers_address_that_no_phone_would_open_makes_no_poster(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "poster.html"
    words = ["poster", HOST, "--table", str(file), "--broker", "badge.example", "--out", str(out)]
    told = CliRunner().invoke(commands, words)
    assert told.exit_code == 1
    assert "such as https://badge.example" in told.output
    assert not out.exists()


def test_a_table_that_is_not_there_is_one_line_that_says_so(tmp_path: Path) -> None:
    told = CliRunner().invoke(commands, ["broker", "--table", str(tmp_path / "none.cose"), "--port", "0"])
    assert told.exit_code == 1
    assert told.output.endswith("none.cose: cannot be read (No such file or directory)\n")
