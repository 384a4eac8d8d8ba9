"""`balise badge batch` on a reader: interrupted and killed, and its cards given out by `balise badge issue`."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from balise_sim.nfc.cards.ntag21x import Model as Ntag21x
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_tools.badge import app
from balise_tools.badge_cards import new_number, today
from balise_wire import card as wire
from gateway.badges.cards.lying_chip import LyingChip
from gateway.badges.cards.series_bench import HOME, Hand, Model, Scene, cards

Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, scene: Scene) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[gateway]\ndata_dir = "data"\n[badge]\nplace = "{HOME}"\nname = "La Coroutine"\n'
        f'[[reader]]\nkind = "pn532"\nname = "door"\npath = "{scene.chip.path}"\npoll_s = 0.02\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def run(config: Path) -> Run:
    return lambda *words: CliRunner().invoke(app, [*words, "-c", str(config)])


def begun(config: Path, grade: int, count: int) -> "subprocess.Popen[str]":
    """The command in a process of its own."""
    words = ["batch", str(count), "--grade", str(grade), "--write", "door", "--out", str(config.parent / "cards.html")]
    call = "import sys; from balise_tools.badge import app; app(sys.argv[1:])"
    command = [sys.executable, "-u", "-c", call, *words, "-c", str(config)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def heard(process: "subprocess.Popen[str]", what: str) -> str:
    """The next line with this in it."""
    assert process.stdout is not None
    for line in process.stdout:
        if what in line:
            return line
    assert process.stderr is not None
    raise AssertionError(f"ended without {what!r}: {process.stderr.read()}")


def played_to_the_end(process: "subprocess.Popen[str]", chip: Pn532Tty, pile: list[Model]) -> None:
    for model in pile:
        heard(process, "lay it on the reader")
        chip.take_away()
        chip.lay(model)
    heard(process, "give them out")
    process.communicate()
    assert process.returncode == 0
    chip.take_away()


@pytest.mark.parametrize("grade", [1, 2])
def test_ctrl_c_keeps_what_is_made_and_the_same_command_goes_on(scene: Scene, config: Path, grade: int) -> None:
    pile = cards(grade, 2)
    process = begun(config, grade, 2)
    heard(process, "card 1 of 2: lay it")
    scene.chip.lay(pile[0])
    heard(process, "card 2 of 2: lay it")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert "1 of 2 cards are made and kept" in told
    assert not (config.parent / "cards.html").exists()
    scene.chip.take_away()
    played_to_the_end(begun(config, grade, 2), scene.chip, pile[1:])
    scene.check(pile, grade)
    sheet = (config.parent / "cards.html").read_text(encoding="utf-8")
    assert [wire.printed(number) in sheet for number in scene.numbers()] == [True, True]


@pytest.mark.parametrize(("grade", "after"), [(1, "address and signature"), (2, "key 2"), (2, "check")])
def test_a_command_that_is_killed_goes_on_with_the_card_it_had_begun(
    scene: Scene, config: Path, grade: int, after: str
) -> None:
    pile = cards(grade, 2)
    process = begun(config, grade, 2)
    heard(process, "card 1 of 2: lay it")
    scene.chip.lay(pile[0])
    heard(process, after)
    process.kill()
    process.communicate()
    scene.chip.take_away()
    again = begun(config, grade, 2)
    line = heard(again, "lay it on the reader")
    pile_left = pile[1:] if "card 2 of 2" in line else pile
    scene.chip.lay(pile_left[0])
    played_to_the_end(again, scene.chip, pile_left[1:])
    scene.check(pile, grade)


@pytest.mark.parametrize("grade", [1, 2])
@pytest.mark.parametrize("how", ["number", "reader"])
def test_a_card_of_the_batch_is_given_out_by_its_number_or_on_a_reader(
    scene: Scene, run: Run, grade: int, how: str
) -> None:
    (model,) = cards(grade, 1)
    scene.make(grade, 1, Hand(scene.chip, [model]))
    (number,) = scene.numbers()
    assert run("member", "ada").exit_code == 0
    words = ("--number", wire.printed(number)) if how == "number" else ("--read", "door")
    done = run("issue", "ada", *words)
    assert done.exit_code == 0, done.output
    assert f"{wire.printed(number)} is ada's, grade {grade}" in done.stdout
    claim = scene.claim(model)
    assert (claim.grade, claim.wrong, claim.number) == (grade, "", number)
    with scene.register() as register:
        known = register.by_uid(model.uid)
    assert known is not None
    assert (known.member, known.grade, known.last_day) == ("ada", grade, today() + 30 if grade == 1 else None)
    other = run("issue", "ada", "--read", "door", "--number", wire.printed(new_number()))
    assert other.exit_code == 1
    assert "leave --number out" in other.output


@pytest.mark.parametrize("grade", [1, 2])
def test_a_card_that_an_old_backup_does_not_know_is_given_out_on_a_reader_all_the_same(
    scene: Scene, run: Run, grade: int
) -> None:
    (model,) = cards(grade, 1)
    scene.make(grade, 1, Hand(scene.chip, [model]))
    (number,) = scene.numbers()
    for path in scene.folder.glob("register.db*"):
        path.unlink()
    assert run("member", "ada").exit_code == 0
    done = run("issue", "ada", "--read", "door")
    assert f"{wire.printed(number)} is ada's, grade {grade}" in done.stdout
    assert not isinstance(scene.verdict(model), str)


def test_a_card_whose_signature_does_not_hold_is_not_taken_as_it_is(scene: Scene, run: Run) -> None:
    model, other = cards(1, 2)
    scene.make(1, 1, Hand(scene.chip, [model]))
    assert isinstance(other, Ntag21x)
    message = LyingChip(model, "NTAG213").read_ndef()
    for path in scene.folder.glob("register.db*"):
        path.unlink()
    other.set_ndef(message)
    scene.chip.take_away()
    scene.chip.lay(other)
    assert run("member", "ada").exit_code == 0
    refused = run("issue", "ada", "--read", "door")
    assert refused.exit_code == 1
    assert "does not hold" in refused.output


def test_a_chip_that_shows_the_plain_number_of_another_is_not_taken_as_it_is(scene: Scene, run: Run) -> None:
    model, copy = cards(1, 2)
    scene.make(1, 1, Hand(scene.chip, [model]))
    assert isinstance(copy, Ntag21x)
    copy.set_ndef(wire.message(wire.home_url(HOME, scene.numbers()[0])))
    scene.chip.take_away()
    scene.chip.lay(copy)
    assert run("member", "ada").exit_code == 0
    refused = run("issue", "ada", "--read", "door")
    assert refused.exit_code == 1
    assert "a copy?" in refused.output


def test_a_last_day_beyond_the_one_on_the_card_is_refused(scene: Scene, run: Run) -> None:
    (model,) = cards(1, 1)
    scene.make(1, 1, Hand(scene.chip, [model]))
    (number,) = scene.numbers()
    assert run("member", "ada").exit_code == 0
    refused = run("issue", "ada", "--number", number, "--until", "2099-12-31")
    assert refused.exit_code == 1
    assert "write it anew" in refused.output


def test_a_chip_that_is_known_by_its_uid_is_not_written_for_another(scene: Scene, run: Run) -> None:
    (model,) = cards(1, 1)
    assert isinstance(model, Ntag21x)
    scene.chip.lay(model)
    for member in ("ada", "bob"):
        assert run("member", member).exit_code == 0
    assert run("issue", "ada", "--read", "door").exit_code == 0
    before = bytes(model.memory)
    refused = run("issue", "bob", "--grade", "1", "--write", "door")
    assert refused.exit_code == 1
    assert bytes(model.memory) == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--grade", "1"), 2, "add --write READER"),
        (("--write", "door"), 2, "add --grade 1 or --grade 2"),
        (("--grade", "2", "--write", "window"), 1, "no reader 'window'"),
        (("--grade", "1", "--write", "door", "--until", "2020-01-01"), 2, "that day is over"),
        (("--grade", "1", "--write", "door", "--out", "cards.txt"), 1, ".html or .pdf"),
    ],
)
def test_what_cannot_be_made_is_told_before_any_card(run: Run, words: tuple[str, ...], code: int, told: str) -> None:
    refused = run("batch", "2", "--out", "cards.pdf", *words)
    assert refused.exit_code == code, refused.output
    assert told in refused.output.replace("\n", " ")


def test_a_reader_that_is_away_ends_the_command_and_says_what_is_kept(scene: Scene, run: Run, tmp_path: Path) -> None:
    scene.chip.unplug()
    refused = run("batch", "2", "--grade", "1", "--write", "door", "--out", str(tmp_path / "cards.pdf"))
    assert refused.exit_code == 1
    assert "No card is made yet" in refused.output
