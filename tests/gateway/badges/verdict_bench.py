"""From a card on the reader to the verdict on the screen: a whole place, a PN532 at its modelled line and air times."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.writing import Wanted, Written, write
from balise_gateway.badges.readers import Chip, pn532
from balise_gateway.badges.register import Member
from balise_sim.nfc import cards
from balise_sim.nfc.cards import Card
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_wire.card import make_number
from gateway.badges.places import PlaceAt, places
from gateway.support import START_UTC_MS, until

LIMIT_MS, TAPS = 300, 20
PLACE = "coroutine.example"
TODAY = START_UTC_MS // 86_400_000
_CARDS = (  # what it is called, chip, UID, grade
    ("old card, UID only (MIFARE Classic)", "mifare_classic", "a1b2c33d", 0),
    ("signed card (NTAG213)", "ntag21x", "04a1b2c3d4e5f6", 1),
    ("SUN card (NTAG 424 DNA)", "ntag424", "0463474aa26a80", 2),
)
Made = tuple[str, Card, Written, int]


async def _made(reader: Pn532Tty, folder: Path) -> list[Made]:
    """The cards, written over the same reader."""
    home, found = keys.load_or_make(folder / PLACE), []
    for name, kind, uid, grade in _CARDS:
        card = cards.make(kind, bytes.fromhex(uid))
        wanted = Wanted(PLACE, grade, make_number(name.encode()[:6]), last_day=TODAY + 365)

        def job(chip: Chip, wanted: Wanted = wanted) -> Written:
            return write(chip, home, wanted, lambda number: None)

        written = Written(wanted.spare, card.uid)
        if grade:
            reader.lay(card)
            settings = pn532.Settings(kind="pn532", name="door", path=reader.path)
            written = await pn532.Reader(settings).with_card(job, 60)
            reader.take_away()
        found.append((name, card, written, grade))
    return found


async def _took_ms(place: PlaceAt, reader: Pn532Tty, card: Card) -> tuple[float, float]:
    """(from laying it down to the verdict, the desk's part of it)."""
    office, before = place.office, place.office.records.book.counts()
    await until(lambda: office.front.now.state != "unplugged")
    began_s = time.perf_counter()
    reader.lay(card)
    while office.records.book.counts() == before:
        await asyncio.sleep(0.001)
    took_ms = (time.perf_counter() - began_s) * 1000
    reader.take_away()
    await asyncio.sleep(1.0)  # a card that is back sooner was never away
    place.clock.now_ms += 600_000
    assert office.verdicts[-1].showing.state == "accepted"
    return took_ms, office.verdicts[-1].took_ms


async def _measured(folder: Path) -> list[str]:
    lines = []
    (folder / PLACE).mkdir()
    with Pn532Tty(folder / "reader", pace=1.0) as reader:
        made = await _made(reader, folder)
        extra = f'[[reader]]\nkind = "pn532"\nname = "door"\npath = "{reader.path}"'
        async with places(folder, PLACE, extra=extra) as found:
            place = found[PLACE]
            for name, card, written, grade in made:
                place.office.records.register.put_member(Member(name))
                place.office.records.register.issue(written.number, name, TODAY, grade=grade, uid=card.uid)
                taps = [await _took_ms(place, reader, card) for _ in range(TAPS)]
                whole, desk = ([tap[part] for tap in taps] for part in (0, 1))
                figures = (statistics.median(whole), max(whole), statistics.median(desk))
                lines.append(f"| {name} | {figures[0]:.0f} | {figures[1]:.0f} | {LIMIT_MS} | {figures[2]:.1f} |")
    return lines


def verdict_table() -> list[str]:
    """For BENCHMARKS.md."""
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(_measured(Path(folder)))
    return [
        "## From card to verdict",
        "",
        f"A whole place without a network, {TAPS} taps each; the PN532 is a model at 115,200 baud that takes the time "
        "which line and air take (an estimate). Up to 100 ms are the",
        "wait for the next look (`poll_s`). The desk's part is recognising, finding, and the commit on this disk; "
        "a Pi Zero's processor is slower, by how much was not measured.",
        "",
        "| card | median, ms | worst, ms | limit, ms | of it the desk, ms |",
        "|---|---|---|---|---|",
        *rows,
    ]
