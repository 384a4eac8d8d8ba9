"""A key per card from one master (NXP AN10922, AES-128), so that no table of keys exists.

Promises AN10922's bytes. Leaves what goes into the diversification to `keys.py`.
"""

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

KEY_BYTES = 16
_AES_128 = b"\x01"  # AN10922 section 2.2: the diversification constant
_LEAST, _MOST = 16, 31


def aes_cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC, all sixteen bytes (RFC 4493)."""
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def diversify(master: bytes, told: bytes) -> bytes:
    """The card's key. `told` is what sets this card apart.

    Only 16 to 31 bytes of it: AN10922 pads to two blocks what CMAC would pad to one, and nobody needs that case here.
    """
    if not _LEAST <= len(told) <= _MOST:
        raise ValueError(f"a diversification input of {len(told)} bytes; {_LEAST} to {_MOST} are supported")
    return aes_cmac(master, _AES_128 + told)
