"""The screen as a page: a real server, and a real Chromium before it."""

import asyncio
import itertools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from balise_gateway import page
from balise_gateway.badges.outputs import _look, _override, _page, _words, screen_page
from balise_gateway.badges.outputs._words import Language
from balise_gateway.badges.outputs.screen_page import Output, Settings
from balise_gateway.badges.showing import Showing
from balise_gateway.config import PageSettings, parse
from balise_gateway.errors import ConfigError
from gateway.badges.outputs.browser import Browser
from gateway.badges.outputs.showings import KNOWN_UTC_S, STATES
from gateway.support import toml

PATIENCE_S = 30.0
SIZES = {"large": (1920, 1080), "panel": (800, 480), "small": (320, 240), "upright": (480, 800)}
ACCEPTED = Showing("accepted", direction="in", credit_half_days=3, credit_utc_s=KNOWN_UTC_S)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def settings(**more: Any) -> Settings:
    return Settings(kind="screen_page", **{"place_name": "La Coroutine <&>", "time_zone": "Europe/Paris", **more})


@contextmanager
def served(output: Output, port: int = 0) -> Iterator[str]:
    """The gateway's own page server, in a thread with a loop of its own."""
    loop, ports = asyncio.new_event_loop(), port or free_port()
    task = loop.create_task(page.serve(PageSettings(port=ports), dict, output.routes()))

    def run() -> None:
        asyncio.set_event_loop(loop)
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        others = asyncio.all_tasks(loop)
        for each in others:
            each.cancel()
        loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        where = f"http://127.0.0.1:{ports}"
        _wait_for(where)
        yield where
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def _wait_for(where: str) -> None:
    limit = iter(range(600))
    while True:
        try:
            httpx.get(where + "/status.json")
            return
        except httpx.ConnectError:
            assert next(limit, None) is not None, "the server does not come"
            threading.Event().wait(0.05)


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output(settings())
    yield made
    made.close()


def shown(lines: Iterator[str]) -> dict[str, str]:
    """The next showing of a stream; signs of life are passed over."""
    for name, data in itertools.pairwise(lines):
        if name.startswith("retry") and data.startswith("data: "):
            return dict(json.loads(data.removeprefix("data: ")))
    raise AssertionError("the stream has ended")


def test_an_open_page_hears_of_each_showing_at_once(output: Output) -> None:
    with served(output) as where, httpx.stream("GET", f"{where}/badge/screen/events", timeout=PATIENCE_S) as told:
        assert told.headers["content-type"].startswith("text/event-stream")
        lines = told.iter_lines()
        assert shown(lines)["headline"] == "Bienvenue"
        output.show(ACCEPTED)  # from another thread than the server's
        found = shown(lines)
        assert (found["state"], found["credit"]) == ("accepted", "3 demi-journées, su le 24/11")
        output.show(Showing("unknown", "revoked"))
        assert shown(lines)["state"] == "unknown"


def test_who_comes_late_sees_what_is_shown_now_in_the_language_asked_for(output: Output) -> None:
    output.show(Showing("no_credit", direction="in"))
    with served(output) as where:
        with httpx.stream("GET", f"{where}/badge/screen/events?lang=en", timeout=PATIENCE_S) as told:
            assert shown(told.iter_lines())["headline"] == "Welcome all the same"
        french, english = (httpx.get(f"{where}/badge/screen", params={"lang": lang}).text for lang in ("xx", "en"))
    assert "Bienvenue quand même" in french
    assert '<html lang="fr">' in french
    assert "Welcome all the same" in english
    assert '<html lang="en">' in english


