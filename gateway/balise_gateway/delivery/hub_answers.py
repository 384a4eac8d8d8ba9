"""What a hub of our own protocol answers (wire/SPEC.md section 7), whatever carries the answer.

Promises that "held" is believed only when it is signed with the hub's key (or with one that a signed table names beside
it), names this gateway and this log, and holds
the nonce of the request: an old answer cannot be played back, and nothing but the hub can say "delivered".

    200           a CBOR sequence of signed answers, one per log
    400, 409      {"refused": [{"index": 0, "reason": "..."}]}: these are refused, the others are kept (409: the hub
                  holds other bytes under the same name); without that list it is an answer like any other below
    413           less in one request, please
    429, 503 ...  later; Retry-After in seconds is honoured

Leaves carrying to the kinds.
"""

import json
from dataclasses import dataclass

from balise_gateway.errors import HubAway, HubError, HubRefused, HubTooLarge, HubUntrusted
from balise_gateway.hubs import Holding, KeysBeside
from balise_wire import cose
from balise_wire.envelope import HubAnswer, split_sequence, verify_answer
from balise_wire.errors import WireError

NONCE_BYTES = 8
MAX_ANSWER_BYTES = 1 << 20
MAX_SEQ = 1 << 53
LONGEST_RETRY_AFTER_S = 3_600.0
_MAX_REASON_CHARS = 200


@dataclass(frozen=True)
class Answer:
    """What came back: a status as in HTTP, and bytes."""

    status: int
    body: bytes
    retry_after: str = ""


class Answers:
    """Reads the answers of one hub for one log of one gateway. `beside`: the other keys of whoever has this one."""

    def __init__(self, public_key: bytes, identity: bytes, log: int, beside: KeysBeside = lambda key: ()) -> None:
        self._public_key, self._beside = public_key, beside
        self._identity, self._log = identity, log

    def holding(self, answer: Answer, nonce: bytes, count: int) -> Holding:
        """What the hub proves to hold. Raises the errors of the contract; `count` envelopes were sent."""
        if len(answer.body) > MAX_ANSWER_BYTES:
            raise HubUntrusted(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        if answer.status != 200:
            raise _refusal(answer, count)
        try:
            keys = {cose.kid_of(key): key for key in (self._public_key, *self._beside(self._public_key))}
            answers = [verify_answer(part, keys) for part in split_sequence(answer.body)]
        except WireError as error:
            raise HubUntrusted(f"the answer is not signed by this hub ({error}); is public_key right?") from error
        for found in answers:
            if self._is_for_us(found, nonce):
                return Holding(found.next, found.ranges, found.utc_ms)
        raise HubUntrusted(f"signed answers, but none for this gateway, log {self._log} and this request")

    def _is_for_us(self, found: HubAnswer, nonce: bytes) -> bool:
        ours = (found.kid, found.log, found.nonce) == (self._identity, self._log, nonce)
        return ours and 1 <= found.next <= MAX_SEQ and all(last <= MAX_SEQ for _, last in found.ranges)


def _refusal(answer: Answer, count: int) -> HubError:
    if answer.status == 413:
        return HubTooLarge("413: too many bytes in one request")
    reasons = _reasons(answer.body, count) if answer.status in (400, 409) else {}
    if reasons:
        return HubRefused(f"{answer.status}: {len(reasons)} of {count} envelopes refused", reasons)
    return HubAway(f"the hub answered {answer.status}", _retry_after_s(answer.retry_after))


def _reasons(answer: bytes, count: int) -> dict[int, str]:
    """The refused envelopes by their index in the request; empty when the answer does not say."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):  # nested without end
        return {}
    reasons = {}
    refused = told.get("refused") if isinstance(told, dict) else None
    for entry in refused if isinstance(refused, list) else []:
        index = entry.get("index") if isinstance(entry, dict) else None
        if isinstance(index, int) and 0 <= index < count:
            text = ": ".join(str(entry[name]) for name in ("reason", "detail") if entry.get(name))
            reasons[index] = text[:_MAX_REASON_CHARS] or "no reason given"
    return reasons


def _retry_after_s(text: str) -> float:
    """Seconds; the form with a date is not used by hubs of this protocol and counts as none."""
    return min(float(text), LONGEST_RETRY_AFTER_S) if text.isascii() and text.isdigit() else 0.0
