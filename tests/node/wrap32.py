"""Arithmetic of a board's 32-bit words, for machine code (viper) that is tested on a computer of 64.

`Word` is a whole number that every operation cuts to 32 bits, with its sign, as a board's registers do. A kernel played
with Words must give what it gives with plain integers: where it does not, it overflows on a board and not here. Given
to a viper function's Python body (without the decorator), Words spread to all that is computed from them.
"""

BITS = 32


def cut(number: int) -> int:
    """The lower 32 bits, read with their sign."""
    return (number + (1 << BITS - 1)) % (1 << BITS) - (1 << BITS - 1)


class Word(int):
    """See the module. Shifts are arithmetic, by 0 to 31 places, as on a board."""

    def __new__(cls, number: int) -> "Word":
        return super().__new__(cls, cut(int(number)))

    def __add__(self, other: int) -> "Word":
        return Word(int(self) + int(other))

    def __sub__(self, other: int) -> "Word":
        return Word(int(self) - int(other))

    def __rsub__(self, other: int) -> "Word":
        return Word(int(other) - int(self))

    def __mul__(self, other: int) -> "Word":
        return Word(int(self) * int(other))

    def __neg__(self) -> "Word":
        return Word(-int(self))

    def __and__(self, other: int) -> "Word":
        return Word(int(self) & int(other))

    def __or__(self, other: int) -> "Word":
        return Word(int(self) | int(other))

    def __xor__(self, other: int) -> "Word":
        return Word(int(self) ^ int(other))

    def __lshift__(self, places: int) -> "Word":
        return Word(int(self) << self._places(places))

    def __rshift__(self, places: int) -> "Word":
        return Word(int(self) >> self._places(places))

    __radd__, __rmul__, __rand__, __ror__, __rxor__ = __add__, __mul__, __and__, __or__, __xor__

    @staticmethod
    def _places(places: int) -> int:
        assert 0 <= places < BITS, f"a shift by {places} places means nothing on a board"
        return int(places)
