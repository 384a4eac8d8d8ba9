"""HKDF-SHA256 (RFC 5869) on `hashlib.sha256` alone, because MicroPython has no `hmac`.

Promises the RFC's test vectors. Leaves to frames.py what is derived, and under which labels.
"""

import hashlib

_BLOCK_BYTES = 64  # of SHA-256, for HMAC (RFC 2104)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """RFC 2104 over SHA-256."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(data)
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


def extract(salt: bytes, secret: bytes) -> bytes:
    """RFC 5869 section 2.2: a pseudorandom key from a secret."""
    return hmac_sha256(salt, secret)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 section 2.3: `length` bytes for the purpose that `info` names."""
    block, out = b"", b""
    for counter in range(1, 1 + (length + 31) // 32):
        block = hmac_sha256(prk, block + info + bytes([counter]))
        out += block
    return out[:length]
