"""`POST /badge/v1/batches`: the hub protocol of wire/SPEC.md section 7, for partners' visits.

Promises the answers that our uplinks understand: 200 with what is held, signed by the place's key; 400 and 409 with
index and reason; 413, 429 and 503 for "less" and "later". Leaves keeping to `exchange.py`.
"""

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from balise_gateway.badges.federation.bodies import Bodies, BodyRefused, address_of
from balise_gateway.badges.federation.exchange import Exchange, Outcome
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.paths import SEQUENCE, refused
from balise_gateway.badges.turns import in_turns
from balise_gateway.errors import BadgeError, PaperError
from balise_gateway.log import event
from balise_wire.envelope import HubAnswer, Signer, sign_answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

PATH = "/v1/batches"  # below /badge
MAX_BODY_BYTES = 1 << 20
MAX_NONCE_BYTES = 32
LATER_S, TOO_MUCH_S = 60, 3_600
_MS_PER_S = 1_000


def batches_route(
    exchange: Exchange, signer: Signer, now_utc_ms: Callable[[], int | None], pace: Pace, bodies: Bodies
) -> "Route":
    """The path. `signer` is the place's key; `now_utc_ms` gives None while the time is not known."""
    from starlette.responses import Response
    from starlette.routing import Route

    async def batches(request: "Request") -> Response:
        wait_s, now_ms = pace.wait_s(address_of(request)), now_utc_ms()
        if wait_s:
            return _later(429, "too many requests", wait_s)
        if now_ms is None:
            return _later(503, "this place does not know the time yet", LATER_S)
        nonce = _nonce(request.headers.get("balise-nonce", ""))
        if not 0 < len(nonce) <= MAX_NONCE_BYTES:
            return refused(400, "nonce", f"1 to {MAX_NONCE_BYTES} bytes in hex, please (Balise-Nonce)")
        try:
            body = await bodies.read(request, MAX_BODY_BYTES)
            outcome = await in_turns(exchange.taking(body, now_ms // _MS_PER_S))
        except BodyRefused as error:
            if error.reason == "later":
                return _later(error.status, str(error), LATER_S)
            return refused(error.status, error.reason, str(error))
        except PaperError as error:
            return refused(413, error.reason, str(error))
        except BadgeError as error:
            event("partner's visits not kept", why=error)
            return _later(503, "nothing was kept; later, please", LATER_S)
        if outcome.too_much:
            return _later(429, "more visits than one place has in a day; the rest another day, please", TOO_MUCH_S)
        return _told(outcome) or Response(_answers(exchange, signer, outcome, now_ms, nonce), media_type=SEQUENCE)

    return Route(PATH, batches, methods=["POST"])


def _told(outcome: Outcome) -> "Response | None":
    """The answer to a request of which something was not kept."""
    from starlette.responses import Response

    found = outcome.conflicts + outcome.refused
    if not found:
        return None
    status = 409 if outcome.conflicts else 400
    return Response(json.dumps({"refused": found}), status, media_type="application/json")


def _answers(exchange: Exchange, signer: Signer, outcome: Outcome, now_ms: int, nonce: bytes) -> bytes:
    told = []
    for kid, log in sorted(outcome.names):
        next_seq, ranges = exchange.held(kid, log)
        told.append(sign_answer(signer, HubAnswer(kid, log, next_seq, tuple(ranges), now_ms, nonce)))
    return b"".join(told)


def _later(status: int, what: str, wait_s: float) -> "Response":
    answer = refused(status, "later", what)
    answer.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    return answer


def _nonce(text: str) -> bytes:
    """Empty when there is none to speak of."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
