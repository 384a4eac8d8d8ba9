"""What single hubs over HTTP want beyond the suite that all share: partial success, pins, ids, what is late."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from balise_gateway.config import parse
from balise_gateway.errors import ConfigError, HubAway, HubDenied, HubError, HubRefused
from balise_gateway.hubs import RowHub
from balise_gateway.hubs.opensensemap import MAX_VALUES, parts_of
from balise_gateway.hubs.opensensemap import NodeAt as Box
from balise_gateway.hubs.sensor_community import NodeAt as Registered
from balise_gateway.hubs.sensorthings import NodeAt as Streams
from balise_gateway.hubs.smart_citizen import MAX_UNSEEN
from balise_gateway.hubs.smart_citizen import NodeAt as Device
from balise_gateway.logbook.rows import HubRow
from contracts.far_ends import AIR, ROWS, START_UTC_MS, STREET, far_end, row
from contracts.far_ends._http import HttpFarEnd
from gateway.support import played, toml

Answer = Callable[[httpx.Request, bytes], httpx.Response | None]


def there(kind: str, folder: Path, answer: Answer = lambda request, body: None) -> HttpFarEnd:
    """The far end of the suite, with other answers where `answer` gives one."""
    made = far_end(kind, folder)
    assert isinstance(made, HttpFarEnd)
    usual = made.take
    made.take = lambda request, body: answer(request, body) or usual(request, body)  # type: ignore[method-assign]
    return made


def sent(hub: RowHub, rows: Sequence[HubRow] = ROWS, error: type[HubError] | None = None) -> Any:
    """What sending gives, or the error that it must raise."""
    found: list[Any] = []

    async def scene() -> None:
        if error is None:
            found.append(await hub.send(rows))
        else:
            with pytest.raises(error) as caught:
                await hub.send(rows)
            found.append(caught.value)
        await hub.close()

    played(scene)
    return found[0]


def stamped(*utc_s: float) -> list[HubRow]:
    """Rows of one value at these seconds after the start."""
    return [
        row(9, number, AIR, START_UTC_MS + round(1000 * second), pm2_5=10 * number)
        for number, second in enumerate(utc_s)
    ]


STRANGER = "urn:dev:ops:b4115e-new-09"


@pytest.mark.parametrize("kind", ["sensor_community", "opensensemap", "smart_citizen", "sensorthings"])
def test_a_node_without_a_place_is_refused_with_what_to_add_and_the_others_are_kept(kind: str, tmp_path: Path) -> None:
    far = there(kind, tmp_path)
    error = sent(far.hub(), [row(7, 0, STRANGER, START_UTC_MS, pm2_5=1), *ROWS], HubRefused)
    assert error.reasons.keys() == {0}
    assert f'add [hub.nodes."{STRANGER}"] with ' in error.reasons[0]
    assert {held.node for held in far.held()} == {AIR, STREET}


@pytest.mark.parametrize(
    ("kind", "node"),
    [
        ("opensensemap", Box(box="5" * 24, sensors={"pm10": "6" * 24})),
        ("smart_citizen", Device(device=1616, sensors={"pm10": "88"})),
        ("sensorthings", Streams(datastreams={"pm10": "11"})),
    ],
)
def test_a_row_without_any_place_says_which_channels(kind: str, node: object, tmp_path: Path) -> None:
    far = there(kind, tmp_path)
    error = sent(far.hub(nodes={AIR: node}), [row(7, 0, AIR, START_UTC_MS, pm2_5=1)], HubRefused)
    assert "for pm2_5: add" in error.reasons[0]
    assert far.requests == 0


def test_sensor_community_needs_to_know_which_sensor_it_is(tmp_path: Path) -> None:
    """An unknown model's climate has no X-PIN; its dust is sent all the same, and a pin that is given is used."""
    far = there("sensor_community", tmp_path)
    rows = [replace(ROWS[0], about={"channels": [{"n": "temperature", "model": "sen66"}]})]
    error = sent(far.hub(), rows, HubRefused)
    told = f'no X-PIN for the sensor \'sen66\': add temperature = "11" to pins of [hub.nodes."{AIR}"]'
    assert error.reasons == {0: told}
    assert {held.channel for held in far.held()} == {"pm2_5", "pm10"}
    pins = dict.fromkeys(("temperature", "humidity", "pressure"), "11")
    sent(far.hub(nodes={AIR: Registered(id="esp32-1234567", pins=pins)}), rows)
    assert Counter(held.channel for held in far.held())["temperature"] == 1


