"""What the scenarios of the twelve faults share: places that play, their copies read, servers that answer nonsense."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import random
import re
import sqlite3
import subprocess
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import httpx

from balise_gateway.badges.billing import agreement, signatures
from balise_gateway.badges.billing.lines import Line, Lines
from balise_gateway.badges.billing.sessions import Session
from balise_gateway.badges.billing.settlement import Bill, settle
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.cards import writing
from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.register import Member
from balise_gateway.badges.showing import Showing
from balise_gateway.clock import UNKNOWN_MS
from balise_sim.nfc.cards import Card
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_wire import card
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from balise_wire.places import Table
from contracts.connector_ends import dokos, secret
from contracts.connector_ends._http import HttpEnd
from contracts.far_ends._mosquitto import free_port
from gateway.badges.cards.lying_chip import LyingChip
from gateway.badges.places import PlaceAt, places
from gateway.support import START_UTC_MS, FakeClock, until

HERE, THERE = "coroutine.example", "mappemonde.example"
ROOT = Path(__file__).parents[2]
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NONSENSE = ("500", "503", "429", "a page of the network", "a redirect", "no JSON", "endless", "no connection")
Scene = Callable[[PlaceAt, PlaceAt], Coroutine[Any, Any, None]]
# Tokens of Frappe (15 hex digits each), of code hosts, private keys, and any password that is given a value.
SECRETS = (
    rb"(?i)token [0-9a-f]{15}:[0-9a-f]{15}\b",
    rb"(?i)(?:api_?key|api_?secret)[\"']?\s*[:=]\s*[\"'][0-9a-f]{15}[\"']",
    rb"\b(?:gh[pousr]_[0-9A-Za-z]{36}|glpat-[0-9A-Za-z_-]{20})\b",
    rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}",
)
DEFAULT_PASSWORD = re.compile(rb"(?im)^[ \t#]*(?:password|secret|token|api_key)[ \t]*=[ \t]*\"[^\"\s]+\"")
CONFIGURED = {".toml", ".md", ".ini", ".env", ".yaml", ".yml", ".service"}


def played(folder: Path, scene: Scene, extra: str = "") -> None:
    async def whole() -> None:
        async with places(folder, HERE, THERE, extra=extra) as made:
            await scene(*made.values())

    asyncio.run(whole())


def table_of(*made: PlaceAt) -> Table:
    return Table(1, 0, tuple(place.entry() for place in made))


def partners(*others: PlaceAt) -> dict[str, bytes]:
    return {other.name: other.keys.signer.public_key for other in others}


async def again(place: PlaceAt, other: PlaceAt, extra: str = "", **more: float) -> None:
    """The place begins anew, after its power was cut or with another configuration."""
    await place.start(place.config(partners(other), extra, **more))  # type: ignore[arg-type]


async def lists_told(*made: PlaceAt) -> None:
    for place in made:
        place.office.records.home_lists.look_again()
    for place in made:
        await place.office.works.rounds.once()


def visits_in(envelopes: Iterable[bytes]) -> list[Visit]:
    """Each visit once: one that is said again after a power cut has the same bytes, and is the same."""
    items = [item for cose in envelopes for item in read_envelope(cose).items if isinstance(item, Visit)]
    return list({repr(sorted(item.map.items(), key=repr)): item for item in items}.values())


def visits_at(place: PlaceAt) -> list[int]:
    """The numbers of the taps that partners have delivered here."""
    return sorted(int(str(visit.map["tap"])) for visit in visits_in(place.office.records.exchange.envelopes()))


async def all_said(place: PlaceAt, visits: int) -> None:
    """So many visits of this place are signed in its home log."""
    await until(lambda: len(visits_in(own_visits(place.folder))) >= visits)


async def tap_said(place: PlaceAt, tap: int) -> None:
    """This tap is signed in its home log, whatever is forgotten there already."""
    await until(lambda: tap in [visit.map["tap"] for visit in visits_in(own_visits(place.folder))])


def said(place: PlaceAt) -> bool:
    """Whether the journal has every tap of the book."""
    return not place.office.records.book.unsaid()


def forget_that_it_was_said(folder: Path) -> None:
    """As a power cut leaves the disk between the commit of the journal and the one of the book."""
    with sqlite3.connect(folder / "badges.db") as db:
        assert db.execute("UPDATE tap SET said = 0 WHERE tap = (SELECT max(tap) FROM tap)").rowcount == 1
    db.close()


def bill_from(place: PlaceAt, table: Table, shuffle: int = 0) -> Bill:
    """As this place's own copy has it; `shuffle` brings the envelopes in another order."""
    envelopes = [*own_visits(place.folder), *place.office.records.exchange.envelopes()]
    if shuffle:
        random.Random(shuffle).shuffle(envelopes)
    inputs = Inputs(Trust.of([], table))
    for cose in envelopes:
        inputs.add_envelope(cose)
    told = agreement.load(place.folder.parent / "agreement.toml")
    return settle(inputs, told, signatures.check(told.path, told.raw, told.places, {}), None)


def sessions_from(place: PlaceAt, table: Table, shuffle: int = 0) -> list[Session]:
    return list(bill_from(place, table, shuffle).sessions)


