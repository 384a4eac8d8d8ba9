"""`balise wire`: what it prints, how it fails, and proofs that go from one command to the other."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from balise_tools.main import app, mount
from balise_wire import cbor
from balise_wire.checkpoint import sign_checkpoint
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Anchor, Carried, Item, Loss, Manifest, Readings, Source, Unknown
from balise_wire.log import leaf_hash, root

NODE = "urn:dev:ops:b4115e-air-01"
CHANNELS: list[object] = [{"n": "pm2_5", "u": "ug/m3", "s": 1}, {"n": "pressure", "u": "Pa", "s": 0}]
MANIFEST = Manifest(1, {"node": NODE, "channels": CHANNELS})
ROWS = Readings(1, None, [1544299407], [[27], [98797]], {0: [[0, 3]]})
BOOT_ROWS = Readings(1, 3, [61], [[27], [None]])
ANCHOR = Anchor(3, 1000, 1544300000000, "ntp", 40)


class Outcome:
    """What a command printed and how it ended."""

    def __init__(self, *arguments: object) -> None:
        result = CliRunner().invoke(app, ["wire", *map(str, arguments)])
        self.code, self.lines, self.told = result.exit_code, result.stdout.splitlines(), result.stderr
        self.items = [json.loads(line) for line in self.lines if line.startswith("{")]


@pytest.fixture
def write(tmp_path: Path, signer: Signer) -> Callable[..., Path]:
    """Writes a file of envelopes, one list of items each, with seq from 1."""

    def write(*envelopes: list[Item | Readings], name: str = "batch.cose", log: int = 1, start: int = 1) -> Path:
        signed = [
            sign_envelope(signer, log, seq, [item.pack() for item in items])
            for seq, items in enumerate(envelopes, start)
        ]
        path = tmp_path / name
        path.write_bytes(b"".join(signed))
        return path

    return write


def key_of(signer: Signer) -> tuple[str, str]:
    return "--key", signer.public_key.hex()


def test_items_are_printed_with_their_records(write: Callable[..., Path], signer: Signer) -> None:
    outcome = Outcome("verify", write([MANIFEST], [ROWS]), *key_of(signer))
    assert (outcome.code, outcome.told) == (0, "")
    head = {"kid": signer.kid.hex(), "log": 1}
    assert outcome.items == [
        {**head, "seq": 1, "kind": 1, "records": [], "manifest": {"number": 1, "map": MANIFEST.map}},
        {
            **head,
            "seq": 2,
            "kind": 0,
            "records": [
                {"n": f"{NODE}:pm2_5", "u": "ug/m3", "t": 1544299407, "v": 2.7, "flag": 3},
                {"n": f"{NODE}:pressure", "u": "Pa", "t": 1544299407, "v": 98797},
            ],
        },
    ]


def test_an_anchor_in_a_later_file_makes_utc(write: Callable[..., Path], signer: Signer) -> None:
    first, second = write([MANIFEST, BOOT_ROWS]), write([ANCHOR], name="later.cose", start=2)
    alone = Outcome("verify", first, *key_of(signer)).items[1]["records"]
    assert alone == [{"n": f"{NODE}:pm2_5", "u": "ug/m3", "boot": 3, "ticks": 61, "v": 2.7}]
    both = Outcome("verify", first, second, *key_of(signer)).items
    assert both[1]["records"][0]["t"] == 1544300060
    assert both[2]["anchor"] == {
        "boot": 3,
        "boot_ms": 1000,
        "utc_ms": 1544300000000,
        "source": "ntp",
        "uncertainty_ms": 40,
    }


def test_the_manifest_may_be_a_file(write: Callable[..., Path], signer: Signer) -> None:
    rows, manifest = write([ROWS], start=2), write([MANIFEST], name="manifest.cose")
    outcome = Outcome("verify", rows, *key_of(signer), "--manifest", manifest)
    assert (outcome.code, len(outcome.items), len(outcome.items[0]["records"])) == (0, 1, 2)


def test_rows_without_their_manifest(write: Callable[..., Path], signer: Signer) -> None:
    outcome = Outcome("verify", write([ANCHOR, ROWS], [MANIFEST]), *key_of(signer))
    assert (outcome.code, len(outcome.items)) == (1, 1)
    assert "batch.cose: item 1 (in envelope 0): manifest: " in outcome.told
    assert "--manifest FILE" in outcome.told


def test_a_manifest_of_another_log_is_none(write: Callable[..., Path], signer: Signer) -> None:
    other = write([MANIFEST], name="manifest.cose", log=2)
    assert Outcome("verify", write([ROWS]), *key_of(signer), "--manifest", other).code == 1


def test_a_manifest_number_that_is_used_again(write: Callable[..., Path], signer: Signer) -> None:
    second = Manifest(1, {"node": NODE, "channels": CHANNELS[:1]})
    outcome = Outcome("verify", write([MANIFEST], [MANIFEST], [second]), *key_of(signer))
    assert (outcome.code, len(outcome.items)) == (1, 2)
    assert "item 2 (in envelope 2): manifest: number 1 was given to another manifest" in outcome.told


def test_the_first_bad_one_is_named_and_those_before_it_printed(write: Callable[..., Path], signer: Signer) -> None:
    path = write([MANIFEST, ANCHOR], [ROWS], [ROWS])
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    outcome = Outcome("verify", path, *key_of(signer))
    assert (outcome.code, len(outcome.items)) == (1, 3)
    assert "batch.cose: item 3 (in envelope 2): " in outcome.told


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: data[:-1], "malformed"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "signature"),
        (lambda data: data + b"\x00", "malformed"),
        (lambda data: b"\xd2\x98\x04" + data[2:], "not deterministic"),
    ],
)
def test_reasons(write: Callable[..., Path], signer: Signer, spoil: Callable[[bytes], bytes], reason: str) -> None:
    path = write([ANCHOR])
    path.write_bytes(spoil(path.read_bytes()))
    outcome = Outcome("verify", path, *key_of(signer))
    assert outcome.code == 1
    assert f": {reason}: " in outcome.told


def test_another_key_and_several_keys(write: Callable[..., Path], signer: Signer) -> None:
    path, other = write([ANCHOR]), Signer(bytes(32))
    assert "unknown key" in Outcome("verify", path, *key_of(other)).told
    assert Outcome("verify", path, *key_of(other), *key_of(signer)).code == 0


@pytest.mark.parametrize("key", ["", "abc", "00", "zz" * 32])
def test_a_key_that_is_none(write: Callable[..., Path], key: str) -> None:
    outcome = Outcome("verify", write([ANCHOR]), "--key", key)
    assert outcome.code == 2
    assert "64 hex digits" in outcome.told


def test_one_name_for_two_envelopes(write: Callable[..., Path], signer: Signer) -> None:
    outcome = Outcome("verify", write([ANCHOR]), write([MANIFEST], name="b.cose"), *key_of(signer))
    assert outcome.code == 1
    assert "b.cose: item 0 (in envelope 0): log: seq 1 of log 1 is also the name of other bytes" in outcome.told


def test_every_kind_is_told(write: Callable[..., Path], signer: Signer) -> None:
    loss = Loss(NODE, "rows", 1544299000, 1544299400, "node store full")
    items: list[Item] = [
        loss,
        Source({"grant": "g1", "digest": b"\x01"}),
        Carried(b"\xd2"),
        Unknown(77, ["x", {1: b"\x02"}, cbor.Tag(4, [cbor.Raw(b"\xf7")])]),
    ]
    told = Outcome("verify", write(items), *key_of(signer)).items
    assert [item["kind"] for item in told] == [3, 6, 7, 77]
    assert told[0]["loss"] == {
        "node": NODE,
        "what": "rows",
        "from": 1544299000,
        "to": 1544299400,
        "reason": "node store full",
    }
    assert [told[1]["source"], told[2]["carried"], told[3]["rest"]] == [
        {"grant": "g1", "digest": "01"},
        "d2",
        ["x", {"1": "02"}, {"tag": 4, "value": ["f7"]}],
    ]


def test_hex_text_and_an_empty_file(write: Callable[..., Path], signer: Signer, tmp_path: Path) -> None:
    path, empty = write([ANCHOR]), tmp_path / "empty"
    (tmp_path / "batch.hex").write_text(path.read_bytes().hex(" ", 16) + "\n")
    empty.touch()
    assert (
        Outcome("verify", tmp_path / "batch.hex", *key_of(signer)).items
        == Outcome("verify", path, *key_of(signer)).items
    )
    outcome = Outcome("verify", empty, *key_of(signer))
    assert (outcome.code, outcome.lines) == (0, [])
    assert "holds no envelopes" in outcome.told


def test_the_given_batches_as_one_file(vectors: Callable[[str], Any], tmp_path: Path) -> None:
    """All good vectors in order through the real program: what a person would run."""
    content = vectors("batches.json")
    good = [case for case in content["cases"] if "error" not in case]
    path = tmp_path / "batches.cose"
    path.write_bytes(bytes.fromhex("".join(case["cose"] for case in good)))
    command = [sys.executable, "-c", "from balise_tools.main import app; app()"]
    done = subprocess.run(
        [*command, "wire", "verify", str(path), "--key", content["public_key"]],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    items = [json.loads(line) for line in done.stdout.splitlines()]
    told = [(case["seq"], item) for case in good for item in case["items"]]
    assert [(item["seq"], item["kind"]) for item in items] == [(seq, item["kind"]) for seq, item in told]
    for item, (_, wanted) in zip(items, told, strict=True):
        values = sum(value is not None for column in wanted.get("columns", []) for value in column)
        assert len(item["records"]) == values
    before_the_clock = next(item for item in items if item["seq"] == 8)
    assert before_the_clock["records"][0]["t"] == 1544300000 - 5000 + 61  # its anchor comes in seq 9


# --- proofs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(write: Callable[..., Path]) -> Path:
    return write(*[[Unknown(77, [number])] for number in range(7)], name="log.cose")


def prove(tmp_path: Path, *arguments: object) -> Path:
    outcome = Outcome("prove", *arguments)
    assert outcome.code == 0, outcome.told
    path = tmp_path / "proof.json"
    path.write_text(outcome.lines[0])
    return path


def one_of(signer: Signer, seq: int) -> bytes:
    return sign_envelope(signer, 1, seq, [[77, seq - 1]])


def test_inclusion_from_file_to_checkpoint(logged: Path, signer: Signer, tmp_path: Path) -> None:
    proof = prove(tmp_path, logged, "--seq", 5)
    head = root([leaf_hash(one_of(signer, seq)) for seq in range(1, 8)])
    (tmp_path / "note").write_text(sign_checkpoint(signer, 1, 7, head))
    (tmp_path / "five").write_bytes(one_of(signer, 5))
    (tmp_path / "six").write_bytes(one_of(signer, 6))
    trusted = ("--checkpoint", tmp_path / "note", *key_of(signer))
    good = Outcome("check-proof", proof, "--envelope", tmp_path / "five", *trusted)
    assert (good.code, good.told) == (0, "")
    assert good.lines == [f"holds: seq 5 is in the log of size 7 with root {head.hex()}"]
    assert Outcome("check-proof", proof, "--root", head.hex()).code == 0
    other = Outcome("check-proof", proof, "--envelope", tmp_path / "six", *trusted)
    assert (other.code, "other bytes" in other.told) == (1, True)
    assert "own; compare it" in Outcome("check-proof", proof).told


def test_consistency_from_file_to_check(logged: Path, tmp_path: Path) -> None:
    proof = prove(tmp_path, logged, "--old-size", 3, "--size", 6)
    outcome = Outcome("check-proof", proof)
    assert outcome.code == 0
    assert outcome.lines[0].startswith("holds: the log of size 3 is a prefix of the log of size 6 with root ")


def test_a_proof_for_another_checkpoint(logged: Path, signer: Signer, tmp_path: Path) -> None:
    proof = prove(tmp_path, logged, "--seq", 5)
    (tmp_path / "note").write_text(sign_checkpoint(signer, 1, 8, bytes(32)))
    outcome = Outcome("check-proof", proof, "--checkpoint", tmp_path / "note", *key_of(signer))
    assert (outcome.code, "size 8" in outcome.told) == (1, True)
    assert Outcome("check-proof", proof, "--root", "00" * 32).code == 1
    assert Outcome("check-proof", proof, "--checkpoint", tmp_path / "note").code == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("root", "00" * 32),
        ("leaf", "00" * 32),
        ("seq", 4),
        ("size", 6),
        ("proof", []),
        ("seq", 0),
        ("size", "7"),
        ("root", "00"),
        ("root", None),
        ("leaf", "xy"),
        ("proof", None),
        ("proof", ["00"]),
        ("type", "other"),
        ("seq", 99),
    ],
)
def test_changed_proofs_do_not_hold(logged: Path, tmp_path: Path, name: str, value: object) -> None:
    proof = prove(tmp_path, logged, "--seq", 5)
    proof.write_text(json.dumps({**json.loads(proof.read_text()), name: value}))
    outcome = Outcome("check-proof", proof)
    assert (outcome.code, "proof.json: proof: " in outcome.told) == (1, True)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\x00", "[" * 100000, '{"type": "inclusion", "size": ' + "9" * 5000 + "}"]
)
def test_a_file_that_is_no_proof(tmp_path: Path, text: str) -> None:
    (tmp_path / "proof.json").write_text(text)
    assert Outcome("check-proof", tmp_path / "proof.json").code == 1


def test_holes_strangers_and_sizes_are_told(
    write: Callable[..., Path], logged: Path, signer: Signer, tmp_path: Path
) -> None:
    holed = tmp_path / "holed.cose"
    holed.write_bytes(b"".join(one_of(signer, seq) for seq in (1, 2, 4)))
    assert "log: 3 envelopes up to seq 4: seq 3 is missing" in Outcome("prove", holed, "--seq", 1).told
    holed.write_bytes(logged.read_bytes() + sign_envelope(signer, 2, 1, [[77]]))
    assert "the file holds 2: balise/" in Outcome("prove", holed, "--seq", 1).told
    holed.write_bytes(one_of(signer, 1) + sign_envelope(signer, 1, 1, [[78]]))
    assert "two different envelopes with seq 1 of balise/" in Outcome("prove", holed, "--seq", 1).told
    holed.write_bytes(b"")
    assert "it is empty" in Outcome("prove", holed, "--seq", 1).told
    assert "no size 8: the file holds 7" in Outcome("prove", logged, "--seq", 1, "--size", 8).told
    assert Outcome("prove", logged, "--seq", 8).code == 1
    assert Outcome("prove", logged, "--old-size", 0).code == 1
    assert Outcome("prove", logged).code == 2
    shuffled = tmp_path / "shuffled.cose"
    shuffled.write_bytes(b"".join(one_of(signer, seq) for seq in (3, 1, 2, 2)))
    assert Outcome("prove", shuffled, "--seq", 2).code == 0


# --- mounting --------------------------------------------------------------------------------------------------------


def test_a_missing_extra_is_named() -> None:
    parent = typer.Typer()
    parent.callback()(lambda: None)
    mount(parent, "gateway", "no_such_package_anywhere.tools", "gateway")
    result = CliRunner().invoke(parent, ["gateway", "run", "-c", "gateway.toml"])
    assert result.exit_code == 2
    assert "needs no_such_package_anywhere, which is not installed. Try: pip install 'balise[gateway]'" in result.stderr


def test_a_fault_of_our_own_is_not_called_an_extra() -> None:
    with pytest.raises(ModuleNotFoundError):
        mount(typer.Typer(), "wire", "balise_tools.no_such_module", "gateway")
