"""A phone in place of a card: a whole place with its real pages; the code is read from the picture, as by a phone."""

import asyncio
import io
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
import zxingcpp
from PIL import Image, ImageDraw
from starlette.applications import Starlette

from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.phones import page
from balise_gateway.badges.phones.codes import GOOD_FOR_S, MAX_TOLD, NEW_EACH_S, Codes
from balise_gateway.badges.phones.routes import TRIES_PER_MIN
from balise_gateway.badges.showing import Showing
from balise_gateway.config import parse
from balise_gateway.errors import ConfigError
from balise_wire import card
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from balise_wire.visits import VisitRecord, visit_of
from gateway.badges.outputs.browser import Browser
from gateway.badges.outputs.test_screen_page import free_port
from gateway.badges.places import PlaceAt, places
from gateway.support import toml, until

HERE, THERE = "coroutine.example", "mappemonde.example"
SITE = "http://192.168.1.20:8080"
DOT = 8  # pixels of a module
FREE = """(() => { const code = document.getElementById("phone").getBoundingClientRect();
const told = document.getElementById("told").getBoundingClientRect();
return told.right <= code.left || told.bottom <= code.top; })()"""
Scene = Callable[[PlaceAt, PlaceAt, "Phone"], Coroutine[Any, Any, None]]


class Phone:
    """One phone in the network of `here`."""

    def __init__(self, here: PlaceAt) -> None:
        assert here.gateway is not None
        transport = httpx.ASGITransport(Starlette(routes=here.gateway.pages()))
        self.client = httpx.AsyncClient(transport=transport, base_url=SITE)

    async def scan(self) -> str:
        """The code that the screen shows now."""
        picture = await self.client.get("/badge/phone/code.svg")
        assert picture.headers["cache-control"] == "no-store"
        (found,) = zxingcpp.read_barcodes(drawn(picture.text))
        assert found.text.startswith(f"{SITE}/badge/phone?here=")
        return parse_qs(urlsplit(found.text).query)["here"][0]

    async def send(self, here: str, number: str, **more: str) -> httpx.Response:
        return await self.client.post("/badge/phone", data={"here": here, "number": number, **more})


def drawn(svg: str) -> Image.Image:
    """The picture of a code: its dark modules are one path of horizontal strokes."""
    size = int(re.findall(r'viewBox="0 0 (\d+) ', svg)[0])
    image = Image.new("L", (DOT * size, DOT * size), 255)
    pen, x, y = ImageDraw.Draw(image), 0.0, 0.0
    for deed, told in re.findall(r"([Mmh])([-\d. ]+)", re.findall(r'stroke="#000" d="([^"]+)"', svg)[0]):
        numbers = [float(each) for each in told.split()]
        if deed == "h":
            top = DOT * (y - 0.5)
            pen.rectangle((DOT * x, top, DOT * (x + numbers[0]) - 1, top + DOT - 1), fill=0)
            x += numbers[0]
        else:
            x, y = (numbers[0], numbers[1]) if deed == "M" else (x + numbers[0], y + numbers[1])
    return image


def played(folder: Path, scene: Scene, phone_url: str = SITE) -> None:
    async def whole() -> None:
        async with places(folder, HERE, THERE) as made:
            here, there = made.values()
            await here.stop()
            extra = f'[page]\nport = {free_port()}\n[[output]]\nkind = "screen_page"\n'
            badge = f'name = "La Coroutine <&>"\nphone_url = "{phone_url}"'
            await here.start(here.config({THERE: there.keys.signer.public_key}, extra, badge=badge))
            phone = Phone(here)
            try:
                await scene(here, there, phone)
            finally:
                await phone.client.aclose()

    asyncio.run(whole())


def visits_of(place: PlaceAt) -> list[VisitRecord]:
    items = [item for cose in own_visits(place.folder) for item in read_envelope(cose).items]
    return [visit_of(item.map) for item in items if isinstance(item, Visit)]


