"""From frames to signed logs: any order, any repetition, crashes at random, and each row is once in each log."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balise_gateway import dating
from balise_gateway.closing import MAX_ROWS, Closer
from balise_gateway.config import NodeSettings
from balise_gateway.intake import Intake
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_wire.envelope import Envelope, Signer
from balise_wire.items import Anchor, Loss, Manifest, Readings
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, envelopes_of, played, utc_rows

SIGNER = Signer(b"s" * 32)
T0 = START_UTC_MS // 1000
FORMS = {HOME_LOG: "rice", 1: "rice", 2: "array"}
OTHER_NAME, OTHER_KEY = "urn:dev:ops:b4115e-air-02", bytes(range(16, 32))
NODES = [NodeSettings(name=NAME, key=KEY), NodeSettings(name=OTHER_NAME, key=OTHER_KEY)]


class Bench:
    """A gateway without sockets: frames in, logs out, and crashes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.carrier = folder, FakeClock(), FakeIngest()
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.folder, "balise/test")
        self.intake = Intake(self.journal, NODES, self.clock, 1e6)
        self.intake.ready()
        self.closer = Closer(self.journal, SIGNER, self.clock, sorted(FORMS))

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


def test_one_envelope_for_all_nodes(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        one, two = AirNode(), AirNode(OTHER_KEY, OTHER_NAME)
        b.take(one.hello(), two.hello(), *(node.row(T0 + 60 * n) for n in range(3) for node in (one, two)))
        b.close()
        (envelope,) = b.log()
        first, second, rows_one, rows_two = envelope.items
        assert isinstance(first, Manifest)
        assert isinstance(second, Manifest)
        assert (first.number, first.map["node"]) == (1, NAME)
        assert first.map["trust"] == "gateway-witnessed"  # whatever the node says
        assert (second.number, second.map["node"]) == (2, OTHER_NAME)
        for number, item in ((1, rows_one), (2, rows_two)):
            assert isinstance(item, Readings)
            assert (item.manifest, item.times) == (number, [T0, T0 + 60, T0 + 120])

    bench(tmp_path, scene)


def test_a_manifest_is_told_once_and_again_when_it_changes(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0))
        b.close()
        b.take(node.reboot().hello(), node.row(T0 + 60))
        b.close()
        b.take(node.reboot().hello(channels=("temperature",)), node.row(T0 + 120, (722,)))
        b.close()
        kinds = [[type(item).__name__ for item in envelope.items] for envelope in b.log()]
        assert kinds == [["Manifest", "Readings"], ["Readings"], ["Manifest", "Readings"]]
        assert [item.manifest for item in b.items() if isinstance(item, Readings)] == [1, 1, 2]

    bench(tmp_path, scene)


