"""Group commit: acknowledged after the commit, once, and never for what is not on disk."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from balise_gateway.arrival.intake import ANSWER_REPEATS_AFTER_S, MANY_FRAMES, MAX_FRAMES, Intake
from balise_gateway.arrival.sorting import MAX_REFUSED_PER_COMMIT
from balise_gateway.clock import UNKNOWN_MS
from balise_gateway.journal import Journal, tables
from balise_gateway.nodes.boots import RESERVED_ACKS
from balise_wire.frames import Ack, open_ack
from balise_wire.items import Anchor, Loss, Readings, Unknown, Visit
from balise_wire.window import WINDOW
from gateway.intake_bench import T0, Bench, bench
from gateway.support import NAME, ROW, START_UTC_MS, AirNode, until


def test_nothing_is_acknowledged_before_the_commit(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.row(T0), b.node.row(T0 + 60))
        await asyncio.sleep(0.05)
        assert (b.carrier.released, b.carrier.answers, b.intake.pending) == ([], [], 2)
        assert b.intake.commit()
        assert b.carrier.released == [1, 2]
        assert b.acks() == [Ack(1, 2, 0, START_UTC_MS, 20)]  # one for both
        assert b.intake.pending == 0

    bench(tmp_path, scene)


def test_the_commit_comes_by_itself(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.row(T0))
        await until(lambda: b.carrier.released)
        assert b.intake.state.commits == 1

    bench(tmp_path, scene, commit_s=0.02)


def test_a_frame_without_readings_is_committed_at_once(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.hello())
        await until(lambda: b.carrier.answers)
        assert b.acks() == [Ack(1, 1, 0, START_UTC_MS, 20)]

    bench(tmp_path, scene)


def test_a_visit_is_committed_at_once_also_beside_readings(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.hello())
        await until(lambda: b.carrier.answers)
        b.take(b.node.row(T0))
        assert b.intake.pending == 1  # a row waits for others
        b.take(b.node.frame(Readings(1, None, [T0 + 60], [[value] for value in ROW]), Visit({1: "a visit"})))
        await until(lambda: b.intake.pending == 0)
        assert [type(item).__name__ for item in b.items()] == ["Readings", "Readings", "Visit"]

    bench(tmp_path, scene)


def test_many_frames_are_committed_at_once(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.hello(), *(b.node.row(T0 + 60 * n) for n in range(MANY_FRAMES)))
        await until(lambda: b.intake.pending == 0)
        assert len(b.items()) == MANY_FRAMES

    bench(tmp_path, scene)


def test_a_clock_that_does_not_know_says_so(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.clock.unsure_ms = UNKNOWN_MS
        b.take(b.node.hello())
        b.intake.commit()
        assert b.acks()[0].utc_ms is None

    bench(tmp_path, scene)


def test_a_frame_that_is_held_is_answered_again_and_kept_once(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        frames = [b.node.hello(), b.node.row(T0)]
        b.take(*frames)
        b.intake.commit()
        b.take(*frames, *frames)
        assert b.carrier.released == [1, 2]
        await asyncio.sleep(ANSWER_REPEATS_AFTER_S)
        await until(lambda: len(b.carrier.released) == 6)
        assert len(b.carrier.answers) == 2  # one for all four repeats
        assert [count for count, _ in (open_ack(b.node.keys, sealed) for _, sealed in b.carrier.answers)] == [1, 2]
        assert len(b.items()) == 1

    bench(tmp_path, scene)


def test_a_repeat_within_one_commit_is_kept_once(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        hello, row = b.node.hello(), b.node.row(T0)
        b.take(hello, row, row, hello)
        b.intake.commit()
        assert b.carrier.released == [1, 2, 3, 4]
        assert len(b.items()) == 1

    bench(tmp_path, scene)


def test_the_window_outlives_a_restart(tmp_path: Path) -> None:
    node = AirNode()
    frames = [node.hello(), node.row(T0), node.row(T0 + 60)]

    async def first(b: Bench) -> None:
        b.take(frames[0], frames[2])
        b.intake.commit()

    async def second(b: Bench) -> None:
        b.take(*frames)
        b.intake.commit()
        assert len(b.items()) == 2
        assert b.acks()[-1] == Ack(1, 3, 0, START_UTC_MS, 20)

    bench(tmp_path, first)
    bench(tmp_path, second)


def test_what_was_not_committed_is_as_if_it_never_came(tmp_path: Path) -> None:
    node = AirNode()
    frames = [node.hello(), node.row(T0)]

    async def first(b: Bench) -> None:
        b.take(*frames)

    async def second(b: Bench) -> None:
        assert b.items() == []
        b.take(*frames)
        b.intake.commit()
        assert len(b.items()) == 1

    bench(tmp_path, first)
    bench(tmp_path, second)


def test_acknowledgement_numbers_never_come_twice(tmp_path: Path) -> None:
    """Across restarts, and when more repeats are answered than were reserved."""
    seen: list[int] = []
    node = AirNode()
    hello = node.hello()

    async def scene(b: Bench) -> None:
        b.take(hello)
        b.intake.commit()
        for number in range(RESERVED_ACKS + 10):
            b.take(hello)
            b.intake._answer()
            await until(lambda number=number: len(b.carrier.answers) > number)
        seen.extend(open_ack(node.keys, sealed)[0] for _, sealed in b.carrier.answers)

    bench(tmp_path, scene)
    bench(tmp_path, scene)
    assert len(set(seen)) == len(seen) > 2 * RESERVED_ACKS


def test_rows_wait_for_their_manifest(tmp_path: Path) -> None:
    node = AirNode()
    hello, rows = node.hello(), [node.row(T0 + 60 * n) for n in range(3)]

    async def first(b: Bench) -> None:
        b.take(rows[1], rows[0])
        b.intake.commit()
        assert b.carrier.released == [1, 2]  # on disk, so acknowledged
        assert b.items() == []

    async def second(b: Bench) -> None:
        b.take(rows[2], hello)
        b.intake.commit()
        items = b.items()
        assert [item.times for item in items if isinstance(item, Readings)] == [[T0], [T0 + 60], [T0 + 120]]
        assert b.journal.db.execute("SELECT count(*) FROM waiting").fetchone() == (0,)

    bench(tmp_path, first)
    bench(tmp_path, second)


def test_flags_and_values_and_other_items(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(
            b.node.hello(),
            b.node.row(T0, (27, 41, 99_999, None, 98_797)),
            b.node.frame(Loss("urn:dev:ops:liar", "rows", 5, 9, "flash full"), Unknown(99, ["later"])),
        )
        b.intake.commit()
        readings, loss, unknown = b.items()
        assert isinstance(readings, Readings)
        assert readings.columns == [[27], [41], [99_999], [None], [98_797]]
        assert readings.flags == {2: [[0, 4]]}
        assert loss == Loss(NAME, "rows", 5, 9, "flash full")  # the name of the key's owner
        assert unknown == Unknown(99, ["later"])

    bench(tmp_path, scene)


BAD = {
    "garbage": lambda node: b"not a frame",
    "malformed": lambda node: node.row(T0)[:-3],
    "too large": lambda node: bytes(5_000),
    "unknown key": lambda node: AirNode(bytes(16)).row(T0),
    "tag": lambda node: node.row(T0)[:-1] + b"\0",
}


@pytest.mark.parametrize("reason", BAD)
def test_refused_frames_are_kept_counted_and_never_acknowledged(tmp_path: Path, reason: str) -> None:
    async def scene(b: Bench) -> None:
        data = BAD[reason](b.node)
        b.take(data)
        b.intake.commit()
        ((_, at, why, source, kept),) = tables.REFUSED.read(b.journal.db)
        assert (at, why, source, kept) == (START_UTC_MS, reason, "topic", data[:4096])
        assert b.count(f"refused {reason}") == 1
        assert b.carrier.answers == []
        assert b.carrier.released == [1]  # its carrier need not bring it again

    bench(tmp_path, scene)


def test_a_flood_of_garbage_is_counted_but_not_all_kept(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        for _ in range(3):
            b.take(*[b"x" * 3_000] * 500)
            b.intake.commit()
        assert b.count("refused garbage") == 1_500
        (kept,) = b.journal.db.execute("SELECT count(*) FROM refused").fetchone()
        assert kept == 3 * MAX_REFUSED_PER_COMMIT

    bench(tmp_path, scene)


def test_refused_frames_are_bounded_over_time(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        for _ in range(12):
            b.take(*[b"x"] * MAX_REFUSED_PER_COMMIT)
            b.intake.commit()
        (kept,) = b.journal.db.execute("SELECT count(*) FROM refused").fetchone()
        assert kept == 1_000

    bench(tmp_path, scene)


def test_a_node_that_forgot_its_boot_count_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    """Taken for repeats, its new frames would be acknowledged and gone."""

    async def scene(b: Bench) -> None:
        b.take(b.node.hello(), b.node.row(T0))
        b.intake.commit()
        answered = len(b.carrier.answers)
        forgetful = AirNode()
        b.take(forgetful.frame(Anchor(1, 0, START_UTC_MS, "gateway", 5)), forgetful.row(T0 + 600))
        b.intake.commit()
        assert b.count("refused conflict") == 2
        assert len(b.carrier.answers) == answered

    bench(tmp_path, scene)


NONSENSE = {
    "columns": Readings(1, None, [T0], [[1], [2]]),
    "another boot": Readings(1, 7, [T0], [[1]] * 5),
    "the far future": Readings(1, None, [1 << 50], [[1]] * 5),
    "an anchor of another boot": Anchor(9, 0, START_UTC_MS, "gateway", 1),
    "an anchor beyond all time": Anchor(1, 0, 1 << 62, "gateway", 1),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_sealed_nonsense_is_told_and_does_not_block(tmp_path: Path, case: str) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.hello(), b.node.frame(NONSENSE[case]), b.node.row(T0))
        b.intake.commit()
        loss, readings = b.items()
        assert isinstance(loss, Loss)
        assert (loss.node, loss.what, loss.first, loss.last) == (NAME, "frame", [1, 2], [1, 2])
        assert isinstance(readings, Readings)
        assert b.count("refused malformed") == 1
        assert b.acks()[-1].contiguous == 3

    bench(tmp_path, scene)


def test_a_frame_beyond_the_window_says_that_older_ones_were_given_up(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.take(b.node.hello())
        b.node.count = 99
        b.take(b.node.row(T0))
        b.intake.commit()
        ack = b.acks()[-1]
        assert (ack.contiguous, ack.bitmap) == (100 - WINDOW, 1 << WINDOW - 1)

    bench(tmp_path, scene)


def test_memory_is_bounded_while_commits_fail(tmp_path: Path) -> None:
    """A journal that another program has locked: nothing is acknowledged, and at some point nothing more is taken."""

    async def scene(b: Bench) -> None:
        b.journal.db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(b.journal.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        b.take(b.node.hello())
        assert not b.intake.commit()
        assert "another program" in str(b.intake.state.error)
        b.take(*[b"x"] * (MAX_FRAMES + 50))
        assert b.intake.state.not_taken["full"] == 51
        assert len(b.carrier.dropped) == 51
        assert b.carrier.released == []
        other.execute("ROLLBACK")
        assert b.intake.commit()
        assert b.intake.state.error is None
        assert len(b.carrier.released) == MAX_FRAMES
        other.close()

    bench(tmp_path, scene)


def test_a_failed_commit_is_tried_again_by_itself(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.journal.db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(b.journal.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        b.take(b.node.hello(), b.node.row(T0))
        await until(lambda: b.intake.state.failures)
        other.execute("ROLLBACK")
        other.close()
        await until(lambda: b.carrier.released == [1, 2])
        assert len(b.items()) == 1

    bench(tmp_path, scene)


def test_asking_often_for_a_commit_does_not_put_the_next_try_off(tmp_path: Path) -> None:
    """Logs are closed now and then, and each closing asks."""

    async def scene(b: Bench) -> None:
        b.take(b.node.hello())
        b.journal.db.execute("PRAGMA query_only = ON")
        for _ in range(10):
            assert not b.intake.commit()
        b.journal.db.execute("PRAGMA query_only = OFF")
        await until(lambda: b.carrier.released == [1])  # by itself, in FIRST_RETRY_S

    bench(tmp_path, scene)


def test_two_gateways_do_not_share_a_folder(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        second = Intake(Journal(tmp_path, "balise/test"), [], b.clock, 1.0)
        assert not second.commit()
        assert "another gateway" in str(second.state.error)
        second.abandon()

    bench(tmp_path, scene)