def test_a_member_scans_the_screen_types_a_number_and_is_recorded(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        number = here.member("anne")
        code = await phone.scan()
        asked = await phone.client.get("/badge/phone", params={"here": code})
        assert asked.status_code == 200
        assert "Numéro de votre carte" in asked.text
        assert "La Coroutine &lt;&amp;&gt;" in asked.text
        told = await phone.send(code, card.printed(number).lower())
        assert "Votre arrivée est notée" in told.text
        assert here.office.front.now.state == "accepted"  # the screen says it too
        await until(lambda: len(visits_of(here)) == 1)
        (visit,) = visits_of(here)
        assert (visit.who, visit.grade, visit.via) == (here.keys.who("anne", HERE, 2018), 0, "qr")
        english = await phone.send(code, card.printed(number).lower(), lang="en")
        assert "Your arrival is noted" in english.text

    played(tmp_path, scene)


def test_a_visitor_of_another_home_is_known_by_the_number_alone(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        number = there.member("zoe")
        there.office.records.home_lists.look_again()
        await here.office.works.rounds.once()
        assert "Votre arrivée est notée" in (await phone.send(await phone.scan(), number)).text
        await until(lambda: len(visits_of(here)) == 1)
        assert visits_of(here)[0].who == there.keys.who("zoe", HERE, 2018)

    played(tmp_path, scene)


def test_a_form_that_is_sent_twice_is_one_visit(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        number, code = here.member("anne"), await phone.scan()
        first = (await phone.send(code, number)).text
        here.clock.now_ms += 150_000  # beyond the debounce of the agreement
        assert (await phone.send(code, number)).text == first
        assert here.office.records.book.counts() == {"accepted": 1}

    played(tmp_path, scene)


def test_without_a_code_that_the_screen_has_just_shown_nothing_is_recorded(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        number = here.member("anne")
        for wrong in ("", "x", "<b>", "A" * 12, "é" * 12, "A" * 3_000):
            told = await phone.send(wrong, number)
            assert told.status_code == 410
            assert "scannez celui que l’écran montre" in told.text
            assert "<b>" not in told.text
            assert (await phone.client.get("/badge/phone", params={"here": wrong})).status_code == 410
        assert (await phone.client.post("/badge/phone", content=b"&" * 5_000)).status_code == 410
        assert (await phone.send(await phone.scan(), " ")).status_code == 400
        assert here.office.records.book.counts() == {}

    played(tmp_path, scene)


def test_a_number_that_nobody_knows_is_not_green_and_whoever_tries_many_waits(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        code = await phone.scan()
        answers = [await phone.send(code, card.make_number(bytes([n] * 6))) for n in range(TRIES_PER_MIN + 1)]
        assert {answer.status_code for answer in answers[:-1]} == {200}
        assert "Badge pas reconnu" in answers[0].text
        assert answers[-1].status_code == 429
        assert here.office.records.book.counts() == {"unknown: not listed": TRIES_PER_MIN}

    played(tmp_path, scene)


def test_no_number_stands_in_what_is_told_or_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers: list[str] = []

    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        number = here.member("anne")
        numbers.append(number)
        told = await phone.send(await phone.scan(), number)
        assert number not in told.text.replace("-", "")
        assert {name: told.headers[name] for name in page.HEADERS} == dict(page.HEADERS)
        assert number not in str(here.office.status())

    played(tmp_path, scene)
    assert numbers[0] not in caplog.text
    taps = b"".join(path.read_bytes() for path in (tmp_path / HERE).glob("badges.db*"))
    assert numbers[0].encode() not in taps


def test_a_place_without_a_phone_url_has_no_such_page(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        assert (await phone.client.get("/badge/phone")).status_code == 404
        assert (await phone.client.get("/badge/phone/code.svg")).status_code == 404
        assert 'code.svg" alt' not in (await phone.client.get("/badge/screen")).text

    played(tmp_path, scene, "")


def test_codes_change_each_minute_and_are_good_for_three() -> None:
    now_s = 0.0
    codes = Codes(lambda: now_s)
    first = codes.newest()
    assert codes.newest() == first
    now_s = NEW_EACH_S
    second = codes.newest()
    assert second != first
    assert codes.find(first) is not None
    now_s = GOOD_FOR_S
    assert codes.find(first) is None
    assert codes.find(second) is not None
    assert codes.find("") is None
    assert first not in repr(codes.find(second))


def test_what_was_said_with_one_code_is_bounded() -> None:
    codes = Codes(lambda: 0.0)
    code = codes.find(codes.newest())
    assert code is not None
    for number in range(MAX_TOLD):
        assert not code.is_full
        code.remember(str(number), Showing("unknown"))
    assert code.is_full
    assert code.told("0") == Showing("unknown")
    assert code.told("x") is None


@pytest.mark.parametrize("wrong", ["coroutine", "http://a.example/path", "javascript:alert(1)", "http://a example"])
def test_an_address_that_phones_cannot_open_is_told(tmp_path: Path, wrong: str) -> None:
    told = toml(Path("data"), extra=f'[page]\n[badge]\nplace = "{HERE}"\nphone_url = "{wrong}"\n')
    with pytest.raises(ConfigError, match="phone_url"):
        parse(told, tmp_path / "gateway.toml")


def test_phones_without_a_page_are_told(tmp_path: Path) -> None:
    told = toml(Path("data"), extra=f'[badge]\nplace = "{HERE}"\nphone_url = "{SITE}"\n')
    with pytest.raises(ConfigError, match=r"\[page\]"):
        parse(told, tmp_path / "gateway.toml")


def test_chromium_shows_the_code_beside_the_welcome_and_remembers_the_number_if_asked(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt, phone: Phone) -> None:
        number, port = here.member("anne"), free_port()
        assert here.gateway is not None
        app = Starlette(routes=here.gateway.pages())
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            await asyncio.to_thread(looked_at, tmp_path, f"http://127.0.0.1:{port}", number)
        finally:
            server.should_exit = True
            await task
        assert here.office.records.book.counts() == {"accepted": 1}

    played(tmp_path, scene)


def looked_at(folder: Path, site: str, number: str) -> None:
    upright = Browser(folder / "upright", 480, 800)
    try:
        upright.go(f"{site}/badge/screen")
        upright.until("document.querySelector('#phone img').naturalWidth > 0")
        assert upright.value(FREE), "the code lies on the text"
    finally:
        upright.close()
    browser = Browser(folder / "chromium", 800, 480)
    seen = "getComputedStyle(document.getElementById('phone')).display"
    try:
        browser.go(f"{site}/badge/screen")
        browser.until("document.querySelector('#phone img').naturalWidth > 0")
        browser.until(f"{seen} === 'block'")
        assert browser.value(FREE), "the code lies on the text"
        (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(browser.picture())))
        way = found.text.removeprefix(SITE)
        browser.go(site + way)
        fill = f"document.getElementById('n').value = '{number}'; document.getElementById('r').checked = true"
        browser.value(f"{fill}; document.querySelector('button').click()")
        browser.until("!!document.body && document.body.innerText.includes('notée')")
        browser.go(site + way)
        assert browser.value("document.getElementById('n').value") == number
        browser.go(f"{site}/badge/screen")
        browser.until("document.body.dataset.state === 'accepted'")
        assert browser.value(seen) == "none"
    finally:
        browser.close()
