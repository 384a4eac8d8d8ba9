"""Writes frames, items, columns, cbor, log and cards (each .json) of this folder, with fixed test keys.

Promises independence: bytes come from cbor2, `cryptography` and a few naive lines, never from balise_wire, so that the
files test it. `python wire/vectors/make.py` writes them, with `--check` it compares. Leaves batches.json alone: that
was given.
"""

import base64
import hashlib
import json
import sys
from itertools import pairwise
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from make_cards import cards
from make_frames import Case, dumps, frames

HERE = Path(__file__).parent
SEED = bytes(range(32))


# --- Rice columns ----------------------------------------------------------------------------------------------------


def zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def residual_bits(values: list[int], k: int) -> str:
    bits = f"{k:04b}"
    for u in map(zigzag, values):
        q, low = u >> k, f"{u % 2**k:0{k}b}" if k else ""
        bits += "1" * q + "0" + low if q < 20 else "1" * 20 + f"{u:032b}"
    return bits


def column_bits(values: list[int | None]) -> str:
    present = [value for value in values if value is not None]
    missing = "".join("0" if value is None else "1" for value in values)
    bits = "1" + missing if len(present) < len(values) else "0"
    if not present:
        return bits
    first = zigzag(present[0])
    bits += f"{first.bit_length():06b}" + f"{first:b}"[1:]
    if len(present) == 1:
        return bits
    steps = [b - a for a, b in pairwise(present)]
    from_first = [value - present[0] for value in present[1:]]
    tries = [
        predictor + residual_bits(residuals, k)
        for predictor, residuals in (("1", steps), ("0", from_first))
        if max(map(zigzag, residuals)) < 2**32
        for k in range(16)
    ]
    return bits + min(tries, key=len)


