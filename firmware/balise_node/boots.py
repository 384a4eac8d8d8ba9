"""The boot counter: every start gets a number that no frame was ever sealed under, because nonces are made of it.

Two copies in flash, each with a check sum, each written aside and renamed, both before the first seal of the boot. So a
number in use stands in both; a cut between the two writes only skips a number, and either copy may be lost.
When both are gone (first start, or an erased flash under an old key) the number is drawn at random from a range so wide
that meeting an earlier one is as good as impossible (n earlier boots: n in 2**31), instead of starting again from 1.
Leaves to others: what is sealed under the number.
"""

import binascii
import os
import struct

from balise_node.errors import ConfigError
from balise_node.records import replace

_FIRST = 1 << 16  # random starts lie in 2**16 .. 2**31: always five CBOR bytes, and room for two billion boots
_SPAN = (1 << 31) - _FIRST
_FORMAT = ">II"  # boot, CRC-32 of its four bytes
LAST = (1 << 32) - 1


def next_boot(paths: tuple[str, str], above: int = 0) -> int:
    """Count this start in both files; returns its number, which is greater than both and than `above`.

    `above`: the highest boot of the frames that are still kept; no proof of the highest that was ever used, so it
    does not stand in for the copies. Raises OSError when flash cannot be written,
    ConfigError when all numbers are used.
    """
    known = [boot for boot in [_read(path) for path in paths] if boot is not None]
    boot = max(above, *known) + 1 if known else _FIRST + int.from_bytes(os.urandom(4), "big") % _SPAN
    if boot > LAST:
        raise ConfigError(f'config.json: "key": found one that was used for {boot} starts; write a new one')
    for path in paths:
        _write(path, boot)
    return boot


def _read(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if len(data) != 8:
        return None
    boot, crc = struct.unpack(_FORMAT, data)
    return int(boot) if crc == binascii.crc32(data[:4]) else None


def _write(path: str, boot: int) -> None:
    number = struct.pack(">I", boot)
    aside = path + ".new"
    with open(aside, "wb") as file:
        file.write(number + struct.pack(">I", binascii.crc32(number)))
        file.flush()
    replace(aside, path)