def test_opensensemap_never_sends_more_values_than_it_takes() -> None:
    rows = [replace(ROWS[0], index=number) for number in range(1_000)]
    box = Box(box="5" * 24, sensors={value.channel: "6" * 24 for value in ROWS[0].values})
    values = Counter[object]()
    for part in parts_of(rows, {AIR: box}, {}):
        values[part.group] += part.payload.count("\n")
    assert sum(values.values()) == 5_000
    assert max(values.values()) <= MAX_VALUES


def test_sensorthings_error_rows_are_refused_and_never_sent_twice(tmp_path: Path) -> None:
    """One observation of the first row fails: that row is parked, its others are not sent again with it."""
    bad = {"left": 1}

    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        if not bad["left"]:
            return None
        bad["left"] = 0
        count = sum(array["dataArray@iot.count"] for array in json.loads(body))
        links: list[object] = [f"https://frost.example/v1.1/Observations({number})" for number in range(count)]
        return httpx.Response(201, json=["error", *links[1:]])

    far = there("sensorthings", tmp_path, answer)
    hub = far.hub()
    assert sent(hub, ROWS, HubRefused).reasons == {0: "the hub answered 'error' for this observation"}
    sent(hub, ROWS[:1])  # its second try, a day later
    ((only,),) = [array["dataArray"] for array in json.loads(far.log[-1][1])]
    assert only == ["2018-12-09T00:00:00.000Z", 2.7]


def test_sensorthings_makes_only_what_is_not_there(tmp_path: Path) -> None:
    """The Thing of AIR and one Datastream are found by name, everything else is made once."""
    made = Counter[str]()

    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        kind = request.url.path.removeprefix("/v1.1/")
        if kind == "CreateObservations":
            count = sum(array["dataArray@iot.count"] for array in json.loads(body))
            return httpx.Response(201, json=[f"https://frost.example/o({n})" for n in range(count)])
        if request.method == "POST":
            made[kind] += 1
            where = f"https://frost.example/v1.1/{kind}({100 + made[kind]})"
            return httpx.Response(201, headers={"Location": where})
        if kind == "Things" and AIR in request.url.params["$filter"]:
            return httpx.Response(200, json={"value": [{"@iot.id": 5, "name": AIR}]})
        if kind == "Things(5)/Datastreams":
            return httpx.Response(200, json={"value": [{"@iot.id": 10, "name": "pm2_5"}]})
        return httpx.Response(200, json={"value": []})

    far = there("sensorthings", tmp_path, answer)
    hub = far.hub(nodes={}, create=True)
    for _ in range(2):
        sent(hub)
    assert made == {"Things": 1, "Datastreams": 7, "FeaturesOfInterest": 2}
    streams = [json.loads(body) for request, body in far.log if request.url.path.endswith("v1.1/Datastreams")]
    assert {stream["Thing"]["@iot.id"] for stream in streams} == {5, 101}
    assert streams[0]["unitOfMeasurement"]["symbol"] == "µg/m³"
    quoted = [request.url.params["$filter"] for request, _ in far.log if "$filter" in request.url.params]
    assert f"name eq '{AIR}'" in quoted


