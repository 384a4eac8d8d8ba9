"""What a hub of our own protocol answers to each word of the suite, whatever carries the answer."""

import json
from collections.abc import Mapping, Sequence

from balise_gateway.errors import HubAway, HubError, HubRefused, HubTooLarge, HubUntrusted
from balise_wire.envelope import HubAnswer, Signer, peek_name, sign_answer
from contracts.far_ends import GATEWAY, LOG

HUB, STRANGER = Signer(b"h" * 32), Signer(b"x" * 32)
ANSWERS: dict[str, type[HubError]] = {
    "no connection": HubAway,
    "silence": HubAway,
    "later": HubAway,
    "broken": HubAway,
    "refuses nothing by name": HubAway,
    "too large": HubTooLarge,
    "refuses one": HubRefused,
    "conflict": HubRefused,
    "html": HubUntrusted,
    "endless": HubUntrusted,
    "nothing at all": HubUntrusted,
    "another key": HubUntrusted,
    "a changed byte": HubUntrusted,
    "an old nonce": HubUntrusted,
    "another gateway": HubUntrusted,
    "another log": HubUntrusted,
    "beyond all count": HubUntrusted,
}


def kept(word: str, batch: Sequence[bytes]) -> dict[int, bytes]:
    """What this hub keeps of a batch, by seq."""
    if word in ("too large", "later", "broken"):
        return {}
    refused = 1 if word in ("refuses one", "conflict") else None
    return {peek_name(cose)[2]: cose for index, cose in enumerate(batch) if index != refused}


def reply(word: str, nonce: bytes) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, body and headers."""
    told = json.dumps({"refused": [{"index": 1, "reason": "signature", "detail": "does not fit"}]}).encode()
    others: dict[str, tuple[int, bytes, Mapping[str, str]]] = {
        "too large": (413, b"", {}),
        "later": (503, b"", {"Retry-After": "17"}),
        "broken": (500, b"<html>oops</html>", {}),
        "refuses one": (400, told, {}),
        "conflict": (409, told, {}),
        "refuses nothing by name": (400, b'{"refused": "all"}', {}),
        "html": (200, b"<html>welcome to the hotel</html>", {}),
        "endless": (200, bytes(2 << 20), {}),
    }
    return others.get(word) or (200, _answers(word, nonce), {})


def _answers(word: str, nonce: bytes) -> bytes:
    good = HubAnswer(GATEWAY.kid, LOG, 4, ((6, 8),), 1_544_313_600_000, nonce)
    another = HubAnswer(GATEWAY.kid, LOG + 1, 9, (), 0, nonce)
    signed = {
        "another key": sign_answer(STRANGER, good),
        "an old nonce": sign_answer(HUB, HubAnswer(GATEWAY.kid, LOG, 9, (), 0, bytes(8))),
        "another gateway": sign_answer(HUB, HubAnswer(STRANGER.kid, LOG, 9, (), 0, nonce)),
        "another log": sign_answer(HUB, another),
        "beyond all count": sign_answer(HUB, HubAnswer(GATEWAY.kid, LOG, 1 << 60, (), 0, nonce)),
        "nothing at all": b"",
        "a changed byte": sign_answer(HUB, good)[:-1] + b"\0",
    }
    return signed.get(word, sign_answer(HUB, another) + sign_answer(HUB, good))