def test_nothing_comes_from_elsewhere_and_names_are_text(output: Output) -> None:
    with served(output) as where:
        answer = httpx.get(f"{where}/badge/screen")
    assert "La Coroutine &lt;&amp;&gt;" in answer.text
    assert "<&>" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_closing_ends_the_streams_and_new_ones_are_told_to_wait(output: Output) -> None:
    with served(output) as where:
        with httpx.stream("GET", f"{where}/badge/screen/events", timeout=PATIENCE_S) as told:
            lines = told.iter_lines()
            shown(lines)
            output.close()
            output.close()
            assert all(not line or line.startswith(("event: alive", "data:")) for line in lines)
        answer = httpx.get(f"{where}/badge/screen/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert output.status()["state"] == "closed"


def test_too_many_pages_are_told_so(output: Output) -> None:
    with served(output) as where, ExitStack() as open_pages:
        kept = []
        for _ in range(screen_page.MAX_OPEN):
            stream = httpx.stream("GET", f"{where}/badge/screen/events", timeout=PATIENCE_S)
            kept.append(open_pages.enter_context(stream).iter_lines())
            shown(kept[-1])
        assert output.status()["open_pages"] == screen_page.MAX_OPEN
        assert httpx.get(f"{where}/badge/screen/events").status_code == 503


def from_(address: str) -> httpx.HTTPTransport:
    """Loopback has many addresses: each stands for a computer of its own."""
    return httpx.HTTPTransport(local_address=address)


def test_one_computer_cannot_keep_the_screen_at_the_door_dark(output: Output) -> None:
    with served(output) as where, ExitStack() as open_pages:
        events = f"{where}/badge/screen/events"
        stranger = open_pages.enter_context(httpx.Client(transport=from_("127.0.0.2"), timeout=PATIENCE_S))
        kept = []
        for _ in range(screen_page.MAX_OPEN):
            kept.append(open_pages.enter_context(stranger.stream("GET", events)).iter_lines())
            shown(kept[-1])
        assert stranger.get(events).status_code == 503
        door = open_pages.enter_context(httpx.Client(transport=from_("127.0.0.3"), timeout=PATIENCE_S))
        lines = open_pages.enter_context(door.stream("GET", events)).iter_lines()
        shown(lines)
        assert list(kept[0])[-1:] in ([], [""])  # the stranger's oldest made room, and ended
        assert output.status()["open_pages"] == screen_page.MAX_OPEN
        assert stranger.get(events).status_code == 503
        output.show(ACCEPTED)
        assert shown(lines)["state"] == "accepted"


def test_pages_that_come_at_one_moment_are_no_more_than_that(output: Output) -> None:
    async def scene(where: str) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_S, limits=httpx.Limits(max_connections=None)) as client:
            begun = asyncio.Event()

            async def one() -> None:
                async with client.stream("GET", f"{where}/badge/screen/events") as answer:
                    async for _ in answer.aiter_lines():
                        if output.status()["open_pages"] == screen_page.MAX_OPEN:
                            begun.set()

            tasks = [asyncio.create_task(one()) for _ in range(screen_page.MAX_OPEN + 15)]
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert output.status()["open_pages"] == screen_page.MAX_OPEN
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with served(output) as where:
        asyncio.run(scene(where))


def test_a_door_that_is_held_by_hand_is_told(tmp_path: Path) -> None:
    _override.Override(tmp_path).write("open")
    with served(Output(settings(data_dir=tmp_path))) as where:
        assert "Porte tenue ouverte" in httpx.get(f"{where}/badge/screen").text
        _override.Override(tmp_path).write("auto")
        assert "Porte tenue" not in httpx.get(f"{where}/badge/screen").text


def test_credit_can_be_kept_from_the_screen() -> None:
    output = Output(settings(show_credit=False))
    output.show(ACCEPTED)
    with served(output) as where:
        told = httpx.get(f"{where}/badge/screen").text
    assert "Votre arrivée est notée" in told
    assert "demi-journée" not in told


def test_empty_keys_are_those_of_the_house(tmp_path: Path) -> None:
    told = toml(Path("data"), extra='[page]\n[badge]\nplace = "coroutine.example"\nlanguage = "en"\n')
    found = parse(told + '[[output]]\nkind = "screen_page"\n', tmp_path / "gateway.toml").outputs[0]
    assert (found.language, found.place_name, found.time_zone) == ("en", "coroutine.example", "Europe/Paris")
    assert found.data_dir == tmp_path / "data"
    own = told + '[[output]]\nkind = "screen_page"\nlanguage = "fr"\nplace_name = "Ici"\n'
    kept = parse(own, tmp_path / "gateway.toml").outputs[0]
    assert (kept.language, kept.place_name) == ("fr", "Ici")


def test_a_page_without_a_server_is_told(tmp_path: Path) -> None:
    told = toml(Path("data"), extra='[badge]\nplace = "coroutine.example"\n[[output]]\nkind = "screen_page"\n')
    with pytest.raises(ConfigError, match=r"\[page\]"):
        parse(told, tmp_path / "gateway.toml")


@pytest.fixture(scope="module", params=SIZES)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("chromium"), *SIZES[request.param])
    yield found
    found.close()


def text_of(name: str) -> str:
    return f"document.getElementById('{name}').textContent"


