"""The Merkle log against RFC 6962 as it is written, and checkpoints against another implementation's note."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire.checkpoint import (
    Checkpoint,
    origin_of,
    sign_checkpoint,
    sign_note,
    verifier_key,
    verify_checkpoint,
    verify_note,
)
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.log import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# Roots of the first 1 to 8 leaves of log.json, as published in the tests of Certificate Transparency
# (merkle_tree_test of google/certificate-transparency; the same in transparency-dev/merkle).
PUBLISHED_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
sizes = st.integers(1, 70)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(bytes([i])) for i in range(size)]


def test_published_roots(vectors: Callable[[str], Any]) -> None:
    leaves = [leaf_hash(bytes.fromhex(data)) for data in vectors("log.json")["leaves"]]
    assert [root(leaves[:size]).hex() for size in range(1, 9)] == PUBLISHED_ROOTS
    assert root([]) == hashlib.sha256(b"").digest()


@given(sizes, st.data())
def test_every_leaf_is_included_and_only_where_it_is(size: int, draw: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = draw.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves, index)
    verify_inclusion(leaves[index], index, size, proof, root(leaves))
    wrong = [
        (leaf_hash(b"other"), index, size, proof, root(leaves)),
        (leaves[index], index, size, proof, leaf_hash(b"other")),
        (leaves[index], index, size, [*proof, proof[0] if proof else leaves[0]], root(leaves)),
        (leaves[index], size, size, proof, root(leaves)),
        (leaves[index], -1, size, proof, root(leaves)),
    ]
    if proof:
        wrong += [(leaves[index], index, size, proof[:-1], root(leaves))]
        wrong += [(leaves[index], (index + 1) % size, size, proof, root(leaves))]
    for arguments in wrong:
        with pytest.raises(WireError, match="proof"):
            verify_inclusion(*arguments)


@given(sizes, st.data())
def test_an_older_log_is_a_prefix_and_no_other_is(size: int, draw: st.DataObject) -> None:
    leaves = leaves_of(size)
    old = draw.draw(st.integers(1, size))
    proof = consistency_proof(leaves, old)
    old_root, new_root, other = root(leaves[:old]), root(leaves), leaf_hash(b"other")
    verify_consistency(old, old_root, size, new_root, proof)
    wrong = [
        (old, other, size, new_root, proof),
        (old, old_root, size, other, proof),
        (old, old_root, size, new_root, [*proof, other]),
        (0, old_root, size, new_root, proof),
        (size + 1, old_root, size, new_root, proof),
    ]
    if proof:
        wrong += [(old, old_root, size, new_root, proof[:-1]), (old, old_root, size, new_root, [])]
    for arguments in wrong:
        with pytest.raises(WireError, match="proof"):
            verify_consistency(*arguments)


@given(
    st.integers(-1, 2**70),
    st.integers(-1, 2**70),
    st.lists(st.binary(min_size=32, max_size=32) | st.binary(max_size=40), max_size=80),
)
def test_any_proof_ends_in_an_error(index: int, size: int, proof: list[bytes]) -> None:
    with pytest.raises(WireError, match="proof"):
        verify_inclusion(bytes(32), index, size, proof, bytes(32))
    if not (index == size and proof == []):
        with pytest.raises(WireError, match="proof"):
            verify_consistency(index, bytes(32), size, bytes(32), proof)


def test_a_log_that_grows_keeps_one_hash_per_level() -> None:
    leaves, frontier = leaves_of(100), Frontier()
    assert frontier.root() == root([])
    for size, leaf in enumerate(leaves, 1):
        frontier = Frontier(frontier.size, frontier.hashes)  # as read back from a store
        frontier.append(leaf)
        assert frontier.root() == root(leaves[:size])
        assert len(frontier.hashes) == size.bit_count()


@pytest.mark.parametrize("at", [-1, 3, 99])
def test_no_proof_outside_of_the_log(at: int) -> None:
    with pytest.raises(WireError, match="log"):
        inclusion_proof(leaves_of(3), at)
    with pytest.raises(WireError, match="log"):
        consistency_proof(leaves_of(3), at if at != 3 else 4)


# --- checkpoints -----------------------------------------------------------------------------------------------------

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_example_note_of_golang_org_x_mod_sumdb_note() -> None:
    public_key = base64.b64decode(GO_KEY.split("+", 2)[2])[1:]
    assert verifier_key("PeterNeumann", public_key) == GO_KEY
    assert verify_note(GO_NOTE, "PeterNeumann", public_key) == GO_NOTE.split("\n\n")[0] + "\n"
    with pytest.raises(WireError, match="signature"):
        verify_note(GO_NOTE.replace("think", "hope"), "PeterNeumann", public_key)


def test_checkpoint_vector(vectors: Callable[[str], Any]) -> None:
    content = vectors("log.json")
    told, head = content["checkpoint"], bytes.fromhex(content["roots"][-1])
    signer = Signer(bytes.fromhex(told["seed"]))
    checkpoint = verify_checkpoint(told["note"], bytes.fromhex(told["public_key"]))
    assert checkpoint == Checkpoint(origin_of(signer.kid, told["log"]), len(content["leaves"]), head)
    assert sign_checkpoint(signer, told["log"], checkpoint.size, head) == told["note"]
    assert verifier_key(checkpoint.origin, signer.public_key) == told["verifier_key"]


def test_witnesses_and_extensions_are_passed_over(signer: Signer) -> None:
    origin = origin_of(signer.kid, 0)
    text = Checkpoint(origin, 5, bytes(32)).text() + "extension\n"
    note = sign_note(signer, origin, text)
    witness = sign_note(Signer(bytes(32)), "witness.example", text).rpartition("\n\n")[2]
    same_name = sign_note(Signer(bytes(32)), origin, text).rpartition("\n\n")[2]
    head, _, own = note.rpartition("\n\n")
    for lines in (own + witness, witness + own, same_name + own):
        assert verify_checkpoint(f"{head}\n\n{lines}", signer.public_key) == Checkpoint(origin, 5, bytes(32))
    with pytest.raises(WireError, match="signature"):
        verify_checkpoint(f"{head}\n\n{witness}", signer.public_key)


@pytest.mark.parametrize(
    ("find", "replace", "reason"),
    [
        ("\n5\n", "\n6\n", "signature"),
        ("\n5\n", "\n05\n", "signature"),
        ("\n\n", "\n", "checkpoint"),
        ("\u2014 ", "- ", "checkpoint"),
        ("balise/", "other/", "unknown key"),
        ("balise/", "balise/0", "unknown key"),
        ("\n5\n", "\n5\t\n", "checkpoint"),
        ("\n5\n", "\n\udc80\n", "signature"),
        ("=\n\n", "=\n\n\n", "signature"),
        ("balise/", "x" * 20000, "unknown key"),
    ],
)
def test_changed_checkpoints_are_refused(signer: Signer, find: str, replace: str, reason: str) -> None:
    note = sign_checkpoint(signer, 1, 5, bytes(32))
    with pytest.raises(WireError) as refused:
        verify_checkpoint(note.replace(find, replace, 1), signer.public_key)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "{origin}\n",
        "{origin}\n05\n{root}\n",
        "{origin}\n-5\n{root}\n",
        "{origin}\n5\nAAAA\n",
        "{origin}\n5\n!!\n",
        "{origin}\n\n{root}\n",
        "{origin}\n²\n{root}\n",
        "{origin}\n" + "9" * 5000 + "\n{root}\n",
    ],
)
def test_signed_text_that_is_no_checkpoint(signer: Signer, text: str) -> None:
    origin = origin_of(signer.kid, 1)
    note = sign_note(signer, origin, text.format(origin=origin, root=base64.b64encode(bytes(32)).decode()))
    with pytest.raises(WireError, match="checkpoint"):
        verify_checkpoint(note, signer.public_key)


def test_a_root_of_another_length_is_not_signed(signer: Signer) -> None:
    with pytest.raises(WireError, match="32 bytes, this one 31"):
        sign_checkpoint(signer, 1, 5, bytes(31))
