"""From a frame over MQTT to a real InfluxDB, through a whole gateway that is configured as a host would: the database
is away at first and killed once, the gateway loses its power, and every value is there once."""

import asyncio
from pathlib import Path

import aiomqtt

from balise_gateway.config import parse
from balise_gateway.daemon import Gateway
from gateway.hubs.servers import free_ports, influxdb
from gateway.hubs.test_influxdb import asked
from gateway.support import GRANT_TOML, START_UTC_MS, AirNode, FakeClock, played, toml, until

ROWS = 40
COUNT = "SELECT count(pm2_5) FROM balise"


class Station:
    """A gateway and what it has been sent; it starts again on the same folder."""

    def __init__(self, folder: Path, port: int) -> None:
        hub = ["[[hub]]", 'name = "mine"', 'kind = "influxdb"', "log = 1", "batch_s = 0.1", "retry_s = 1", 'api = "v1"']
        hub += ['bucket = "air"', f'url = "http://127.0.0.1:{port}"', *GRANT_TOML]
        self.text, self.path = toml(folder, hubs=0, extra="\n".join(hub)), folder / "gateway.toml"
        self.node, self.sent = AirNode(), 0

    async def run(self, frames: int) -> "asyncio.Task[None]":
        """A gateway that has been sent so many more frames, each acknowledged after its commit."""
        made = Gateway(parse(self.text, self.path), FakeClock())
        task = asyncio.create_task(made.run(asyncio.Event()))
        await until(lambda: made.ingests[0].status()["state"] == "up")
        port = int(str(made.ingests[0].status()["where"]).rpartition(":")[2])
        async with aiomqtt.Client("127.0.0.1", port, username="air-01", password="right") as client:
            if not self.sent:
                await client.publish(self.node.up, self.node.hello(), qos=1)
            for _ in range(frames):
                frame = self.node.row(START_UTC_MS // 1000 + 60 * self.sent)
                await client.publish(self.node.up, frame, qos=1)
                self.sent += 1
        return task


async def power_cut(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


def held(base: str) -> int:
    found = asked(base, COUNT, db="air")
    return int(found[0]["values"][0][1]) if found else 0


def test_every_value_arrives_once_whatever_fails(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    station = Station(tmp_path / "gateway", port)

    async def scene() -> None:
        task = await station.run(ROWS // 4)  # nobody listens there yet
        with influxdb(tmp_path, port) as base:
            asked(base, 'CREATE DATABASE "air"')
            await until(lambda: held(base) == ROWS // 4)
            await power_cut(task)
            task = await station.run(ROWS // 4)
            await until(lambda: held(base) >= ROWS // 4)
        await power_cut(task)
        task = await station.run(ROWS // 2)  # it was killed, and is not there
        with influxdb(tmp_path, port) as base:
            await until(lambda: held(base) == ROWS)
        await power_cut(task)

    (tmp_path / "gateway").mkdir()
    played(scene)
