"""Cards are issued from the command line on a PN532 (the emulated chip, nfcpy), and recognised afterwards."""

import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.recognise import Claim, Own, Places, recognise
from balise_gateway.badges.register import Register
from balise_gateway.badges.seen import Seen
from balise_sim.nfc.cards import Card
from balise_sim.nfc.cards.mifare_classic import Model as Classic
from balise_sim.nfc.cards.ntag21x import Model as Ntag21x
from balise_sim.nfc.cards.ntag424 import Model as Ntag424
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_tools.badge import app
from balise_wire import card as wire
from gateway.badges.cards.lying_chip import LyingChip

HOME, UID = "coroutine.example", bytes.fromhex("04a1b2c3d4e5f6")
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/nxp.json").read_text(encoding="utf-8"))
TODAY = (datetime.date.today() - datetime.date(1970, 1, 1)).days
Run = Callable[..., Result]


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[Pn532Tty]:
    with Pn532Tty(tmp_path / "reader", pace=0.0) as made:
        yield made


@pytest.fixture
def run(tmp_path: Path, chip: Pn532Tty) -> Run:
    (tmp_path / "gateway.toml").write_text(
        f'[gateway]\ndata_dir = "data"\n[badge]\nplace = "{HOME}"\n'
        f'[[reader]]\nkind = "pn532"\nname = "door"\npath = "{chip.path}"\n',
        encoding="utf-8",
    )

    def command(*words: str) -> Result:
        return CliRunner().invoke(app, [*words, "-c", str(tmp_path / "gateway.toml")])

    assert command("member", "ada").exit_code == 0
    return command


def issued(run: Run, *words: str) -> str:
    """The number of the card that this gives to ada."""
    done = run("issue", "ada", *words)
    assert done.exit_code == 0, done.output
    return wire.parse_number(done.stdout.splitlines()[0].split(" ")[0])


def claimed(model: Card, kind: str, folder: Path) -> tuple[Claim, str | None]:
    """What the place makes of this card when it is shown, and whose it is."""
    made = keys.load(folder)
    uri, records = wire.read_message(LyingChip(model, kind).read_ndef())
    with Register(folder, made.uid_token) as register:
        own = Own(HOME, made, register.take_counter, register.fits)
        places = Places(lambda home: [made.signer.public_key] if home == HOME else [])
        claim = recognise(Seen("card", "door", model.uid, uri, records, kind), places, own, TODAY)
        found = register.by_number(claim.number)
        by_chip = register.by_uid(model.uid)
    assert found == by_chip
    return claim, found.member if found else None


def test_a_card_of_grade_2_is_issued_and_recognised(run: Run, chip: Pn532Tty, tmp_path: Path) -> None:
    model = Ntag424(UID)
    chip.lay(model)
    number = issued(run, "--grade", "2", "--write", "door")
    claim, member = claimed(model, "NTAG424", tmp_path / "data")
    assert (claim.home, claim.number, claim.grade, claim.wrong, member) == (HOME, number, 2, "", "ada")


def test_a_card_of_grade_2_that_comes_back_goes_to_another(run: Run, chip: Pn532Tty, tmp_path: Path) -> None:
    model = Ntag424(UID)
    chip.lay(model)
    number = issued(run, "--grade", "2", "--write", "door")
    assert run("member", "bob").exit_code == 0
    refused = run("issue", "bob", "--grade", "2", "--write", "door")
    assert refused.exit_code == 1
    assert "somebody's" in refused.output
    assert run("revoke", number, "--reason", "ended").exit_code == 0
    assert run("issue", "bob", "--grade", "2", "--write", "door").exit_code == 0
    claim, member = claimed(model, "NTAG424", tmp_path / "data")
    assert (claim.number, claim.grade, claim.wrong, member) == (number, 2, "", "bob")


def test_a_card_of_somebody_is_not_even_written(run: Run, chip: Pn532Tty) -> None:
    model = Ntag21x(UID)
    chip.lay(model)
    issued(run, "--grade", "1", "--write", "door")
    before = bytes(model.memory)
    assert run("member", "bob").exit_code == 0
    assert run("issue", "bob", "--grade", "1", "--write", "door", "--until", "2099-12-31").exit_code == 1
    assert bytes(model.memory) == before


def test_the_message_that_was_read_to_check_the_card_is_used_up(run: Run, chip: Pn532Tty, tmp_path: Path) -> None:
    chip.lay(Ntag424(UID))
    number = issued(run, "--grade", "2", "--write", "door")
    with Register(tmp_path / "data", keys.load(tmp_path / "data").uid_token) as register:
        assert register.take_counter(number, UID, 1) == "replay"


