"""The reference hub on a free port of this machine, in a thread: for tests of programs that send to a hub.

Promises: takes connections as soon as it is entered, and has ended when it is left. Leaves to others: what the hub
does (hub.py).
"""

import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from balise_sim.hub import Behaviour, Hub, HubStore
from balise_wire.cose import kid_of
from balise_wire.envelope import Envelope, Signer, verify_envelope

SEED = b"reference hub of a balise test.."


class LocalHub:
    """`url` is where it listens, `public_key` signs its answers, `behaviour.mode` is one of hub.MODES."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._signer = Signer(SEED)
        self._keys: dict[bytes, bytes] = {}
        self.public_key = self._signer.public_key
        self.behaviour = Behaviour()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()  # from now on connections wait for the thread
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._server: uvicorn.Server | None = None
        self._is_made = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_made.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def enrol(self, public_key: bytes) -> bytes:
        """Takes envelopes that this key has signed; returns its key id."""
        kid = kid_of(public_key)
        self._keys[kid] = public_key
        return kid

    def envelopes(self) -> list[Envelope]:
        """All that it holds, verified again, in order of key, log and number."""
        store = HubStore(self._database)
        found = [
            verify_envelope(cose, self._keys) for kid, log in store.logs() for _, cose in store.envelopes(kid, log)
        ]
        store.close()
        return found

    def _serve(self) -> None:
        store = HubStore(self._database)
        hub = Hub(store, self._signer, self._keys, lambda: time.time_ns() // 1_000_000, self.behaviour)
        self._server = uvicorn.Server(uvicorn.Config(hub.app(), log_level="warning"))
        self._is_made.set()
        self._server.run(sockets=[self._socket])
        store.close()
