"""Deterministic CBOR (RFC 8949 section 4.2), the part that our formats use, on both interpreters.

Promises one encoding per value, and refuses every other: shortest heads, sorted and unique map keys, no indefinite
lengths. Time and memory are bounded by the input, depth by MAX_DEPTH. What this subset has no Python value for
(floats, simple values, maps keyed by arrays) is kept as Raw, so that an item from the future survives unchanged.
Leaves the meaning of the values to items.py, frames.py and cose.py.
"""

from balise_wire.errors import WireError

MAX_DEPTH = 16
_TWO_64 = 1 << 64


class Tag:
    """A tagged value (RFC 8949 section 3.4)."""

    def __init__(self, number: int, value: object) -> None:
        self.number = number
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tag) and self.number == other.number and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"Tag({self.number}, {self.value!r})"


class Raw:
    """One encoded item kept as its bytes, because no value of this subset stands for it."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raw) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Raw({self.data!r})"


def encode(value: object) -> bytes:
    """None, bool, int (64 bit), bytes, str, list, tuple, dict (keys int, str or bytes), Tag or Raw to bytes."""
    out = bytearray()
    _write(out, value, 0)
    return bytes(out)


def _write(out: bytearray, value: object, depth: int) -> None:
    if value is None or value is True or value is False:
        out.append(0xF6 if value is None else 0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _write_head(out, 0x20 if value < 0 else 0, -1 - value if value < 0 else value)
    elif isinstance(value, (bytes, bytearray)):
        _write_head(out, 0x40, len(value))
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _write_head(out, 0x60, len(text))
        out.extend(text)
    else:
        _write_container(out, value, depth + 1)


def _write_container(out: bytearray, value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise WireError("too large", f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, (list, tuple)):
        _write_head(out, 0x80, len(value))
        for item in value:
            if type(item) is int and 0 <= item < 24:  # most are small numbers: no call for those
                out.append(item)
            else:
                _write(out, item, depth)
    elif isinstance(value, dict):
        _write_head(out, 0xA0, len(value))
        for key, item in sorted([(_key(key), item) for key, item in value.items()], key=_first):
            out.extend(key)
            _write(out, item, depth)
    elif isinstance(value, Tag):
        _write_head(out, 0xC0, value.number)
        _write(out, value.value, depth)
    elif isinstance(value, Raw):
        out.extend(value.data)
    else:
        raise WireError("malformed", f"no CBOR form for {value!r}: use integers, text, bytes, lists and maps")


def _first(pair: tuple[bytes, object]) -> bytes:
    return pair[0]


def _key(key: object) -> bytes:
    if not isinstance(key, (int, str, bytes)) or key is True or key is False:
        raise WireError("malformed", f"map key {key!r}: only integers, text and bytes")
    return encode(key)


def _write_head(out: bytearray, major: int, argument: int) -> None:
    if argument < 24:
        out.append(major | argument)
    elif argument < 0x100:
        out.append(major | 24)
        out.append(argument)
    elif argument < 0x10000:
        out.append(major | 25)
        out.extend(argument.to_bytes(2, "big"))
    elif argument < 0x100000000:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    elif argument < _TWO_64:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))
    else:
        raise WireError("too large", "an integer of more than 64 bits")


def decode(data: bytes) -> object:
    """The one item that `data` holds, no byte more."""
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise WireError("malformed", f"{len(data) - end} bytes after the item")
    return value


def decode_at(data: bytes, at: int) -> tuple[object, int]:
    """The item that starts at byte `at`, and where the next one starts."""
    return _read(data, at, 0)


def head(data: bytes, at: int, loose: bool) -> tuple[int, int, int]:
    """(major type, argument, next); `loose` where the argument need not be in its shortest form."""
    if at >= len(data):
        raise WireError("malformed", f"ends at byte {at}, in the middle of an item")
    first = data[at]
    info = first & 31
    if info < 24:
        return first >> 5, info, at + 1
    if info > 27:
        raise WireError("not deterministic" if info == 31 else "malformed", f"length byte {first} at byte {at}")
    size = 1 << (info - 24)
    end = end_after(data, at + 1, size)
    argument = int.from_bytes(data[at + 1 : end], "big")
    if not loose and argument < (24 if size == 1 else 1 << 4 * size):
        raise WireError("not deterministic", f"{argument} at byte {at} is not in its shortest form")
    return first >> 5, argument, end


def end_after(data: bytes, at: int, length: int) -> int:
    """Where so many bytes end."""
    if length > len(data) - at:
        raise WireError("malformed", f"ends before the {length} bytes that start at {at}")
    return at + length


def counted(data: bytes, at: int, count: int) -> int:
    """How many items follow."""
    if count > len(data) - at:  # an item is at least one byte: never make room for more than can come
        raise WireError("malformed", f"{count} items promised at byte {at}, more than bytes left")
    return count


def _read(data: bytes, at: int, depth: int) -> tuple[object, int]:
    start = at
    first = data[at] if at < len(data) else 0
    major, argument, at = head(data, at, first >> 5 == 7)
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major == 2 or major == 3:
        end = end_after(data, at, argument)
        return (data[at:end] if major == 2 else _text(data[at:end], start)), end
    if major == 7:
        return _simple(data, start, at)
    if depth >= MAX_DEPTH:
        raise WireError("too large", f"nested deeper than {MAX_DEPTH}")
    if major == 4:
        items: list[object] = []
        for _ in range(counted(data, at, argument)):
            if at < len(data) and data[at] < 24:  # most are small numbers: no call for those
                items.append(data[at])
                at += 1
                continue
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return items, at
    if major == 5:
        return _read_map(data, start, counted(data, at, argument), at, depth + 1)
    item, at = _read(data, at, depth + 1)
    return Tag(argument, item), at


def _text(raw: bytes, start: int) -> str:
    text = None
    try:
        text = str(raw, "utf-8")
    except ValueError:
        text = None
    if text is None:
        raise WireError("malformed", f"the text at byte {start} is not UTF-8")
    return text


def _simple(data: bytes, start: int, end: int) -> tuple[object, int]:
    first = data[start]
    if first == 0xF4 or first == 0xF5:
        return first == 0xF5, end
    if first == 0xF6:
        return None, end
    if first == 0xF8 and data[start + 1] < 32:
        raise WireError("malformed", f"reserved simple value at byte {start}")
    return Raw(data[start:end]), end


def _read_map(data: bytes, start: int, count: int, at: int, depth: int) -> tuple[object, int]:
    items: dict[int | str | bytes, object] = {}
    last, plain = b"", True
    for _ in range(count):
        key_at = at
        key, at = _read(data, at, depth)
        this = data[key_at:at]
        if this <= last:
            raise WireError("not deterministic", f"map keys at byte {key_at} are not sorted and unique")
        last = this
        value, at = _read(data, at, depth)
        if isinstance(key, (int, str, bytes)) and key is not True and key is not False:
            items[key] = value
        else:
            plain = False
    return (items if plain else Raw(data[start:at])), at
