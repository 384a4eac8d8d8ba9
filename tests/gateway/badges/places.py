"""Places with badges for tests: each a real gateway's office on a folder, in one federation, on one clock.

The fakes stand at the edge: the clock, and the network between places (an httpx transport that finds each place's
ASGI application by its name, and can be cut).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from balise_gateway import keys as gateway_keys
from balise_gateway.badges.cards import keys
from balise_gateway.badges.office import Office
from balise_gateway.badges.register import Member
from balise_gateway.badges.seen import Seen
from balise_gateway.badges.showing import Showing
from balise_gateway.config import Config, parse
from balise_gateway.daemon import Gateway
from balise_wire import card
from balise_wire.envelope import Signer
from balise_wire.places import Place, Table, sign_table
from gateway.support import START_UTC_MS, FakeClock

MORNING_MS = 8 * 3_600_000
FEDERATION = Signer(b"f" * 32)
AGREEMENT = """
id = "test-2018"
currency = "EUR"
timezone = "Europe/Paris"
period = "month"
mode = "net"
[rules]
debounce_s = 120
day_starts = "04:00"
billable_grades = [0, 1, 2]
"""
PLACE_TERMS = """
[[place]]
id = "{name}"
price_cents = {cents}
half_day = {{ hours = {hours}, grace_min = 15, per_day_max = 2 }}
no_exit = 1
"""


class Roads(httpx.AsyncBaseTransport):
    """The network between places: each is found by its name; `cut` ones neither ask nor answer.

    `ends` are other servers by their names; one with a place's name answers instead of it.
    """

    def __init__(self) -> None:
        self.apps: dict[str, Any] = {}
        self.ends: dict[str, httpx.AsyncBaseTransport] = {}
        self.cut: set[str] = set()
        self.lose_answers_of: set[str] = set()

    def seen_from(self, name: str) -> "_Road":
        return _Road(self, name)


class _Road(httpx.AsyncBaseTransport):
    def __init__(self, roads: Roads, name: str) -> None:
        self._roads, self._name = roads, name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        there = request.url.host
        if {self._name, there} & self._roads.cut or there not in {*self._roads.apps, *self._roads.ends}:
            raise httpx.ConnectError("the link is cut", request=request)
        if there in self._roads.ends:
            return await self._roads.ends[there].handle_async_request(request)
        response = await _answered(self._roads.apps[there], request)
        if there in self._roads.lose_answers_of:
            raise httpx.ReadError("the answer was lost", request=request)
        return response


async def _answered(app: Any, request: httpx.Request) -> httpx.Response:
    """As httpx.ASGITransport, which looks for other kinds of loops at each request."""
    url = request.url
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method}
    scope |= {"scheme": url.scheme, "path": url.path, "raw_path": url.raw_path.split(b"?")[0], "root_path": ""}
    scope |= {"headers": [(name.lower(), value) for name, value in request.headers.raw], "query_string": url.query}
    scope |= {"server": (url.host, url.port), "client": ("127.0.0.1", 123)}
    body, told = await request.aread(), list[dict[str, Any]]()
    bodies = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(bodies, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in told[1:])
    return httpx.Response(told[0]["status"], headers=told[0]["headers"], content=content, request=request)


class PlaceAt:
    """One place: its folder, its gateway, its members."""

    def __init__(self, folder: Path, name: str, others: Sequence[str], roads: Roads, clock: FakeClock) -> None:
        self.folder, self.name, self.others, self.roads, self.clock = folder / name, name, others, roads, clock
        self.folder.mkdir(parents=True, exist_ok=True)
        self.signer, self.keys = gateway_keys.load_or_make(self.folder), keys.load_or_make(self.folder)
        self.gateway: Gateway | None = None
        self._stop, self._task = asyncio.Event(), asyncio.create_task(asyncio.sleep(0))

    def entry(self) -> Place:
        """What the table says of it."""
        base = f"https://{self.name}/badge"
        prefix, sign = self.name.partition(".")[0][:8], (self.keys.signer.public_key,)
        urls = (f"https://{self.name}/login", f"{base}/v1/lists", base)
        return Place(self.name, self.name, prefix, sign, self.keys.box_public, (self.signer.public_key,), *urls)

    def config(
        self,
        partners: dict[str, bytes],
        extra: str = "",
        *,
        batch_s: float = 0.1,
        home_batch_s: float = 0.2,
        badge: str = "",
    ) -> Config:
        lines = ["[gateway]", f'data_dir = "{self.folder}"', "commit_s = 0.05", f"home_batch_s = {home_batch_s}"]
        lines += ["[badge]", f'place = "{self.name}"', f'table_key = "{FEDERATION.public_key.hex()}"', badge]
        lines += [f'agreement = "{self.folder.parent / "agreement.toml"}"']
        for number, (partner, key) in enumerate(partners.items(), start=1):
            lines += ["[[hub]]", f'name = "{partner}"', 'kind = "native"', f'url = "https://{partner}/badge"']
            lines += [f"log = {number}", f'public_key = "{key.hex()}"', f"batch_s = {batch_s}"]
            lines += [f"retry_s = {max(1, min(3_600, batch_s))}", "[hub.grant]"]
            lines += ["channels = []", 'visits = ["*"]', "resolution_s = 0", 'purpose = "service"']
            lines += ['licence = "LicenseRef-no-reuse"', 'place = "none"']
        return parse("\n".join([*lines, extra, ""]), self.folder / "gateway.toml")

    async def start(self, config: Config) -> None:
        ready = asyncio.Event()
        self.gateway = Gateway(config, self.clock, transport=self.roads.seen_from(self.name))
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self.gateway.run(self._stop, ready.set))
        await ready.wait()
        self.roads.apps[self.name] = Starlette(routes=self.gateway.pages())

    async def stop(self) -> None:
        self._stop.set()
        await self._task

    async def crash(self) -> None:
        """The power goes: nothing more is committed or sent."""
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def office(self) -> Office:
        assert self.gateway is not None
        office = self.gateway.office
        assert office is not None
        return office

    def member(self, member: str, *, number: str = "", uid: bytes = b"", grade: int = 0, client: str = "") -> str:
        """A member with a card; returns its number."""
        register, today = self.office.records.register, self.clock.utc_ms() // 86_400_000
        if register.member(member) is None:
            register.put_member(Member(member, client))
        number = number or card.make_number(member.encode().ljust(6, b"~")[-6:])
        register.issue(number, member, today, grade=grade, uid=uid)
        return number

    def show(self, number: str = "", *, home: str = "", uid: bytes = b"", **more: Any) -> Showing:
        """Holds a card before the reader: its home's URL with the number, or its bare UID."""
        uri = card.home_url(home or self.name, number) if number else ""
        return self.office.take(Seen("card", "door", uid, uri, **more)).showing


@asynccontextmanager
async def places(folder: Path, *names: str, extra: str = "") -> AsyncIterator[dict[str, PlaceAt]]:
    """These places, running, each with the table of all."""
    roads, clock = Roads(), FakeClock(START_UTC_MS + MORNING_MS)
    terms = "".join(PLACE_TERMS.format(name=name, cents=800 + 100 * n, hours=4 + n) for n, name in enumerate(names))
    (folder / "agreement.toml").write_text(AGREEMENT + terms, encoding="utf-8")
    made = {name: PlaceAt(folder, name, [n for n in names if n != name], roads, clock) for name in names}
    table = sign_table(FEDERATION, Table(1, clock.utc_ms() // 1000, tuple(place.entry() for place in made.values())))
    keys_of = {name: place.keys.signer.public_key for name, place in made.items()}
    for name, place in made.items():
        (place.folder / "places.cose").write_bytes(table)
        await place.start(place.config({other: keys_of[other] for other in names if other != name}, extra))
    try:
        yield made
    finally:
        for place in made.values():
            await place.stop()