def test_rows_of_one_node_are_in_order_of_time(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        hello, rows = node.hello(), [node.row(T0 + 60 * n, (n, 0, 99_999, None, 98_000)) for n in range(5)]
        b.take(hello, rows[3], rows[0], rows[4], rows[1], rows[2])
        b.close()
        readings = b.items()[-1]
        assert isinstance(readings, Readings)
        assert readings.times == [T0 + 60 * n for n in range(5)]
        assert readings.columns[0] == [0, 1, 2, 3, 4]
        assert readings.flags == {2: [[n, 4] for n in range(5)]}

    bench(tmp_path, scene)


def test_nothing_new_no_envelope(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.close()
        b.take(AirNode().hello())
        b.close()
        assert b.log() == []

    bench(tmp_path, scene)


def test_an_envelope_is_not_longer_than_a_hub_can_take(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello())
        count, per_frame = MAX_ROWS // 100 + 20, 100
        for number in range(count):
            times = [T0 + 60 * (per_frame * number + n) for n in range(per_frame)]
            b.take(node.frame(Readings(1, None, times, [[n % 7 for n in range(per_frame)]] * 5)))
        b.close()
        assert len(b.log()) > 1
        rows = [len(item.times) for item in b.items() if isinstance(item, Readings)]
        assert sum(rows) == count * per_frame
        assert max(rows) <= MAX_ROWS

    bench(tmp_path, scene)


def test_entries_are_deleted_when_every_log_has_them(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0))
        b.close(1, 2)
        assert len(list(tables.ENTRY.read(b.journal.db))) == 1
        b.close(HOME_LOG)
        assert list(tables.ENTRY.read(b.journal.db)) == []

    bench(tmp_path, scene)


def test_a_loss_of_a_node_is_passed_on(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(AirNode().frame(Loss(NAME, "rows", T0, T0 + 600, "flash full")))
        b.close()
        for log in FORMS:
            assert b.items(log) == [Loss(NAME, "rows", T0, T0 + 600, "flash full")]

    bench(tmp_path, scene)


# Time


def test_an_anchor_that_is_known_makes_utc_of_ticks(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(60, since_boot=True), node.row(120, since_boot=True))
        b.take(node.anchor(150_000, START_UTC_MS + 150_400), node.row(T0 + 180))
        b.close()
        (readings,) = [item for item in b.items() if isinstance(item, Readings)]
        assert (readings.boot, readings.times) == (None, [T0 + 60, T0 + 120, T0 + 180])
        assert not [item for item in b.items() if isinstance(item, Anchor)]

    bench(tmp_path, scene)


def test_an_anchor_that_comes_late_follows(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode(boot=7)
        b.take(node.hello(), node.row(60, since_boot=True))
        b.close()
        b.take(node.row(120, since_boot=True))
        b.close()
        b.take(node.anchor(150_000, START_UTC_MS + 150_000))
        b.close()
        b.take(node.row(180, since_boot=True))
        b.close()
        kinds = [[type(item).__name__ for item in envelope.items] for envelope in b.log()]
        assert kinds == [["Manifest", "Readings"], ["Readings"], ["Anchor"], ["Readings"]]
        anchor = b.items()[3]
        assert anchor == Anchor(1, 150_000, START_UTC_MS + 150_000, "gateway", 50)  # domain 1 of this log, not boot 7
        assert [item.boot for item in b.items() if isinstance(item, Readings)] == [1, 1, None]
        assert [tick for _, tick, _ in utc_rows(b.log())] == [T0 + 60, T0 + 120, T0 + 180]
        b.close()
        assert len(b.log()) == 4  # told once

    bench(tmp_path, scene)


def test_two_nodes_with_the_same_boot_number_have_domains_of_their_own(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        one, two = AirNode(), AirNode(OTHER_KEY, OTHER_NAME)
        for node in (one, two):
            b.take(node.hello(), node.row(60, since_boot=True))
        b.close()
        assert [item.boot for item in b.items() if isinstance(item, Readings)] == [1, 2]

    bench(tmp_path, scene)


def test_a_boot_without_an_anchor_is_between_its_neighbours(tmp_path: Path) -> None:
    """Boot 1 was seen until T0+600; boot 2 had no clock and ran 300 s; boot 3 began at T0+5000."""

    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0 + 600))
        b.close()
        node.reboot()
        b.take(node.hello(), node.row(60, since_boot=True), node.row(300, since_boot=True))
        b.close()
        assert not [item for item in b.items() if isinstance(item, Anchor)]  # it may still be running
        b.clock.now_ms = START_UTC_MS + 9_000_000
        node.reboot()
        b.take(node.hello(), node.anchor(10_000, START_UTC_MS + 5_010_000))
        b.close()
        (anchor,) = [item for item in b.items() if isinstance(item, Anchor)]
        assert (anchor.boot, anchor.boot_ms, anchor.source) == (1, 0, "between")
        low, high = T0 + 600, T0  # the boot's frames had arrived at the clock of then, START_UTC_MS
        assert anchor.utc_ms - anchor.uncertainty_ms <= min(low, high) * 1000
        assert anchor.utc_ms + anchor.uncertainty_ms >= (high - 300) * 1000

    bench(tmp_path, scene)


def test_a_bracket_is_as_wide_as_what_is_not_known(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0 + 600))
        b.close()
        b.clock.now_ms = START_UTC_MS + 9_000_000  # the second boot's frames arrive then
        node.reboot()
        b.take(node.hello(), node.row(300, since_boot=True))
        b.close()
        node.reboot()
        b.take(node.hello(), node.anchor(10_000, START_UTC_MS + 5_010_000))
        b.close()
        (anchor,) = [item for item in b.items() if isinstance(item, Anchor)]
        assert anchor.utc_ms - anchor.uncertainty_ms == (T0 + 600) * 1000
        assert anchor.utc_ms + anchor.uncertainty_ms == START_UTC_MS + 5_000_000 - 300_000

    bench(tmp_path, scene)


def test_a_true_anchor_after_a_bracket_is_told_too(tmp_path: Path) -> None:
    """It was in a frame that came late."""

    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(300, since_boot=True))
        late = node.anchor(400_000, START_UTC_MS + 400_000)
        b.close()
        b.take(AirNode(boot=2).hello())
        b.close()
        b.take(late)
        b.close()
        anchors = [item for item in b.items() if isinstance(item, Anchor)]
        assert [anchor.source for anchor in anchors] == ["between", "gateway"]
        assert anchors[0].boot == anchors[1].boot
        b.close()
        assert len([item for item in b.items() if isinstance(item, Anchor)]) == 2

    bench(tmp_path, scene)


