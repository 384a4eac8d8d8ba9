"""The Merkle log of RFC 6962 section 2.1 (= RFC 9162 section 2.1): roots, and proofs made on demand.

Promises proofs that any RFC 6962 verifier takes, and verifiers that end after at most 64 steps whatever they are given.
A leaf is the bytes of an envelope; leaf i is the envelope with seq i + 1. Leaves roots' signatures to checkpoint.py.
"""

import hashlib

from balise_wire.errors import WireError

HASH_BYTES = 32
_MAX_PROOF = 64


def leaf_hash(envelope: bytes) -> bytes:
    """RFC 6962: SHA-256 of 0x00 and the leaf."""
    return hashlib.sha256(b"\x00" + envelope).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: list[bytes]) -> bytes:
    """The root of the tree over these leaves; of none, the hash of nothing."""
    if not leaf_hashes:
        return hashlib.sha256(b"").digest()
    return _subtree(leaf_hashes, 0, len(leaf_hashes))


class Frontier:
    """A log that grows: the root after each append, from one hash per level instead of all leaves."""

    def __init__(self, size: int = 0, hashes: list[bytes] | None = None) -> None:
        self.size = size
        self.hashes = list(hashes or [])  # roots of the complete subtrees, largest first; one per 1 bit of size

    def append(self, leaf: bytes) -> None:
        """Take one more leaf hash."""
        size, node = self.size, leaf
        while size & 1:
            node = _node_hash(self.hashes.pop(), node)
            size >>= 1
        self.hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root as it is now."""
        if not self.hashes:
            return root([])
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = _node_hash(left, node)
        return node


def inclusion_proof(leaf_hashes: list[bytes], index: int) -> list[bytes]:
    """RFC 6962 section 2.1.1: the siblings from leaf `index` up to the root."""
    if not 0 <= index < len(leaf_hashes):
        raise WireError("log", f"no leaf {index} in a log of {len(leaf_hashes)}")
    return _path(leaf_hashes, index, 0, len(leaf_hashes))


def consistency_proof(leaf_hashes: list[bytes], old_size: int) -> list[bytes]:
    """RFC 6962 section 2.1.2: that the first `old_size` leaves are a prefix of these."""
    if not 0 < old_size <= len(leaf_hashes):
        raise WireError("log", f"no size {old_size} in a log of {len(leaf_hashes)}")
    return _subproof(leaf_hashes, old_size, (0, len(leaf_hashes)), True)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes], root_hash: bytes) -> None:
    """RFC 9162 section 2.1.3.2: "proof" unless this leaf hash is leaf `index` of the log of that size and root."""
    _check_proof(proof)
    if not 0 <= index < size:
        raise WireError("proof", f"no leaf {index} in a log of {size}")
    node, at, last = leaf, index, size - 1
    for sibling in proof:
        if not last:
            raise WireError("proof", "more hashes than the tree is high")
        if at & 1 or at == last:
            node = _node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = _node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if last or node != root_hash:
        raise WireError("proof", f"the path from leaf {index} does not lead to this root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: list[bytes]) -> None:
    """RFC 9162 section 2.1.4.2: "proof" unless the old log is a prefix of the new one."""
    _check_proof(proof)
    if not 0 < old_size <= new_size:
        raise WireError("proof", f"a log does not grow from {old_size} to {new_size}")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise WireError("proof", f"two roots of size {old_size}")
        return
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise WireError("proof", "no hashes")
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if not last:
            raise WireError("proof", "more hashes than the tree is high")
        if at & 1 or at == last:
            old, new = _node_hash(sibling, old), _node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = _node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    if last or old != old_root or new != new_root:
        raise WireError("proof", f"the log of {old_size} is not a prefix of this log of {new_size}")


def _check_proof(proof: list[bytes]) -> None:
    if len(proof) > _MAX_PROOF or any(len(node) != HASH_BYTES for node in proof):
        raise WireError("proof", f"a proof is at most {_MAX_PROOF} hashes of {HASH_BYTES} bytes")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def _subtree(leaves: list[bytes], low: int, high: int) -> bytes:
    if high - low == 1:
        return leaves[low]
    middle = low + _split(high - low)
    return _node_hash(_subtree(leaves, low, middle), _subtree(leaves, middle, high))


def _path(leaves: list[bytes], index: int, low: int, high: int) -> list[bytes]:
    if high - low == 1:
        return []
    middle = low + _split(high - low)
    if index < middle:
        return [*_path(leaves, index, low, middle), _subtree(leaves, middle, high)]
    return [*_path(leaves, index, middle, high), _subtree(leaves, low, middle)]


def _subproof(leaves: list[bytes], old_end: int, span: tuple[int, int], known: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962; `known` while the old root itself need not be told."""
    low, high = span
    if old_end == high:
        return [] if known else [_subtree(leaves, low, high)]
    middle = low + _split(high - low)
    if old_end <= middle:
        return [*_subproof(leaves, old_end, (low, middle), known), _subtree(leaves, middle, high)]
    return [*_subproof(leaves, old_end, (middle, high), False), _subtree(leaves, low, middle)]
