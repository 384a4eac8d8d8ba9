"""Rice bits (wire format section 4): columns of scaled integers and gap residuals in few bits.

Promises that decode(encode(v), len(v)) == v, that the encoder finds the fewest bits the format has for a column, and
that hostile bits end in WireError after work in proportion to their length. Leaves to items.py which form is sent.

Bits are handled as text of "0" and "1": searching and slicing text is the fastest bit reader that both interpreters
have, and the conversions to and from bytes are done by the interpreter in one step.
"""

from balise_wire.errors import WireError

INT32_LOW, INT32_HIGH = -0x80000000, 0x7FFFFFFF
_ESCAPE_ONES = 20  # from this quotient on, a residual is written as it is
_ESCAPE = "1" * _ESCAPE_ONES
_ESCAPED_BITS = _ESCAPE_ONES + 32
_MAX_K = 15
_TWO_32 = 1 << 32
_UNARY = tuple(["1" * q + "0" for q in range(_ESCAPE_ONES)])


def encode(values: list[int | None]) -> bytes | None:
    """A column as Rice bits, or None when a residual is too large for them (then the array form is used)."""
    present = [value for value in values if value is not None]
    bits = "0"
    if len(present) < len(values):
        bits = "1" + "".join(["0" if value is None else "1" for value in values])
    if not present:
        return _to_bytes(bits)
    first = present[0]
    if min(present) < INT32_LOW or max(present) > INT32_HIGH:
        raise WireError("malformed", "a value does not fit 32 bits: choose a smaller scale")
    u = 2 * first if first >= 0 else -2 * first - 1
    digits = bin(u)[2:] if u else ""
    bits += bin(64 + len(digits))[3:] + digits[1:]
    if len(present) == 1:
        return _to_bytes(bits)
    deltas = [present[i] - present[i - 1] for i in range(1, len(present))]
    us = [2 * delta if delta >= 0 else -2 * delta - 1 for delta in deltas]  # zigzag, without a call for each value
    k, cost = _best_k(us, _ESCAPED_BITS * len(us) + 1)
    predictor = "1"
    from_first = [2 * (value - first) if value >= first else 2 * (first - value) - 1 for value in present[1:]]
    other_k, other_cost = _best_k(from_first, cost)
    if other_cost < cost:
        us, k, cost, predictor = from_first, other_k, other_cost, "0"
    if k < 0:
        return None
    return _to_bytes(bits + predictor + bin(16 + k)[3:] + _residual_bits(us, k))


def decode(data: bytes, n: int) -> list[int | None]:
    """The n entries of a column; None where a value is missing."""
    if not 0 < n <= 8 * len(data):
        raise WireError("malformed", f"{n} rows cannot be in {len(data)} bytes of Rice bits")
    bits = _to_bits(data)
    at, count = 1, n
    presence = ""
    if bits[0] == "1":
        presence = bits[1 : 1 + n]
        at, count = 1 + n, n - presence.count("0")
    if not count:
        _check_end(bits, at)
        return [None] * n
    length, at = _number(bits, at, 6)
    if length > 32:
        raise WireError("malformed", f"first value of {length} bits in a Rice column")
    u = length
    if length > 1:
        u, at = _number(bits, at, length - 1)
        u |= 1 << (length - 1)
    values = [_unzigzag(u)]
    if count > 1:
        predictor, at = _number(bits, at, 1)
        k, at = _number(bits, at, 4)
        residuals, at = _read_residuals(bits, at, k, count - 1)
        _add_up(values, residuals, predictor)
    _check_end(bits, at)
    if not presence:
        return list(values)
    following = iter(values)
    return [next(following) if bit == "1" else None for bit in presence]


def encode_residuals(values: list[int]) -> bytes | None:
    """Gap residuals: 4 bits k and the residuals; None when one is too large."""
    us = [_zigzag(value) for value in values]
    k, _ = _best_k(us, _ESCAPED_BITS * len(us) + 1)
    return None if k < 0 else _to_bytes(bin(16 + k)[3:] + _residual_bits(us, k))


