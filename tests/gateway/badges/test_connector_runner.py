"""What waits for the place's own software, on virtual time: nothing lost, nothing doubled, nobody held up.

The connectors are Dokos's with a site on the wire, and, for what no site can do, one that is written here.
"""

import asyncio
import logging
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.connector_outbox import FILE_NAME, Outbox
from balise_gateway.badges.connector_runner import Runner, built
from balise_gateway.badges.connectors import Balance, Usage, dokos
from balise_gateway.errors import BadgeError, ConfigError
from balise_sim.clocks import LoopClock, VirtualLoop
from contracts.connector_ends import MEMBER, NOBODY, NOW_UTC_S, OTHER, usage
from contracts.connector_ends import fedow as fedow_end
from contracts.connector_ends.dokos import End
from gateway.badges.connector_scene import HOUR_S, Odd, Scene, scene

__all__ = ["scene"]


def test_a_usage_is_recorded_soon_and_its_member_forgotten(scene: Scene) -> None:
    scene.pass_time(1)
    scene.runner.usage(usage(1, 2))
    scene.pass_time(1)
    assert scene.site.used(usage(1).key) == 2
    assert (scene.line()["waiting"], scene.line()["refused"], scene.line()["state"]) == (0, {}, "up")
    with sqlite3.connect(scene.folder / FILE_NAME) as db:
        assert db.execute("SELECT member, client, half_days FROM usage").fetchall() == [("", "", 2)]


def test_the_file_is_its_owners_alone(scene: Scene) -> None:
    assert stat.S_IMODE((scene.folder / FILE_NAME).stat().st_mode) == 0o600


def test_what_is_told_again_is_not_asked_again(scene: Scene) -> None:
    scene.runner.usage(usage(1, 2))
    scene.pass_time(1)
    asked = scene.site.requests
    scene.runner.usage(usage(1, 2))
    scene.pass_time(100)
    assert scene.site.requests == asked


def test_nothing_is_lost_while_the_site_is_away_and_it_is_not_hammered(scene: Scene) -> None:
    scene.site.answer = "no connection"
    for number in range(120):
        scene.runner.usage(usage(number))
    scene.pass_time(30 * HOUR_S)
    assert scene.line()["waiting"] == 120
    assert 20 < scene.site.requests < 60
    scene.site.answer = "ok"
    scene.pass_time(HOUR_S)
    assert [scene.site.used(usage(number).key) for number in range(120)] == [1] * 120
    assert scene.line()["waiting"] == 0


def test_usages_outlive_a_kill_in_the_middle_of_a_request(scene: Scene) -> None:
    scene.site.answer = "silence"
    scene.runner.usage(usage(1))
    scene.pass_time(0.1)
    assert scene.site.requests == 1
    scene.restart()
    scene.site.answer = "lost"
    scene.pass_time(1)
    scene.restart()
    scene.site.answer = "ok"
    scene.pass_time(10)
    assert scene.site.used(usage(1).key) == 1


def test_one_that_is_silent_holds_up_no_other(scene: Scene, tmp_path: Path) -> None:
    other = End(tmp_path, scene.clock)
    scene.more = {"other": other.connector(timeout_s=HOUR_S * 10.0)}
    scene.restart()
    other.answer = "silence"
    scene.runner.usage(usage(1))
    scene.pass_time(1)
    assert scene.site.used(usage(1).key) == 1
    assert (scene.line()["waiting"], scene.line("other")["waiting"]) == (0, 1)


