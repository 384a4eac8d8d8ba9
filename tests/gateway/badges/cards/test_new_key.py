"""A new `place.key`: when it signs, what of the old one goes on, and what a kill at any step leaves."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_gateway.badges.cards import keys, new_key
from balise_gateway.badges.cards.keys import BOX_KEY, CHANGE_FILE, HOME_KEY, NEXT_KEY, PLACE_KEY, HomeKeys
from balise_gateway.badges.cards.new_key import KNOWN_AFTER_S, Scene, Told
from balise_gateway.badges.register import Card
from balise_gateway.errors import KeyFileError
from balise_wire import card
from balise_wire.errors import WireError
from balise_wire.places import Place, Table

HOME, OTHER = "coroutine.example", bytes(range(32))
NOW_S, TODAY = 20_800 * 86_400, 20_800
NUMBER, UID = card.make_number(bytes(6)), bytes.fromhex("04a1b2c3d4e5f6")
CARDS = [Card(NUMBER, None, 1, "ada", "", "active", TODAY, TODAY + 500)]
KILLED = -9

# Kills itself before the n-th change of a file: what the interpreter itself says of its own doings (PEP 578).
SCRIPT = """
import os, pathlib, sys
from balise_gateway.badges.cards import keys, new_key
from gateway.badges.cards.test_new_key import CARDS, scene
folder, what, left = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
own = keys.load(folder)
def hook(event, told):
    global left
    writes = event == "open" and isinstance(told[2], int) and told[2] & (os.O_WRONLY | os.O_CREAT)
    if event in ("os.rename", "os.link", "os.remove") or writes:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
sys.addaudithook(hook)
if what == "look":
    new_key.look(folder, own, scene(new_key.told(folder, 20_800)), lambda: iter(CARDS))
else:
    new_key.begin(folder, leaked=what == "leaked")