def test_chromium_shows_each_state_in_words_colour_and_shape(browser: Browser, output: Output) -> None:
    """The texts of the page after an event, its real background, the one symbol that is seen, and nothing cut off."""
    cases = list(itertools.product(STATES, (None, 128)))
    with served(output) as where:
        for language in ("fr", "en"):
            browser.go(f"{where}/badge/screen?lang={language}")
            for state, credit in cases:
                output.show(Showing(state, "", "out", credit, KNOWN_UTC_S, waiting=1234))
                look_at(browser, output, language, state)


def look_at(browser: Browser, output: Output, language: Language, state: str) -> None:
    said = _words.said(output.showing, language, ZoneInfo("Europe/Paris"))
    browser.until(f"document.body.dataset.state === {json.dumps(state)}")
    for name in ("headline", "text", "credit", "foot"):
        browser.until(f"{text_of(name)} === {json.dumps(getattr(said, name))}")
    assert seen(browser) == [state]
    wanted = _look.LOOKS[state].background
    browser.until(f"getComputedStyle(document.body).backgroundColor === {json.dumps(rgb(wanted))}")
    assert cut_off(browser) == [], (state, language)


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def seen(browser: Browser) -> Any:
    return browser.value("[...document.querySelectorAll('#signs span')].filter(s => s.offsetWidth).map(s => s.id)")


def cut_off(browser: Browser) -> Any:
    """What lies outside the window, or under the foot."""
    return browser.value(
        "(() => { const foot = document.querySelector('footer').getBoundingClientRect();"
        "const ids = ['headline', 'text', 'credit'].filter(id => document.getElementById(id).textContent);"
        "return ids.filter(id => { const b = document.getElementById(id).getBoundingClientRect();"
        "return b.top < 0 || b.left < 0 || b.right > innerWidth + 1 || b.bottom > foot.top + foot.height * .5; }) })()"
    )


def test_chromium_says_itself_when_the_gateway_is_gone_and_comes_back_by_itself(browser: Browser) -> None:
    first, port = Output(settings()), free_port()
    first.show(ACCEPTED)
    with served(first, port) as where:
        browser.go(f"{where}/badge/screen?lang=fr")
        browser.until("document.body.dataset.state === 'accepted'")
        assert browser.value("source.onerror === lost")  # at once, not only when patience is over
    browser.until("document.body.dataset.state === 'away'")
    browser.until(
        f"getComputedStyle(document.body).backgroundColor === {json.dumps(rgb(_look.LOOKS['away'].background))}"
    )
    assert browser.value(text_of("headline")) == _words.away("fr").headline
    assert seen(browser) == ["away"]
    second = Output(settings())
    second.show(Showing("sending", waiting=2))
    with served(second, port):
        browser.until("document.body.dataset.state === 'sending'")
        assert browser.value(text_of("foot")) == "2 passages à envoyer"


def test_chromium_reads_texts_aloud_and_keeps_still_when_asked(browser: Browser, output: Output) -> None:
    with served(output) as where:
        browser.emulate("prefers-reduced-motion", "reduce")
        browser.go(f"{where}/badge/screen")
        output.show(ACCEPTED)
        browser.until("document.body.dataset.state === 'accepted'")
        live = browser.value("document.getElementById('headline').closest('[aria-live]').getAttribute('aria-live')")
        assert live == "assertive"
        assert browser.value("getComputedStyle(document.getElementById('accepted')).animationName") == "none"
        assert browser.value("getComputedStyle(document.body).transitionDuration") in ("0s", "")
        browser.emulate("prefers-reduced-motion", "no-preference")
        assert browser.value("getComputedStyle(document.getElementById('accepted')).animationName") == "come"


def test_nothing_of_an_event_becomes_markup(browser: Browser, output: Output) -> None:
    with served(output) as where:
        browser.go(f"{where}/badge/screen")
        output.show(ACCEPTED)
        browser.until("document.body.dataset.state === 'accepted'")  # so no event is on its way any more
        hostile = {"state": "<b>", "headline": "<img src=x onerror=alert(1)>", "text": "", "credit": "", "foot": ""}
        browser.value(f"show({json.dumps(hostile)})")
        assert browser.value("document.body.dataset.state") == "away"
        assert browser.value("document.querySelectorAll('h1 *, img').length") == 0


def test_a_page_waits_longer_than_two_signs_of_life() -> None:
    assert _page._PATIENCE_MS > 2_000 * _page.ALIVE_S
