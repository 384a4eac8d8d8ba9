"""The vector files hold on CPython and on a real MicroPython, and are not stale."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest

from balise_wire import cbor
from balise_wire.envelope import peek_name, verify_envelope
from balise_wire.errors import REASONS, WireError
from balise_wire.items import Manifest, Readings
from balise_wire.log import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "wire" / "vectors"
Load = Callable[[str], Any]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MICROPYPATH": str(ROOT / "wire"), "PYTHONPATH": str(ROOT / "wire")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


@pytest.mark.parametrize("check", range(7))
def test_a_node_reads_and_writes_the_vectors(check: int, micropython: str) -> None:
    """A 64-bit heap of 200 KB holds about what 100 KB hold on a board; the vectors themselves take up to 48 KB more."""
    ours = run(sys.executable, "tests/wire/node_vectors.py", str(VECTORS), str(check))
    theirs = run(micropython, "-X", "heapsize=248k", "tests/wire/node_vectors.py", str(VECTORS), str(check))
    assert (ours.returncode, theirs.returncode) == (0, 0), ours.stdout + theirs.stdout + theirs.stderr
    assert theirs.stdout == ours.stdout


def test_the_vectors_are_what_make_py_makes() -> None:
    done = run(sys.executable, str(VECTORS / "make.py"), "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_signed_batches(vectors: Load) -> None:
    content = vectors("batches.json")
    keys = {bytes.fromhex(content["kid"]): bytes.fromhex(content["public_key"])}
    for case in content["cases"]:
        data = bytes.fromhex(case["cose"])
        if "error" in case:
            with pytest.raises(WireError) as refused:
                verify_envelope(data, keys)
            assert refused.value.reason == case["error"], case["name"]
            continue
        envelope = verify_envelope(data, keys)
        assert (envelope.kid.hex(), envelope.log, envelope.seq) == (content["kid"], case["log"], case["seq"])
        assert peek_name(data) == (envelope.kid, envelope.log, envelope.seq)
        assert [told(item) for item in envelope.items] == case["items"], case["name"]


def told(item: object) -> dict[str, object]:
    """An item as batches.json tells of it."""
    if isinstance(item, Readings):
        flags = {str(column): pairs for column, pairs in item.flags.items()}
        return {
            "kind": 0,
            "manifest": item.manifest,
            "boot": item.boot,
            "times": item.times,
            "columns": item.columns,
            "flags": flags,
        }
    if isinstance(item, Manifest):
        return {"kind": 1, "manifest": item.number, "map": item.map}
    kind, *rest = item.pack()  # type: ignore[attr-defined]
    return {"kind": kind, "rest": rest}


def test_cbor2_reads_every_vector_as_we_do(vectors: Load) -> None:
    hexes = [case["cose"] for case in vectors("batches.json")["cases"] if "error" not in case]
    for data in map(bytes.fromhex, hexes):
        theirs = cbor2.loads(data)
        ours = cbor.decode(data)
        assert isinstance(ours, cbor.Tag)
        assert (ours.number, ours.value) == (theirs.tag, list(theirs.value))
        for part in ours.value[0], ours.value[2]:  # type: ignore[index]
            assert cbor.decode(part) == cbor2.loads(part)
            assert cbor2.dumps(cbor2.loads(part), canonical=True) == part == cbor.encode(cbor.decode(part))


def test_log_vectors(vectors: Load) -> None:
    content = vectors("log.json")
    leaves = [leaf_hash(bytes.fromhex(data)) for data in content["leaves"]]
    roots = [bytes.fromhex(data) for data in content["roots"]]
    assert [root(leaves[:size]) for size in range(len(leaves) + 1)] == roots
    for case in content["inclusion"]:
        index, size, proof = case["index"], case["size"], [bytes.fromhex(node) for node in case["proof"]]
        assert inclusion_proof(leaves[:size], index) == proof
        verify_inclusion(leaves[index], index, size, proof, roots[size])
    for case in content["consistency"]:
        old, size, proof = case["old_size"], case["size"], [bytes.fromhex(node) for node in case["proof"]]
        assert consistency_proof(leaves[:size], old) == proof
        verify_consistency(old, roots[old], size, roots[size], proof)


def test_every_error_of_the_vectors_is_a_reason(vectors: Load) -> None:
    parts = (("frames.json", "frames"), ("frames.json", "acks"), ("items.json", "refused"), ("cbor.json", "refused"))
    named = {case["error"] for name, part in parts for case in vectors(name)[part] if "error" in case}
    assert named <= set(REASONS)
    assert {"malformed", "tag", "name", "algorithm", "unknown key", "too large", "not deterministic"} <= named
