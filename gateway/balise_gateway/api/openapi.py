"""The OpenAPI 3.1 document of API v1.

Promises that every path, parameter, answer and field of the API stands here: tests hold both ends against it.
"""

from typing import Any

Schema = dict[str, Any]
VERSION = "1.0.0"


def document() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Balise station",
            "version": VERSION,
            "description": "What a station measures, for those to whom its host has given a key.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _paths() -> Schema:
    stream, window, since, until, limit, form = _parameters()
    page = {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}
    streams = {"application/json": {"schema": {"$ref": "#/components/schemas/Streams"}}}
    records = {"type": "array", "items": {"$ref": "#/components/schemas/Record"}}
    files = {"text/csv": {"schema": {"type": "string"}}, "application/senml+json": {"schema": records}}
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "go on behind this event: milliseconds since 1970",
        "schema": {"type": "integer", "minimum": 0, "maximum": 253_402_300_799_999},
    }
    return {
        "/api/v1/streams": _get("the streams that this key may read", [], streams),
        "/api/v1/latest": _get("the newest row of each node, of the last day", [stream, window], page),
        "/api/v1/history": _get("rows in order of time", [stream, window, since, until, limit], page),
        "/api/v1/export": _get("all rows as a file", [stream, window, since, until, form], files),
        "/api/v1/events": _get("new rows as they are committed", [stream, last], events),
        "/api/v1/openapi.json": {
            "get": {
                "summary": "this document",
                "operationId": "openapi",
                "security": [],
                "responses": {"200": {"description": "it", "content": {"application/json": {"schema": {}}}}},
            }
        },
    }


def _parameters() -> tuple[Schema, ...]:
    moment = {"type": "string", "format": "date-time"}
    return (
        {
            "name": "stream",
            "in": "query",
            "description": "`node/channel`, or a pattern such as `*/pm*`; several may be given",
            "schema": {"type": "array", "items": {"type": "string"}},
            "explode": True,
        },
        {
            "name": "window_s",
            "in": "query",
            "description": "seconds of a window; 0: rows as they were measured. At least what the key allows",
            "schema": {"type": "integer", "minimum": 0, "maximum": 2_678_400},
        },
        {"name": "from", "in": "query", "description": "the first moment; a day ago when left out", "schema": moment},
        {"name": "to", "in": "query", "description": "the first moment after", "schema": moment},
        {
            "name": "limit",
            "in": "query",
            "description": "the most rows of a page",
            "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000},
        },
        {
            "name": "format",
            "in": "query",
            "description": "the form of the file",
            "schema": {"type": "string", "enum": ["csv", "senml"], "default": "csv"},
        },
    )


def _get(summary: str, parameters: list[Schema], content: Schema) -> Schema:
    problems = {
        "400": "the question is not one",
        "401": "no key, or one that is over",
        "403": "finer or sooner than the key allows",
        "429": "too many requests; Retry-After says when",
        "503": "not now: the clock is not known, or the disk refuses",
    }
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: Schema = {"200": {"description": summary, "content": content}}
    answers |= {code: {"description": text, "content": problem} for code, text in problems.items()}
    name = summary.replace(" ", "-").replace(",", "")
    return {"get": {"summary": summary, "operationId": name, "parameters": parameters, "responses": answers}}


def _schemas() -> Schema:
    text, whole = {"type": "string"}, {"type": "integer"}
    streams = {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Stream"}}
    row = _object(
        {
            "node": text,
            "time": {"type": "string", "format": "date-time"},
            "uncertainty_ms": whole,
            "values": {"type": "object", "additionalProperties": {"type": "number"}},
            "flags": {"type": "object", "additionalProperties": {"type": "integer", "enum": [2, 3, 4, 9]}},
        },
        ["node", "time", "values"],
    )
    meaning = _object(
        {
            "unit": text,
            "trust": {"type": "string", "enum": ["node-signed", "gateway-witnessed"]},
            "model": text,
            "corr": {},
            "cal": {},
            "agg": {"type": "object"},
            "place": {"type": "object"},
            "time": text,
        },
        ["unit", "trust"],
    )
    page = {
        "window_s": whole,
        "streams": streams,
        "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
        "next": {"type": ["string", "null"], "format": "date-time"},
    }
    number = {"type": "number"}
    record = _object({"n": text, "u": text, "t": number, "v": number, "flag": whole}, ["n", "u", "t", "v"])
    return {
        "Record": record,
        "Row": row,
        "Stream": meaning,
        "Page": _object(page, list(page)),
        "Streams": _object({"streams": streams}, ["streams"]),
        "Problem": _object({"status": whole, "title": text, "detail": text}, ["status", "title", "detail"]),
    }


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
