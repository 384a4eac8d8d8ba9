"""What a member may ask for: all that is held of them, from here and elsewhere, and that it be erased."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

from typer.testing import CliRunner

from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.daily import Daily
from balise_gateway.badges.federation.sequence import own_visits
from balise_tools.badge import app
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from gateway.badges.places import FEDERATION, PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def told(folder: Path, *words: str) -> tuple[int, str]:
    config = folder / HERE / "place.toml"
    lines = ["[gateway]", f'data_dir = "{folder / HERE}"', "[badge]", f'place = "{HERE}"']
    lines += [f'table_key = "{FEDERATION.public_key.hex()}"', f'agreement = "{folder / "agreement.toml"}"', ""]
    config.write_text("\n".join(lines), encoding="utf-8")
    done = CliRunner().invoke(app, [*words, "-c", str(config)])
    return done.exit_code, done.output


def visits_in(envelopes: Iterable[bytes]) -> list[Visit]:
    return [item for cose in envelopes for item in read_envelope(cose).items if isinstance(item, Visit)]


async def a_life(here: PlaceAt, there: PlaceAt) -> None:
    """Two members of `here`; one of them was at both places."""
    number, other = here.member("zacharie@here", client="MEL"), here.member("other@here")
    here.office.records.home_lists.look_again()
    await there.office.works.rounds.once()
    here.show(number)
    here.show(other)
    there.show(number, home=HERE)
    there.clock.now_ms += 5 * HOUR_MS
    there.show(number, home=HERE)
    await until(lambda: len(visits_in(here.office.records.exchange.envelopes())) == 2)
    await until(lambda: len(visits_in(own_visits(here.folder))) == 2)
    here.clock.now_ms += 13 * DAY_MS
    await Daily(here.office.records, here.folder, None).look()
    here.clock.now_ms += 20 * DAY_MS
    await Daily(here.office.records, here.folder, None).look()


def test_an_export_says_all_of_one_member_and_nothing_of_another(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            await a_life(*made.values())

    asyncio.run(scene())
    code, text = told(tmp_path, "export-member", "zacharie@here")
    assert code == 0, text
    found = json.loads(text)
    assert [visit["host"] for visit in found["visits"]] == [HERE, THERE, THERE]
    assert [card["state"] for card in found["cards"]] == ["active"]
    assert [(line["host"], line["half_days"]) for line in found["billing_lines"]] == [(THERE, 1)]
    assert "other@here" not in text
    code, text = told(tmp_path, "export-member", "nobody")
    assert code == 1
    assert "no member 'nobody'" in text


def test_erasing_takes_what_may_go_and_says_what_stays(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            await a_life(*made.values())

    asyncio.run(scene())
    code, text = told(tmp_path, "erase-member", "zacharie@here")
    assert code == 1
    assert "still a member" in text
    assert told(tmp_path, "member", "zacharie@here", "--end")[0] == 0
    code, text = told(tmp_path, "erase-member", "zacharie@here")
    assert code == 0, text
    assert "taps erased here: 1" in text
    assert text.count("stays: ") == 3
    assert told(tmp_path, "export-member", "zacharie@here")[0] == 1
    for file in (tmp_path / HERE).glob("register.db*"):
        assert b"zacharie" not in file.read_bytes()
    lines = Lines(tmp_path / HERE)
    assert len(lines.all()) == 1
    lines.close()
