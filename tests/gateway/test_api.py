"""API v1: what a key opens, and what it does not. Real frames, journal and HTTP; requests go in at the ASGI app."""

import asyncio
import csv
import datetime
import io
import json
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from starlette.applications import Starlette

from balise_gateway import page
from balise_gateway.api import access, app, openapi
from balise_gateway.api.access import Access, Key
from balise_gateway.api.tally import Tally
from balise_gateway.config import PageSettings
from balise_gateway.errors import AccessError
from balise_gateway.grants.grant import Grant
from balise_gateway.journal import tables
from balise_gateway.logbook import spans
from balise_sim.processes import free_ports
from gateway.closing_bench import SITES, Bench
from gateway.support import CHANNELS, EVERYTHING, NAME, ROW, START_UTC_MS, AirNode, played

START_S = START_UTC_MS // 1000
DAY = datetime.date(2030, 1, 1)
ROWS = 130


@dataclass
class Api:
    """The API over a journal with `ROWS` rows of one node, a minute apart, the last ten in no envelope yet."""

    folder: Path
    now_s: float = 1_000.0
    keys: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench, node = Bench(self.folder), AirNode()
        frames = [node.hello(), *(node.row(START_S + 60 * (number + 1)) for number in range(ROWS))]
        played(self._fill(frames))
        self.bench.clock.now_ms = START_UTC_MS + 60_000 * ROWS + 5_000
        self.tally = Tally(self.bench.journal, self.bench.clock)
        door = Access(self.folder, lambda: self.now_s)
        zone = ZoneInfo("Europe/Paris")
        self.routes = app.routes(app.Room(self.bench.journal, self.bench.clock, door, self.tally, SITES, zone))
        self.app = Starlette(routes=self.routes)

    def _fill(self, frames: list[bytes]) -> Callable[[], Any]:
        async def scene() -> None:
            self.bench.take(*frames[:60])
            self.bench.close()
            self.bench.take(*frames[60:-10])
            self.bench.close()
            self.bench.take(*frames[-10:])
            assert self.bench.intake.commit()

        return scene

    def token(self, grant: Grant = EVERYTHING, *, per_min: int = 10_000, expires: datetime.date = DAY) -> str:
        key, token = access.make("Mairie", grant, expires, per_min)
        self.keys.append(key)
        access.write(self.folder, self.keys)
        return token

    def get(self, path: str, token: str | None = None, **params: Any) -> httpx.Response:
        found: list[httpx.Response] = []

        async def scene() -> None:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://station") as client:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                renamed = {name.rstrip("_"): value for name, value in params.items()}
                found.append(await client.get(f"/api/v1/{path}", params=renamed, headers=headers))

        played(scene)
        return found[0]


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path)


def times(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["time"] for row in answer.json()["rows"]]


