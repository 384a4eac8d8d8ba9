"""The commands as people type them: from a signed agreement to a bill that every place has countersigned."""

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from typer.testing import CliRunner

from balise_gateway.badges.billing import bill as bills
from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.billing.sheet import sheet_of
from balise_gateway.badges.billing.signatures import Signatures
from balise_gateway.badges.billing.to_csv import to_csv
from balise_gateway.badges.billing.to_pdf import to_pdf
from balise_gateway.badges.cards import keys as place_keys
from balise_gateway.errors import PaperError
from balise_gateway.keys import load_or_make as gateway_signer
from balise_tools.badge import app
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.places import Place, Table, sign_table
from balise_wire.visits import VisitRecord, visit_of

EXAMPLE = Path(__file__).parent / "example"
TOML = '[gateway]\ndata_dir = "{}"\n[badge]\nplace = "{}"\ntable_key = "{}"\n'
PLACES = ("coroutine.example", "baraka.example", "labaux.example")
FEDERATION = Signer(b"\7" * 32)


def run(*words: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, [str(word) for word in words])
    return found.exit_code, found.stdout, found.stderr


def records() -> list[VisitRecord]:
    told = (json.loads(line) for line in (EXAMPLE / "visits.jsonl").read_text().splitlines())
    return [visit_of({**one, "who": bytes.fromhex(one["who"])}) for one in told]


