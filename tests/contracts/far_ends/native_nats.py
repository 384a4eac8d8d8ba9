"""The native protocol over a real nats-server with JetStream: a hub on a loop of its own that answers as it is told."""

import asyncio
import subprocess
import threading
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import cbor2
import nats

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubDenied
from balise_gateway.hubs import Hub
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._mosquitto import PASSWORD, PATIENCE_S, USER, free_port, listens, wait_for
from contracts.far_ends._native import ANSWERS, HUB, kept, reply
from gateway.support import program


class NatsServer:
    """One server with JetStream on a port and in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "nats", free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        config = self.folder / "nats.conf"
        config.write_text(
            f"listen: 127.0.0.1:{self.port}\nmax_payload: 4MB\njetstream {{ store_dir: {self.folder} }}\n"
            f"authorization {{ user: {USER}, password: {PASSWORD} }}\n",
            encoding="utf-8",
        )
        self._process = subprocess.Popen([program("nats-server"), "-c", str(config)], stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.port), "nats-server listens")

    @property
    def runs(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class FarEnd:
    answers = {**ANSWERS, "wrong password": HubDenied, "no stream": HubDenied}  # noqa: RUF012
    secrets: tuple[str, ...] = (PASSWORD,)
    time_step_ms = 1

    def __init__(self, folder: Path) -> None:
        self.server, self.answer = NatsServer(folder), "ok"
        self.envelopes, self.requests = dict[int, bytes](), 0
        self.published: list[tuple[str, bytes]] = []  # what the stream has kept: message id, envelope
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._client: Any = None

    def hub(self, **settings: Any) -> Hub:
        kind = plugins.load(hubs, "native_nats")
        if self.answer != "no connection" and not self.server.runs:
            self.server.start()
            self._thread.start()
            self._run(self._listen())
        words: dict[str, Any] = {"name": "h", "kind": "native_nats", "log": LOG, "public_key": HUB.public_key}
        words |= {"url": f"nats://127.0.0.1:{self.server.port}", "user": USER, "password": PASSWORD}
        words |= {"password": "swordfish-8"} if self.answer == "wrong password" else {}
        made: Hub = kind.Hub(kind.Settings(**(words | settings)), GATEWAY.kid, None, Random(1))
        return made

    def held(self) -> list[Held]:
        raise NotImplementedError("it holds envelopes")

    def captured(self) -> str:
        raise NotImplementedError("wire/SPEC.md has the vectors")

    def close(self) -> None:
        if self._client is not None:
            self._run(self._client.close())
        self.server.stop()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> None:
        url = f"nats://127.0.0.1:{self.server.port}"
        self._client = await nats.connect(url, user=USER, password=PASSWORD, allow_reconnect=False)
        stream = self._client.jetstream()
        if self.answer != "no stream":
            await stream.add_stream(name="balise", subjects=["balise.v1.*.batches"])
            await stream.subscribe("balise.v1.*.batches", cb=self._on_envelope)
        await self._client.subscribe("balise.v1.*.held", cb=self._on_question)

    async def _on_envelope(self, message: Any) -> None:
        self.published.append((message.headers["Nats-Msg-Id"], message.data))
        await message.ack()

    async def _on_question(self, message: Any) -> None:
        self.requests += 1
        log, upto, seqs = cbor2.loads(message.data)
        assert (log, message.subject) == (LOG, f"balise.v1.{GATEWAY.kid.hex()}.held")
        if self.answer == "silence":
            return
        while len(self.published) < upto:
            await asyncio.sleep(0.005)
        wanted = [f"{GATEWAY.kid.hex()}-{LOG}-{seq}" for seq in seqs]
        self.envelopes |= kept(self.answer, [cose for name, cose in self.published if name in wanted])
        status, body, headers = reply(self.answer, bytes.fromhex(message.headers["Balise-Nonce"]))
        told = {"Balise-Status": str(status)} | {f"Balise-{name}": text for name, text in headers.items()}
        await self._client.publish(message.reply, body, headers=told)
