"""What other places' servers may make this one say and do: their words are not ours, and not every way to them is safe.

Promises that nothing but a reason of our own protocol is quoted: an answer may repeat the card's number that was asked
about, and what is quoted stands in the log and in the status.
"""

import json
import re
from urllib.parse import urlsplit

from balise_gateway.badges.connectors._secret import is_this_computer

_REASON = re.compile("[a-z][a-z ]{0,39}")


def reason_of(body: bytes) -> str:
    """The reason that an answer of our own software gives (`paths.refused`); of any other, nothing."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    reason = told.get("error") if isinstance(told, dict) else None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else ""


def is_secret_way(url: str) -> bool:
    """Whether nobody between here and there can read what is sent: TLS, or this computer itself."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and is_this_computer(parts.hostname or ""))
    except ValueError:
        return False
