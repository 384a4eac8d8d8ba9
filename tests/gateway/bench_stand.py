"""A gateway, a hub and devices as processes on loopback sockets, and what they cost, for the benchmarks.

Processor time, memory and bytes written are what the kernel counted for the gateway's process (proc(5)).
`python bench_stand.py FOLDER PORT`: the reference hub. Leaves what to measure to the benchmarks.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from balise_gateway import keys
from balise_gateway.journal.file import open_to_read
from balise_sim.hub import Behaviour, Hub, HubStore
from balise_sim.processes import free_ports
from balise_wire.envelope import Signer, verify_envelope
from balise_wire.items import Manifest, Readings
from gateway.load import CHANNELS, Load, write

HUB_SEED = b"h" * 32
PREFIX = "urn:dev:ops:b4115e-"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LOOK_S = 0.05
BLOCK_BYTES = 512  # what getrusage(2) counts in
HubRow = tuple[str, int, tuple[int | None, ...]]

CONFIG = """
[gateway]
data_dir = "{folder}/data"
clock_uncertainty_ms = 20
{gateway_keys}

{ingest}

[[source]]
kind = "mqtt_json"
prefix = "{prefix}"
topic = "sensors/{{device}}/data"
ts = "ts"
[source.channels]
{channels}

[[hub]]
name = "hub"
kind = "native"
url = "http://127.0.0.1:{hub_port}"
log = 1
public_key = "{public_key}"
{hub_keys}
[hub.grant]
channels = ["*"]
indoor = true
resolution_s = 0
purpose = "research"
licence = "CC0-1.0"
"""

OWN_LISTENER = 'kind = "mqtt_listener"\nhost = "127.0.0.1"\nport = {port}\nanonymous = true\nrate_per_s = 1e6'
BEHIND_BROKER = 'kind = "mqtt_broker"\nhost = "127.0.0.1"\nport = {port}\ntopic_filter = "sensors/+/data"'


@dataclass(frozen=True)
class Cost:
    """What a process has used up to now."""

    cpu_s: float
    peak_mib: float
    written_bytes: int

    @classmethod
    def of(cls, pid: int) -> "Cost":
        folder = Path("/proc") / str(pid)
        times = folder.joinpath("stat").read_text().rpartition(")")[2].split()
        lines = folder.joinpath("status").read_text().splitlines() + folder.joinpath("io").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        peak_kib = int(told["VmHWM"].split()[0])
        return cls((int(times[11]) + int(times[12])) * TICK_S, peak_kib / 1024, int(told["write_bytes"]))


class Stand:
    """One gateway with its hub, laid out under `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        gateway_keys: str = "",
        hub_keys: str = "",
        relayed: bool = False,
        behind_broker: bool = False,
    ) -> None:
        """`behind_broker`: a broker listens at `port`, and the gateway subscribes there."""
        self.folder = folder
        self._says = "ingest subscribed" if behind_broker else "ingest listens"
        ingest = BEHIND_BROKER if behind_broker else OWN_LISTENER
        self.port, self.hub_port, behind = free_ports(3)
        self.real_hub_port = behind if relayed else self.hub_port
        self.signer = keys.load_or_make(folder / "data")
        text = CONFIG.format(
            folder=folder,
            ingest="[[ingest]]\n" + ingest.format(port=self.port),
            hub_port=self.hub_port,
            prefix=PREFIX,
            public_key=Signer(HUB_SEED).public_key.hex(),
            channels="\n".join(f'{name} = "values.{name}"' for name in CHANNELS),
            gateway_keys=gateway_keys,
            hub_keys=hub_keys,
        )
        self.config = folder / "gateway.toml"
        self.config.write_text(text, encoding="utf-8")
        self._log = (folder / "gateway.log").open("w")
        self.gateway: subprocess.Popen[bytes] | None = None
        self.hub: subprocess.Popen[bytes] | None = None

    def start_gateway(self) -> Cost:
        """Starts it and waits until it listens; returns what starting cost."""
        words = [
            sys.executable,
            "-c",
            "from balise_tools.main import app; app()",
            "gateway",
            "run",
            "-c",
            str(self.config),
        ]
        before = (self.folder / "gateway.log").read_text().count(self._says)
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(":") if Path(path).name != "tests"]
        environment = {**os.environ, "PYTHONPATH": ":".join(paths)}  # as it is installed
        self.gateway = subprocess.Popen(words, stderr=self._log, stdout=self._log, env=environment)
        while (self.folder / "gateway.log").read_text().count(self._says) == before:
            assert self.gateway.poll() is None, (self.folder / "gateway.log").read_text()
            time.sleep(LOOK_S)
        return self.cost()

    def kill_gateway(self) -> None:
        assert self.gateway is not None
        self.gateway.kill()
        self.gateway.wait()

    def stop_gateway(self) -> Cost:
        """Ends it cleanly; returns all that it has used."""
        assert self.gateway is not None
        self.gateway.send_signal(signal.SIGTERM)
        _, status, used = os.wait4(self.gateway.pid, 0)
        self.gateway.returncode = os.waitstatus_to_exitcode(status)
        assert self.gateway.returncode == 0
        return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, used.ru_oublock * BLOCK_BYTES)

    def start_hub(self) -> None:
        words = [sys.executable, __file__, str(self.folder), str(self.real_hub_port)]
        self.hub = subprocess.Popen(words, stderr=self._log, stdout=self._log)

    def stop_hub(self) -> None:
        if self.hub is not None:
            self.hub.kill()
            self.hub.wait()

    def cost(self) -> Cost:
        assert self.gateway is not None
        return Cost.of(self.gateway.pid)

    def publishing(self, load: Load) -> subprocess.Popen[bytes]:
        """Devices at work; it ends when every message is acknowledged."""
        path = write(load, self.folder / "load.json")
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("load.py")), str(path)], stdout=subprocess.PIPE
        )

    def held(self) -> Iterator[HubRow]:
        """(node, UTC ms, values) of every row that the hub holds, in the order of the log."""
        path = self.folder / "hub.db"
        if not path.exists():
            return
        store = HubStore(path)
        nodes: dict[int, tuple[str, int]] = {}
        for _, cose in store.envelopes(self.signer.kid, 1):
            for item in verify_envelope(cose, {self.signer.kid: self.signer.public_key}).items:
                if isinstance(item, Manifest):
                    nodes[item.number] = str(item.map["node"]), int(str(item.map["tick_ms"]))
                elif isinstance(item, Readings):
                    yield from rows_of(item, *nodes[item.manifest])
        store.close()

    def wait_for(self, rows: int, patience_s: float = 120.0) -> None:
        """Until the hub holds so many rows, and the home log too."""
        until_s = time.monotonic() + patience_s
        while sum(1 for _ in self.held()) < rows or self._home_rows() < rows:
            assert time.monotonic() < until_s, f"the hub holds {sum(1 for _ in self.held())} of {rows} rows"
            time.sleep(0.5)

    def _home_rows(self) -> int:
        with contextlib.closing(open_to_read(self.folder / "data")) as db:
            return int(db.execute("SELECT coalesce(sum(rows), 0) FROM envelope WHERE log = 0").fetchone()[0])

    def close(self) -> None:
        for process in (self.gateway, self.hub):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self._log.close()


def rows_of(item: Readings, node: str, tick_ms: int) -> Iterator[HubRow]:
    for row, ticks in enumerate(item.times):
        yield node, ticks * tick_ms, tuple(column[row] for column in item.columns)


def serve(folder: Path, port: int) -> None:
    """The reference hub, until killed."""
    signer = keys.load_or_make(folder / "data")
    hub = Hub(
        HubStore(folder / "hub.db"),
        Signer(HUB_SEED),
        {signer.kid: signer.public_key},
        lambda: round(time.time() * 1000),
        Behaviour(),
    )
    uvicorn.run(hub.app(), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