def test_one_that_breaks_holds_up_no_other_and_is_begun_anew(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls: list[int] = []

    async def breaks(_: object) -> dict[str, str]:
        calls.append(1)
        if len(calls) == 1:
            raise TypeError(f"a fault that names {MEMBER}")
        return {}

    scene.more = {"odd": Odd(breaks)}
    scene.restart()
    scene.runner.usage(usage(1))
    scene.pass_time(1)
    assert scene.site.used(usage(1).key) == 1
    assert "broken: TypeError at test_connector_runner.py:" in str(scene.line("odd")["state"])
    assert MEMBER not in caplog.text
    scene.pass_time(HOUR_S)
    assert (scene.line("odd")["state"], scene.line("odd")["waiting"]) == ("up", 0)


def test_what_is_refused_is_kept_counted_by_its_reason_and_told_again_each_day(scene: Scene) -> None:
    scene.site.wants_credit = True
    for number in (1, 2):
        scene.runner.usage(usage(number))
    scene.runner.usage(usage(3, member=NOBODY))
    scene.pass_time(5)
    assert scene.line()["refused"] == {"ValidationError": 2, "LinkValidationError": 1}
    asked = scene.site.requests
    scene.pass_time(20 * HOUR_S)
    assert scene.site.requests == asked
    scene.site.credit(MEMBER, 9)
    scene.pass_time(6 * HOUR_S)
    assert (scene.site.used(usage(1).key), scene.site.used(usage(2).key)) == (1, 1)
    assert scene.line()["refused"] == {"LinkValidationError": 1}


def test_a_refused_usage_keeps_its_member_so_that_it_can_be_told_again(scene: Scene) -> None:
    scene.runner.usage(usage(3, member=NOBODY))
    scene.pass_time(1)
    scene.kill()
    box = Outbox(scene.folder)
    box.open()
    ((kept, reason),) = box.refused("dokos")
    box.close()
    assert (kept, reason) == (usage(3, member=NOBODY), f"LinkValidationError: Could not find User: {NOBODY}")
    scene.begin()


def test_a_figure_that_changes_during_a_request_is_told_after_it(scene: Scene) -> None:
    told: list[int] = []
    gate = asyncio.Event()

    async def slow(usages: Sequence[Usage]) -> dict[str, str]:
        if usages:
            told.extend(each.half_days for each in usages)
            await gate.wait()
        return {}

    scene.more = {"odd": Odd(slow)}
    scene.restart()
    scene.runner.usage(usage(1, 1))
    scene.pass_time(1)
    scene.runner.usage(usage(1, 2))
    gate.set()
    scene.pass_time(1)
    assert told == [1, 2]
    assert scene.line("odd")["waiting"] == 0


def test_a_credit_is_shown_while_the_site_is_away_with_its_date(scene: Scene) -> None:
    scene.site.credit(MEMBER, 7)
    assert scene.runner.balance_of(MEMBER) is None
    scene.pass_time(1)
    assert scene.runner.balance_of(MEMBER) == Balance(7, NOW_UTC_S)
    scene.site.answer = "no connection"
    scene.pass_time(50 * HOUR_S)
    scene.restart()
    assert scene.runner.balance_of(MEMBER) == Balance(7, NOW_UTC_S)
    scene.site.answer = "ok"
    scene.site.credit(MEMBER, 3)
    scene.pass_time(2 * HOUR_S)
    found = scene.runner.balance_of(MEMBER)
    assert found is not None
    assert found.half_days == 3
    assert found.utc_s >= NOW_UTC_S + 50 * HOUR_S


def test_a_member_whom_the_site_forgets_has_no_credit_any_more(scene: Scene) -> None:
    scene.site.credit(MEMBER, 7)
    scene.runner.balance_of(MEMBER)
    scene.pass_time(1)
    scene.site.form = "numbers by type"
    scene.more = {}
    scene.kill()
    scene.site.connector = lambda **_: End.connector(scene.site, credit_type="gone")  # type: ignore[method-assign]
    scene.begin()
    scene.runner.balance_of(MEMBER)
    scene.pass_time(1)
    assert scene.runner.balance_of(MEMBER) is None
    scene.restart()
    assert scene.runner.balance_of(MEMBER) is None


def test_the_balances_of_all_members_are_asked_each_hour(scene: Scene) -> None:
    scene.members = [MEMBER, OTHER]
    scene.site.credit(OTHER, 4)
    scene.pass_time(HOUR_S + 1)
    found = scene.runner.balance_of(OTHER)
    assert found is not None
    assert found.half_days == 4


def test_many_members_are_asked_one_by_one_and_whoever_taps_before_them(scene: Scene) -> None:
    scene.pass_time(1)
    for number in range(300):
        scene.runner.balance_of(f"member-{number}@coroutine.example")
    scene.pass_time(10)
    assert scene.site.requests < 15
    scene.site.credit(MEMBER, 6)
    scene.runner.balance_of(MEMBER)
    scene.runner.usage(usage(1))
    scene.pass_time(2)
    assert scene.site.used(usage(1).key) == 1
    found = scene.runner.balance_of(MEMBER)
    assert found is not None
    before = scene.site.requests
    scene.pass_time(310)
    assert scene.site.requests > before + 280, "and all the others in the end"


def test_a_recorded_usage_brings_the_new_balance(scene: Scene) -> None:
    scene.site.credit(MEMBER, 7)
    scene.runner.balance_of(MEMBER)
    scene.pass_time(1)
    scene.runner.usage(usage(1, 2))
    scene.pass_time(1)
    found = scene.runner.balance_of(MEMBER)
    assert found is not None
    assert found.half_days == 5


def test_a_member_who_taps_often_is_not_asked_for_each_time(scene: Scene) -> None:
    scene.site.credit(MEMBER, 7)
    for _ in range(100):
        scene.runner.balance_of(MEMBER)
        scene.pass_time(1)
    assert scene.site.requests < 6


def test_one_member_who_cannot_be_asked_does_not_hold_up_the_others(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "fedow").mkdir()
    ledger = fedow_end.End(tmp_path / "fedow", scene.clock)
    unknown = "c5e3f2d0-4d90-4e77-9f2e-3a4b5c6d7e8f"  # of which Fedow answers 500
    scene.more = {"fedow": ledger.connector()}
    scene.site.answer = "no connection"
    scene.restart()
    scene.runner.balance_of(unknown)
    scene.pass_time(1)
    ledger.credit(MEMBER, 4)
    scene.runner.balance_of(MEMBER)
    scene.pass_time(120)
    found = scene.runner.balance_of(MEMBER)
    assert found is not None
    assert found.half_days == 4
    asked = ledger.requests
    scene.pass_time(HOUR_S / 2)
    assert ledger.requests == asked, "it is given up until the next tap or round"


def test_balances_that_fail_do_not_stop_usages(scene: Scene) -> None:
    scene.site.rights.discard(("Balise", "contacts"))
    scene.runner.balance_of(MEMBER)
    scene.pass_time(1)
    assert "see its role" in str(scene.line()["state"])
    scene.runner.usage(usage(1))
    scene.pass_time(1)
    assert scene.site.used(usage(1).key) == 1


def test_later_is_not_before_the_site_says(scene: Scene) -> None:
    scene.site.answer = "429"
    scene.runner.usage(usage(1))
    scene.pass_time(16)
    assert scene.site.requests == 1
    scene.site.answer = "ok"
    scene.pass_time(2)
    assert scene.site.used(usage(1).key) == 1


def test_a_fault_that_the_host_must_mend_is_looked_at_again_within_a_quarter_of_an_hour(scene: Scene) -> None:
    scene.site.roles = set()
    scene.runner.usage(usage(1))
    scene.pass_time(HOUR_S)
    assert scene.site.requests < 20
    scene.site.roles = {"Balise"}
    scene.pass_time(901)
    assert scene.site.used(usage(1).key) == 1


def test_a_connector_may_do_what_is_due_each_hour(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls: list[int] = []

    async def counted(usages: Sequence[Usage]) -> dict[str, str]:
        calls.append(len(usages))
        return {}

    scene.more = {"odd": Odd(counted)}
    scene.restart()
    scene.pass_time(10 * HOUR_S + 1)
    assert 10 <= len(calls) <= 13
    assert set(calls) == {0}
    assert caplog.text == ""


def test_neither_log_nor_status_name_a_member_or_a_secret(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene.runner.usage(usage(1))
    scene.runner.usage(usage(2, member=NOBODY))
    scene.runner.balance_of(MEMBER)
    for answer in ("ok", *End.answers):
        scene.site.answer = answer
        scene.runner.usage(usage(3, half_days=len(answer) % 5))
        scene.pass_time(HOUR_S)
    text = caplog.text + repr(scene.runner.status())
    assert "connector away" in caplog.text
    for word in (MEMBER, NOBODY, *End.secrets):
        assert word not in text


@pytest.mark.parametrize("bad", [usage(day="yesterday"), usage(day="20260227"), usage(half_days=-1), usage(member="")])
def test_a_usage_that_cannot_be_is_refused_at_once(scene: Scene, bad: Usage) -> None:
    with pytest.raises(BadgeError):
        scene.runner.usage(bad)
    assert scene.line()["waiting"] == 0


def test_what_cannot_be_written_down_is_told_to_the_desk(tmp_path: Path) -> None:
    runner = Runner({}, tmp_path, LoopClock(VirtualLoop(), 0))
    with pytest.raises(BadgeError, match="not open"):
        runner.usage(usage(1))
    (tmp_path / FILE_NAME).write_bytes(b"no database, whatever its name says" * 100)
    with pytest.raises(BadgeError, match=FILE_NAME):
        runner.open()


def test_two_connectors_of_one_label_are_told_apart_by_name(tmp_path: Path) -> None:
    words: dict[str, Any] = {"kind": "dokos", "url": "https://e.example", "secret_file": tmp_path, "credit_type": "c"}
    with pytest.raises(ConfigError, match="'dokos'"):
        built([dokos.Settings(**words), dokos.Settings(**words)])
    assert list(built([dokos.Settings(**words), dokos.Settings(**words, name="two")])) == ["dokos", "two"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ok", "lost", "503", "no connection", "silence", "403"]),
            st.integers(0, 2),  # which usage
            st.integers(0, 2),  # its new figure
            st.sampled_from([0.0, 0.2, 7.0, 4000.0]),
            st.booleans(),  # killed afterwards
        ),
        max_size=12,
    )
)
def test_whatever_happens_on_the_way_in_the_end_each_figure_counts_once(
    steps: list[tuple[str, int, int, float, bool]],
) -> None:
    folder = Path(tempfile.mkdtemp())
    scene, wanted = Scene(folder), dict.fromkeys(range(3), 0)
    try:
        for answer, number, half_days, wait_s, is_killed in steps:
            scene.site.answer, wanted[number] = answer, half_days
            scene.runner.usage(usage(number, half_days))
            scene.pass_time(wait_s)
            if is_killed:
                scene.restart()
        scene.site.answer = "ok"
        scene.pass_time(2 * HOUR_S)
        assert {number: scene.site.used(usage(number).key) for number in wanted} == wanted
        assert scene.line()["waiting"] == 0
    finally:
        scene.end()
        shutil.rmtree(folder)
