"""How `schema_1.db` was made: by the gateway's own code of the time when schema 1 was the newest (commit 253c92a).

    git worktree add ../old 253c92a
    cd ../old && PYTHONPATH=wire:gateway:tests python ../balise/tests/gateway/journals/make_schema_1.py schema_1.db

It is a short life that leaves a row in every table: two boots, one of them without a clock; envelopes in the home log
and in a hub's; one that the hub refused; rows that no log has yet; rows that wait for a manifest; refused frames.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.hubs import Holding
from balise_gateway.journal import Journal, tables
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.logs import note_holding
from balise_wire.envelope import Signer
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest

SIGNER = Signer(b"s" * 32)
FORMS = {0: "rice", 1: "array"}
T0 = START_UTC_MS // 1000


async def live(folder: Path) -> None:
    journal, clock = Journal(folder, f"balise/{SIGNER.kid.hex()}"), FakeClock()
    intake, carrier = Intake(journal, [NodeSettings(name=NAME, key=KEY)], clock, 1e6), FakeIngest()
    closer, node = Closer(journal, SIGNER, clock, sorted(FORMS)), AirNode()
    intake.ready()
    intake.take(carrier, "t", node.hello(), None)
    for hour in range(3):
        for minute in range(60):
            intake.take(
                carrier, "t", node.row(T0 + 3600 * hour + 60 * minute, (27 + minute, 41, 722, 8483, 98797)), None
            )
        assert intake.commit()
        for log, form in FORMS.items():
            while closer.close(log, form):
                pass
    with journal.transaction() as db:
        note_holding(db, 1, Holding(2, ((3, 3),)), f"balise/{SIGNER.kid.hex()}")
        tables.PARKED.put(db, [(1, 2, "schema: made for a test")])
    node.reboot()
    intake.take(carrier, "t", node.row(30, since_boot=True), None)  # its manifest never comes
    node.reboot()
    intake.take(carrier, "t", node.hello(), None)
    for minute in range(10):
        intake.take(carrier, "t", node.row(60 * minute, since_boot=True), None)
    intake.take(carrier, "t", b"garbage", None)
    assert intake.commit()
    while closer.close(0, FORMS[0]):  # log 1 lags behind: the entries stay
        pass
    intake.abandon()
    journal.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(live(Path(made)))
        Path(sys.argv[1]).write_bytes((Path(made) / "journal.db").read_bytes())
