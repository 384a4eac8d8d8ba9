"""Checkpoints (wire format section 8): a log's size and root as a C2SP tlog-checkpoint signed note; CPython only.

Promises notes that any C2SP verifier takes, and takes theirs. Leaves to log.py what the root stands for.
C2SP: c2sp.org/signed-note and c2sp.org/tlog-checkpoint. The name of the key in a note is the origin of the log.
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

MAX_NOTE_CHARACTERS = 16384
_ED25519 = b"\x01"  # signed-note, "Signature types"
_KEY_HASH_BYTES = 4
_MARK = "\u2014 "  # a signature line starts with an em dash and a space


@dataclass(frozen=True)
class Checkpoint:
    """The log of this origin had that size and root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed (tlog-checkpoint, without extension lines)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(kid: bytes, log: int) -> str:
    """The name of a log in its checkpoints."""
    return f"balise/{kid.hex()}/{log}"


def verifier_key(name: str, public_key: bytes) -> str:
    """The key in the form that other verifiers take: name, key hash, key."""
    return f"{name}+{_key_hash(name, public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def sign_checkpoint(signer: Signer, log: int, size: int, root: bytes) -> str:
    """The note for one of this signer's logs."""
    if len(root) != HASH_BYTES:
        raise WireError("checkpoint", f"a root has {HASH_BYTES} bytes, this one {len(root)}")
    origin = origin_of(signer.kid, checks.uint(log, "log"))
    return sign_note(signer, origin, Checkpoint(origin, checks.uint(size, "size"), root).text())


def verify_checkpoint(note: str, public_key: bytes) -> Checkpoint:
    """The checkpoint, if that key signed it for one of its own logs."""
    origin = note.split("\n", 1)[0]
    if not origin.startswith(origin_of(cose.kid_of(public_key), 0)[:-1]):
        raise WireError("unknown key", f"origin {checks.short(origin)} is not a log of this key")
    lines = verify_note(note, origin, public_key).split("\n")
    if len(lines) < 4:
        raise WireError("checkpoint", "a checkpoint is origin, size and root, a line each")
    size, encoded = lines[1:3]  # lines after these are extensions
    if not (size.isascii() and size.isdigit()) or (size[0] == "0" and size != "0") or len(size) > 18:
        raise WireError("checkpoint", f"size {checks.short(size)} is not a number")
    root = _decoded(encoded)
    if len(root) != HASH_BYTES:
        raise WireError("checkpoint", f"root {checks.short(encoded)} is not {HASH_BYTES} bytes of base64")
    return Checkpoint(origin, int(size), root)


def sign_note(signer: Signer, name: str, text: str) -> str:
    """Text and one signature line; `text` ends with a newline."""
    signature = _key_hash(name, signer.public_key) + signer.sign_raw(text.encode())
    return f"{text}\n{_MARK}{name} {base64.b64encode(signature).decode()}\n"


def verify_note(note: str, name: str, public_key: bytes) -> str:
    """The text, if that key signed it under that name; signature lines of other keys are passed over."""
    if len(note) > MAX_NOTE_CHARACTERS:
        raise WireError("too large", f"a note of {len(note)} characters")
    body, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise WireError("checkpoint", "a signed note is text, an empty line and signature lines")
    text = body + "\n"
    if any(character < " " and character != "\n" for character in text):
        raise WireError("checkpoint", "a control character in a note")
    key_hash = _key_hash(name, public_key)
    mine = [raw for line in signatures[:-1].split("\n") for signer, raw in [_signature(line)] if signer == name]
    for raw in mine:
        if raw[:_KEY_HASH_BYTES] == key_hash:
            _check(public_key, raw[_KEY_HASH_BYTES:], text, name)
            return text
    raise WireError("signature", f"no signature of {checks.short(name)} by this key")


def _signature(line: str) -> tuple[str, bytes]:
    """(name, key hash and signature) of a signature line."""
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not name or not space:
        raise WireError("checkpoint", f"not a signature line: {checks.short(line)}")
    return name, _decoded(encoded)


def _check(public_key: bytes, signature: bytes, text: str, name: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
    except (InvalidSignature, UnicodeEncodeError) as error:
        raise WireError("signature", f"{name} did not sign this text") from error


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("checkpoint", f"{checks.short(encoded)} is not base64") from error


def _key_hash(name: str, public_key: bytes) -> bytes:
    named = name.encode("utf-8", "replace")
    return hashlib.sha256(named + b"\n" + _ED25519 + public_key).digest()[:_KEY_HASH_BYTES]