def decode_residuals(data: bytes, n: int) -> list[int]:
    """The n gap residuals that encode_residuals wrote."""
    if not 0 <= n <= 8 * len(data):
        raise WireError("malformed", f"{n} residuals cannot be in {len(data)} bytes of Rice bits")
    bits = _to_bits(data)
    k, at = _number(bits, 0, 4)
    residuals, at = _read_residuals(bits, at, k, n)
    _check_end(bits, at)
    return residuals


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(u: int) -> int:
    return -(u + 1 >> 1) if u & 1 else u >> 1


def _best_k(us: list[int], limit: int) -> tuple[int, int]:
    """The k with the fewest bits below `limit`, and these bits; k is -1 if there is none.

    All k are tried, except those whose fixed part (one zero and k low bits each) is already no better.
    """
    highest = max(us) if us else 0
    if highest >= _TWO_32:
        return -1, limit
    best = -1
    for k in range(_MAX_K + 1):
        cost = len(us) * (k + 1)
        if cost >= limit:
            break
        escape = _ESCAPE_ONES << k
        if highest < escape:
            cost += sum([u >> k for u in us])
        else:
            cost += sum([u >> k if u < escape else _ESCAPED_BITS - 1 - k for u in us])
        if cost < limit:
            best, limit = k, cost
    return best, limit


def _residual_bits(us: list[int], k: int) -> str:
    escape = _ESCAPE_ONES << k
    above, mask = 1 << k, (1 << k) - 1
    if not k:
        return "".join([_UNARY[u] if u < escape else _ESCAPE + bin(_TWO_32 | u)[3:] for u in us])
    return "".join(
        [_UNARY[u >> k] + bin(above | u & mask)[3:] if u < escape else _ESCAPE + bin(_TWO_32 | u)[3:] for u in us]
    )


def _read_residuals(bits: str, at: int, k: int, count: int) -> tuple[list[int], int]:
    size = len(bits)
    if count > size - at:  # each takes a bit or more
        raise WireError("malformed", f"{count} residuals cannot be in {size - at} bits")
    find = bits.find
    residuals = []
    for _ in range(count):
        zero = find("0", at, at + _ESCAPE_ONES)
        if zero < 0:
            low, at = at + _ESCAPE_ONES, at + _ESCAPED_BITS
            u = 0
        else:
            u = (zero - at) << k
            low, at = zero + 1, zero + 1 + k
        if at > size:
            raise WireError("malformed", "Rice bits end in the middle of a residual")
        if low < at:
            u += int(bits[low:at], 2)
        residuals.append(-(u + 1 >> 1) if u & 1 else u >> 1)
    return residuals, at


def _add_up(values: list[int], residuals: list[int], predictor: int) -> None:
    """Append the values that the residuals stand for; all must fit 32 bits."""
    value = first = values[0]
    for residual in residuals:
        value = (value if predictor else first) + residual
        values.append(value)
    if min(values) < INT32_LOW or max(values) > INT32_HIGH:
        raise WireError("malformed", "a value in a Rice column does not fit 32 bits")


def _number(bits: str, at: int, width: int) -> tuple[int, int]:
    end = at + width
    if end > len(bits):
        raise WireError("malformed", "Rice bits end early")
    return int(bits[at:end], 2), end


def _check_end(bits: str, at: int) -> None:
    if at > len(bits):
        raise WireError("malformed", "Rice bits end early")
    rest = bits[at:]
    if len(rest) > 7 or "1" in rest:
        raise WireError("malformed", f"{len(rest)} bits after the last value: only zeros up to a whole byte")


def _to_bits(data: bytes) -> str:
    return bin(int.from_bytes(b"\x01" + data, "big"))[3:]


def _to_bytes(bits: str) -> bytes:
    size = (len(bits) + 7) // 8
    return int("1" + bits + "0" * (8 * size - len(bits)), 2).to_bytes(size + 1, "big")[1:]
