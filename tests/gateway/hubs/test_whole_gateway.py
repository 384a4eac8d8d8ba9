"""From a node's sealed frame to a host's own places, as one configuration file says: files, broker, Prometheus."""

import asyncio
import csv
from pathlib import Path

import httpx

from contracts.far_ends import mqtt_json as plain
from contracts.far_ends._mosquitto import PASSWORD, USER, free_port
from gateway.support import CHANNELS, GRANT_TOML, NAME, PATIENCE_S, START_UTC_MS, AirNode, played, until
from gateway.test_daemon import station


def hub(log: int, kind: str, *lines: str) -> str:
    head = ["[[hub]]", f'name = "{kind}"', f'kind = "{kind}"', f"log = {log}", "batch_s = 0.1", *lines]
    return "\n".join([*head, *GRANT_TOML])


def test_one_row_reaches_every_place(tmp_path: Path) -> None:
    readings, port, broker = tmp_path / "readings", free_port(), plain.FarEnd(tmp_path)
    readings.mkdir()
    broker.login()  # starts it
    hubs = [
        hub(1, "files", f'folder = "{readings}"', 'forms = ["csv", "geojson"]'),
        hub(
            2,
            "mqtt_json",
            'host = "127.0.0.1"',
            f"port = {broker.broker.port}",
            f'user = "{USER}"',
            f'password = "{PASSWORD}"',
        ),
        hub(3, "prometheus", f"port = {port}"),
    ]

    async def page() -> str:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        except httpx.ConnectError:
            return ""

    async def shown() -> str:
        async with asyncio.timeout(PATIENCE_S):
            while "balise_pm2_5_ugm3{" not in (text := await page()):
                await asyncio.sleep(0.02)
        return text

    async def scene() -> None:
        async with station(tmp_path, hubs=0, extra="\n".join(hubs)) as made:
            node = AirNode()
            async with made.client() as client:
                for frame in (node.hello(), node.row(START_UTC_MS // 1000)):
                    await client.publish(node.up, frame, qos=1)
                await until(lambda: len(broker.held()) == len(CHANNELS) and list(readings.glob("*.csv")))
            assert f'node="{NAME}"' in await shown()

    try:
        played(scene)
    finally:
        broker.close()
    with (readings / "2018-12.csv").open(newline="") as file:
        assert [line["channel"] for line in csv.DictReader(file)] == list(CHANNELS)
    assert {held.node for held in broker.held()} == {NAME}
