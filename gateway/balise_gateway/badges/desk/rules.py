"""What is said of a card: a pure function of what is known.

Promises that a card which nobody knows, or that was revoked, is never green; that no credit is no reason to send
anybody away; and that the direction is what `billing/` will make of the same taps. Leaves words to `outputs/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from balise_gateway.badges.desk.finding import Bearer
from balise_gateway.badges.showing import Reason, Showing, State

_DAY_S = 86_400


@dataclass(frozen=True)
class Scene:
    """What is known besides the card: the time (None: nobody knows), and the day's taps of this person before now."""

    utc_s: int | None
    earlier_utc_s: Sequence[int] = ()
    debounce_s: int = 120
    stale_list_s: float = 7 * _DAY_S
    show_s: float = 5.0


def verdict(bearer: Bearer | Reason, grade: int, scene: Scene) -> Showing:
    """What is shown; it says "accepted", "desk" or "no_credit" exactly where a visit is to be written down."""
    if isinstance(bearer, str):
        return Showing("unknown", bearer, until_s=scene.show_s)
    age_s = None if bearer.list_utc_s is None or scene.utc_s is None else max(0, scene.utc_s - bearer.list_utc_s)
    reason = _reason(bearer, age_s, scene)
    state: State = "desk" if reason else "accepted"
    if bearer.credit_half_days is not None and bearer.credit_half_days <= 0:
        state = "no_credit"
    return Showing(
        state,
        reason,
        direction(scene),
        bearer.credit_half_days,
        bearer.credit_utc_s,
        None if age_s is None else age_s // _DAY_S,
        grade,
        until_s=scene.show_s,
    )


def not_kept(showing: Showing) -> Showing:
    """The same when the visit could not be written down: the desk notes it by hand."""
    return replace(showing, state="desk", reason="not kept", direction="")


def direction(scene: Scene) -> Literal["", "in", "out"]:
    """The first tap of a day comes in, the next one leaves; a tap too close to the one before is that tap again."""
    if scene.utc_s is None:
        return ""
    kept: list[int] = []
    for utc_s in (*scene.earlier_utc_s, scene.utc_s):
        if not kept or utc_s - kept[-1] >= scene.debounce_s:
            kept.append(utc_s)
    return "in" if len(kept) % 2 else "out"


def _reason(bearer: Bearer, age_s: int | None, scene: Scene) -> Reason:
    if bearer.token is not None:
        return "no list"
    if scene.utc_s is None:
        return "no clock"
    return "stale list" if age_s is not None and age_s > scene.stale_list_s else ""
