"""From frames to signed logs: any order, any repetition, crashes at random, and each row is once in each log."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.closing import MAX_ROWS
from balise_wire.envelope import Envelope
from balise_wire.items import Loss, Manifest, Readings, Source
from gateway.closing_bench import FORMS, OTHER_KEY, OTHER_NAME, Bench, bench
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, utc_rows

T0 = START_UTC_MS // 1000


def test_one_envelope_for_all_nodes(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        one, two = AirNode(), AirNode(OTHER_KEY, OTHER_NAME)
        b.take(one.hello(), two.hello(), *(node.row(T0 + 60 * n) for n in range(3) for node in (one, two)))
        b.close()
        (envelope,) = b.log()
        source, first, second, rows_one, rows_two = envelope.items
        assert isinstance(source, Source)
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
        assert kinds == [["Source", "Manifest", "Readings"], ["Readings"], ["Manifest", "Readings"]]
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
        b.take(AirNode().frame(Loss(NAME, "rows", T0, T0 + 600, "store full")))
        b.close()
        for log in FORMS:
            assert b.items(log)[-1] == Loss(NAME, "rows", T0, T0 + 600, "store full")

    bench(tmp_path, scene)


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


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
