"""Two places with badges as real processes: gateways on loopback, PN532 readers on pseudo-terminals, a cable between.

Promises that everything is set up by the commands that people type (`balise badge …`), and that the clock of both
gateways is moved by hand. Leaves what happens to `badge_demo.py`. The gateway is started as a process, never imported.
"""

import asyncio
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_sim.processes import free_ports
from balise_sim.relay import Relay
from balise_sim.shared_clock import SharedClock

ZONE = ZoneInfo("Europe/Paris")
PATIENCE_S = 180.0
LOOK_S = 0.05
_AHEAD_US = 3_600_000_000  # how far the others may let time pass by themselves
_US_PER_S = 1_000_000
_GATEWAY = """
[gateway]
data_dir = "{folder}"
home_batch_s = 60
[page]
port = {port}
[badge]
place = "{name}"
name = "{title}"
contact = "bonjour@{name}"
agreement = "{agreement}"
ask_s = 60
[[reader]]
kind = "pn532"
name = "door"
path = "{reader}"
[[output]]
kind = "screen_page"
[[connector]]
kind = "credit_file"
file = "credit.csv"
"""
_FEDERATED = """
[[hub]]
name = "{partner}"
kind = "native"
url = "http://127.0.0.1:{way}/badge"
log = 1
public_key = "{key}"
batch_s = 30
retry_s = 5
[hub.grant]
channels = []
visits = ["*"]
resolution_s = 0
purpose = "service"
licence = "LicenseRef-no-reuse"
place = "none"
"""


class DemoError(RuntimeError):
    """Something went otherwise than it must; the text says what, and where the log is."""


class HandClock:
    """The clock of both gateways: runs in real time, and is set forward by hand. Local times are those of one week."""

    def __init__(self, path: Path, start: datetime.datetime) -> None:
        self.path, self._start = path, start
        self._clock = SharedClock.make(path, round(start.timestamp() * 1000))
        self._now_us = 0
        self.set(start)

    def set(self, moment: datetime.datetime) -> None:
        """It is this moment now; never earlier than before."""
        at_us = round((moment - self._start).total_seconds() * _US_PER_S)
        self._now_us = max(self._now_us, at_us, self._clock.now_us())
        self._clock.publish(self._now_us, self._now_us + _AHEAD_US, 1.0)

    def now(self) -> datetime.datetime:
        """What it says, in local time."""
        return datetime.datetime.fromtimestamp(self._clock.utc_ms() / 1000, ZONE)

    def close(self) -> None:
        self._clock.close()


class DemoPlace:
    """One place: its folder, its reader, its gateway's process and its page."""

    def __init__(self, root: Path, name: str, title: str, prefix: str) -> None:
        self.name, self.title, self.prefix = name, title, prefix
        self.folder, self.config = root / prefix, root / prefix / "gateway.toml"
        self.port, self.way = free_ports(2)  # its page, and the near end of the cable that leads to it
        self.cable = Relay(self.way, self.port)
        self.folder.mkdir(parents=True)
        self.reader = Pn532Tty(self.folder / "reader", pace=1.0)
        self._process: subprocess.Popen[bytes] | None = None
        told = {"folder": self.folder, "port": self.port, "name": name, "title": title, "reader": self.reader.path}
        self.config.write_text(_GATEWAY.format(agreement=root / "agreement.toml", **told), encoding="utf-8")

    def tell(self, *words: str) -> str:
        """What `balise badge …` says for this place. Raises DemoError."""
        return command("badge", *words, "-c", str(self.config)).decode()

    def join(self, partner: "DemoPlace", key: str) -> None:
        """Delivers its visits to a partner, whose answers are signed with this key."""
        with self.config.open("a", encoding="utf-8") as file:
            file.write(_FEDERATED.format(partner=partner.name, way=partner.way, key=key))

    def know_table_of(self, federation: str) -> None:
        """Trusts the table that this key signs."""
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace("ask_s", f'table_key = "{federation}"\nask_s', 1), encoding="utf-8")

    def start(self, clock: HandClock) -> None:
        """Starts the gateway as `balise gateway run` would, on the demonstration's clock."""
        words = [sys.executable, "-m", "balise_sim.street", str(self.config), str(clock.path)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self) -> None:
        """Ends it with SIGTERM. Raises DemoError when it does not end cleanly."""
        if self._process is None:
            return
        self._process.terminate()
        status = self._process.wait(timeout=PATIENCE_S)
        self._process = None
        if status:
            raise DemoError(f"the gateway of {self.name} ended with {status}; see {self.log}")

    def kill(self) -> None:
        """Ends what still runs, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"

    async def status(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """The badges' part of the status document; empty while there is none."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoError(f"the gateway of {self.name} ended by itself; see {self.log}")
        try:
            answer = await client.get(f"http://127.0.0.1:{self.port}/status.json")
        except httpx.TransportError:
            return {}
        return dict(answer.json().get("badge") or {})

    async def screen(self, client: httpx.AsyncClient) -> dict[str, str]:
        """What stands on the screen page now."""
        async with client.stream("GET", f"http://127.0.0.1:{self.port}/badge/screen/events?lang=fr") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    return dict(json.loads(line.removeprefix("data:")))
        raise DemoError(f"the screen of {self.name} says nothing; see {self.log}")


def command(*words: str) -> bytes:
    """What a `balise` command prints. Raises DemoError with what it said when it fails."""
    done = subprocess.run([sys.executable, "-m", "balise_tools", *words], capture_output=True, env=_quiet())
    if done.returncode:
        raise DemoError(f"balise {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


async def in_time(what: str, condition: Any) -> Any:
    """Waits until an awaitable condition gives something true, and returns it. Raises DemoError."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await condition()):
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        raise DemoError(f"waited {PATIENCE_S:.0f} s for this: {what}") from error
    return found


def _quiet() -> dict[str, str]:
    return {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
