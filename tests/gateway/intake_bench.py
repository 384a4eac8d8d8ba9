"""An intake on a real journal, for the tests of what it takes and answers."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.journal import Journal, tables
from balise_wire import cbor
from balise_wire.frames import Ack
from balise_wire.items import unpack_item
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, played

NEVER_S = 1e6
T0 = START_UTC_MS // 1000


class Bench:
    """An intake on a real journal, with a carrier that remembers what it was told."""

    def __init__(self, folder: Path, commit_s: float = NEVER_S) -> None:
        self.clock, self.carrier, self.node = FakeClock(), FakeIngest(), AirNode()
        self.journal = Journal(folder, "balise/test")
        self.intake = Intake(self.journal, [NodeSettings(name=NAME, key=KEY)], self.clock, commit_s)
        self.intake.ready()
        self.sent = 0

    def take(self, *frames: bytes) -> None:
        for frame in frames:
            self.sent += 1
            self.intake.take(self.carrier, "topic", frame, self.sent)

    def acks(self) -> list[Ack]:
        return [self.node.opened(sealed) for _, sealed in self.carrier.answers]

    def items(self) -> list[object]:
        return [unpack_item(cbor.decode(row[-1])) for row in tables.ENTRY.read(self.journal.db, "TRUE ORDER BY entry")]

    def count(self, name: str) -> int:
        return tables.count(self.journal.db, name)

    def crash(self) -> None:
        """As a power cut: nothing is committed any more."""
        self.intake.abandon()
        self.journal.close()


def bench(folder: Path, scene: Callable[[Bench], Awaitable[None]], commit_s: float = NEVER_S) -> None:
    async def whole() -> None:
        made = Bench(folder, commit_s)
        await scene(made)
        made.crash()

    played(whole)
