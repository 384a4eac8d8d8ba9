"""A file of the place is damaged while it runs: the gateway goes on for its sensors, and says what is wrong."""

import asyncio
import contextlib
import logging
import os
import sqlite3
from pathlib import Path

import pytest

from balise_wire import card
from gateway.badges.places import PlaceAt, places
from gateway.badges.readers.code_benches import events
from gateway.support import until

HERE = "coroutine.example"


def lose(place: PlaceAt, table: str) -> None:
    """As a page that cannot be read any more: whoever asks for the table gets an error of SQLite's."""
    with contextlib.closing(sqlite3.connect(place.folder / "badges.db")) as db:
        db.execute(f"ALTER TABLE {table} RENAME TO gone")


def find(place: PlaceAt, table: str) -> None:
    with contextlib.closing(sqlite3.connect(place.folder / "badges.db")) as db:
        db.execute(f"ALTER TABLE gone RENAME TO {table}")


def test_the_gateway_goes_on_and_the_place_can_be_opened_when_its_file_is_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            number = here.member("anne")
            lose(here, "tap")
            here.office.wake()
            await until(lambda: "badges cannot be used" in caplog.text)
            assert here.gateway is not None
            assert "no such table: tap" in here.gateway.status()["badge"]["error"]
            assert here.office.front.now.state == "unplugged"
            find(here, "tap")
            assert here.office.open_or_tell()
            assert here.show(number).state == "accepted"
            assert "error" not in here.gateway.status()["badge"]

    asyncio.run(scene())


def test_a_card_that_cannot_be_written_down_is_sent_to_the_desk_whatever_the_file_says(tmp_path: Path) -> None:
    async def scene() -> None:
        device = tmp_path / "scanner"
        os.mkfifo(device)
        scanner = os.open(device, os.O_RDWR | os.O_NONBLOCK)
        section = f'[[reader]]\nkind = "keyboard_wedge"\npath = "{device}"\n'
        async with places(tmp_path, HERE, extra=section) as made:
            (here,) = made.values()
            await until(lambda: here.office.readers[0].status()["state"] == "up")
            url = card.home_url(HERE, here.member("anne"))
            lose(here, "note")
            os.write(scanner, events(url))
            await until(lambda: here.office.front.now.reason == "not kept")
            assert here.office.front.now.state == "desk"
            find(here, "note")
        os.close(scanner)

    asyncio.run(scene())
