"""A secret in a file of its own: read when it is used, never from a file that others can read.

Promises that no text of an error holds any of it. Leaves to the kinds what it means.
"""

import ipaddress
import stat
from pathlib import Path

from balise_gateway.errors import ConnectorError

MAX_BYTES = 16_384


def read_secret(path: Path) -> str:
    """What stands in the file, without line breaks at its ends. Raises ConnectorError."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
    except OSError as error:
        raise ConnectorError(
            f"{path}: cannot be read ({error.strerror}); write the secret into it", retry=False
        ) from None
    if mode & 0o077:
        raise ConnectorError(f"{path}: others can read it (mode {mode:04o}); try: chmod 600 {path}", retry=False)
    try:
        text = data[:MAX_BYTES].decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ConnectorError(f"{path}: not UTF-8 text; write the secret into it again", retry=False) from None
    if not text:
        raise ConnectorError(f"{path}: empty; write the secret into it", retry=False)
    return text


def is_this_computer(host: str) -> bool:
    """Whether what is sent there never leaves this computer, so that nobody can listen on the way."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