def test_sensorthings_tells_a_window_as_an_interval(tmp_path: Path) -> None:
    far = there("sensorthings", tmp_path)
    hour = replace(ROWS[0], values=ROWS[0].values[:1], about={"channels": [{"n": "pm2_5", "agg": {"window_s": 3600}}]})
    hub = far.hub()
    far.take = lambda request, body: httpx.Response(201, json=["https://frost.example/o(1)"])  # type: ignore[method-assign]
    sent(hub, [hour])
    (array,) = json.loads(far.log[-1][1])
    assert array["dataArray"] == [["2018-12-09T00:00:00.000Z/2018-12-09T01:00:00.000Z", 2.7]]


PLACE = {"place": {"lon_udeg": 2_352_000, "lat_udeg": 48_857_000, "cell_m": 1000}}  # as a grant tells it


def test_the_place_that_the_grant_tells_is_told_and_no_other(tmp_path: Path) -> None:
    somewhere, nowhere = replace(stamped(0)[0], about=PLACE), row(9, 1, STREET, START_UTC_MS, pm2_5=1)
    far = there("ngsi_ld", tmp_path)
    sent(far.hub(), [somewhere, nowhere])
    points = [entity.get("location") for entity in far.entities.values()]  # type: ignore[attr-defined]
    assert points[0]["value"]["coordinates"] == [Decimal("2.352"), Decimal("48.857")]  # longitude first
    assert points[1:] == [None]


def test_sensorthings_makes_a_place_where_the_grant_tells_one(tmp_path: Path) -> None:
    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        if request.method == "GET":
            return httpx.Response(200, json={"value": []})
        if request.url.path.endswith("CreateObservations"):
            return httpx.Response(201, json=["https://frost.example/o(1)"])
        return httpx.Response(201, headers={"Location": f"{request.url}('a-1')"})

    far = there("sensorthings", tmp_path, answer)
    sent(far.hub(nodes={}, create=True), [replace(stamped(0)[0], about=PLACE)])
    made = {request.url.path.rpartition("/")[2]: json.loads(body) for request, body in far.log if body}
    point = {"type": "Point", "coordinates": [2.352, 48.857]}
    (location,) = made["Things"]["Locations"]
    assert (location["location"], location["description"]) == (point, "the middle of a cell of 1000 m")
    assert made["FeaturesOfInterest"]["feature"]["geometry"] == point
    assert made["CreateObservations"][0]["dataArray"] == [["2018-12-09T00:00:00.000Z", 0.0, "a-1"]]


def test_ngsi_ld_never_lets_an_old_value_become_now(tmp_path: Path) -> None:
    """Also after a start: the broker is asked what it has."""
    far = there("ngsi_ld", tmp_path)
    sent(far.hub(), stamped(100))
    hub = far.hub()
    sent(hub, stamped(50, 100, 75))
    sent(hub, stamped(99))
    (now,) = far.entities.values()  # type: ignore[attr-defined]
    assert now["pm25"]["observedAt"] == "2018-12-09T00:01:40.000Z"
    late = [json.loads(body)["pm25"] for request, body in far.log if "temporal" in request.url.path]
    assert [[found["observedAt"][17:19] for found in each] for each in late] == [["50", "15"], ["39"]]


def test_ngsi_ld_without_history_sends_nothing_late(tmp_path: Path) -> None:
    far = there("ngsi_ld", tmp_path)
    hub = far.hub(temporal=False)
    assert (hub.traits.accepts_past, hub.traits.idempotent) == (False, True)
    sent(hub, stamped(100))
    sent(hub, stamped(50))
    assert [held.utc_ms for held in far.held()] == [START_UTC_MS + 100_000]


def test_ngsi_ld_207_refuses_the_rows_of_the_entities_it_names(tmp_path: Path) -> None:
    name = f"urn:ngsi-ld:AirQualityObserved:{STREET}"

    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        told = {"entityId": name, "error": {"status": 400, "title": "Bad", "detail": "no such unit"}}
        return httpx.Response(207, json={"success": [], "errors": [told]}) if "upsert" in str(request.url) else None

    error = sent(there("ngsi_ld", tmp_path, answer).hub(), ROWS, HubRefused)
    assert error.reasons == {1: "400: Bad: no such unit"}


