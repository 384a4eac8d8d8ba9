"""How many PUBLISH packets the listener alone takes per second of processor time, acknowledged, without the journal."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from balise_gateway.ingests import mqtt_listener
from balise_sim.processes import free_ports
from gateway.load import Load, write

DEVICES, MESSAGES = 100, 100_000
RELEASE_AFTER_S = 0.01  # as a commit would, a few at a time


class Owner:
    """Takes everything and keeps nothing."""

    def __init__(self, ingest: mqtt_listener.Ingest) -> None:
        self._ingest = ingest
        self._tokens: list[Any] = []
        self.taken = 0

    def take(self, ingest: Any, source: str, data: bytes, token: Any, marks: int = 0) -> None:
        self.taken += 1
        if not self._tokens:
            asyncio.get_running_loop().call_later(RELEASE_AFTER_S, self._release)
        self._tokens.append(token)

    def _release(self) -> None:
        tokens, self._tokens = self._tokens, []
        self._ingest.release(tokens, True)


async def taken_per_cpu_s(messages: int = MESSAGES) -> float:
    """Of this process, from the first connection to the last PUBACK."""
    (port,) = free_ports(1)
    settings = mqtt_listener.Settings(kind="mqtt_listener", host="127.0.0.1", port=port, anonymous=True, rate_per_s=1e6)
    ingest = mqtt_listener.Ingest(settings, asyncio.get_running_loop().create_server)
    owner = Owner(ingest)
    task = asyncio.create_task(ingest.run(owner.take))
    while ingest.status()["state"] != "up":
        await asyncio.sleep(0.01)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Load(port, DEVICES, messages), Path(folder) / "load.json")
        program = str(Path(__file__).with_name("load.py"))
        started_s = time.process_time()
        devices = await asyncio.create_subprocess_exec(sys.executable, program, str(path), stdout=subprocess.DEVNULL)
        assert await devices.wait() == 0
    assert owner.taken == messages
    used_s = time.process_time() - started_s
    task.cancel()
    return messages / used_s


if __name__ == "__main__":
    print(f"{asyncio.run(taken_per_cpu_s()):,.0f} PUBLISH per CPU-second")
