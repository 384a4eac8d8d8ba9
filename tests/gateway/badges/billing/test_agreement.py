"""The agreement: every fault is named with file and key, and only true signatures count."""

import tracemalloc
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges import files
from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import signatures
from balise_gateway.badges.federation.table_toml import places_of
from balise_gateway.errors import PaperError
from balise_wire import cose
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from gateway.badges.billing.billing_support import HOME, HOST, agreement_text

GOOD = agreement_text()
FILE = Path("agreement.toml")
ONE, TWO = Signer(b"\1" * 32), Signer(b"\2" * 32)


def test_the_example_is_read_as_it_stands() -> None:
    known = agreements.load(Path(__file__).parent / "example" / "agreement.toml")
    assert (known.id, known.currency, str(known.timezone), known.mode) == (
        "metropole-2026",
        "EUR",
        "Europe/Paris",
        "net",
    )
    assert (known.rules.debounce_s, known.rules.day_starts_min) == (120, 240)
    assert known.rules.billable_grades == {0, 1, 2}
    labaux = known.places["labaux.example"]
    assert (labaux.price_cents, labaux.half_day_s, labaux.grace_s) == (1000, 18_000, 600)
    assert (labaux.per_day_max, labaux.no_exit, len(known.places)) == (2, 1, 3)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "metropole-2026"\n', "", "'id' is missing"),
        ('"metropole-2026"', '"=2+3"', "a letter or digit first"),  # a spreadsheet would compute it
        ('"metropole-2026"', f'"{"x" * 65}"', "at most 64 characters"),
        ("debounce_s = 120\n", "", "rules: the key 'debounce_s' is missing"),
        ("billable_grades = [0, 1, 2]\n", "", "'billable_grades' must be a list"),
        ("billable_grades = [0, 1, 2]", "billable_grades = [0, 3]", "'billable_grades' must be a list"),
        ("billable_grades = [0, 1, 2]", "billable_grades = [true]", "'billable_grades' must be a list"),
        ("grace_min = 15, ", "", "half_day: the key 'grace_min' is missing"),
        ("debounce_s", "debounce", "unknown key 'debounce'; did you mean 'debounce_s'?"),
        ("price_cents = 800", "price = 8", "unknown key 'price'"),
        ("price_cents = 800", "price_cents = 8.0", "price_cents: must be an integer"),
        ("price_cents = 800", "price_cents = -1", "price_cents = -1: must be at least 0"),
        ("hours = 4.0", "hours = 0", "hours = 0.0: must be at least 0.01"),
        ("hours = 4.0", "hours = inf", "must be at least 0.01 and at most 24"),
        ('mode = "net"', 'mode = "netto"', "choose one of: set-off, net"),
        ('period = "month"', 'period = "week"', "choose one of: month"),
        ("Europe/Paris", "Europe/Roubaix", "write it as in Europe/Paris"),
        ("Europe/Paris", "../Paris", "write it as in Europe/Paris"),
        ('"04:00"', '"4:00"', 'such as "04:00"'),
        ('"04:00"', '"24:00"', 'such as "04:00"'),
        ('"04:00"', '"04:00:30"', 'such as "04:00"'),
        ('"EUR"', '"euro"', "three capital letters"),
        (f'id = "{HOST}"', 'id = "La Coroutine"', "not a domain name in lower case"),
        (f'id = "{HOST}"', f'id = "{HOME}"', "stands there twice"),
        ("[rules]", "[[rules]]", "rules must be a table"),
        ("[[place]]", "[place]", "not TOML"),
        ("[rules]", "[rules", "not TOML"),
    ],
)
def test_a_fault_is_named_with_file_and_key(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(PaperError) as caught:
        agreements.parse(GOOD.replace(old, new).encode(), FILE)
    assert str(FILE) in str(caught.value)
    assert told in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.integers(0, len(GOOD)))
