"""Small checks that a decoded value has the type and range its place asks for: the value, or WireError.

Promises nothing about meaning; on MicroPython `True` is no int, on CPython it is, and here it never is.
"""

from balise_wire.errors import WireError

MAX_UINT = (1 << 63) - 1  # what SQLite and every other store can hold


def uint(value: object, what: str, high: int = MAX_UINT) -> int:
    """An integer of 0..high."""
    if not isinstance(value, int) or value is True or value is False or not 0 <= value <= high:
        raise WireError("malformed", f"{what} is {short(value)}, not an integer of 0 to {high}")
    return value


def int32(value: object, what: str) -> int:
    """A signed 32-bit integer."""
    if not isinstance(value, int) or value is True or value is False or not -0x80000000 <= value <= 0x7FFFFFFF:
        raise WireError("malformed", f"{what} is {short(value)}, not a signed 32-bit integer")
    return value


def text(value: object, what: str) -> str:
    """Text."""
    if not isinstance(value, str):
        raise WireError("malformed", f"{what} is {short(value)}, not text")
    return value


def binary(value: object, what: str, size: int = -1) -> bytes:
    """Bytes, `size` of them if said."""
    if not isinstance(value, bytes) or (size >= 0 and len(value) != size):
        wanted = f"{size} bytes" if size >= 0 else "bytes"
        raise WireError("malformed", f"{what} is {short(value)}, not {wanted}")
    return value


def array(value: object, what: str, size: int = -1) -> list[object]:
    """A list, of `size` members if said."""
    if not isinstance(value, list) or (size >= 0 and len(value) != size):
        raise WireError(
            "malformed", f"{what} is {short(value)}, not an array of {size if size >= 0 else 'any'} members"
        )
    return value


def mapping(value: object, what: str) -> dict[object, object]:
    """A map."""
    if not isinstance(value, dict):
        raise WireError("malformed", f"{what} is {short(value)}, not a map")
    return value


def short(value: object) -> str:
    """A value as text that fits an error message, however large it came."""
    if isinstance(value, (list, dict)):
        return f"{'a map' if isinstance(value, dict) else 'an array'} of {len(value)}"
    if isinstance(value, (bytes, str)) and len(value) > 24:
        return f"{value[:24]!r}..."
    return repr(value)
