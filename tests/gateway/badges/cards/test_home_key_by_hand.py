"""What gateway/BADGES.md says of a `home.key` that has leaked: moved away by hand, what goes on and what ends."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.recognise import Claim
from balise_gateway.badges.desk.finding import Bearer, Finder, When
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.register import Member
from balise_tools.badge import app
from balise_tools.badge_cards import new_number, today
from gateway.badges.cards.series_bench import HOME, Hand, Model, Scene, cards


@dataclass
class After:
    """Ada has a card of every kind: signed, grade 2, known by its UID, printed. Then `home.key` was moved away."""

    scene: Scene
    signed: Model
    chip: Model
    plain: Model
    printed: str
    who: bytes

    def issue(self, *words: str) -> tuple[int, str]:
        config = self.scene.folder.parent / "gateway.toml"
        done = CliRunner().invoke(app, ["issue", "ada", *words, "-c", str(config)])
        return done.exit_code, done.output

    def number(self, model: Model) -> str:
        return self.scene.claim(model).number

    def found(self, claim: Claim) -> object:
        lists = CardLists(self.scene.folder, HOME, self.scene.keys, lambda: None)
        with self.scene.register() as register:
            found = Finder(HOME, self.scene.keys, register, lists, lambda member: None).find(claim, When(2026, today()))
        lists.close()
        return found


@pytest.fixture
def after(tmp_path: Path, scene: Scene) -> After:
    (signed, plain), (chip,) = cards(1, 2), cards(2, 1)
    for grade, model in ((1, signed), (2, chip)):
        scene.make(grade, 1, Hand(scene.chip, [model]))
        scene.csv.unlink()
    printed = new_number()
    with scene.register() as register:
        register.put_member(Member("ada"))
        for model in (signed, chip):
            register.issue(scene.claim(model).number, "ada", today())
        register.issue(new_number(), "ada", today(), uid=plain.uid)
        register.issue(printed, "ada", today())
    scene.chip.take_away()
    who = scene.keys.who("ada", HOME, 2026)
    (scene.folder / "home.key").rename(tmp_path / "home.key.leaked")
    scene.keys = keys.load_or_make(scene.folder)
    (tmp_path / "gateway.toml").write_text(
        f'[gateway]\ndata_dir = "data"\n[badge]\nplace = "{HOME}"\n'
        f'[[reader]]\nkind = "pn532"\nname = "door"\npath = "{scene.chip.path}"\npoll_s = 0.02\n',
        encoding="utf-8",
    )
    return After(scene, signed, chip, plain, printed, who)


def test_a_printed_number_goes_on_under_another_pseudonym(after: After) -> None:
    found = after.found(Claim(HOME, after.printed))
    assert isinstance(found, Bearer)
    assert found.who == after.scene.keys.who("ada", HOME, 2026) != after.who


def test_a_signed_card_is_refused_until_it_is_written_again(after: After) -> None:
    assert after.scene.verdict(after.signed) == "signature"
    after.scene.chip.lay(after.signed)
    code, told = after.issue("--grade", "1", "--write", "door", "--number", after.number(after.signed))
    assert code == 0, told
    assert isinstance(after.scene.verdict(after.signed), Bearer)


def test_a_card_known_by_its_uid_is_unknown_until_it_is_laid_down_again(after: After) -> None:
    claim = Claim(None, uid=after.plain.uid)
    assert after.found(claim) == "not listed"
    after.scene.chip.lay(after.plain)
    code, told = after.issue("--read", "door")
    assert code == 0, told
    assert isinstance(after.found(claim), Bearer)


def test_a_card_of_grade_2_is_refused_and_its_chip_cannot_be_written_again(after: After) -> None:
    assert after.scene.verdict(after.chip) == "signature"
    after.scene.chip.lay(after.chip)
    code, told = after.issue("--grade", "2", "--write", "door")
    assert code == 1
    assert "home.key" in told