def test_hostile_files_are_named_and_never_crash(junk: bytes, at: int) -> None:
    data = GOOD.encode()[:at] + junk + GOOD.encode()[at:]
    try:
        agreements.parse(data, FILE)
    except PaperError as error:
        told = str(error)
    else:
        told = "agreement: agreement.toml"  # white space, or a comment
    assert told.startswith("agreement: agreement.toml")


DEEP = ["a = " + "[" * 50_000, "a = " + "{b=" * 50_000, "a" + ".a" * 60_000 + " = 1", "[" + "a . " * 60_000 + "b]"]
DEEP += ['"a b"' + '."a b"' * 30_000 + " = 1", "'a b' . " * 30_000 + "b = 1"]
DEEP += ["# " + "x" * files.MAX_TOML_BYTES]


@pytest.mark.parametrize("junk", DEEP)
def test_a_file_that_is_nested_without_end_is_named_and_takes_no_memory(tmp_path: Path, junk: str) -> None:
    tracemalloc.start()
    with pytest.raises(PaperError, match=r"agreement\.toml: not TOML"):
        agreements.parse((GOOD + junk).encode(), FILE)
    (tmp_path / "places.toml").write_text(junk, encoding="utf-8")
    with pytest.raises(PaperError, match=r"places\.toml"):
        places_of(tmp_path / "places.toml")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20 << 20


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PaperError, match=r"none\.toml: cannot be read"):
        agreements.load(tmp_path / "none.toml")


def test_a_detached_signature_is_what_rfc_9052_says() -> None:
    data = ONE.sign_detached(b"the agreement")
    protected, unprotected, payload, signature = cbor2.loads(data).value
    assert (unprotected, payload) == ({}, None)
    said = cbor2.dumps(["Signature1", protected, b"", b"the agreement"])
    Ed25519PublicKey.from_public_bytes(ONE.public_key).verify(signature, said)


def test_a_detached_signature_holds_for_its_bytes_and_key_alone() -> None:
    keys = {ONE.kid: ONE.public_key}
    data = ONE.sign_detached(b"the agreement")
    assert cose.verify1_detached(data, b"the agreement", keys) == ONE.kid
    for told, wrong in (
        ("signature", (data, b"the agreemenT", keys)),
        ("unknown key", (TWO.sign_detached(b"the agreement"), b"the agreement", keys)),
        ("malformed", (ONE.sign(b"the agreement"), b"the agreement", keys)),
    ):
        with pytest.raises(WireError) as caught:
            cose.verify1_detached(*wrong)
        assert caught.value.reason == told
    with pytest.raises(WireError, match="payload"):
        cose.verify1(data, keys)


def test_who_has_signed_is_told_and_a_wrong_signature_is_none(tmp_path: Path) -> None:
    paper = tmp_path / "agreement.toml"
    paper.write_bytes(GOOD.encode())
    keys = {HOST: (ONE.public_key,), HOME: (TWO.public_key,)}
    assert signatures.check(paper, GOOD.encode(), keys, keys).missing == (HOME, HOST)
    assert signatures.sign(paper, HOST, ONE).name == f"agreement.toml.{HOST}.cose"
    signatures.sign(paper, HOME, ONE)
    found = signatures.check(paper, GOOD.encode(), keys, keys)
    assert (found.signed, found.missing, found.wrong) == ((HOST,), (HOME,), {HOME: "unknown key"})
    # A key of one place signs for no other, though the table has it
    swapped = {HOST: (TWO.public_key,), HOME: (TWO.public_key,)}
    assert signatures.check(paper, GOOD.encode(), keys, swapped).signed == ()
    signatures.sign(paper, HOME, TWO)
    assert signatures.check(paper, GOOD.encode(), keys, keys).complete
    assert signatures.check(paper, GOOD.encode() + b"#", keys, keys).wrong == {HOST: "signature", HOME: "signature"}
    assert not signatures.check(paper, GOOD.encode(), keys, {}).signed
