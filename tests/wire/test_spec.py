"""SPEC.md is true: its examples decode to what it says, its tables name what the code has."""

import re
from pathlib import Path

import pytest

from balise_wire import cbor, ccm, cose, errors, frames, rice
from balise_wire.envelope import Envelope, Signer, verify_envelope
from balise_wire.frames import Ack, Frame, FrameKeys
from balise_wire.items import Readings

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "wire" / "SPEC.md").read_text(encoding="utf-8")
SIGNER, KEYS = Signer(bytes(range(32))), FrameKeys(bytes(range(16)))


def block(info: str) -> list[str]:
    """The first column of the lines of a block: all before two spaces."""
    found = re.search(rf"^```{re.escape(info)}\n(.*?)^```$", SPEC, re.DOTALL | re.MULTILINE)
    assert found, f"SPEC.md has no block {info}"
    return [re.split(" {2,}", line.strip())[0] for line in found[1].splitlines()]


def hex_block(name: str) -> bytes:
    return bytes.fromhex("".join(block(f"hex {name}")))


def test_the_batch_is_what_section_0_says() -> None:
    data = hex_block("batch")
    assert f"signed: {len(data)} bytes" in SPEC
    assert SIGNER.public_key.hex() in SPEC
    rows = Readings(
        1,
        None,
        [1544299407, 1544299554, 1544299701, 1544299846],
        [[27, 27, None, 30], [722, 721, 719, 719]],
        {0: [[3, 3]]},
    )
    assert verify_envelope(data, {SIGNER.kid: SIGNER.public_key}) == Envelope(SIGNER.kid, 1, 2, [rows])


def test_the_rice_bits_are_what_section_4_says() -> None:
    (info,) = re.findall(r"^```(bits .*)$", SPEC, re.MULTILINE)
    data = bytes.fromhex(info.removeprefix("bits "))
    bits = "".join(block(info))
    assert int(bits, 2).to_bytes(len(bits) // 8, "big") == data == rice.encode([722, 721, 719, 719])
    assert data.hex() in "".join(block("hex batch")).replace(" ", "")


@pytest.mark.parametrize(
    ("info", "value"),
    [
        ("kid", KEYS.kid),
        ("up key", KEYS.up[0]),
        ("up iv", KEYS.up[1]),
        ("down key", KEYS.down[0]),
        ("down iv", KEYS.down[1]),
    ],
)
def test_the_keys_are_what_section_6_says(info: str, value: bytes) -> None:
    assert f"| `{info}` | {len(value)} | `{value.hex()}` |" in SPEC


def test_the_frame_is_what_section_6_says() -> None:
    data, plain = hex_block("frame"), hex_block("frame-plain")
    row = Readings(1, None, [1544299407], [[27], [-722]])
    assert frames.open_frame(KEYS, data) == Frame(1, 2, [row])
    assert frames.seal_frame(KEYS, 1, 2, [row]) == data
    assert cbor.decode(plain) == [1, 2, row.pack()]
    nonce, associated = told_nonce(), bytes.fromhex(re.search(r"`(8368456e[0-9a-f]+)`", SPEC)[1])  # type: ignore[index]
    assert associated == cbor.encode(["Encrypt0", cbor.encode({1: 10}), b""])
    assert data.endswith(ccm.seal(KEYS.up[0], nonce, plain, associated))


def told_nonce() -> bytes:
    """The line that xors three numbers, recomputed."""
    found = re.search(r"`([0-9a-f]{26})` and `([0-9a-f]{10})` `([0-9a-f]{16})` give `([0-9a-f]{26})`", SPEC)
    assert found
    context_iv, padding, partial_iv, nonce = found.groups()
    assert context_iv == KEYS.up[1].hex()
    assert int(context_iv, 16) ^ int(padding + partial_iv, 16) == int(nonce, 16)
    return bytes.fromhex(nonce)


def test_the_acknowledgement_is_what_section_6_says() -> None:
    ack = Ack(1, 2, 0b1010, 1544299468123, 40)
    assert frames.open_ack(KEYS, hex_block("ack")) == (7, ack)
    assert cbor.decode(hex_block("ack-plain")) == ack.pack()


def test_the_table_of_reasons_is_the_code_s() -> None:
    section = SPEC.split("## 9. Reasons")[1].split("## 10.")[0]
    assert re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE) == list(errors.REASONS)


def test_every_module_is_named() -> None:
    section = SPEC.split("## 10.")[1]
    modules = {path.stem for path in (ROOT / "wire" / "balise_wire").glob("*.py")} - {"__init__"}
    assert set(re.findall(r"`([a-z_]+)`", section)) == modules


def test_the_limits_are_the_code_s() -> None:
    assert f"a node frame {frames.MAX_FRAME_BYTES} bytes" in SPEC
    assert f"nesting {cbor.MAX_DEPTH} deep" in SPEC
    assert cose.MAX_MESSAGE_BYTES == 1 << 20
