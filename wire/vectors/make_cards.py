"""The card vectors (cards.json): numbers, URLs, the signed record and whole NDEF messages, good ones and bad.

Promises independence, as make.py does: NDEF by ndeflib, signatures by `cryptography`. Leaves the writing to make.py.
"""

import ndef
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Case = dict[str, object]
SEED = bytes(range(32))
HOME, UID, LAST_DAY = "coroutine.example", bytes.fromhex("04a1b2c3d4e5f6"), 20818
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHANCES = ("000000000000", "ffffffffffff", "0123456789ab", "00f0e1d2c3b4", "1f2e3d4c5b6a")


def number_of(chance: str) -> str:
    """Nine groups of five bits, the last 45; the sum of all ten, every second doubled, is a multiple of 32."""
    bits = f"{int(chance, 16):048b}"[3:]
    values = [int(bits[at : at + 5], 2) for at in range(0, 45, 5)]
    doubled = [31 * (value > 15) * -1 + 2 * value if at % 2 == 0 else value for at, value in enumerate(values)]
    check = next(value for value in range(32) if (sum(doubled) + value) % 32 == 0)
    return "".join(ALPHABET[value] for value in [*values, check])


def misread(*numbers: str) -> list[Case]:
    """What people type for a zero and a one."""
    return [
        {"typed": f" {n[:5].lower()} {n[5:]}".replace("0", zero).replace("1", one), "number": n}
        for n in numbers
        for zero, one in ("oi", "OI", "OL", "ol", "0l")
    ]


def addresses(number: str) -> list[Case]:
    sun = {"picc_data": "ef963ff7828658a599f3041510671e88", "cmac": "94eed9ee65337086"}
    tail = f"?picc_data={sun['picc_data'].upper()}&cmac={sun['cmac'].upper()}"
    return [
        {"text": f"https://{HOME}/b/{number}", "home": HOME, "number": number},
        {"text": f"https://{HOME}/b/{number}{tail}", "home": HOME, "number": number, **sun},
        {"text": f"HTTPS://{HOME.upper()}/b/{number.lower()}", "home": HOME, "number": number},
        {"text": f"https://badge.example/cor#{number}", "broker": "badge.example", "prefix": "cor", "number": number},
        {"text": f" {number[:5]}-{number[5:]}\n", "number": number},
    ]


def refused(number: str) -> list[str]:
    other = ALPHABET[(ALPHABET.index(number[-1]) + 1) % 32]
    return [
        "",
        number[:-1],
        number + "0",
        number[:-1] + other,
        number[1] + number[0] + number[2:],
        number[:4] + "U" + number[5:],
        f"http://{HOME}/b/{number}",
        f"https://{HOME}/b/{number}?cmac=94EED9EE65337086",
        f"https://{HOME}/b/{number}?picc_data=00&cmac=94EED9EE65337086",
        f"https://{HOME}/c/{number}",
        f"https://{HOME}:8443/b/{number}",
        f"https://user@{HOME}/b/{number}",
        f"https://localhost/b/{number}",
        f"https://badge.example/toolongprefix#{number}",
        f"https://badge.example/cor?{number}",
        "javascript:alert(1)",
    ]


def cards() -> Case:
    number = number_of(CHANCES[2])
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    day = LAST_DAY.to_bytes(2, "big")
    said = b"balise card 1\x00" + HOME.encode() + b"\x00" + number.encode() + b"\x00" + day + UID
    record = b"\x01" + day + private.sign(said)
    url = f"https://{HOME}/b/{number}"
    template = f"{url}?picc_data={'0' * 32}&cmac={'0' * 16}"
    uri = ndef.UriRecord(url)
    level_2 = b"\xd1\x01" + bytes([len(template) - 8 + 1]) + b"U\x04" + template[8:].encode()
    return {
        "numbers": [{"chance": chance, "number": number_of(chance)} for chance in CHANCES],
        "misread": misread(number_of(CHANCES[2]), number_of(CHANCES[3])),
        "addresses": addresses(number),
        "refused": refused(number),
        "record": {
            "seed": SEED.hex(),
            "public_key": private.public_key().public_bytes_raw().hex(),
            "home": HOME,
            "number": number,
            "uid": UID.hex(),
            "last_day": LAST_DAY,
            "payload": record.hex(),
        },
        "messages": {
            "level_0": b"".join(ndef.message_encoder([uri])).hex(),
            "level_1": b"".join(ndef.message_encoder([uri, ndef.Record("urn:nfc:ext:balise:c", "", record)])).hex(),
            "level_2": level_2.hex(),
            "picc_data_offset": level_2.index(b"picc_data=") + len(b"picc_data="),
            "cmac_offset": level_2.index(b"cmac=") + len(b"cmac="),
        },
    }