def test_a_first_boot_without_an_anchor_is_after_the_beginning_of_all(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(300, since_boot=True))
        b.close()
        b.take(node.reboot().hello())
        b.close()
        (anchor,) = [item for item in b.items() if isinstance(item, Anchor)]
        assert anchor.utc_ms - anchor.uncertainty_ms <= dating.EARLIEST_UTC_MS
        assert anchor.utc_ms + anchor.uncertainty_ms >= START_UTC_MS - 300_000

    bench(tmp_path, scene)


def test_without_a_clock_a_bracket_waits(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.clock.unsure_ms = 2**31 - 1
        b.take(node.hello(), node.row(300, since_boot=True))
        b.take(node.reboot().hello())
        b.close()
        assert not [item for item in b.items() if isinstance(item, Anchor)]
        b.clock.unsure_ms = 10
        b.close()
        assert len([item for item in b.items() if isinstance(item, Anchor)]) == 1

    bench(tmp_path, scene)


@pytest.mark.parametrize("better", [True, False])
def test_the_better_anchor_is_used(tmp_path: Path, better: bool) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(60, since_boot=True))
        b.take(node.anchor(0, START_UTC_MS, 500), node.anchor(0, START_UTC_MS + 7_000, 50 if better else 5_000))
        b.close()
        assert [tick for _, tick, _ in utc_rows(b.log())] == [T0 + 60 + (7 if better else 0)]

    bench(tmp_path, scene)


# Any order, any repetition, any crash


def _frames() -> tuple[list[bytes], set[tuple[str, int]]]:
    """Two nodes, three boots, some without a clock at first; and the rows that must come out."""
    frames, rows = [], set()
    for name, key in ((NAME, KEY), (OTHER_NAME, OTHER_KEY)):
        node = AirNode(key, name)
        for boot in range(3):
            start = T0 + 10_000 * boot
            frames.append(node.hello())
            for tick in (60, 120, 180):
                frames.append(node.row(tick, since_boot=True))
                rows.add((name, start + tick))
            frames.append(node.anchor(200_000, (start + 200) * 1000))
            for tick in (240, 300):
                frames.append(node.row(start + tick))
                rows.add((name, start + tick))
            node.reboot()
    return frames, rows


FRAMES, ROWS = _frames()
STEPS = st.sampled_from(["commit", "close 0", "close 1", "close 2", "crash"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.randoms(use_true_random=False), steps=st.lists(STEPS, max_size=25), shuffle=st.booleans())
def test_each_row_once_in_each_log(
    tmp_path_factory: pytest.TempPathFactory, order: random.Random, steps: list[str], shuffle: bool
) -> None:
    async def scene() -> None:
        b = Bench(tmp_path_factory.mktemp("street"))
        coming = FRAMES + order.choices(FRAMES, k=20)
        if shuffle:
            order.shuffle(coming)
        parts = len(steps) + 1
        for number in range(parts):
            b.take(*coming[number::parts])
            if number < len(steps):
                _do(b, steps[number])
        b.take(*FRAMES)  # nodes send until they have an answer
        b.close()
        for log in FORMS:
            envelopes = b.log(log)
            assert [envelope.seq for envelope in envelopes] == list(range(1, len(envelopes) + 1))
            found = Counter((name, tick) for name, tick, _ in utc_rows(envelopes))
            assert found == Counter(ROWS)
            _check_manifests(envelopes)
        b.crash()

    asyncio.run(scene())


def _do(b: Bench, step: str) -> None:
    if step == "crash":
        b.crash()
        b.start()
    elif step == "commit":
        assert b.intake.commit()
    else:
        b.close(int(step[-1]))


def _check_manifests(envelopes: list[Envelope]) -> None:
    """A manifest stands before its first use, and its number means one thing."""
    known: dict[int, object] = {}
    for envelope in envelopes:
        for item in envelope.items:
            if isinstance(item, Manifest):
                assert item.number not in known
                known[item.number] = item.map
            elif isinstance(item, Readings):
                assert item.manifest in known


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    seen: list[list[bytes]] = []

    async def scene(b: Bench) -> None:
        for start in range(0, len(FRAMES), 7):
            b.take(*FRAMES[start : start + 7])
            b.close()
        seen.append([row[5] for row in tables.ENVELOPE.read(b.journal.db, "TRUE ORDER BY log, seq")])

    bench(tmp_path / "one", scene)
    bench(tmp_path / "two", scene)
    assert seen[0] == seen[1]
