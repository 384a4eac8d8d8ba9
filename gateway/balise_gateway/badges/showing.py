"""What is shown after a card was held before the reader. No name, no number: whoever stands behind may look."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ready", "accepted", "desk", "no_credit", "unknown", "unplugged", "sending"]
# Why the desk should be told, or why a card is not known. Texts: outputs/_words.py.
Reason = Literal[
    "",
    "stale list",  # the home's list is old: whether the card was revoked since then is not known
    "no list",  # the home's list has not come yet: recorded under a provisional pseudonym
    "no clock",  # the gateway does not know the time: recorded with its ticks
    "revoked",  # reported lost, replaced or ended
    "expired",
    "signature",  # says it is signed, and is not
    "replay",  # a SUN message that was shown before
    "not listed",  # nobody who takes part knows it
    "unreadable",  # laid down too shortly, or no card of ours
    "not kept",  # the disk refuses: the visit could not be written down
]


@dataclass(frozen=True)
class Showing:
    """One state of the screen.

    `direction` is "in" or "out", as the visits of the day here say; "" when nothing was recorded. `credit_half_days`
    is what the
    home said was left at `credit_utc_s`. `list_age_days` is how old the home's list is. `waiting` visits are still to
    be
    sent. `until_s` is how long it is shown (0: until something else happens).
    """

    state: State
    reason: Reason = ""
    direction: Literal["", "in", "out"] = ""
    credit_half_days: int | None = None
    credit_utc_s: int | None = None
    list_age_days: int | None = None
    grade: int | None = None
    waiting: int = 0
    until_s: float = 0.0
