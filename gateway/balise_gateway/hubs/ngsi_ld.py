"""NGSI-LD (FIWARE): what is now by `entityOperations/upsert`, what came late by the temporal interface.

A node is one entity per data model: `AirQualityObserved` and `NoiseLevelObserved`, with `observedAt` and `unitCode`
(UN/CEFACT) on each attribute. An upsert of an old value would overwrite the newer one, so the newest of each attribute
is remembered, asked of the broker once after a start, and whatever is older goes to `temporal/entities`. With
`temporal = false` nothing late is sent at all. A temporal repeat may be kept twice by a broker; a kill between its
answer and the journal's commit repeats the one batch in flight.

The stamp is the row's time, of a window its start; `dateObservedFrom` and `dateObservedTo` then tell the window. A
207 names the entities that were refused: their rows are refused, the others are kept.

Sources: ETSI GS CIM 009 sections 5.6.8 (upsert), 5.6.11 (temporal), 6.3.5 (Link, never @context beside it);
smart-data-models dataModel.Environment (AirQualityObserved: relativeHumidity from 0 to 1; NoiseLevelObserved);
UNECE Recommendation 20.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any
from urllib.parse import quote

from balise_gateway.delivery.http_hub import Answer, Http, HttpHubSettings, Part, Parts, bearer, header_problem
from balise_gateway.delivery.row_parts import iso, lon_lat, window_s
from balise_gateway.errors import HubAway, HubDenied, HubRefused
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import Key

AIR, NOISE = "AirQualityObserved", "NoiseLevelObserved"
# channel: data model, attribute, unit code, and the power of ten from our unit to theirs
WORDS: dict[str, tuple[str, str, str, int]] = {
    "pm1": (AIR, "pm1", "GQ", 0),
    "pm2_5": (AIR, "pm25", "GQ", 0),
    "pm4": (AIR, "pm4", "GQ", 0),
    "pm10": (AIR, "pm10", "GQ", 0),
    "co2": (AIR, "co2", "59", 0),
    "temperature": (AIR, "temperature", "CEL", 0),
    "humidity": (AIR, "relativeHumidity", "C62", -2),
    "pressure": (AIR, "atmosphericPressure", "A97", -2),  # Pa to hPa
    "laeq": (NOISE, "LAeq", "2N", 0),
    "lamin": (NOISE, "LAmin", "2N", 0),
    "lamax": (NOISE, "LAmax", "2N", 0),
    "la10": (NOISE, "LA10", "2N", 0),
    "la50": (NOISE, "LA50", "2N", 0),
    "la90": (NOISE, "LA90", "2N", 0),
}
CONTEXT = "https://raw.githubusercontent.com/smart-data-models/dataModel.Environment/master/context.jsonld"


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "ngsi_ld"."""

    url: Annotated[str, Key('the broker, such as "https://orion.example"; /ngsi-ld/v1 is added')]
    token: Annotated[str, Key("the token (Bearer); empty where none is asked for")] = field(default="", repr=False)
    tenant: Annotated[str, Key("the tenant (NGSILD-Tenant), where there are several")] = ""
    context: Annotated[str, Key("the address of the JSON-LD context")] = CONTEXT
    temporal: Annotated[bool, Key("the broker has the temporal interface: late values go there")] = True

    def problem(self) -> str | None:
        told = header_problem(token=self.token, tenant=self.tenant, context=self.context)
        return told or super().problem()


