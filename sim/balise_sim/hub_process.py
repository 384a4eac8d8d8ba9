"""The reference hub as a process of its own, for streets with real sockets: `python -m balise_sim.hub_process FILE`.

FILE is what `Desk.write` wrote. Promises: what was answered is on disk, so the process may be killed at any moment.
Leaves to others: what a hub does (`hub.py`).
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn

from balise_sim.hub import Behaviour, Hub, HubStore
from balise_sim.shared_clock import SharedClock
from balise_wire.envelope import Signer


@dataclass(frozen=True)
class Desk:
    """What the process needs to know; keys are in hex."""

    database: str
    clock: str
    port: int
    seed: str
    gateway_keys: dict[str, str]
    mode: str = "ok"

    def write(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def serve(desk: Desk) -> None:
    """Serves until killed."""
    clock = SharedClock.open(Path(desk.clock))
    keys = {bytes.fromhex(kid): bytes.fromhex(key) for kid, key in desk.gateway_keys.items()}
    store, signer = HubStore(Path(desk.database)), Signer(bytes.fromhex(desk.seed))
    hub = Hub(store, signer, keys, clock.utc_ms, Behaviour(desk.mode))
    uvicorn.run(hub.app(), host="127.0.0.1", port=desk.port, log_level="warning")


if __name__ == "__main__":
    serve(Desk(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
