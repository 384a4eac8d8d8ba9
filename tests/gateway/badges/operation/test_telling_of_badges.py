"""What a place tells of itself: status, page and metrics say how it is, and nothing of a card or a person."""

import asyncio
import json
import subprocess
from html import unescape
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from balise_gateway import page, page_badge
from balise_gateway.operation.metrics import exposition
from balise_tools import gateway_badge
from gateway.badges.places import PlaceAt, places
from gateway.support import START_UTC_MS, until

HERE, THERE = "coroutine.example", "mappemonde.example"
MEMBER, CLIENT, UID = "anne-du-bois", "customer-4711", bytes.fromhex("04a1b2c3d4e5f6")
OPEN = "application/openmetrics-text"


def texts(place: PlaceAt) -> dict[str, str]:
    """All that is told of a place, by where."""
    assert place.gateway is not None
    status = place.gateway.status()
    scraped, _ = exposition(status, place.folder, OPEN)
    told = {"status": json.dumps(status), "metrics": scraped.decode()}
    told |= {lang: page.html(status, english=lang == "en") for lang in ("fr", "en")}
    badge = status["badge"]
    assert badge is None or isinstance(badge, dict)
    return told | {"lines": "\n".join(gateway_badge.lines(badge))}


def test_all_of_it_says_how_the_place_is_and_nothing_of_a_card_or_a_person(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            here.roads.cut.add(THERE)
            number = here.member(MEMBER, uid=UID, client=CLIENT)
            elsewhere = there.member("zoe-du-lac", client="customer-4712")
            here.show(number, uid=UID)
            here.show(elsewhere, home=THERE)
            here.show("0000000000", home="nowhere.example")
            await here.office.works.rounds.once()
            await until(lambda: here.office.status()["waiting"] == 2)
            told = texts(here)
            db = here.office.records.book.db
            whos = {who for (who,) in db.execute("SELECT who FROM tap WHERE who NOTNULL")}
            assert len(whos) == 2
            secrets = [MEMBER, CLIENT, "customer-4712", "zoe-du-lac", number, elsewhere, UID.hex()]
            secrets += [who.hex() for who in whos]
            for where, text in told.items():
                assert [secret for secret in secrets if secret.lower() in text.lower()] == [], where
                assert THERE in text
            assert "2 visits to send" in told["lines"]
            assert "accepted 1, desk: no list 1, unknown: not listed 1" in told["lines"]
            assert f"list of {THERE}: none yet" in told["lines"]
            assert f"away: {THERE}: " in told["lines"]
            assert "acceptées, voir l&#x27;accueil 1" in told["fr"]
            assert "accepted, tell the desk 1" in told["en"]
            here.roads.cut.clear()

    asyncio.run(scene())


def test_the_lines_of_a_status_say_how_outputs_and_the_places_own_software_are(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            badge = next(iter(made.values())).office.status()
            badge["outputs"] = [{"kind": "led", "state": "away: not installed: …"}]
            badge["connectors"] = [{"name": "dokos", "state": "up", "waiting": 2, "refused": {"closed": 3}}]
            told = list(gateway_badge.lines(badge))
            assert "  output led: away: not installed: …" in told
            assert "  connector dokos: up; 2 waiting, 3 refused" in told
            shown = page_badge.html(badge, english=False)
            assert '<td>Affichage led</td><td><span class="bad">away: not installed: …</span></td>' in shown
            assert "<td>Autre logiciel dokos</td><td>tout va bien</td>" in shown

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("days", "said"), [(0.9, "moins d'un jour"), (1, "1 jour"), (1.9, "1 jour"), (2, "2 jours"), (30, "30 jours")]
)
def test_the_page_says_how_old_a_list_is_in_whole_days(days: float, said: str) -> None:
    listed = {"home": THERE, "number": 1, "utc_s": START_UTC_MS // 1_000, "age_s": int(days * 86_400), "stale": False}
    badge = {"place": HERE, "readers": [], "outputs": [], "connectors": [], "taps": {}, "waiting": 0, "away": {}}
    shown = unescape(page_badge.html({**badge, "lists": [listed]}, english=False))
    assert f"{THERE}: {said}</td>" in shown


def test_prometheus_reads_taps_lists_and_refusals(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, _ = made.values()
            number = here.member(MEMBER)
            here.show(number)
            await here.office.works.rounds.once()
            here.office.records.exchange.take(b"\xff", START_UTC_MS // 1000)
            here.clock.now_ms += 3_600_000
            assert here.gateway is not None
            plain, _ = exposition(here.gateway.status(), here.folder, "text/plain")
            words = ["promtool", "check", "metrics"]
            done = subprocess.run(words, input=plain, capture_output=True, check=False)
            assert (done.returncode, done.stdout + done.stderr) == (0, b"")
            found = {f.name: f.samples for f in text_string_to_metric_families(texts(here)["metrics"])}
            (tap,) = found["balise_badge_taps"]
            assert (tap.labels, tap.value) == ({"verdict": "accepted", "reason": ""}, 1)
            (age,) = found["balise_badge_list_age_seconds"]
            assert (age.labels, age.value) == ({"home": THERE}, 3_600)
            (refused,) = found["balise_badge_refused"]
            assert (refused.labels, refused.value) == ({"what": "visits", "reason": "not deterministic"}, 1)
            assert found["balise_badge_place_away"][0].value == 0
            assert 0 < found["balise_badge_verdict_seconds"][0].value < 60
            here.office.records.book.forget(1 << 40)
            after = {f.name: f.samples for f in text_string_to_metric_families(texts(here)["metrics"])}
            assert after["balise_badge_taps"] == found["balise_badge_taps"]  # a counter never falls

    asyncio.run(scene())


def test_a_gateway_without_badges_says_nothing_of_them(tmp_path: Path) -> None:
    text, _ = exposition({"badge": None}, tmp_path, OPEN)
    assert b"badge" not in text
    assert page_badge.html(None, english=True) == ""
    assert list(gateway_badge.lines(None)) == []


def test_files_that_are_not_open_are_told_and_texts_are_escaped() -> None:
    badge = {"place": "<b>", "error": "the place's files are not open <i>"}
    assert "&lt;b&gt;" in page_badge.html(badge, english=True)
    assert "not open &lt;i&gt;" in page_badge.html(badge, english=True)
    assert list(gateway_badge.lines(badge)) == ["badges of <b>: the place's files are not open <i>"]
