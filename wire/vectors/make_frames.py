"""The node frame vectors (frames.json): good frames and acknowledgements, and one reason to fail each.

Promises independence, as make.py does: sealed by `cryptography`, encoded by cbor2. Leaves the writing to make.py.
"""

from collections.abc import Sequence

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY, OTHER_KEY = bytes(range(16)), bytes(range(100, 116))
Case = dict[str, object]

MANIFEST = {
    "node": "urn:dev:ops:b4115e-air-01",
    "tick_ms": 1000,
    "trust": "node-signed",
    "channels": [
        {"n": "pm2_5", "u": "ug/m3", "s": 1, "r": 1, "model": "sds011"},
        {"n": "temperature", "u": "Cel", "s": 2, "r": 1, "model": "bme280"},
    ],
}
ROW = [0, 1, 1544299407, 0, 1, [27], [-722]]


def derived(key: bytes, label: str, length: int) -> bytes:
    """HKDF-SHA256 as SPEC.md section 6.1 says."""
    return HKDF(hashes.SHA256(), length, b"balise node frame 1", label.encode()).derive(key)


def dumps(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


def sealed(direction: str, partial_iv: bytes, body: bytes, key: bytes = KEY) -> bytes:
    context_iv = derived(key, direction + " iv", 13)
    nonce = (int.from_bytes(context_iv, "big") ^ int.from_bytes(partial_iv, "big")).to_bytes(13, "big")
    associated = dumps(["Encrypt0", dumps({1: 10}), b""])
    return AESCCM(derived(key, direction + " key", 16), 8).encrypt(nonce, body, associated)


def message(ciphertext: bytes, partial_iv: bytes, tag: int = 16, alg: object = 10, key: bytes = KEY) -> bytes:
    headers = {4: derived(key, "kid", 4), 6: partial_iv}
    return dumps(cbor2.CBORTag(tag, [dumps({1: alg}), headers, ciphertext]))


def name(boot: int, count: int) -> bytes:
    return boot.to_bytes(4, "big") + count.to_bytes(4, "big")


def frame(boot: int, count: int, items: Sequence[object]) -> bytes:
    return up(name(boot, count), dumps([boot, count, *items]))


def up(partial_iv: bytes, body: bytes) -> bytes:
    return message(sealed("up", partial_iv, body), partial_iv)


def down(count: int, body: object) -> bytes:
    partial_iv = count.to_bytes(8, "big")
    return message(sealed("down", partial_iv, dumps(body)), partial_iv)


def readings(boot: int | None, times: list[int], columns: list[list[int | None]], flags: object = None) -> Case:
    return {"kind": 0, "manifest": 1, "boot": boot, "times": times, "columns": columns, "flags": flags or {}}


def good_frames() -> list[Case]:
    rest = [1, 61000, 1544299468000, "gateway", 900]
    loss = ["urn:dev:ops:b4115e-air-01", "frames", [1, 4], [1, 9], "node store full"]
    rows = [0, 1, [1, 61], 147, [0, -2], [27, None, 3], [None, None, None], {0: [[2, 3]]}]
    told = [
        (
            "first frame of a boot: the manifest",
            1,
            1,
            [[1, 1, MANIFEST]],
            [{"kind": 1, "manifest": 1, "map": MANIFEST}],
        ),
        ("one row in UTC", 1, 2, [ROW], [readings(None, [1544299407], [[27], [-722]])]),
        (
            "rows before the clock was known, with missing values and a flag",
            1,
            3,
            [rows],
            [readings(1, [61, 208, 353], [[27, None, 30], [None, None, None]], {"0": [[2, 3]]})],
        ),
        (
            "an anchor, a loss and a kind from the future",
            7,
            300,
            [[2, *rest], [3, *loss], [77, "x", {"a": b"\x00"}]],
            [{"kind": 2, "rest": rest}, {"kind": 3, "rest": loss}, {"kind": 77}],
        ),
        ("the last name", 2**32 - 1, 2**32 - 1, [ROW], [readings(None, [1544299407], [[27], [-722]])]),
    ]
    return [
        {"why": why, "boot": boot, "count": count, "items": items, "data": frame(boot, count, packed).hex()}
        for why, boot, count, packed, items in told
    ]


def bad_headers() -> list[Case]:
    good, first = frame(1, 2, [ROW]), name(1, 2)
    body = dumps([1, 2, ROW])
    inner = sealed("up", first, body)
    kid = derived(KEY, "kid", 4)

    def flipped(at: int) -> bytes:
        return good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]

    def headed(headers: dict[int, bytes]) -> bytes:
        return dumps(cbor2.CBORTag(16, [dumps({1: 10}), headers, inner]))

    told = [
        ("cut short", "malformed", good[:-1]),
        ("nothing", "malformed", b""),
        ("a byte after the frame", "malformed", good + b"\x00"),
        ("one flipped bit in the ciphertext", "tag", flipped(len(good) - 12)),
        ("one flipped bit in the authentication tag", "tag", flipped(len(good) - 1)),
        ("one flipped bit in the partial IV", "tag", flipped(good.index(first) + 7)),
        ("sealed by another node", "unknown key", message(sealed("up", first, body, OTHER_KEY), first, key=OTHER_KEY)),
        ("sealed by another key under this key id", "tag", message(sealed("up", first, body, OTHER_KEY), first)),
        ("an acknowledgement played back as a frame", "tag", message(sealed("down", first, body), first)),
        ("another algorithm: 1, AES-GCM", "algorithm", message(inner, first, alg=1)),
        ("a second protected header", "malformed", good.replace(b"\x43\xa1\x01\x0a", b"\x46\xa2\x01\x0a\x03\x18\x3c")),
        ("wrong tag number: 17, COSE_Mac0", "malformed", message(inner, first, tag=17)),
        ("no tag number", "malformed", good[1:]),
        ("a key id of 8 bytes", "malformed", headed({4: kid + kid, 6: first})),
        ("a partial IV of 7 bytes", "malformed", headed({4: kid, 6: first[1:]})),
        ("no key id", "malformed", headed({6: first})),
        ("a third unprotected header", "malformed", headed({4: kid, 6: first, 7: b""})),
        ("sealed part shorter than the authentication tag", "malformed", message(inner[:7], first)),
        ("count 0", "malformed", up(name(1, 0), dumps([1, 0, ROW]))),
        ("outer length not in its shortest form", "not deterministic", good.replace(b"\x44" + kid, b"\x58\x04" + kid)),
        (
            "outer headers not sorted",
            "not deterministic",
            good.replace(b"\xa2\x04\x44" + kid + b"\x06\x48" + first, b"\xa2\x06\x48" + first + b"\x04\x44" + kid),
        ),
        ("outer array of indefinite length", "not deterministic", good.replace(b"\xd0\x83", b"\xd0\x9f") + b"\xff"),
    ]
    return [{"why": why, "error": error, "data": data.hex()} for why, error, data in told]


