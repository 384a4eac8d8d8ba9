"""Foreign messages: kept once, gathered into one entry per device and commit, dated as well as can be."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from balise_gateway.arrival.foreign import ARRIVAL_TICK_MS, MAX_DEVICES, MEMORY
from balise_gateway.arrival.intake import SOON_S, Intake
from balise_gateway.clock import UNKNOWN_MS
from balise_gateway.config import NodeSettings
from balise_gateway.grants.rules import Home
from balise_gateway.ingests import AGAIN, SOON
from balise_gateway.journal import Journal, tables
from balise_gateway.logbook.closing import Closer
from balise_gateway.sources import mqtt_json
from balise_wire.envelope import Signer
from balise_wire.items import Manifest, Readings
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, envelopes_of, played, until

T0 = START_UTC_MS
TOPIC = "sensors/kitchen/data"
PREFIX = "urn:dev:ops:b4115e-"
SIGNER = Signer(b"s" * 32)
SETTINGS = mqtt_json.Settings(
    kind="mqtt_json",
    prefix=PREFIX,
    topic="sensors/{device}/data",
    ts="ts",
    channels={"temperature": "t", "humidity": "h"},
)


def body(ts: int | None = T0, t: object = 21.5, h: object = 40) -> bytes:
    return json.dumps({"ts": ts, "t": t, "h": h}).encode()


class Bench:
    """An intake with one source, on a real journal; `crash` and `start` again at will."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.carrier = folder, FakeClock(), FakeIngest()
        self.commit_s = 1e6
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.folder, "balise/test")
        nodes = [NodeSettings(name=NAME, key=KEY)]
        source = mqtt_json.Source(SETTINGS, self.clock.boot_ms)
        self.intake = Intake(self.journal, nodes, self.clock, self.commit_s, [(SETTINGS, source)])
        self.intake.ready()

    def crash(self) -> None:
        self.intake.abandon()
        self.journal.close()

    def take(self, *bodies: bytes, topic: str = TOPIC, marks: int = 0) -> None:
        for data in bodies:
            self.intake.take(self.carrier, topic, data, data, marks)

    def items(self) -> list[Any]:
        """What the home log says."""
        assert self.intake.commit()
        closer = Closer(self.journal, SIGNER, self.clock, {0: Home()})
        while closer.close(0, "rice"):
            pass
        rows = tables.ENVELOPE.read(self.journal.db, "log = 0 ORDER BY seq")
        return [
            item for envelope in envelopes_of([(row[1], row[5]) for row in rows], SIGNER) for item in envelope.items
        ]

    def readings(self) -> list[Readings]:
        return [item for item in self.items() if isinstance(item, Readings)]

    def times(self) -> list[int]:
        return [tick for item in self.readings() for tick in item.times]

    def refused(self, reason: str) -> int:
        return tables.count(self.journal.db, f"refused {reason}")


