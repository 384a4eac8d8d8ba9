"""Remote write: any label and number by decoders of other hands, and a real Prometheus that is asked afterwards."""

import json
import struct
import urllib.parse
import urllib.request
from pathlib import Path
from random import Random
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.errors import HubRefused
from balise_gateway.hubs.prometheus_remote_write import Hub, Settings, snappy_literals, write_request
from balise_gateway.logbook.rows import HubRow, Value
from contracts.far_ends import AIR, ROWS
from contracts.far_ends.prometheus_remote_write import WriteRequest
from gateway.hubs.servers import prometheus
from gateway.support import START_UTC_MS, played

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
VALUES = st.tuples(NAMES, NAMES, st.integers(-(2**53), 2**53), st.integers(0, 9), st.integers(0, 2**62))


@given(st.lists(VALUES, max_size=8))
def test_the_message_says_what_the_rows_say(told: list[tuple[str, str, int, int, int]]) -> None:
    rows = [
        HubRow(1, number, node, utc_ms, 20, (Value(channel, "Pa", integer, scale),), {"trust": "node-signed"})
        for number, (node, channel, integer, scale, utc_ms) in enumerate(told)
    ]
    expected = {(row.node, v.channel, row.utc_ms): v.number for row in rows for v in row.values}
    found = {}
    for series in WriteRequest.FromString(write_request(rows)).timeseries:
        labels = {label.name: label.value for label in series.labels}
        assert list(labels) == sorted(labels)
        for sample in series.samples:
            found[labels["node"], labels["channel"], sample.timestamp] = sample.value
    assert {key: struct.pack("<d", value) for key, value in found.items()} == {
        key: struct.pack("<d", value) for key, value in expected.items()
    }


@given(st.binary(max_size=300), st.integers(0, 1200))
def test_literals_are_snappy(data: bytes, times: int) -> None:
    assert bytes(cramjam.snappy.decompress_raw(snappy_literals(data * times))) == data * times


def hub(base: str, **settings: Any) -> Hub:
    words = {"name": "h", "kind": "prometheus_remote_write", "log": 3, "url": f"{base}/api/v1/write"}
    return Hub(Settings(**(words | settings)), b"", None, Random(1))


def samples(base: str, query: str) -> dict[str, list[list[Any]]]:
    """The samples of the last hours before a moment after ROWS, by node."""
    words = urllib.parse.urlencode({"query": query + "[1d]", "time": START_UTC_MS // 1000 + 3600})
    with urllib.request.urlopen(f"{base}/api/v1/query?{words}", timeout=20) as answer:
        found = json.load(answer)["data"]["result"]
    return {series["metric"]["node"]: series["values"] for series in found}


def test_a_real_prometheus_holds_what_was_sent_once_and_refuses_the_past(tmp_path: Path) -> None:
    older = HubRow(9, 0, AIR, START_UTC_MS + 100_000, 20, ROWS[0].values, ROWS[0].about)

    async def scene(base: str) -> None:
        made = hub(base)
        assert (made.traits.accepts_past, made.traits.ordered) == (False, True)
        assert await made.send(ROWS) > 0
        assert await made.send(ROWS[1:]) > 0  # the newest of each series: a repeat is taken, and changes nothing
        with pytest.raises(HubRefused, match="400: out of order") as caught:
            await made.send([older])
        assert caught.value.reasons == {}
        await made.close()

    with prometheus(tmp_path) as base:
        played(lambda: scene(base))
        dust = samples(base, "balise_pm2_5_ugm3")
        air = samples(base, "balise_temperature_celsius")[AIR]
    seconds = START_UTC_MS // 1000
    assert dust[AIR] == [[seconds, "2.7"], [seconds + 145.25, "0"]]
    assert air == [[seconds, "-7.22"], [seconds + 145.25, "-7"]]
    assert len(dust) == 2


def test_a_real_prometheus_with_a_window_takes_the_past(tmp_path: Path) -> None:
    older = HubRow(9, 0, AIR, START_UTC_MS + 100_000, 20, ROWS[0].values, ROWS[0].about)

    async def scene(base: str) -> None:
        made = hub(base, takes_past=True)
        assert (made.traits.accepts_past, made.traits.ordered) == (True, False)
        for rows in (ROWS, [older], ROWS, [older]):  # repeats change nothing either
            await made.send(rows)
        await made.close()

    with prometheus(tmp_path, out_of_order_window="7d") as base:
        played(lambda: scene(base))
        assert [number for _, number in samples(base, "balise_pm2_5_ugm3")[AIR]] == [
            "2.7",
            "2.7",
            "0",
        ]
