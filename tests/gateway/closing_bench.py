"""A gateway without sockets: frames in, logs out, crashes in between. Journal, windows and signatures are real."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.grants.grant import Grant
from balise_gateway.grants.rules import Site
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.closing import Closer
from balise_wire.envelope import Envelope, Signer
from balise_wire.frames import FrameKeys
from gateway.support import EVERYTHING, KEY, NAME, FakeClock, FakeIngest, envelopes_of, played, views

SIGNER = Signer(b"s" * 32)
FORMS = {HOME_LOG: "rice", 1: "rice", 2: "array"}
OTHER_NAME, OTHER_KEY = "urn:dev:ops:b4115e-air-02", bytes(range(16, 32))
SITES = {FrameKeys(key).kid: Site(name) for key, name in ((KEY, NAME), (OTHER_KEY, OTHER_NAME))}
NODES = [NodeSettings(name=NAME, key=KEY), NodeSettings(name=OTHER_NAME, key=OTHER_KEY)]


class Bench:
    """A gateway without sockets: frames in, logs out, and crashes."""

    def __init__(self, folder: Path, grant: Grant = EVERYTHING, sites: Mapping[bytes, Site] = SITES) -> None:
        self.grant, self.sites = grant, sites
        self.folder, self.clock, self.carrier = folder, FakeClock(), FakeIngest()
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.folder, "balise/test")
        self.intake = Intake(self.journal, NODES, self.clock, 1e6)
        self.intake.ready()
        self.closer = self.closer_with(self.grant)

    def closer_with(self, grant: Grant | None) -> Closer:
        return Closer(self.journal, SIGNER, self.clock, views(FORMS, grant, self.sites))

    def crash(self) -> None:
        self.intake.abandon()
        self.journal.close()

    def take(self, *frames: bytes) -> None:
        for frame in frames:
            self.intake.take(self.carrier, "t", frame, None)

    def close(self, *logs: int) -> None:
        assert self.intake.commit()
        for log in logs or FORMS:
            while self.closer.close(log, FORMS[log]):
                pass

    def log(self, log: int = 1) -> list[Envelope]:
        rows = tables.ENVELOPE.read(self.journal.db, "log = ? ORDER BY seq", (log,))
        return envelopes_of([(row[1], row[5]) for row in rows], SIGNER)

    def items(self, log: int = 1) -> list[object]:
        return [item for envelope in self.log(log) for item in envelope.items]


def bench(folder: Path, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole() -> None:
        made = Bench(folder)
        await scene(made)
        made.crash()

    played(whole)