class World:
    """Three places with their keys, their table, and the visits of the example signed by their gateways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agreement = folder / "agreement.toml"
        shutil.copy(EXAMPLE / "agreement.toml", self.agreement)
        rows, self.visits = [], []
        for place in PLACES:
            data_dir = folder / place
            data_dir.mkdir()
            keys, gate = place_keys.load_or_make(data_dir), gateway_signer(data_dir)
            rows.append(Place(place, place, place[:2], (keys.signer.public_key,), keys.box_public, (gate.public_key,)))
            mine = [record.item().pack() for record in records() if record.host == place]
            self.visits.append(folder / f"{place}.cose")
            self.visits[-1].write_bytes(sign_envelope(gate, 0, 1, mine))
        self.table = folder / "table.cose"
        self.table.write_bytes(sign_table(FEDERATION, Table(1, 0, tuple(rows))))
        self.trust = ("--table", self.table, "--key", FEDERATION.public_key.hex())

    def config(self, place: str) -> Path:
        file, data_dir = self.folder / place / "gateway.toml", self.folder / place
        file.write_text(TOML.format(data_dir, place, FEDERATION.public_key.hex()))
        shutil.copy(self.table, data_dir / "places.cose")
        return file

    def sign_agreement(self) -> None:
        for place in PLACES:
            assert run("sign", self.agreement, "-c", self.config(place))[0] == 0

    def settle(self, *more: object) -> Path:
        words = (*self.visits, "--agreement", self.agreement, *self.trust, "--out", self.folder / "out", *more)
        assert run("settle", *words)[0] == 0
        return self.folder / "out" / "metropole-2026_2026-11.json"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_example_comes_out_as_it_is_written_down() -> None:
    files = EXAMPLE / "visits.jsonl", "--agreement", EXAMPLE / "agreement.toml", "--json"
    for command, expected in (("sessions", "sessions.jsonl"), ("settle", "bill.json")):
        code, said, told = run(command, *files)
        assert (code, told) == (0, "")
        assert said == (EXAMPLE / expected).read_text()


def test_signed_visits_give_the_same_figures_and_are_verified(world: World) -> None:
    code, said, _ = run("settle", *reversed(world.visits), "--agreement", world.agreement, *world.trust, "--json")
    assert code == 0
    bill, expected = json.loads(said), json.loads((EXAMPLE / "bill.json").read_text())
    assert (bill["verified"], expected["verified"]) == (True, False)
    assert bill["inputs_sha256"] == expected["inputs_sha256"]
    assert all(bill[name] == expected[name] for name in bills.LISTS)
    code, said, _ = run("sessions", *world.visits, "--agreement", world.agreement, *world.trust, "--json")
    plain = [json.loads(line) for line in (EXAMPLE / "sessions.jsonl").read_text().splitlines()]
    for line in plain:
        line["flags"].remove("unverified")
    assert [json.loads(line) for line in said.splitlines()] == plain


def test_all_sign_the_agreement_and_the_bill_and_everybody_can_check(world: World) -> None:
    check = ("verify-agreement", world.agreement, *world.trust)
    assert run(*check)[0] == 1
    world.sign_agreement()
    code, said, _ = run(*check)
    assert code == 0
    assert said.count("\nsigned by ") == 3
    bill = world.settle()
    flags = json.loads(bill.read_text())["flags"]
    assert (flags["unsigned"], flags["transfers_need_signatures"]) == ([], False)
    for place in PLACES[:2]:
        assert run("countersign", bill, "-c", world.config(place))[0] == 0
    verify = ("verify-bill", bill, *world.visits, "--agreement", world.agreement, *world.trust)
    code, said, _ = run(*verify)
    assert code == 0
    assert said.splitlines() == [
        "every figure comes out the same",
        "signed by baraka.example",
        "signed by coroutine.example",
        "not signed by labaux.example",
    ]
    assert world.settle() == bill  # the same bytes may be written again
    world.visits.pop()
    code, said, _ = run(*verify[:2], *world.visits, *verify[5:])
    assert code == 1
    assert "differs: inputs_sha256" in said
    assert "not the same bill" in said


def test_a_bill_that_is_signed_is_not_written_over_by_another(world: World) -> None:
    bill = world.settle()
    before = bill.read_bytes()
    assert run("countersign", bill, "-c", world.config(PLACES[0]))[0] == 0
    world.visits.pop()
    words = (*world.visits, "--agreement", world.agreement, *world.trust, "--out", bill.parent)
    code, _, told = run("settle", *words)
    assert code == 1
    assert "signed already" in told
    assert bill.read_bytes() == before


def test_a_changed_bill_is_neither_read_nor_signed(world: World) -> None:
    bill = world.settle()
    run("countersign", bill, "-c", world.config(PLACES[0]))
    changed = json.loads(bill.read_text())
    changed["transfers"][0]["cents"] += 1
    bill.write_bytes(bills.encode(changed))
    verify = ("verify-bill", bill, *world.visits, "--agreement", world.agreement, *world.trust)
    code, said, _ = run(*verify)
    assert code == 1
    assert "differs: transfers" in said
    assert "not signed by coroutine.example: what was signed is not this file, byte for byte" in said
    for text in ("{}", "[]", "{", '{"agreement": "\\ud800"}', bill.read_text() + " "):
        bill.write_text(text)
        assert run("countersign", bill, "-c", world.config(PLACES[0]))[0] == 1


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just([[]])
GOOD = json.loads((EXAMPLE / "bill.json").read_text())


@settings(deadline=None)
@given(st.data())
def test_a_bill_of_hostile_members_is_refused_or_becomes_sheets(data: st.DataObject) -> None:
    bill = json.loads(json.dumps(GOOD))
    part, names = bill, []
    while isinstance(part, dict | list) and part and (not names or data.draw(st.booleans())):
        names.append(data.draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part)))))
        inside, part = part, part[names[-1]]
    inside[names[-1]] = data.draw(JSON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bill.json")
        path.write_bytes(bills.encode(bill))
        try:
            document, _ = bills.read(path)
        except PaperError:
            assert bills.encode(bill) != bills.encode(GOOD)
            return
    sheet = sheet_of(document, "EUR", Signatures((), PLACES, {}), "fr")
    assert to_pdf(sheet)
    assert to_csv(document, "EUR")


def test_a_place_that_is_not_in_the_agreement_cannot_sign_it(world: World) -> None:
    config = world.config(PLACES[0])
    config.write_text(config.read_text().replace(PLACES[0] + '"\ntable', 'far.example"\ntable'))
    code, _, told = run("sign", world.agreement, "-c", config)
    assert code == 1
    assert "far.example is not in it" in told


def pdf_text(path: Path) -> str:
    return " ".join(page.extract_text() for page in PdfReader(path).pages)


def test_the_sheets_say_the_figures_what_is_unsure_and_that_vat_is_not_in_them(world: World) -> None:
    bill = world.settle()
    text = pdf_text(bill.with_suffix(".pdf"))
    for told in ("Indicatif tant que tous les lieux ne l'ont pas contresigné", "TVA", "expert-comptable", "12,00 EUR"):
        assert told in text
    assert "signés par personne" not in text
    assert "1/2" in text
    assert "À virer une fois l'accord signé par tous" in text
    rows = list(csv.DictReader(io.StringIO(bill.with_suffix(".csv").read_text())))
    assert {(row["list"], row["from"][0], row["to"][0], int(row["cents"])) for row in rows} >= {
        ("gross", "b", "c", 2400),
        ("set_off", "b", "c", 1400),
        ("transfers", "l", "c", 200),
    }
    book = openpyxl.load_workbook(bill.with_suffix(".xlsx"))
    assert book.sheetnames[:2] == ["Accord", "À virer une fois l'accord signé"]
    paid = [[cell.value for cell in row] for row in book.worksheets[1].iter_rows()]
    assert paid == [["De", "À", "Montant"], [PLACES[1], PLACES[0], 12], [PLACES[2], PLACES[0], 2]]
    assert any("TVA" in str(cell.value) for row in book.worksheets[0].iter_rows() for cell in row)


def test_once_all_have_signed_the_sheets_say_so_and_english_can_be_had(world: World) -> None:
    world.sign_agreement()
    bill = world.settle()
    first = bill.with_suffix(".pdf").read_bytes(), bill.with_suffix(".xlsx").read_bytes()
    world.settle()
    assert (bill.with_suffix(".pdf").read_bytes(), bill.with_suffix(".xlsx").read_bytes()) == first
    for place in PLACES:
        run("countersign", bill, "-c", world.config(place))
    export = ("export", bill, "--agreement", world.agreement, *world.trust)
    assert run(*export)[0] == 0
    assert "Contresigné par tous les lieux" in pdf_text(bill.with_suffix(".pdf"))
    assert run(*export, "--lang", "en")[0] == 0
    text = pdf_text(bill.with_suffix(".pdf"))
    assert "Countersigned by every place" in text
    assert "VAT is not computed here" in text
    assert "12.00 EUR" in text
    assert run("export", bill, "--agreement", world.agreement, "--lang", "en")[0] == 0  # no table: nothing is proved
    assert "Indicative until" in pdf_text(bill.with_suffix(".pdf"))


def test_unverified_visits_are_shown_as_such_on_the_sheets(tmp_path: Path) -> None:
    files = EXAMPLE / "visits.jsonl", "--agreement", EXAMPLE / "agreement.toml", "--out", tmp_path
    code, _, _ = run("settle", *files)
    assert code == 0
    assert "12 passages n'ont été signés par personne" in pdf_text(tmp_path / "metropole-2026_2026-11.pdf")


@pytest.fixture
def kept(world: World) -> Iterator[tuple[World, Path, Lines]]:
    """The billing lines of a home whose members have the code of an employer."""
    mine = [{**record.to_map(), "client": "MEL"} for record in records() if record.home == PLACES[1]]
    path = world.folder / "more.cose"
    gate = gateway_signer(world.folder / PLACES[0])
    path.write_bytes(sign_envelope(gate, 0, 1, [[4, told] for told in mine]))
    config = world.config(PLACES[1])
    code, _, told = run("settle", path, "--agreement", world.agreement, "-c", config, "--out", world.folder / "out")
    assert (code, "2 billing lines kept" in told) == (0, True)
    lines = Lines(world.folder / PLACES[1])
    yield world, config, lines
    lines.close()


def test_what_is_kept_for_the_accounts_has_no_times(kept: tuple[World, Path, Lines]) -> None:
    world, _, lines = kept
    assert [(line.period, line.host, line.home, line.day, line.half_days) for line in lines.all("2026-11")] == [
        ("2026-11", PLACES[0], PLACES[1], "2026-11-02", 2),
        ("2026-11", PLACES[0], PLACES[1], "2026-11-06", 1),
    ]
    assert lines.all("2026-12") == []
    file = world.folder / PLACES[1] / "billing.db"
    assert file.stat().st_mode & 0o777 == 0o600
    stored = b"".join(path.read_bytes() for path in file.parent.glob("billing.db*"))
    assert b"metropole-2026" in stored
    for record in records():
        assert str(record.t).encode() not in stored
        assert int(str(record.t)).to_bytes(4, "big") not in stored


def test_an_employer_sees_counts_and_neither_days_nor_people(kept: tuple[World, Path, Lines]) -> None:
    _, config, lines = kept
    code, said, _ = run("counts", "--client", "MEL", "-c", config)
    assert code == 0
    assert said.splitlines()[1:] == ["2026-11  coroutine.example  3"]
    assert "Ni jours, ni personnes" in said
    assert "people" in run("counts", "--client", "MEL", "-c", config, "--lang", "en")[1]
    told = json.loads(run("counts", "--client", "MEL", "-c", config, "--json")[1])
    assert told["counts"] == [{"month": "2026-11", "host": "coroutine.example", "half_days": 3}]
    assert not any(line.who in said or line.day in said for line in lines.all())
    assert json.loads(run("counts", "--client", "other", "-c", config, "--json")[1])["counts"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--period", "2026-13"], "write it as in 2026-11"),
        (["--key", "00"], "64 hex digits"),
        (["--table", os.devnull], "--table needs --key"),
        (["--table", os.devnull, "--key", "00" * 32], "table: "),
    ],
)
def test_what_is_wrong_with_an_option_is_said(words: list[str], told: str) -> None:
    code, said, error = run("settle", EXAMPLE / "visits.jsonl", "--agreement", EXAMPLE / "agreement.toml", *words)
    assert code in (1, 2)
    assert (said, told in error) == ("", True)


@pytest.mark.parametrize(("period", "is_over"), [("2020-01", True), ("2999-12", False)])
def test_a_bill_of_a_month_that_is_not_over_is_said_to_be_early(period: str, is_over: bool) -> None:
    words = ("--agreement", EXAMPLE / "agreement.toml", "--period", period)
    code, _, error = run("settle", EXAMPLE / "visits.jsonl", *words)
    assert (code, "is not over" in error) == (0, not is_over)


def test_visits_without_a_line_are_said_beside_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "visits.jsonl"
    told = {"host": "far.example", "home": PLACES[0], "who": "00" * 16, "t": 1, "u": 1, "grade": 2, "tap": 1}
    path.write_text(json.dumps(told) + "\n" + json.dumps(told | {"t": [1, 5]}) + "\n")
    code, said, error = run("sessions", path, "--agreement", EXAMPLE / "agreement.toml", "--json")
    assert (code, said) == (0, "")
    assert "1 visits without a time" in error
    assert "1 visits at hosts that are not in the agreement" in error


def test_envelopes_of_unknown_keys_are_counted_and_said(world: World) -> None:
    code, said, told = run("settle", *world.visits, "--agreement", world.agreement, "--json")
    assert code == 0
    assert json.loads(said)["flags"]["refused"] == {"unknown key": 3}
    assert "3 refused: unknown key; give --key or --table" in told


def test_the_transcript_in_the_documentation_is_what_is_printed() -> None:
    text = (Path(__file__).parents[4] / "gateway" / "BADGES.md").read_text(encoding="utf-8")
    code, said, _ = run("settle", EXAMPLE / "visits.jsonl", "--agreement", EXAMPLE / "agreement.toml")
    assert code == 0
    assert f"$ balise badge settle visits.jsonl --agreement agreement.toml\n{said}```" in text
