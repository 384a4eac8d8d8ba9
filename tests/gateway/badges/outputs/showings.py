"""Every showing that a screen may be handed: each state with each reason and direction, credit and waiting visits."""

import itertools
from typing import get_args

from balise_gateway.badges.showing import Reason, Showing, State

STATES, REASONS, DIRECTIONS = get_args(State), get_args(Reason), ("", "in", "out")
KNOWN_UTC_S = 1_764_000_000  # 2025-11-24T16:00:00Z
CREDITS = (
    {},
    {"credit_half_days": 3, "credit_utc_s": KNOWN_UTC_S},
    {"credit_half_days": 128, "credit_utc_s": KNOWN_UTC_S, "waiting": 1234, "list_age_days": 90},
    {"credit_half_days": -12, "credit_utc_s": None, "waiting": 1},
    {"list_age_days": 9, "waiting": 2},
)


def every() -> list[Showing]:
    """All of them, also those that no desk makes."""
    found = itertools.product(STATES, REASONS, DIRECTIONS, CREDITS)
    return [Showing(state, reason, direction, **more) for state, reason, direction, more in found]