def tapped(place: PlaceAt, number: str, *after_h: float, home: str = "") -> list[Showing]:
    """The card is shown after so many hours each."""
    shown = []
    for hours in after_h:
        place.clock.now_ms += round(hours * HOUR_MS)
        shown.append(place.show(number, home=home))
    return shown


class Nonsense(HttpEnd):
    """A server that never says anything useful."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer = answer

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        return httpx.Response(200, content=b"\xa1\x00" + body[:64])


class PiClock(FakeClock):
    """A clock without a battery: at power-on it stands at 1970 and knows that it knows nothing."""

    def __init__(self, utc_ms: int) -> None:
        super().__init__(utc_ms)
        self.wrong_by_ms = 0

    def set_wrong(self) -> None:
        self.wrong_by_ms, self.unsure_ms = -self.now_ms, UNKNOWN_MS

    def set_right(self) -> None:
        self.wrong_by_ms, self.unsure_ms = 0, 20

    def utc_ms(self) -> int:
        return self.now_ms + self.wrong_by_ms

    def boot_ms(self) -> int:
        return self.now_ms - START_UTC_MS


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    return [path for name in names if name and (path := ROOT / name.decode()).is_file()]


def secrets_in(path: Path, data: bytes) -> list[str]:
    """What looks like a secret in this file."""
    found = [pattern.decode() for pattern in SECRETS if re.search(pattern, data)]
    if path.suffix in CONFIGURED and DEFAULT_PASSWORD.search(data):
        found.append("a password with a value")
    return found


def forms_of(uid: bytes) -> list[bytes]:
    """The UID as anybody might write it down, and what anybody could compute of it without a key."""
    words = [uid.hex(between) if between else uid.hex() for between in ("", ":", "-", " ")]
    words += [each.upper() for each in words]
    words += [str(int.from_bytes(uid, "big")), str(int.from_bytes(uid, "little")), uid[::-1].hex()]
    words += [base64.b64encode(uid).decode().rstrip("="), base64.b32encode(uid).decode().rstrip("=")]
    spelt = (uid, uid.hex().encode(), uid.hex().upper().encode())
    digests = [hashlib.new(name, each).digest() for name in ("sha256", "sha1", "md5") for each in spelt]
    digests += [hmac.digest(b"", each, "sha256") for each in spelt]
    parts = [digest[:8] for digest in digests]  # a hash that was cut short is one all the same
    words += [part.hex() for part in parts] + [base64.b64encode(part).decode()[:10] for part in parts]
    return [uid, *parts, *(word.encode() for word in words)]


async def told_by(place: PlaceAt) -> bytes:
    """Everything that a running place tells whoever asks: status, metrics, the screen and the first of its events."""
    assert place.gateway is not None
    told = [repr(place.gateway.status()).encode()]
    transport = httpx.ASGITransport(place.roads.apps[place.name])
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{place.name}") as client:
        for path in ("/metrics", "/badge/screen"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            told.append(answer.content)
    told.append(await _first_event(place.roads.apps[place.name], "/badge/screen/events"))
    return b"\n".join(told)


async def _first_event(app: Any, path: str) -> bytes:
    """What an open page is told first; then it is closed."""
    heard, got, asked = bytearray(), asyncio.Event(), [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await got.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            heard.extend(message["body"])
            got.set()

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [], "scheme": "https", "server": ("here", 443), "client": ("there", 1), "root_path": ""}
    await app(scope, receive, send)
    assert heard.startswith(b"event:") or b"data:" in heard
    return bytes(heard)


def found_in(folder: Path, forms: list[bytes]) -> list[tuple[str, bytes]]:
    """Which file below has which of these, in any of its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    return [(path.name, form) for path in files for form in forms if form in path.read_bytes()]


def with_dokos(folder: Path) -> str:
    path = secret(folder, dokos.TOKEN)
    lines = ['kind = "dokos"', 'url = "https://erp.example/"', f'secret_file = "{path}"']
    return "\n".join(["[[connector]]", *lines, f'credit_type = "{dokos.CREDIT}"', ""])


def with_screen() -> str:
    return f'[[output]]\nkind = "screen_page"\n[page]\nport = {free_port()}\n'


def issued(place: PlaceAt, model: Card, kind: str, grade: int) -> None:
    """A card is written and given out, as `balise badge issue` does it."""
    last_day, number = 20_000, card.make_number(model.uid[-6:])
    wanted = writing.Wanted(place.name, grade, number, last_day=last_day if grade == 1 else 0)
    writing.write(LyingChip(model, kind), place.keys, wanted, lambda number: None)
    model.away()
    register = place.office.records.register
    register.put_member(Member(f"grade {grade}"))
    register.issue(number, f"grade {grade}", place.clock.now_ms // DAY_MS, grade=grade, uid=model.uid)


def lines_of(place: PlaceAt) -> list[Line]:
    with contextlib.closing(Lines(place.folder)) as lines:
        return lines.all()


async def laid(chip: Pn532Tty, model: Card, place: PlaceAt) -> bytes:
    """The card lies on the reader until there is a verdict, and is taken away; returns what the place tells then."""
    before = list(place.office.verdicts)
    chip.lay(model)
    await until(lambda: place.office.verdicts != before)
    told = await told_by(place)
    chip.take_away()
    place.clock.now_ms += HOUR_MS
    return told