class Hub:
    """One broker."""

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self.traits = Traits(
            accepts_past=settings.temporal,
            idempotent=not settings.temporal,
            ordered=not settings.temporal,
            batch_limit_bytes=512 * 1024,
            batch_limit_rows=200,
            channels=frozenset(WORDS),
        )
        self._settings, self._parts = settings, Parts()
        self._http = Http(transport, settings.timeout_s, f'a hub of kind "{settings.kind}"', [settings.token])
        self._newest: dict[str, dict[str, str]] = {}  # observedAt by entity and attribute

    async def send(self, rows: Sequence[HubRow]) -> int:
        told = [
            (index, row, model, _attributes(row, model))
            for index, row in enumerate(rows)
            for model in (AIR, NOISE)
            if any(WORDS[value.channel][0] == model for value in row.values)
        ]
        newest: dict[str, dict[str, str]] = {}
        for _, row, model, attributes in told:
            name = _entity_id(row, model)
            if name not in newest:
                newest[name] = dict(await self._known(name))
            for attribute in attributes:
                newest[name][attribute] = max(newest[name].get(attribute, ""), iso(row.utc_ms))
        fresh, behind = [], []
        for index, row, model, attributes in told:
            entity = {"id": _entity_id(row, model), "type": model}
            at = iso(row.utc_ms)
            now = {name: found for name, found in attributes.items() if newest[entity["id"]][name] <= at}
            late = {name: found for name, found in attributes.items() if name not in now}
            key = (row.seq, row.index, model)
            if now:
                fresh.append(Part(index, (*key, "now"), ("now",), {**entity, **now, **_location(row)}))
            if late and self._settings.temporal:
                behind.append(Part(index, (*key, "late"), ("late", entity["id"]), {**entity, **late}))
        return await self._parts.send(fresh + behind, self._post, {})

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, parts: Sequence[Part]) -> int:
        if parts[0].group[0] == "late":
            return await self._post_late(parts)
        entities: dict[str, dict[str, object]] = {}
        for part in parts:
            entities.setdefault(part.payload["id"], {}).update(part.payload)
        body = json.dumps(list(entities.values())).encode()
        url = f"{self._settings.base}/ngsi-ld/v1/entityOperations/upsert?options=update"
        answer = await self._http.ask("POST", url, self._headers(), body, ok=(201, 204, 207))
        errors = _errors(answer) if answer.status == 207 else {}
        for part in parts:
            if part.payload["id"] not in errors:
                self._note(part.payload)
        reasons = {number: errors[name] for number, part in enumerate(parts) if (name := part.payload["id"]) in errors}
        if reasons:
            raise HubRefused(f"{len(errors)} of {len(entities)} entities refused", reasons)
        if errors:
            raise HubRefused(f"207, for entities that were not sent: {next(iter(errors.values()))}", {})
        return len(body)

    async def _post_late(self, parts: Sequence[Part]) -> int:
        entity: dict[str, object] = {"id": parts[0].payload["id"], "type": parts[0].payload["type"]}
        series: dict[str, list[object]] = {}
        for part in parts:
            for attribute, found in part.payload.items():
                if isinstance(found, dict):
                    series.setdefault(attribute, []).append(found)
        body = json.dumps(entity | series).encode()
        url = f"{self._settings.base}/ngsi-ld/v1/temporal/entities"
        answer = await self._http.ask("POST", url, self._headers(), body, ok=(201, 204, 501))
        if answer.status == 501:
            raise HubDenied("the broker has no temporal interface (501); say temporal = false, or set it up there")
        return len(body)

    async def _known(self, name: str) -> Mapping[str, str]:
        """When each attribute of an entity was last observed; asked of the broker once."""
        if name not in self._newest:
            headers = {key: text for key, text in self._headers().items() if key != "Content-Type"}
            url = f"{self._settings.base}/ngsi-ld/v1/entities/{quote(name, safe='')}"
            answer = await self._http.ask("GET", url, headers, ok=(200, 404))
            if answer.status == 404 and b"ResourceNotFound" not in answer.body:
                raise HubDenied("the hub answered 404, and not for the entity; check url and tenant of this hub")
            found = answer.json() if answer.status == 200 else {}
            self._newest[name] = {}
            self._note({"id": name, **(found if isinstance(found, dict) else {})})
        return self._newest[name]

    def _note(self, entity: Mapping[str, object]) -> None:
        mine = self._newest.setdefault(str(entity["id"]), {})
        for attribute, found in entity.items():
            if isinstance(found, dict) and isinstance(found.get("observedAt"), str):
                mine[attribute] = max(mine.get(attribute, ""), _three_digits(found["observedAt"]))

    def _headers(self) -> dict[str, str]:
        said = self._settings
        link = f'<{said.context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
        headers = {"Content-Type": "application/json", "Link": link, **bearer(said.token)}
        return headers | ({"NGSILD-Tenant": said.tenant} if said.tenant else {})


def _entity_id(row: HubRow, model: str) -> str:
    return f"urn:ngsi-ld:{model}:{row.node}"


def _attributes(row: HubRow, model: str) -> dict[str, dict[str, object]]:
    at = iso(row.utc_ms)
    told = {WORDS[value.channel][1]: _property(value, at) for value in row.values if WORDS[value.channel][0] == model}
    window = max(window_s(row, value) for value in row.values if WORDS[value.channel][0] == model)
    if not window:
        return told | {"dateObserved": _moment(at, at)}
    until = iso(row.utc_ms + 1000 * window)
    return told | {"dateObservedFrom": _moment(at, at), "dateObservedTo": _moment(until, at)}


def _location(row: HubRow) -> dict[str, object]:
    """Where the node is, as precise as the grant says; nothing where it tells nothing."""
    place = lon_lat(row)
    point = {"type": "Point", "coordinates": list(place or ())}
    return {"location": {"type": "GeoProperty", "value": point}} if place is not None else {}


def _property(value: Value, at: str) -> dict[str, object]:
    _, _, unit, power = WORDS[value.channel]
    number = value.decimal.scaleb(power)
    exact = int(number) if number == number.to_integral_value() else float(number)
    return {"type": "Property", "value": exact, "unitCode": unit, "observedAt": at}


def _moment(moment: str, at: str) -> dict[str, object]:
    return {"type": "Property", "value": {"@type": "DateTime", "@value": moment}, "observedAt": at}


def _errors(answer: Answer) -> dict[str, str]:
    """Why each entity was refused, by its id."""
    told = answer.json()
    errors = told.get("errors") if isinstance(told, dict) else None
    if not isinstance(errors, list):
        raise HubAway("207, but no list of errors")
    return {str(entry.get("entityId")): _title(entry.get("error")) for entry in errors if isinstance(entry, dict)}


def _title(error: object) -> str:
    """A ProblemDetails (RFC 7807) in a few words."""
    told = error if isinstance(error, dict) else {"title": error}
    return (
        ": ".join(str(told[key]) for key in ("status", "title", "detail") if told.get(key))[:200] or "no reason given"
    )


def _three_digits(text: str) -> str:
    """A moment of the broker's as we write ours, so that they can be compared as text."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return f"{whole}.{rest[:3]:0<3}Z"