def bad_contents() -> list[Case]:
    """What a node with the right key must not say; each is sealed as frame 2 of boot 1."""
    rows_of_two_lengths, float_value = [*ROW[:-1], [1, 2]], [*ROW[:-1], [1.5]]
    told = [
        ("the sealed name is not the one on the header", "name", dumps([1, 3, ROW])),
        ("the sealed boot is not the one on the header", "name", dumps([2, 2, ROW])),
        ("no items", "malformed", dumps([1, 2])),
        ("sealed part is a map", "malformed", dumps({1: 2})),
        ("an item that is no array", "malformed", dumps([1, 2, 3])),
        ("an item without a kind", "malformed", dumps([1, 2, []])),
        ("an item whose kind is text", "malformed", dumps([1, 2, ["0"]])),
        ("rows of two lengths", "malformed", dumps([1, 2, rows_of_two_lengths])),
        ("more rows promised than the columns hold", "malformed", dumps([1, 2, [0, 1, 0, 0, 900, b"\x80"]])),
        ("a float for a value", "malformed", dumps([1, 2, float_value])),
        (
            "a sealed integer not in its shortest form",
            "not deterministic",
            dumps([1, 2, ROW]).replace(b"\2", b"\x18\2", 1),
        ),
        ("nested 17 deep", "too large", dumps([1, 2, [77, nested(15)]])),
        ("more than 4096 bytes", "too large", dumps([1, 2, [77, bytes(4096)]])),
    ]
    return [{"why": why, "error": error, "data": up(name(1, 2), body).hex()} for why, error, body in told]


def nested(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


def acks() -> list[Case]:
    good = [
        ("nothing is held, no clock", 1, [1, 0, 0, None, 0]),
        ("held to 41 and two beyond, with UTC", 2, [3, 41, 0b1010, 1544299468123, 40]),
        ("a full bitmap, far counts", 2**40, [2**32 - 1, 2**32 - 1, 2**64 - 2, 1544299468123, 0]),
    ]
    body = [1, 5, 0, None, 0]
    whole = down(3, body)
    bad = [
        ("cut short", "malformed", whole[:-1]),
        ("one flipped bit", "tag", whole[:-10] + bytes([whole[-10] ^ 4]) + whole[-9:]),
        ("an acknowledgement under another number", "tag", whole.replace(bytes(7) + b"\x03", bytes(7) + b"\x04")),
        ("a frame played back as an acknowledgement", "tag", frame(1, 2, [ROW])),
        ("four members", "malformed", down(3, body[:4])),
        ("six members", "malformed", down(3, [*body, 0])),
        ("UTC as text", "malformed", down(3, [1, 5, 0, "1544299468123", 0])),
        ("a negative count", "malformed", down(3, [1, -5, 0, None, 0])),
        ("a bitmap that is true", "malformed", down(3, [1, 5, True, None, 0])),
    ]
    cases: list[Case] = [
        {"why": why, "ack_count": count, "ack": ack, "data": down(count, ack).hex()} for why, count, ack in good
    ]
    return cases + [{"why": why, "error": error, "data": data.hex()} for why, error, data in bad]


def frames() -> Case:
    labels = {"kid": 4, "up key": 16, "up iv": 13, "down key": 16, "down iv": 13}
    return {
        "key": KEY.hex(),
        "derived": {label: derived(KEY, label, length).hex() for label, length in labels.items()},
        "frames": good_frames() + bad_headers() + bad_contents(),
        "acks": acks(),
    }