print(left)
"""


def scene(told: Told | None, *, after_s: int = KNOWN_AFTER_S) -> Scene:
    """The table in force names these keys, and was signed so long ago."""
    place = None if told is None else Place(HOME, HOME, "coro", told.sign, told.box, (OTHER,))
    table = None if place is None else Table(3, NOW_S, (place,))
    return Scene(HOME, table, NOW_S + after_s)


def cards() -> Iterator[Card]:
    return iter(CARDS)


def look(folder: Path, own: HomeKeys, at: Scene) -> bool:
    return new_key.look(folder, own, at, cards)


def test_the_new_key_waits_until_the_table_names_it_and_everybody_has_that_table(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    old, box = own.signer.public_key, own.box_public
    before = new_key.told(tmp_path, TODAY)
    assert before == Told((old,), box)
    new_key.begin(tmp_path, leaked=False)
    told = new_key.told(tmp_path, TODAY)
    assert told.sign[1:] == (old,)
    assert told.sign[0] != old
    assert told.box == box
    for at in (scene(None), scene(before), scene(told, after_s=KNOWN_AFTER_S - 1)):
        assert not look(tmp_path, own, at)
        assert own.signer.public_key == old
    assert not look(tmp_path, own, Scene(HOME, scene(told).table, None))  # nobody knows the time
    assert look(tmp_path, own, scene(told))
    assert own.sign_keys == told.sign
    assert own.box_public == box
    assert new_key.told(tmp_path, TODAY) == told
    again = keys.load(tmp_path)
    assert (again.sign_keys, again.box_public, again.scan_key) == (told.sign, box, own.scan_key)


def test_the_files_of_a_change_are_for_their_owner_only(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    new_key.begin(tmp_path, leaked=False)
    assert stat.S_IMODE((tmp_path / NEXT_KEY.name).stat().st_mode) == 0o600
    look(tmp_path, own, scene(new_key.told(tmp_path, TODAY)))
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_table_that_leaves_the_old_key_out_is_obeyed_at_once(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    new_key.begin(tmp_path, leaked=False)
    told = new_key.told(tmp_path, TODAY)
    assert look(tmp_path, own, scene(Told(told.sign[:1], told.box), after_s=0))


def test_a_place_that_is_alone_changes_at_once(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    new_key.begin(tmp_path, leaked=False)
    assert look(tmp_path, own, Scene(HOME, None, NOW_S, is_alone=True))
    assert len(own.sign_keys) == 2


def test_cards_of_the_old_key_are_good_until_their_last_day_and_the_entry_lets_go_of_it_then(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    record = card.sign_record(own.signer, HOME, NUMBER, TODAY + 500, UID)
    new_key.begin(tmp_path, leaked=False)
    look(tmp_path, own, scene(new_key.told(tmp_path, TODAY)))
    assert card.verify_record(record, own.sign_keys, HOME, NUMBER, UID) == TODAY + 500
    assert len(new_key.told(tmp_path, TODAY + 500).sign) == 2
    assert new_key.told(tmp_path, TODAY + 501).sign == (own.signer.public_key,)


def test_two_changes_after_each_other_keep_both_old_keys_and_the_first_box_key(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    first, box = own.signer.public_key, own.box_public
    for _ in range(2):
        new_key.begin(tmp_path, leaked=False)
        assert look(tmp_path, own, scene(new_key.told(tmp_path, TODAY)))
    assert len(set(own.sign_keys)) == 3
    assert own.sign_keys[2] == first
    assert keys.load(tmp_path).box_public == own.box_public == box


def test_after_a_leak_nothing_of_the_old_keys_is_left(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path)
    new_key.begin(tmp_path, leaked=False)
    look(tmp_path, own, scene(new_key.told(tmp_path, TODAY)))
    record = card.sign_record(own.signer, HOME, NUMBER, TODAY + 500, UID)
    seeds, old_box = [(tmp_path / name).read_bytes() for name in (PLACE_KEY.name, BOX_KEY.name)], own.box_public
    new_key.begin(tmp_path, leaked=True)
    told = new_key.told(tmp_path, TODAY)
    assert len(told.sign) == 1
    assert told.box != old_box
    assert not look(tmp_path, own, scene(None))
    assert look(tmp_path, own, scene(told, after_s=0))  # nobody waits after a leak
    assert (own.sign_keys, own.box_public) == (told.sign, told.box)
    with pytest.raises(WireError):
        card.verify_record(record, own.sign_keys, HOME, NUMBER, UID)
    kept = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(seed in each or seed.hex().encode() in each for seed in seeds for each in kept)
    assert new_key.told(tmp_path, TODAY) == told


def test_a_next_key_that_lay_beside_a_key_that_leaked_is_made_anew_and_then_kept(tmp_path: Path) -> None:
    keys.load_or_make(tmp_path)
    new_key.begin(tmp_path, leaked=False)
    first = new_key.told(tmp_path, TODAY).sign[0]
    new_key.begin(tmp_path, leaked=True)
    told = new_key.told(tmp_path, TODAY)
    assert first not in told.sign
    for leaked in (True, False):  # a leak is not taken back
        new_key.begin(tmp_path, leaked=leaked)
        assert new_key.told(tmp_path, TODAY) == told


def test_a_change_that_a_command_has_made_is_taken_by_who_runs(tmp_path: Path) -> None:
    running, command = keys.load_or_make(tmp_path), keys.load(tmp_path)
    signer = running.signer  # as others hold it
    before = new_key.marks(tmp_path)
    new_key.begin(tmp_path, leaked=False)
    at = scene(new_key.told(tmp_path, TODAY))
    assert look(tmp_path, command, at)
    assert new_key.marks(tmp_path) != before
    assert look(tmp_path, running, at)
    assert signer.public_key == command.signer.public_key == running.sign_keys[0]
    assert not look(tmp_path, running, at)


def run(folder: Path, what: str, left: int) -> int:
    command = [sys.executable, "-c", SCRIPT, str(folder), what, str(left)]
    found_here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # wherever the tests run
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=found_here)
    assert done.returncode in (0, KILLED), done.stderr
    return done.returncode


@pytest.mark.parametrize("what", ["planned", "leaked"])
def test_whatever_is_cut_off_is_finished_by_the_next_run(tmp_path: Path, what: str) -> None:
    whole = tmp_path / "whole"
    keys.load_or_make(whole)
    new_key.begin(whole, leaked=False)  # a change before, so that there is an old key and a box key
    own = keys.load(whole)
    look(whole, own, scene(new_key.told(whole, TODAY)))
    steps = {"begin": 0, "look": 0}
    for step in steps:
        while True:
            cut = tmp_path / f"{step}-{steps[step]}"
            shutil.copytree(whole, cut)
            killed = run(cut, what if step == "begin" else "look", steps[step]) == KILLED
            _check_cut(cut, own, what, begun=step == "look")
            if not killed:
                break
            steps[step] += 1
        if step == "begin":
            new_key.begin(whole, leaked=what == "leaked")
    assert steps["begin"] >= 3
    assert steps["look"] >= 4, steps


def _check_cut(folder: Path, before: HomeKeys, what: str, *, begun: bool) -> None:
    """Keys can be read, are the old ones or the new ones and never a mixture, and the same commands finish it."""
    now = keys.load(folder)
    is_old = now.signer.public_key == before.signer.public_key
    assert is_old or begun
    if is_old or what == "planned":
        assert now.box_public == before.box_public
    else:
        assert now.sign_keys == (now.signer.public_key,)
        assert now.box_public != before.box_public
    if is_old:
        new_key.begin(folder, leaked=what == "leaked")
    told = new_key.told(folder, TODAY)
    look(folder, now, scene(told))
    assert keys.load(folder).sign_keys == now.sign_keys == told.sign
    assert now.box_public == told.box
    assert before.signer.public_key in told.sign if what == "planned" else before.signer.public_key not in told.sign
    left = {path.name for path in folder.iterdir()}
    assert left - {"place-keys.lock"} == {
        PLACE_KEY.name,
        HOME_KEY.name,
        CHANGE_FILE,
        *([BOX_KEY.name] if what == "planned" else []),
    }


def test_a_spoilt_file_of_changes_is_told(tmp_path: Path) -> None:
    keys.load_or_make(tmp_path)
    for text in ("", "{}", '{"old": [{"public": "zz", "last_day": 1}], "leaked_to": "", "changed_day": null}'):
        (tmp_path / CHANGE_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(KeyFileError, match=r"place-keys\.json"):
            keys.load(tmp_path)


def test_a_place_without_a_key_has_none_to_change(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"place\.key"):
        new_key.begin(tmp_path, leaked=True)
