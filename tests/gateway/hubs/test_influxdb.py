"""Line protocol: hostile names against a parser of another hand, and a real InfluxDB that is asked afterwards."""

import json
import urllib.parse
import urllib.request
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_protocol_parser import parse_line

from balise_gateway.errors import HubRefused, HubTooLarge
from balise_gateway.hubs.influxdb import Hub, Settings, lines_of
from balise_gateway.logbook.rows import HubRow, Value
from contracts.far_ends import AIR, ROWS
from gateway.hubs.servers import influxdb
from gateway.support import START_UTC_MS, played

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
WINDOW = {"n": "pm2_5", "agg": {"function": "mean", "window_s": 3600, "completeness_pct": 75}}


def row(node: str, channel: str, integer: int = 27, scale: int = 1, flag: int = 1) -> HubRow:
    return HubRow(1, 0, node, START_UTC_MS, 20, (Value(channel, "ug/m3", integer, scale, flag),), {})


def back(text: str) -> str:
    """A name as it was: what line protocol cannot hold is written as in an URL."""
    for letter in "\\\n\r\t\0":
        text = text.replace(f"%{ord(letter):02X}", letter)
    return text


@given(NAMES, NAMES, st.integers(-(2**53), 2**53), st.integers(0, 9))
def test_any_name_comes_out_as_it_went_in(node: str, channel: str, integer: int, scale: int) -> None:
    line = lines_of(row(node, channel, integer, scale))
    assert line.count("\n") == 1
    told = parse_line(line.removesuffix("\n"))
    assert told["measurement"] == "balise"
    assert {name: back(text) for name, text in told["tags"].items()} == {"node": back(node)}
    ((name, number),) = told["fields"].items()
    assert back(name) == back(channel)
    assert number == float(f"{integer}e-{scale}")
    assert told["time"] == START_UTC_MS


def test_flags_and_windows_are_told() -> None:
    values = (Value("pm2_5", "ug/m3", 27, 1, flag=3), Value("pm10", "ug/m3", 41, 1))
    about = {"trust": "node-signed", "channels": [WINDOW, {"n": "pm10"}]}
    assert lines_of(HubRow(1, 0, AIR, START_UTC_MS, None, values, about)) == (
        f"balise,node={AIR},trust=node-signed pm10=4.1 1544313600000\n"
        f"balise,node={AIR},trust=node-signed,window_s=3600 pm2_5=2.7,pm2_5_flag=3i 1544313600000\n"
    )


def test_version_2_needs_an_organisation() -> None:
    said = Settings(name="h", kind="influxdb", log=3, url="http://influx.example", bucket="air")
    assert "org is missing" in (said.problem() or "")


def test_a_request_that_is_too_large_is_not_sent() -> None:
    made = hub("http://127.0.0.1:9", api="v1", bucket="air")
    letters = Random(1).randbytes(2 << 20).hex()
    with pytest.raises(HubTooLarge):
        played(lambda: made.send([row(letters, "pm2_5")]))


def hub(url: str, **settings: Any) -> Hub:
    return Hub(Settings(name="h", kind="influxdb", log=3, url=url, **settings), b"", None, Random(1))


def asked(base: str, question: str, **more: str) -> Any:
    body = urllib.parse.urlencode({"q": question, "epoch": "ms", **more}).encode()
    with urllib.request.urlopen(f"{base}/query", body, timeout=20) as answer:
        (result,) = json.load(answer)["results"]
        return result.get("series", [])


def test_a_real_influxdb_holds_what_was_sent_once(tmp_path: Path) -> None:
    """Twice the same rows, hostile names beside them, and a batch with one poisoned line."""
    names = [r"a\ b", "c,d=e f", 'quo"te', "tra\\", "lf\nx", "é µ 🌫", "#", "%0A"]
    hostile = [row(name, "pm2_5") for name in names]

    async def scene(base: str) -> None:
        made = hub(base, api="v1", bucket="air/autogen", token="pi:secret")
        for _ in range(2):
            assert await made.send([*ROWS, *hostile]) > 0
        with pytest.raises(HubRefused, match="400"):  # a time that does not fit
            await made.send([row(AIR, "pm2_5", 1), HubRow(1, 1, AIR, 2**70, 20, ROWS[0].values, {})])
        await made.close()

    with influxdb(tmp_path) as base:
        asked(base, 'CREATE DATABASE "air"')
        played(lambda: scene(base))
        shown = asked(base, f"SELECT pm2_5, pressure FROM balise WHERE node = '{AIR}' AND trust != ''", db="air")
        (tags,) = asked(base, 'SHOW TAG VALUES WITH KEY = "node"', db="air")
    found = {value for _, value in tags["values"]}
    assert {back(name) for name in found} >= {back(name) for name in names}
    assert [line[1:] for line in shown[0]["values"]] == [[2.7, 98797], [0, 98801]]
    assert [line[0] for line in shown[0]["values"]] == [START_UTC_MS, START_UTC_MS + 145_250]
