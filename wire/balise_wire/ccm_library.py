"""AES-CCM-16-64-128 by the `cryptography` package: the CPython half of ccm.py, which falls back without it.

Promises the same bytes and the same errors as ccm.open_with and ccm.seal_with. Leaves keys and nonces to frames.py.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from balise_wire.errors import WireError

_TAG_BYTES = 8


def seal(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Ciphertext, then tag."""
    return AESCCM(key, _TAG_BYTES).encrypt(nonce, plaintext, associated)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """The plaintext; "tag" if it does not fit."""
    if len(sealed) < _TAG_BYTES:
        raise WireError("malformed", f"{len(sealed)} sealed bytes are fewer than a tag")
    try:
        return AESCCM(key, _TAG_BYTES).decrypt(nonce, sealed, associated)
    except InvalidTag as error:
        raise WireError("tag", "the tag does not fit: another key, or changed bytes") from error