def bench(folder: Path, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole() -> None:
        made = Bench(folder)
        await scene(made)
        made.crash()

    played(whole)


def test_rows_of_one_commit_are_one_entry_and_say_who_vouches_for_them(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body(T0 + 1000), body(T0, 21.57), body(T0 + 2000, None))
        assert b.carrier.released == []
        manifest, readings = b.items()
        assert len(b.carrier.released) == 3
        assert isinstance(manifest, Manifest)
        assert manifest.map["node"] == PREFIX + "kitchen"
        assert (manifest.map["trust"], manifest.map["source"]) == ("gateway-witnessed", "mqtt_json")
        assert (manifest.map["tick_ms"], "time" in manifest.map) == (1, False)
        assert isinstance(readings, Readings)
        assert readings.times == [T0, T0 + 1000, T0 + 2000]
        assert readings.columns == [[2157, 2150, None], [4000, 4000, 4000]]

    bench(tmp_path, scene)


def test_what_cannot_be_is_flagged(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body(t=900))
        assert b.readings()[0].flags == {0: [[0, 4]]}

    bench(tmp_path, scene)


def test_a_repeat_is_acknowledged_and_dropped_also_after_a_crash(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        bodies = [body(T0 + n) for n in range(MEMORY)]
        b.take(*bodies, bodies[0])
        assert b.intake.commit()
        assert len(b.carrier.released) == MEMORY + 1
        b.crash()  # no device has heard that
        b.start()
        b.take(*bodies, marks=AGAIN)
        b.take(body(T0 + 5, 22))  # the same moment, another value: another message
        assert len(b.times()) == MEMORY + 1
        assert b.intake.state.repeats == MEMORY

    bench(tmp_path, scene)


def test_what_was_not_committed_is_no_repeat(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body())
        b.crash()
        b.start()
        b.take(body(), marks=AGAIN)
        assert len(b.times()) == 1

    bench(tmp_path, scene)


def test_a_large_commit_is_remembered_whole(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        bodies = [body(T0 + n) for n in range(10 * MEMORY)]
        b.take(*bodies)
        assert b.intake.commit()
        b.crash()
        b.start()
        b.take(*bodies, marks=AGAIN)
        assert len(b.times()) == 10 * MEMORY

    bench(tmp_path, scene)


def test_without_a_time_equal_messages_are_two_unless_the_carrier_says_again(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body(None))
        b.clock.now_ms += 60_000
        b.take(body(None))
        b.take(body(None), marks=AGAIN)
        manifest, readings = b.items()
        assert manifest.map["time"] == "arrival"
        assert [tick * ARRIVAL_TICK_MS for tick in readings.times] == [T0, T0 + 60_000]

    bench(tmp_path, scene)


def test_a_clock_that_cannot_be_right_is_not_believed(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body(12_345), body(T0 + 400 * 86_400_000), body(-5), body(2**60))
        items = b.items()
        assert [item.map.get("time") for item in items if isinstance(item, Manifest)] == ["arrival"]
        assert set(b.times()) == {T0 // 1000}

    bench(tmp_path, scene)


def test_before_the_gateway_knows_the_date(tmp_path: Path) -> None:
    """Rows with a time of their own keep it; the others are dated when the date is known."""

    async def scene(b: Bench) -> None:
        b.clock.unsure_ms = UNKNOWN_MS
        b.clock.now_ms += 5_000
        b.take(body(None), body(T0 + 7, 20))
        undated = [item for item in b.readings() if item.boot is not None]
        assert [item.times for item in undated] == [[5]]
        assert [tick for item in b.readings() if item.boot is None for tick in item.times] == [T0 + 7]
        b.clock.now_ms += 60_000
        b.clock.unsure_ms = 20
        b.take(body(None, 19))
        anchors = [item for item in b.items() if item.kind == 2]
        assert [(anchor.utc_ms - anchor.boot_ms, anchor.source) for anchor in anchors] == [(T0, "gateway")]
        assert anchors[0].boot == undated[0].boot

    bench(tmp_path, scene)


def test_each_run_without_a_date_is_a_boot_of_its_own(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.clock.unsure_ms = UNKNOWN_MS
        for _ in range(3):
            b.take(body(None))
            assert b.intake.commit()
            b.crash()
            b.start()
        assert len({item.boot for item in b.readings()}) == 3

    bench(tmp_path, scene)


def test_what_cannot_be_read_is_kept_with_its_reason(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b"{}", b"{", b"[]", b"\xff")
        assert b.intake.commit()
        assert len(b.carrier.released) == 4
        assert (b.refused("no value"), b.refused("not json"), b.refused("not an object")) == (1, 2, 1)
        assert len(list(tables.REFUSED.read(b.journal.db))) == 4

    bench(tmp_path, scene)


def test_what_nobody_wants_is_counted_and_a_frame_is_a_frame_wherever_it_comes_from(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(b"on", topic="zigbee2mqtt/lamp")
        b.take(b"not a frame", topic=node.up)
        b.take(node.hello(), topic="serial:/dev/ttyUSB0")
        assert b.intake.commit()
        assert (b.refused("unwanted"), b.refused("garbage")) == (1, 1)
        assert len(list(tables.REFUSED.read(b.journal.db))) == 1
        assert len(b.carrier.released) == 3
        assert len(b.carrier.answers) == 1

    bench(tmp_path, scene)


def test_devices_are_bounded(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        for number in range(MAX_DEVICES + 3):
            b.take(body(), topic=f"sensors/{number}/data")
        assert b.intake.commit()
        assert b.refused("too many devices") == 3

    bench(tmp_path, scene)


def test_a_sender_that_waits_gets_its_commit_soon(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body(), marks=SOON)
        await asyncio.sleep(0)
        assert b.carrier.released == []
        await until(lambda: b.carrier.released)
        b.take(body(T0 + 1))
        await asyncio.sleep(2 * SOON_S)
        assert len(b.carrier.released) == 1

    bench(tmp_path, scene)


def test_a_failed_commit_is_written_whole_by_the_next(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(body(), body(T0 + 1))
        b.journal.db.execute("PRAGMA query_only = ON")
        assert not b.intake.commit()
        assert b.carrier.released == []
        b.journal.db.execute("PRAGMA query_only = OFF")
        b.take(body(T0 + 2))
        assert b.times() == [T0, T0 + 1, T0 + 2]

    bench(tmp_path, scene)
