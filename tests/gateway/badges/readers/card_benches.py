"""Benches of readers of cards: the emulated PN532 of balise_sim on a pseudo-terminal, and the real pcscd with an
emulated reader.

libpcsclite looks for its socket's name once in a process, so every pcscd of a process stands in the same folder.
"""

import asyncio
import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ndef

from balise_gateway import plugins
from balise_gateway.badges import readers
from balise_gateway.badges.seen import Seen
from balise_sim.nfc.cards import ntag21x
from balise_sim.nfc.pcscd import Pcscd
from balise_sim.nfc.pn532_tty import Pn532Tty
from gateway.support import until


def message(*records: Any) -> bytes:
    return b"".join(ndef.message_encoder(records))


def uri_message(uri: str) -> bytes:
    return message(ndef.UriRecord(uri))


class CardBench:
    """What benches of readers of cards have in common."""

    kind = ""
    writes = True
    chip_name = "NTAG213"

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder, self.options = folder, options
        module = plugins.load(readers, self.kind)
        self.reader = module.Reader(module.Settings(**self.settings()))

    def settings(self) -> dict[str, object]:
        return {"kind": self.kind, "name": "door", "poll_s": 0.02, **self.options}

    def uid(self, number: int) -> bytes:
        return b"\x04" + number.to_bytes(3, "big") + b"\xd1\xe2\xf3"

    def text(self, number: int) -> str:
        return f"https://b.coroutine.example/t?c={number:08X}&m=Ab-_.~"

    def card(self, number: int) -> Any:
        card = ntag21x.Model(self.uid(number), signature=bytes(range(32)))
        card.set_ndef(uri_message(self.text(number)))
        return card

    def rest(self) -> None: ...

    def is_it(self, seen: Seen, number: int) -> bool:
        told = (seen.via, seen.reader, seen.uri, seen.uid, seen.chip)
        return told == ("card", "door", self.text(number), self.uid(number), self.chip_name)

    def secrets(self, number: int) -> list[str]:
        uid = self.uid(number)
        return [self.text(number), f"{number:08X}", uid.hex(), uid.hex(":"), uid.hex(" "), repr(uid), str(list(uid))]

    def counter(self, name: str) -> int:
        return int(self.reader.status()["counters"].get(name, 0))


class Pn532Bench(CardBench):
    kind = "pn532"

    def __init__(self, folder: Path, **options: object) -> None:
        super().__init__(folder, **options)
        self.chip = Pn532Tty(folder / "reader", pace=0)
        self.chip.__enter__()
        self.chip.unplug()

    def settings(self) -> dict[str, object]:
        return {**super().settings(), "path": self.folder / "reader"}

    def plug(self) -> None:
        self.chip.replug()

    def unplug(self) -> None:
        self.chip.unplug()

    async def show(self, number: int) -> None:
        self.chip.lay(self.card(number))

    async def keep(self) -> None:
        await self.looks(8)

    async def take_away(self) -> None:
        self.chip.take_away()
        if self.reader.status()["state"] == "up":
            await self.looks(20)

    async def disturb(self) -> None:
        for fault in ("no_ack", "lost_ack", "lost_answer", "bad_checksum", "short_frame"):
            self.chip.faults.switch_on(fault, times=2)
            await until(lambda fault=fault: self.chip.faults.struck[fault] >= 2)  # type: ignore[misc]

    def close(self) -> None:
        self.chip.__exit__(None, None, None)

    async def looks(self, commands: int) -> None:
        """So many commands of the reader later."""
        wanted = self.chip.commands + commands
        await until(lambda: self.chip.commands >= wanted)


@functools.cache
def pcsc_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pcsc-"))
    os.environ.update(Pcscd(folder).environment)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Garbled:
    """A card without ISO 14443-4 that answers everything with noise."""

    atqa, sak, ats = b"\x00\x44", 0x00, None

    def __init__(self, uid: bytes, answer: bytes | None) -> None:
        self.uid, self.answer = uid, answer

    def activate(self) -> None: ...

    def away(self) -> None: ...

    def exchange(self, frame: bytes) -> bytes | None:
        return self.answer


class PcscBench(CardBench):
    kind = "pcsc"

    def __init__(self, folder: Path, **options: object) -> None:
        super().__init__(folder, **options)
        self.pcscd = Pcscd(pcsc_folder())

    def settings(self) -> dict[str, object]:
        return {**super().settings(), "reader": "Virtual PCD 00 00", "direct": True, **self.options}

    @property
    def slot(self) -> Any:
        return self.pcscd.slot

    def plug(self) -> None:
        self.pcscd.start()

    def unplug(self) -> None:
        self.pcscd.kill()

    async def show(self, number: int) -> None:
        await self.lay(self.card(number))

    async def lay(self, card: Any) -> None:
        if self.slot.taken:
            self.slot.take_away()
        self.slot.lay(card)

    async def keep(self) -> None:
        await self.looks(8)

    async def take_away(self) -> None:
        self.slot.take_away()
        if self.reader.status()["state"] == "up":
            await self.looks(8)

    def rest(self) -> None:
        self.slot.take_away()

    async def disturb(self) -> None:
        for number, noise in enumerate((b"", b"\x00", bytes(16), b"\xff" * 300, None)):
            seen = self.counter("seen")
            await self.lay(Garbled(self.uid(100 + number), noise))
            await until(lambda seen=seen: self.counter("seen") > seen)  # type: ignore[misc]
        await self.take_away()

    def close(self) -> None:
        self.pcscd.kill()

    async def looks(self, count: int) -> None:
        """So many looks of the reader later."""
        wanted = self.counter("looks") + count
        await until(lambda: self.counter("looks") >= wanted)


@contextlib.asynccontextmanager
async def reading(bench: CardBench) -> AsyncIterator[list[Seen]]:
    """The reader of this bench reads; what it hands over."""
    seen: list[Seen] = []
    task = asyncio.create_task(bench.reader.run(lambda _, one: seen.append(one)))
    await until(lambda: bench.reader.status()["state"] == "up")
    yield seen
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