def test_a_number_that_moves_to_a_new_chip_counts_from_its_beginning(run: Run, chip: Pn532Tty, tmp_path: Path) -> None:
    chip.lay(Ntag424(UID))
    number = issued(run, "--grade", "2", "--write", "door")
    with Register(tmp_path / "data", keys.load(tmp_path / "data").uid_token) as register:
        assert register.take_counter(number, UID, 1_000) == ""
    assert run("revoke", number, "--reason", "ended").exit_code == 0
    chip.take_away()
    model = Ntag424(bytes.fromhex("04ffeeddccbbaa"))
    chip.lay(model)
    assert issued(run, "--grade", "2", "--write", "door", "--number", number) == number
    claim, _ = claimed(model, "NTAG424", tmp_path / "data")
    assert (claim.grade, claim.wrong) == (2, "")


def test_another_number_for_a_chip_that_has_one_is_refused(run: Run, chip: Pn532Tty) -> None:
    chip.lay(Ntag424(UID))
    number = issued(run, "--grade", "2", "--write", "door")
    refused = run("issue", "ada", "--grade", "2", "--write", "door", "--number", wire.make_number(bytes(6)))
    assert refused.exit_code == 1
    assert wire.printed(number) in refused.output


@pytest.mark.parametrize("torn_after", [12, 20, 28])  # torn before any work began it is waited for: the readers' tests
def test_a_card_torn_away_is_finished_by_the_same_command(
    run: Run, chip: Pn532Tty, tmp_path: Path, torn_after: int
) -> None:
    model = Ntag424(UID)
    chip.lay(model)
    chip.tear_away_after(torn_after)
    first = run("issue", "ada", "--grade", "2", "--write", "door")
    assert first.exit_code == 1, first.output
    assert "run the same command again" in first.output
    chip.take_away()
    chip.lay(model)
    number = issued(run, "--grade", "2", "--write", "door")
    claim, member = claimed(model, "NTAG424", tmp_path / "data")
    assert (claim.number, claim.grade, claim.wrong, member) == (number, 2, "", "ada")


@pytest.mark.parametrize("lock", [(), ("--lock",)])
def test_a_card_of_grade_1_is_issued_and_recognised(
    run: Run, chip: Pn532Tty, tmp_path: Path, lock: tuple[str, ...]
) -> None:
    model = Ntag21x(UID)
    chip.lay(model)
    number = issued(run, "--grade", "1", "--write", "door", "--until", "2099-12-31", *lock)
    claim, member = claimed(model, "NTAG213", tmp_path / "data")
    assert (claim.home, claim.number, claim.grade, claim.wrong, member) == (HOME, number, 1, "", "ada")
    assert claim.last_day == 47_481
    again = run("issue", "ada", "--grade", "1", "--write", "door")
    assert again.exit_code == (1 if lock else 0)


def test_the_card_they_have_already_is_taken_as_it_is(run: Run, chip: Pn532Tty, tmp_path: Path) -> None:
    model = Classic(bytes.fromhex("a1b2c33d"))
    chip.lay(model)
    number = issued(run, "--read", "door")
    made = keys.load(tmp_path / "data")
    with Register(tmp_path / "data", made.uid_token) as register:
        found = register.by_uid(model.uid)
    assert found is not None
    assert (found.number, found.member, found.grade) == (number, "ada", 0)


@pytest.mark.parametrize(
    ("model", "code", "told"),
    [
        (Ntag424(UID), 1, "not signed this UID"),
        (Classic(bytes.fromhex("a1b2c33d")), 1, "no signature"),
        (
            Ntag21x(
                *(bytes.fromhex(text) for text in VECTORS["F"]["cases"][0][:1]),
                signature=bytes.fromhex(VECTORS["F"]["cases"][0][1]),
            ),
            0,
            "NXP has signed this UID",
        ),
        (
            Ntag424(*(bytes.fromhex(text) for text in VECTORS["G"]["cases"][0])),
            0,
            "NXP has signed this UID",
        ),
    ],
)
def test_a_chip_is_checked_before_a_thousand_are_bought(
    run: Run, chip: Pn532Tty, model: Card, code: int, told: str
) -> None:
    chip.lay(model)
    checked = run("check-chip", "door")
    assert (checked.exit_code, told in checked.output) == (code, True), checked.output


def test_a_card_of_grade_2_needs_the_chip_for_it(run: Run, chip: Pn532Tty) -> None:
    chip.lay(Ntag21x(UID))
    refused = run("issue", "ada", "--grade", "2", "--write", "door")
    assert refused.exit_code == 1
    assert "NTAG 424 DNA, this is NTAG213" in refused.output
    assert run("list").stdout == ""
