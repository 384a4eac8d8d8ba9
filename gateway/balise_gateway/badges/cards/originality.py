"""NXP's signature of a chip's UID: whether this UID was ever on a chip of NXP's (AN11350 section 3, NT4H2421Gx 9.3).

Promises to verify over secp128r1 (NTAG21x) and secp224r1 (NTAG 424 DNA) without another library: the first curve is in
none that we have. All inputs are public, so time tells nobody anything. It does not prove that this chip is the one:
the signature never changes, and whoever has read it can show it again.
"""

from dataclasses import dataclass

Point = tuple[int, int] | None  # None is the point at infinity


@dataclass(frozen=True)
class Curve:
    """y² = x³ − 3x + b over a prime field; SEC 2 versions 1.0 (section 2.5.1) and 2.0 (section 2.3.2)."""

    p: int
    b: int
    base: tuple[int, int]
    order: int
    public: tuple[int, int]

    @property
    def size_bytes(self) -> int:
        return (self.order.bit_length() + 7) // 8

    def has(self, point: tuple[int, int]) -> bool:
        x, y = point
        return (y * y - x * x * x + 3 * x - self.b) % self.p == 0

    def add(self, one: Point, other: Point) -> Point:
        if one is None or other is None:
            return one or other
        (x1, y1), (x2, y2) = one, other
        if x1 == x2 and (y1 + y2) % self.p == 0:
            return None
        rise, run = (3 * x1 * x1 - 3, 2 * y1) if x1 == x2 else (y2 - y1, x2 - x1)
        slope = rise * pow(run, -1, self.p)
        x3 = (slope * slope - x1 - x2) % self.p
        return x3, (slope * (x1 - x3) - y1) % self.p

    def times(self, factor: int, point: Point) -> Point:
        found: Point = None
        while factor:
            if factor & 1:
                found = self.add(found, point)
            point, factor = self.add(point, point), factor >> 1
        return found


NTAG21X = Curve(  # secp128r1; NXP's key from AN11350 table 1
    p=0xFFFFFFFDFFFFFFFFFFFFFFFFFFFFFFFF,
    b=0xE87579C11079F43DD824993C2CEE5ED3,
    base=(0x161FF7528B899B2D0C28607CA52C5B86, 0xCF5AC8395BAFEB13C02DA292DDED7A83),
    order=0xFFFFFFFE0000000075A30D1B9038A115,
    public=(0x494E1A386D3D3CFE3DC10E5DE68A499B, 0x1C202DB5B132393E89ED19FE5BE8BC61),
)
NTAG424 = Curve(  # secp224r1; NXP's key from AN12196 section 7
    p=2**224 - 2**96 + 1,
    b=0xB4050A850C04B3ABF54132565044B0B7D7BFD8BA270B39432355FFB4,
    base=(
        0xB70E0CBD6BB4BF7F321390B94A03C1D356C21122343280D6115C1D21,
        0xBD376388B5F723FB4C22DFE6CD4375A05A07476444D5819985007E34,
    ),
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    public=(
        0x8A9B380AF2EE1B98DC417FECC263F8449C7625CECE82D9B916C992DA,
        0x209D68422B81EC20B65A66B5102A61596AF3379200599316A00A1410,
    ),
)
_BY_SIZE = {2 * curve.size_bytes: curve for curve in (NTAG21X, NTAG424)}


def is_original(uid: bytes, signature: bytes) -> bool:
    """Whether NXP signed this UID: ECDSA over the UID itself, which is not hashed (AN11350 section 3.3)."""
    curve = _BY_SIZE.get(len(signature))
    if curve is None or not uid:
        return False
    size = curve.size_bytes
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    if not (0 < r < curve.order and 0 < s < curve.order):
        return False
    inverse = pow(s, -1, curve.order)
    said = int.from_bytes(uid, "big") % curve.order
    sum_ = curve.add(
        curve.times(said * inverse % curve.order, curve.base), curve.times(r * inverse % curve.order, curve.public)
    )
    return sum_ is not None and sum_[0] % curve.order == r
