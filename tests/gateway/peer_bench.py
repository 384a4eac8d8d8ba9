"""ThingsBoard IoT Gateway from the package index, with the same messages behind mosquitto, for a figure beside ours.

It is installed in a folder of its own (`sh ./set-up peers`) and runs as its documentation says, with its rate limits
switched off. ThingsBoard itself is stood in for by a second mosquitto, where telemetry is counted as it arrives.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from balise_sim.processes import free_ports
from gateway.bench_stand import Cost
from gateway.load import CHANNELS, Load, write
from gateway.support import program

PROGRAM = Path(sys.prefix) / "thingsboard" / "bin" / "python"
DEVICES = 100
SESSION_LIMITS = {"maxPayloadSize": 65_536, "maxInflightMessages": 1_000, "rateLimits": {}, "gatewayRateLimits": {}}
LOOK_S = 0.1
LIMITS = (
    "rateLimits",
    "dpRateLimits",
    "messagesRateLimits",
    "deviceMessagesRateLimits",
    "deviceRateLimits",
    "deviceDpRateLimits",
)


@dataclass(frozen=True)
class Peer:
    """What ThingsBoard IoT Gateway did with the same messages; `arrived` within the patience of the benchmark."""

    messages: int
    arrived: int
    cpu_s: float
    wall_s: float
    peak_mib: float
    disk_bytes: float
    wire_bytes: float

    @property
    def per_cpu_s(self) -> float:
        return self.arrived / self.cpu_s


@contextlib.contextmanager
def mosquitto(folder: Path, port: int) -> Iterator[None]:
    """A broker for anybody, which forgets nothing for a slow subscriber."""
    path = folder / f"mosquitto-{port}.conf"
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "user root"]
    lines += ["max_inflight_messages 0", "max_queued_messages 0"]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    process = subprocess.Popen([program("mosquitto"), "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Counter:
    """Counts rows of telemetry where ThingsBoard would be, and bytes of their messages."""

    def __init__(self, port: int) -> None:
        self.rows = self.size_bytes = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._count
        while True:
            with contextlib.suppress(OSError):
                self._client.connect("127.0.0.1", port)
                break
            time.sleep(LOOK_S)
        self._client.subscribe([("v1/gateway/#", 1), ("v1/devices/me/#", 1)])
        self._client.loop_start()

    def _count(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.size_bytes += 2 + 2 + len(message.topic) + 2 + len(message.payload) + 4  # PUBLISH of QoS 1 and its PUBACK
        if message.topic.startswith("v1/devices/me/rpc/request/"):  # it asks for its limits before it sends
            answer = message.topic.replace("request", "response")
            self._client.publish(answer, json.dumps(SESSION_LIMITS), qos=1)
        elif message.topic == "v1/gateway/telemetry":
            self.rows += sum(len(rows) for rows in json.loads(message.payload).values())

    def close(self) -> None:
        self._client.loop_stop()
        self._client.disconnect()


def configure(folder: Path, devices_port: int, hub_port: int) -> None:
    """From the configuration that comes with it."""
    (shipped,) = PROGRAM.parent.parent.glob("lib/*/site-packages/thingsboard_gateway/config")
    told = json.loads((shipped / "tb_gateway.json").read_text())
    told["thingsboard"] |= {"host": "127.0.0.1", "port": hub_port, "remoteConfiguration": False}
    told["thingsboard"] |= dict.fromkeys(LIMITS, "0:0,")
    told["thingsboard"]["statistics"]["enable"] = False
    told["storage"]["type"] = "file"  # as its documentation wants it where nothing may be lost
    told["storage"] |= {"max_file_count": 1000, "max_read_records_count": 1000, "data_folder_path": f"{folder}/data/"}
    told["connectors"] = [{"type": "mqtt", "name": "devices", "configuration": "mqtt.json"}]
    (folder / "tb_gateway.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "logs.json").write_text((shipped / "logs.json").read_text())
    values = [{"type": "double", "key": name, "value": f"${{values.{name}}}"} for name in CHANNELS]
    device = {
        "deviceNameExpressionSource": "topic",
        "deviceNameExpression": "(?<=sensors/)(.*?)(?=/data)",
        "deviceProfileExpressionSource": "constant",
        "deviceProfileExpression": "default",
    }
    converter = {"type": "json", "deviceInfo": device, "timeout": 60000, "attributes": [], "timeseries": values}
    mapping = {"topicFilter": "sensors/+/data", "subscriptionQos": 1, "converter": converter}
    broker = {
        "host": "127.0.0.1",
        "port": devices_port,
        "clientId": "tb",
        "version": 5,
        "security": {"type": "anonymous"},
    }
    broker |= {"maxMessageNumberPerWorker": 10, "maxNumberOfWorkers": 100}
    (folder / "mqtt.json").write_text(json.dumps({"broker": broker, "mapping": [mapping]}), encoding="utf-8")


def thingsboard(folder: Path, load_of: Load, patience_s: float = 180.0) -> Peer:
    """The same devices, its own way; `load_of` with any port."""
    devices_port, hub_port = free_ports(2)
    configure(folder, devices_port, hub_port)
    environment = {**os.environ, "TB_GW_CONFIG_DIR": f"{folder}/", "PYTHONPATH": ""}
    with mosquitto(folder, devices_port), mosquitto(folder, hub_port):
        counter = Counter(hub_port)
        log = (folder / "thingsboard.log").open("w")
        words = [str(PROGRAM), "-c", "from thingsboard_gateway.tb_gateway import main; main()"]
        gateway = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _until_subscribed(folder, devices_port, counter)
            before, started = Cost.of(gateway.pid), time.monotonic()
            rows, size_bytes = counter.rows, counter.size_bytes
            load = Load(devices_port, load_of.devices, load_of.messages, load_of.rate_per_s, load_of.live)
            path = write(load, folder / "load.json")
            program_of_load = str(Path(__file__).with_name("load.py"))
            devices = subprocess.Popen([sys.executable, program_of_load, str(path)], stdout=subprocess.DEVNULL)
            assert devices.wait() == 0
            until_s = time.monotonic() + patience_s
            while counter.rows - rows < load.messages and time.monotonic() < until_s:
                time.sleep(LOOK_S)
            wall_s, after = time.monotonic() - started, Cost.of(gateway.pid)
        finally:
            gateway.kill()
            gateway.wait()
            log.close()
            counter.close()
    arrived = counter.rows - rows
    written = after.written_bytes - before.written_bytes
    sent = counter.size_bytes - size_bytes
    return Peer(
        load.messages,
        arrived,
        after.cpu_s - before.cpu_s,
        wall_s,
        after.peak_mib,
        written / load.messages,
        sent / max(1, arrived),
    )


def _until_subscribed(folder: Path, port: int, counter: Counter, patience_s: float = 90.0) -> None:
    """Sends a message now and then until one has come through."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    until_s = time.monotonic() + patience_s
    while not counter.rows:
        assert time.monotonic() < until_s, (folder / "thingsboard.log").read_text()[-2000:]
        body = json.dumps({"ts": 1, "values": dict.fromkeys(CHANNELS, 1)})
        client.publish("sensors/warm-up/data", body, qos=1)
        time.sleep(1)
    time.sleep(3)
    client.loop_stop()
    client.disconnect()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        made = thingsboard(Path(name), Load(0, DEVICES, int(sys.argv[1]) if len(sys.argv) > 1 else 50_000))
        print(made, f"{made.per_cpu_s:,.0f} per CPU-s")
