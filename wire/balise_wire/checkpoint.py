"""Checkpoints (wire format section 8): a log's size and root as a C2SP tlog-checkpoint signed note; CPython only.

Promises text that any C2SP signed-note verifier takes. Leaves to log.py what the root stands for.
C2SP: c2sp.org/signed-note and c2sp.org/tlog-checkpoint. The key's name is the origin of the log.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from balise_wire import checks, cose
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.log import HASH_BYTES

MAX_NOTE_BYTES = 16384
_ED25519 = b"\x01"  # signed-note, "signature types"
_KEY_HASH_BYTES = 4
_SIGNATURE_LINE = "\u2014 "  # an em dash and a space


@dataclass(frozen=True)
class Checkpoint:
    """This log had that size and root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(kid: bytes, log: int) -> str:
    """The name of a log in its checkpoints."""
    return f"balise/{kid.hex()}/{log}"


def verifier_key(origin: str, public_key: bytes) -> str:
    """The key as signed-note writes it for others: name, key hash, key."""
    key_hash = _key_hash(origin, public_key)
    return f"{origin}+{key_hash.hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def sign_checkpoint(signer: Signer, log: int, size: int, root: bytes) -> str:
    """The note for one of this signer's logs."""
    if len(root) != HASH_BYTES:
        raise WireError("checkpoint", f"a root has {HASH_BYTES} bytes")
    text = Checkpoint(origin_of(signer.kid, log), checks.uint(size, "size"), root).text()
    origin = text.split("\n", 1)[0]
    signature = _key_hash(origin, signer.public_key) + signer.sign_raw(text.encode())
    return f"{text}\n{_SIGNATURE_LINE}{origin} {base64.b64encode(signature).decode()}\n"


def verify_checkpoint(note: str, public_key: bytes) -> Checkpoint:
    """The checkpoint, if that key signed it for one of its own logs; signature lines of others are passed over."""
    if len(note) > MAX_NOTE_BYTES:
        raise WireError("too large", f"a checkpoint of {len(note)} characters")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise WireError("checkpoint", "a signed note is text, an empty line and signature lines")
    checkpoint = _parsed(text + "\n")
    if not checkpoint.origin.startswith(f"balise/{cose.kid_of(public_key).hex()}/"):
        raise WireError("unknown key", f"origin {checks.short(checkpoint.origin)} is not a log of this key")
    signed = (text + "\n").encode("utf-8", "replace")
    for line in signatures[:-1].split("\n"):
        if _signs(line, checkpoint.origin, public_key, signed):
            return checkpoint
    raise WireError("signature", f"no signature line of {checkpoint.origin}")


def _parsed(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) < 4:
        raise WireError("checkpoint", "a checkpoint is origin, size and root, a line each")
    origin, size, encoded = lines[:3]  # lines after these are extensions
    if not (size.isascii() and size.isdigit()) or (size[0] == "0" and size != "0") or len(size) > 19:
        raise WireError("checkpoint", f"size {checks.short(size)} is not a number")
    root = _decoded(encoded)
    if len(root) != HASH_BYTES:
        raise WireError("checkpoint", f"root {checks.short(encoded)} is not {HASH_BYTES} bytes of base64")
    return Checkpoint(origin, int(size), root)


def _signs(line: str, name: str, public_key: bytes, signed: bytes) -> bool:
    """Is this line a good signature of that key? A bad one under its name is an error, not a line of others."""
    start = f"{_SIGNATURE_LINE}{name} "
    if not line.startswith(_SIGNATURE_LINE):
        raise WireError("checkpoint", f"not a signature line: {checks.short(line)}")
    raw = _decoded(line[len(start) :]) if line.startswith(start) else b""
    if raw[:_KEY_HASH_BYTES] != _key_hash(name, public_key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw[_KEY_HASH_BYTES:], signed)
    except InvalidSignature as error:
        raise WireError("signature", f"{name} did not sign this checkpoint") from error
    return True


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("checkpoint", f"{checks.short(encoded)} is not base64") from error


def _key_hash(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_HASH_BYTES]