def minute(number: int) -> str:
    moment = datetime.datetime.fromtimestamp(START_S + 60 * number, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("uncertainty_ms", [50, 60_000])
def test_a_row_is_told_alike_before_and_after_it_is_in_the_home_log(api: Api, uncertainty_ms: int) -> None:
    """Also one that was dated by its boot's anchor, and one whose anchor is too unsure to stand for itself."""
    token, node = api.token(), AirNode(boot=7)
    anchored = node.anchor(10_000_345, START_UTC_MS + 10_000_000, uncertainty_ms)

    async def commit() -> None:
        api.bench.take(node.hello(), anchored, node.row(4_000, since_boot=True))
        assert api.bench.intake.commit()

    async def close() -> None:
        api.bench.close()

    api.bench.clock.now_ms += 60_000
    played(commit)
    rows = [api.get("history", token, from_=minute(0)).json()["rows"]]
    played(close)
    rows.append(api.get("history", token, from_=minute(0)).json()["rows"])
    assert rows[0] == rows[1]
    assert len(rows[0]) == ROWS + 1
    unsure = [row for row in rows[0] if "uncertainty_ms" in row]
    assert len(unsure) == (uncertainty_ms > 5_000)


def test_without_a_key_nothing_is_told_but_the_document(api: Api) -> None:
    assert api.get("openapi.json").status_code == 200
    for path in ("streams", "latest", "history", "export", "events"):
        for token in (None, "", "balise_x_y", "x" * 5_000):
            answer = api.get(path, token)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert NAME not in answer.text


def test_history_gives_every_row_once_in_pages_with_exact_values(api: Api) -> None:
    token, found, since = api.token(), [], minute(0)
    while since is not None:
        answer = api.get("history", token, from_=since, limit=48)
        found += times(answer)
        since = answer.json()["next"]
    assert found == [minute(number + 1) for number in range(ROWS)]
    row = answer.json()["rows"][-1]
    assert row["values"] == {"pm2_5": 2.7, "pm10": 4.1, "temperature": 7.22, "humidity": 84.83, "pressure": 98797}
    meaning = answer.json()["streams"][f"{NAME}/pm2_5"]
    assert meaning["unit"] == "ug/m3"
    assert meaning["trust"] == "gateway-witnessed"


def test_times_and_streams_narrow_the_answer(api: Api) -> None:
    token = api.token()
    answer = api.get("history", token, from_=minute(5), to=minute(8), stream=["*/pm*", "*/humidity"])
    assert times(answer) == [minute(5), minute(6), minute(7)]
    assert set(answer.json()["rows"][0]["values"]) == {"pm2_5", "pm10", "humidity"}
    paris = api.get("history", token, from_=START_UTC_MS, to="2018-12-09T01:02:00+01:00")
    assert times(paris) == [minute(1)]


def test_latest_is_the_newest_row_committed(api: Api) -> None:
    assert times(api.get("latest", api.token())) == [minute(ROWS)]


def test_a_scope_hides_channels_nodes_and_what_is_indoors(api: Api) -> None:
    pm = api.token(replace(EVERYTHING, channels=("pm*",)))
    assert set(api.get("streams", pm).json()["streams"]) == {f"{NAME}/pm2_5", f"{NAME}/pm10"}
    assert set(api.get("latest", pm).json()["rows"][0]["values"]) == {"pm2_5", "pm10"}
    assert "temperature" not in api.get("export", pm).text
    elsewhere = api.token(replace(EVERYTHING, nodes=("urn:dev:ops:other",)))
    assert times(api.get("history", elsewhere, from_=minute(0))) == []
    outdoors = api.token(replace(EVERYTHING, indoor=False))
    assert times(api.get("history", outdoors, from_=minute(0))) == []


def test_a_coarse_key_sees_whole_windows_that_are_over_and_nothing_finer(api: Api) -> None:
    token = api.token(replace(EVERYTHING, resolution_s=600))
    answer = api.get("history", token, from_=minute(0))
    assert times(answer) == [minute(10 * number) for number in range(ROWS // 10)]
    assert answer.json()["window_s"] == 600
    agg = answer.json()["streams"][f"{NAME}/temperature"]["agg"]
    assert agg["window_s"] == 600
    assert answer.json()["rows"][0]["values"]["temperature"] == ROW[2] / 100
    api.bench.clock.now_ms -= 6_000  # the last window has four seconds to go
    assert times(api.get("history", token, from_=minute(0)))[-1] == minute(ROWS - 20)
    for window_s in (0, 60, 599, 900):
        assert api.get("history", token, window_s=window_s).status_code == 403
    assert times(api.get("history", token, from_=minute(0), window_s=1_200))[0] == minute(0)
    assert api.get("events", token).status_code == 403


def test_a_delayed_key_sees_nothing_younger(api: Api) -> None:
    token = api.token(replace(EVERYTHING, delay_s=1_800.0))
    assert times(api.get("history", token, from_=minute(0)))[-1] == minute(ROWS - 30)
    assert times(api.get("latest", token)) == [minute(ROWS - 30)]
    api.bench.clock.unsure_ms = 1 << 30
    assert api.get("history", token).status_code == 503


def test_export_is_csv_with_the_meaning_beside_each_value(api: Api) -> None:
    answer = api.get("export", api.token(), from_=minute(0), to=minute(4))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == 3 * len(CHANNELS)
    assert lines[0]["value"] == "2.7"
    assert lines[0]["unit"] == "ug/m3"
    assert lines[0]["trust"] == "gateway-witnessed"
    senml = json.loads(api.get("export", api.token(), from_=minute(0), format="senml").text)
    assert len(senml) == ROWS * len(CHANNELS)
    assert senml[0] == {"n": f"{NAME}:pm2_5", "u": "ug/m3", "t": START_S + 60, "v": 2.7}
    assert api.get("export", api.token(), format="xlsx").status_code == 400


def test_a_wrong_question_says_what_to_try(api: Api) -> None:
    token = api.token()
    for params, told in (
        ({"limit": "0"}, "from 1 to 10000"),
        ({"limit": "many"}, "a whole number"),
        ({"from_": "yesterday"}, "RFC 3339"),
        ({"from_": "2018-12-09T00:00:00"}, "with its offset"),
        ({"from_": minute(9), "to": minute(8)}, "exchange them"),
        ({"form": "csv"}, "this path takes: stream, window_s"),
    ):
        answer = api.get("history", token, **params)
        assert answer.status_code == 400
        assert told in answer.json()["detail"]


def test_a_revoked_or_expired_key_is_refused_with_the_next_request(api: Api) -> None:
    token, other = api.token(), api.token()
    assert api.get("latest", token).status_code == 200
    access.write(api.folder, api.keys[1:])
    assert api.get("latest", token).status_code == 401
    assert api.get("latest", other).status_code == 200
    yesterday = datetime.date(2018, 12, 8)
    assert api.get("latest", api.token(expires=yesterday)).status_code == 401
    assert api.get("latest", api.token(expires=datetime.date(2018, 12, 9))).status_code == 200


def test_a_rate_is_kept_and_says_when_to_come_again(api: Api) -> None:
    token = api.token(per_min=3)
    codes = [api.get("latest", token).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    assert api.get("latest", token).headers["retry-after"] == "20"
    api.now_s += 21
    assert api.get("latest", token).status_code == 200


def test_the_file_of_keys_keeps_no_token_and_is_its_owners_only(api: Api) -> None:
    token = api.token()
    path = api.folder / access.FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token.rsplit("_", 1)[1] not in path.read_text(encoding="utf-8")
    assert access.read(api.folder) == api.keys
    path.write_text("[{]", encoding="utf-8")
    with pytest.raises(AccessError, match=r"access\.json"):
        access.read(api.folder)
    assert api.get("latest", token).status_code == 503


def test_every_read_is_in_the_ledger(api: Api) -> None:
    token = api.token()
    api.get("history", token, from_=minute(0), limit=30)
    size = len(api.get("export", token, from_=minute(0)).content)
    api.tally.flush()
    api.tally.flush()
    (row,) = tables.LEDGER.read(api.bench.journal.db)
    assert row[1:7] == (api.bench.clock.now_ms, "Mairie", "research", None, None, None)
    assert row[7] == 30 - 1 + 1 + ROWS
    assert row[8] > size


def test_envelopes_without_spans_get_them(api: Api) -> None:
    token = api.token()
    db = api.bench.journal.db
    before = list(tables.SPAN.read(db, "TRUE ORDER BY seq"))
    assert len(before) == 2
    db.execute("DELETE FROM span")
    assert spans.fill(db) == 2
    assert [row[2:] for row in tables.SPAN.read(db, "TRUE ORDER BY seq")] == [row[2:] for row in before]
    assert len(times(api.get("history", token, from_=minute(0)))) == ROWS


def test_events_tell_new_rows_over_a_real_connection_until_the_key_is_revoked(api: Api) -> None:
    token = api.token()

    async def scene() -> None:
        (port,) = free_ports(1)
        serving = asyncio.create_task(page.serve(PageSettings(port=port), dict, api.routes))
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(START_UTC_MS + 60_000 * (ROWS - 2))}
        lines: list[str] = []
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await _reachable(client)
            async for line in _lines(client, headers):
                lines.append(line)
                if line.startswith("data:") and minute(ROWS) in line:
                    access.write(api.folder, [])
        serving.cancel()
        await asyncio.wait([serving])
        told = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
        assert [row["time"] for row in told] == [minute(ROWS - 1), minute(ROWS)]

    played(scene)


async def _lines(client: httpx.AsyncClient, headers: dict[str, str]) -> AsyncIterator[str]:
    async with client.stream("GET", "/api/v1/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            yield line


async def _reachable(client: httpx.AsyncClient) -> None:
    async def answers() -> bool:
        try:
            return (await client.get("/api/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    while not await answers():
        await asyncio.sleep(0.05)


def test_the_document_is_valid_openapi() -> None:
    validate(openapi.document())


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(URL, token) of a station on a real port, in a thread of its own."""
    folder, told, over = tmp_path_factory.mktemp("station"), Queue[tuple[str, str]](), threading.Event()

    def live() -> None:
        api = Api(folder)

        async def scene() -> None:
            (port,) = free_ports(1)
            serving = asyncio.create_task(page.serve(PageSettings(port=port), dict, api.routes))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                await _reachable(client)
            told.put((f"http://127.0.0.1:{port}", api.token(per_min=6_000)))
            while not over.is_set():
                await asyncio.sleep(0.02)
            serving.cancel()
            await asyncio.wait([serving])

        played(scene)
        api.bench.journal.close()

    thread = threading.Thread(target=live)
    thread.start()
    yield told.get(timeout=20)
    over.set()
    thread.join()


@pytest.mark.parametrize("path", [path for path in openapi.document()["paths"] if not path.endswith("events")])
def test_answers_are_as_the_document_says_whatever_is_asked(path: str, station: tuple[str, str]) -> None:
    """Not of events: a stream has no end."""
    url, token = station
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path]["GET"].as_strategy())
    def check(case: Any) -> None:
        # OpenAPI cannot say that `from` must be before `to`
        unsaid = [schemathesis.checks.positive_data_acceptance]
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=unsaid)

    check()


def test_texts_that_no_key_is_made_of_open_nothing(tmp_path: Path) -> None:
    door = Access(tmp_path, lambda: 0.0)
    key, token = access.make("x", EVERYTHING, DAY, 1)
    access.write(tmp_path, [key])
    assert door.find(token) == key
    for changed in (token[:-1], token + "a", token.upper(), token.replace("_", "", 1), f" {token}", ""):
        assert door.find(changed) is None or changed == token