@pytest.mark.parametrize("told", [{"errors": "all"}, [], {}])
def test_ngsi_ld_207_without_a_list_is_no_answer(told: object, tmp_path: Path) -> None:
    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        return httpx.Response(207, json=told) if "upsert" in str(request.url) else None

    sent(there("ngsi_ld", tmp_path, answer).hub(), ROWS, HubAway)


def test_ngsi_ld_without_a_temporal_interface_is_told_to_the_host(tmp_path: Path) -> None:
    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        return httpx.Response(501) if "temporal" in request.url.path else None

    assert "temporal = false" in str(sent(there("ngsi_ld", tmp_path, answer).hub(), ROWS, HubDenied))


def test_smart_citizen_a_wrong_sensor_is_found_although_the_hub_says_yes(tmp_path: Path) -> None:
    """200 for an id that does not exist: it never shows, and after some tries only rows with it are refused."""

    def answer(request: httpx.Request, body: bytes) -> httpx.Response | None:
        shows = request.method != "GET" or request.url.params["sensor_id"] != "53"
        return None if shows else httpx.Response(200, json={"readings": []})

    far = there("smart_citizen", tmp_path, answer)
    hub = far.hub()
    for _ in range(MAX_UNSEEN - 1):
        assert sent(hub, ROWS, HubAway).retry_after_s == 60.0
    error = sent(hub, ROWS, HubRefused)
    assert error.reasons.keys() == {1}
    assert "does not show sensor 53" in error.reasons[1]
    assert sum(request.method == "POST" and "1616" in request.url.path for request, _ in far.log) == 1


NODES = '[hub.nodes."urn:dev:ops:b4115e-air-01"]'


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("[hub.nodes]\nbox = 3", "hub 1: nodes: must be one table per name, such as [hub.nodes."),
        (f"{NODES}\nboxx = 3", "unknown key 'boxx'; did you mean 'box'?"),
        (f"{NODES}\nbox = '{'5' * 24}'", "the key 'sensors' is missing"),
        (f"{NODES}\nbox = '5'\nsensors = {{}}", "box = '5': an id of openSenseMap has 24 small letters"),
        (f"{NODES}\nbox = '{'5' * 24}'\nsensors = {{ pm2_5 = 3 }}", "sensors: must be a table of name ="),
        ("nodes = 3", "hub 1: nodes: must be one table per name, such as [hub.nodes."),
    ],
)
def test_a_table_per_node_names_file_node_and_key(lines: str, told: str, tmp_path: Path) -> None:
    text = toml(tmp_path, hubs=0, extra=f'[[hub]]\nname = "map"\nkind = "opensensemap"\nlog = 1\n{lines}\n')
    with pytest.raises(ConfigError) as caught:
        parse(text, tmp_path / "gateway.toml")
    assert told in str(caught.value)
    assert str(caught.value).startswith("gateway.toml: hub 1: nodes")


def test_a_table_per_node_becomes_settings_without_its_secrets_in_sight(tmp_path: Path) -> None:
    lines = f"{NODES}\nbox = '{'5' * 24}'\ntoken = 's3cr3t'\nsensors = {{ pm2_5 = '{'6' * 24}' }}"
    text = toml(tmp_path, hubs=0, extra=f'[[hub]]\nname = "map"\nkind = "opensensemap"\nlog = 1\n{lines}\n')
    (hub,) = parse(text, tmp_path / "gateway.toml").hubs
    assert hub.nodes == {AIR: Box(box="5" * 24, token="s3cr3t", sensors={"pm2_5": "6" * 24})}  # type: ignore[attr-defined]
    assert "s3cr3t" not in repr(hub)
