"""Real servers for the tests of hubs: on a free port, in a folder of their own, ended when the test is."""

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.support import PATIENCE_S, program

INFLUXDB = """reporting-disabled = true
bind-address = "127.0.0.1:{other}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


@contextmanager
def influxdb(folder: Path, port: int = 0) -> Iterator[str]:
    """InfluxDB 1 as Debian has it; the address to write to."""
    free, other = free_ports(2)
    port = port or free
    config = folder / "influxdb.conf"
    config.write_text(INFLUXDB.format(folder=folder, port=port, other=other), encoding="utf-8")
    with _running([program("influxd"), "-config", str(config)], folder, f"http://127.0.0.1:{port}/ping") as base:
        yield base.removesuffix("/ping")


@contextmanager
def prometheus(folder: Path, out_of_order_window: str = "0s") -> Iterator[str]:
    """Prometheus that scrapes nothing and takes remote writes; its address."""
    (port,) = free_ports(1)
    config = folder / "prometheus.yml"
    config.write_text(f"storage: {{tsdb: {{out_of_order_time_window: {out_of_order_window}}}}}\n", encoding="utf-8")
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    command = [program("prometheus"), *words, "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=50y"]
    with _running(command, folder, f"http://127.0.0.1:{port}/-/ready") as base:
        yield base.removesuffix("/-/ready")


def free_ports(count: int) -> list[int]:
    """TCP ports of this machine that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


@contextmanager
def _running(command: list[str], folder: Path, ready_url: str) -> Iterator[str]:
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(process, ready_url, folder / "log")
            yield ready_url
        finally:
            process.kill()


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer: {log.read_text(errors='replace')[-2000:]}")
