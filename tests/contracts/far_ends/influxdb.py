"""InfluxDB 2's write endpoint. Lines are split by what its reference says of escapes, not by our code."""

import gzip
import re
from typing import ClassVar

import httpx

from contracts.far_ends import Held
from contracts.far_ends._http import HttpFarEnd, number

_LINE = re.compile(r"(?P<head>(?:\\.|[^ \\])+) (?P<fields>(?:\\.|[^ \\])+) (?P<time>-?[0-9]+)")
_COMMA, _EQUALS = re.compile(r"(?<!\\),"), re.compile(r"(?<!\\)=")


class FarEnd(HttpFarEnd):
    kind = "influxdb"
    settings: ClassVar = {
        "url": "http://influx.example/",
        "org": "street",
        "bucket": "air & noise",
        "token": "s3cr3t==",
    }
    secrets = ("s3==",)

    def __init__(self, folder: object) -> None:
        super().__init__(folder)  # type: ignore[arg-type]
        self.points: dict[tuple[str, str, int], Held] = {}

    def held(self) -> list[Held]:
        return list(self.points.values())

    def show(self, body: bytes) -> str:
        return gzip.decompress(body).decode()

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        assert request.url.path == "/api/v2/write"
        assert dict(request.url.params) == {"org": "street", "bucket": "air & noise", "precision": "ms"}
        for line in gzip.decompress(body).decode().splitlines():
            found = _LINE.fullmatch(line)
            assert found is not None, line
            measurement, *tags = _COMMA.split(found["head"])
            told = dict(_EQUALS.split(tag) for tag in tags)
            assert measurement == "balise"
            assert told["trust"]
            for pair in _COMMA.split(found["fields"]):
                name, text = _EQUALS.split(pair)
                self.points[told["node"], name, int(found["time"])] = Held(
                    told["node"], name, int(found["time"]), number(text)
                )
        return httpx.Response(204)