def padded(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def columns() -> Case:
    low, high = -(2**31), 2**31 - 1
    good: list[tuple[str, list[int | None]]] = [
        ("one value", [27]),
        ("one zero: a first value of no bits", [0]),
        ("one missing value", [None]),
        ("all missing", [None] * 9),
        ("steps", [27, 28, 30, 26]),
        ("around the first value", [500, 491, 512, 499, 505, 488, 511]),
        ("gaps", [None, 8533, None, 8533, 8520, None]),
        ("ends of the range", [high, 0, low, -1]),
        ("constant", [98797] * 40),
        ("one jump that is written as it is", [0, 0, 0, 1000000, 1000000, 1000000]),
    ]
    steps = column_bits([27, 28, 30, 26])
    bad = [
        ("cut short", 4, padded(steps)[:-1]),
        ("nothing", 1, b""),
        ("no rows", 0, padded(steps)),
        ("more rows than bits", 10**6, padded(steps)),
        ("more rows than are there", 12, padded(steps)),
        ("a byte after the last value", 4, padded(steps) + b"\x00"),
        ("padding that is not zero", 4, padded(steps + "1")),
        ("first value of 33 bits", 1, padded("0" + f"{33:06b}" + "0" * 32)),
        ("first value of 63 bits that are not there", 1, padded("0" + f"{63:06b}")),
        ("values that leave 32 bits", 2, padded(column_bits([high]) + "1" + residual_bits([1], 0))),
        ("presence bits cut short", 9, b"\x80"),
        ("ones without an end", 3, b"\x00\x20" + b"\xff" * 4),
    ]
    no_form = [("a step of 33 bits from every side", [high, low, high])]
    gaps = [("gap residuals", [0, 1, -1, 0, 5]), ("no residuals", []), ("one large gap", [0, 86400, 0])]
    return {
        "columns": [{"why": why, "values": values, "data": padded(column_bits(values)).hex()} for why, values in good],
        "array form only": [{"why": why, "values": values} for why, values in no_form],
        "refused": [{"why": why, "n": n, "data": data.hex(), "error": "malformed"} for why, n, data in bad],
        "gaps": [
            {
                "why": why,
                "values": values,
                "data": padded(min((residual_bits(values, k) for k in range(16)), key=len)).hex(),
            }
            for why, values in gaps
        ],
    }


# --- CBOR ------------------------------------------------------------------------------------------------------------


def cbor() -> Case:
    good: list[object] = [
        0,
        23,
        24,
        255,
        256,
        65535,
        65536,
        2**32 - 1,
        2**32,
        2**63 - 1,
        -1,
        -24,
        -25,
        -256,
        -257,
        -(2**63),
    ]
    good += [None, True, False, "", "pm2_5", "µg/m³", [], [1, [2, [3]]], {}, {"b": 1, "a": {"c": None}}, {"10": 1}]
    bad = [
        ("nothing", "malformed", ""),
        ("two items", "malformed", "0102"),
        ("integer in two bytes that fits one", "not deterministic", "1817"),
        ("integer in three bytes that fits two", "not deterministic", "1900ff"),
        ("integer in five bytes that fits three", "not deterministic", "1a0000ffff"),
        ("integer in nine bytes that fits five", "not deterministic", "1b00000000ffffffff"),
        ("length in two bytes that fits one", "not deterministic", "580100"),
        ("text of indefinite length", "not deterministic", "7f6161ff"),
        ("array of indefinite length", "not deterministic", "9f01ff"),
        ("map of indefinite length", "not deterministic", "bf0102ff"),
        ("break without a beginning", "not deterministic", "ff"),
        ("reserved length byte 28", "malformed", "1c"),
        ("reserved simple value", "malformed", "f814"),
        ("map keys not sorted", "not deterministic", "a202010101"),
        ("shorter key after the longer one", "not deterministic", "a2626161016162026162"),
        ("map key twice", "not deterministic", "a201010102"),
        ("bytes cut short", "malformed", "43616263"[:-2]),
        ("2**64 - 1 bytes promised", "malformed", "5bffffffffffffffff"),
        ("2**32 members promised", "malformed", "9b0000000100000000"),
        ("2**63 pairs promised", "malformed", "bb8000000000000000"),
        ("text that is not UTF-8", "malformed", "61ff"),
        ("map without its last value", "malformed", "a101"),
        ("tag without an item", "malformed", "d2"),
        ("nested 17 deep", "too large", "81" * 17 + "00"),
        ("tags 17 deep", "too large", "c1" * 17 + "00"),
    ]
    return {
        "good": [{"value": value, "data": dumps(value).hex()} for value in good],
        "kept as they are": [dumps(value).hex() for value in (1.5, 1e300, cbor2.undefined, {(1, 2): 3}, {False: 1})],
        "refused": [{"why": why, "error": error, "data": data} for why, error, data in bad],
    }


# --- items ----------------------------------------------------------------------------------------------------------


def items() -> Case:
    """Arrays that are refused; good ones are in batches.json and frames.json."""
    one = [0, 1, 100, 10, 1, [27]]
    three = [0, 1, 100, 10, 3, [1, 1, 1], [2, 2, None]]
    manifest = {"node": "urn:dev:ops:b4115e-air-01", "channels": [{"n": "pm10", "u": "ug/m3", "s": 1}]}
    bad: list[tuple[str, object]] = [
        ("no array", 7),
        ("no kind", []),
        ("a negative kind", [-1, 2]),
        ("readings without a column", one[:5]),
        ("a negative manifest number", [0, -1, *one[2:]]),
        ("a time before 1970", [0, 1, -100, *one[3:]]),
        ("a boot time of three members", [0, 1, [1, 2, 3], *one[3:]]),
        ("a negative period", [0, 1, 100, -10, *one[4:]]),
        ("no rows", [0, 1, 100, 10, 0, []]),
        ("a row count of true", [0, 1, 100, 10, True, [27]]),
        ("two rows, one value", [0, 1, 100, 10, 2, [27]]),
        ("gap residuals for two rows, one value", [0, 1, 100, 10, [1], [27]]),
        ("a gap residual that is null", [0, 1, 100, 10, [None], [27, 0]]),
        ("gaps that lead before 1970", [0, 1, 100, 10, [-111], [27, 0]]),
        ("gaps that lead beyond 63 bits", [0, 1, 2**63 - 1, 10, 2, [27, 0]]),
        ("Rice gaps cut short", [0, 1, 100, 10, [3, b""], [27, 0, 0]]),
        ("more rows than the bits of a column", [0, 1, 100, 10, 9, b"\x80"]),
        ("a value of 33 bits", [*one[:5], [2**31]]),
        ("differences that leave 32 bits", [0, 1, 100, 10, 2, [2**31 - 1, 1]]),
        ("text for a value", [*one[:5], ["27"]]),
        ("a column that is a number", [*one[:5], 27]),
        ("flags of a column that is not there", [*three, {2: [[0, 3]]}]),
        ("a flag of a row that is not there", [*three, {0: [[3, 3]]}]),
        ("rows of flags that do not rise", [*three, {0: [[1, 3], [0, 3]]}]),
        ("two flags of one row", [*three, {0: [[1, 3], [1, 4]]}]),
        ("a flag that QARTOD does not have", [*three, {0: [[1, 5]]}]),
        ("flags keyed by name", [*three, {"pm10": [[1, 3]]}]),
        ("a map before the last column", [*three[:6], {0: [[0, 3]]}, three[6]]),
        ("a manifest that is text", [1, 1, "pm10"]),
        ("a manifest of four members", [1, 1, manifest, 0]),
        ("a manifest without its node", [1, 1, {"channels": []}]),
        ("a manifest whose tick is 0 ms", [1, 1, {**manifest, "tick_ms": 0}]),
        ("a channel without a unit", [1, 1, {**manifest, "channels": [{"n": "pm10", "s": 1}]}]),
        ("a channel whose scale is 99", [1, 1, {**manifest, "channels": [{"n": "pm10", "u": "ug/m3", "s": 99}]}]),
        ("an anchor of five members", [2, 3, 5000, 1544300000000, "ntp"]),
        ("an anchor with a negative uncertainty", [2, 3, 5000, 1544300000000, "ntp", -1]),
        ("an anchor in the year 300 million", [2, 3, 5000, 2**63, "ntp", 0]),
        ("a loss without a reason", [3, "urn:dev:ops:b4115e-air-01", "rows", 1, 2]),
        ("a loss of bytes", [3, b"urn", "rows", 1, 2, "node store full"]),
        ("a visit that is no map", [4, []]),
        ("a carried envelope that is no bytes", [7, [18]]),
    ]
    large: list[tuple[str, object]] = [
        ("65537 rows on the grid", [0, 1, 100, 10, 65537, bytes(9000)]),
        ("2**62 rows on the grid", [0, 1, 100, 10, 2**62, b"\0"]),
        ("Rice gaps of 2**62 rows", [0, 1, 100, 10, [2**62, b"\0"], b"\0"]),
    ]
    told = [(why, "malformed", item) for why, item in bad] + [(why, "too large", item) for why, item in large]
    return {"refused": [{"why": why, "error": error, "data": dumps(item).hex()} for why, error, item in told]}


# --- the log ---------------------------------------------------------------------------------------------------------


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), tree(leaves[k:])]
    return [*path(m - k, leaves[k:]), tree(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [tree(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), tree(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), tree(leaves[:k])]


def log() -> Case:
    # the leaves that Certificate Transparency implementations test with; their roots are in tests/wire/test_log.py
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [leaf(bytes.fromhex(data)) for data in inputs]
    sizes = range(1, len(leaves) + 1)
    return {
        "leaves": inputs,
        "roots": [tree(leaves[:size]).hex() for size in range(len(leaves) + 1)],
        "inclusion": [
            {"index": index, "size": size, "proof": [node.hex() for node in path(index, leaves[:size])]}
            for size in sizes
            for index in range(size)
        ],
        "consistency": [
            {"old_size": old, "size": size, "proof": [node.hex() for node in subproof(old, leaves[:size], True)]}
            for size in sizes
            for old in range(1, size + 1)
        ],
        "checkpoint": checkpoint(tree(leaves), len(leaves)),
    }


def checkpoint(root: bytes, size: int) -> Case:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    public = private.public_key().public_bytes_raw()
    origin = f"balise/{hashlib.sha256(public).hexdigest()[:16]}/1"
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    key_hash = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    signature = base64.b64encode(key_hash + private.sign(text.encode())).decode()
    return {
        "seed": SEED.hex(),
        "public_key": public.hex(),
        "log": 1,
        "note": f"{text}\n\u2014 {origin} {signature}\n",
        "verifier_key": f"{origin}+{key_hash.hex()}+{base64.b64encode(bytes([1]) + public).decode()}",
    }


def files() -> dict[str, str]:
    """What each file must hold."""
    made = {"frames": frames(), "items": items(), "columns": columns(), "cbor": cbor(), "log": log(), "cards": cards()}
    return {f"{stem}.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n" for stem, content in made.items()}


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    stale = (
        [name for name, text in files().items() if (HERE / name).read_text(encoding="utf-8") != text] if check else []
    )
    for name in stale:
        print(f"{name} is stale: run python wire/vectors/make.py")
    if not check:
        for name, text in files().items():
            (HERE / name).write_text(text, encoding="utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
