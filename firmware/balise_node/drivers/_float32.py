"""Single-precision numbers (IEEE 754) as some sensors send them, without a float: boards would round them again.

Leaves to the drivers where the 32 bits come from.
"""


def scaled(bits: int, factor: int) -> "int | None":
    """The number times factor, rounded half away from zero; None where it is not a number or beyond 31 bits."""
    exponent, mantissa = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent:
        mantissa |= 0x800000
    shift = 150 - (exponent or 1)  # the number is mantissa / 2 ** shift
    size = mantissa * factor
    if shift > 0:
        size = (size + (1 << shift - 1)) >> shift
    elif shift < -7:  # at least 2 ** 31: also what stands for infinity and for "not a number"
        return None
    else:
        size <<= -shift
    if size >= 1 << 31:
        return None
    return -size if bits >> 31 else size
