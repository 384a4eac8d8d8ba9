"""Hours of a week, as people write them: "mon-fri 08:00-20:00", "sat 09:30-12:00", "mon-sun 21:00-08:00".

Promises that hours over midnight belong to the day they begin on, and that a text which is not hours is refused in
words. Leaves what happens in them to `buzzer.py` and `door.py`.
"""

import re
from collections.abc import Sequence
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY_MIN = 24 * 60


def problem(texts: Sequence[str], key: str) -> str | None:
    """What is wrong with them, and how they are written."""
    for text in texts:
        if _parsed(text) is None:
            return f'{key}: {text!r} is not hours; write them as "mon-fri 08:00-20:00" or "sat 22:00-02:00"'
    return None


def inside(texts: Sequence[str], when: datetime) -> bool:
    """Whether this local time is in one of them."""
    minute, day = when.hour * 60 + when.minute, when.weekday()
    return any(_covers(found, day, minute) for text in texts if (found := _parsed(text)) is not None)


_Span = tuple[frozenset[int], int, int]  # days, first minute, minute after the last (more than a day: over midnight)


def _covers(span: _Span, day: int, minute: int) -> bool:
    days, first, end = span
    return (day in days and first <= minute < end) or ((day - 1) % 7 in days and first <= minute + _DAY_MIN < end)


def _parsed(text: str) -> _Span | None:
    found = _FORM.fullmatch(text)
    if found is None or found[1] not in DAYS or (found[2] or found[1]) not in DAYS:
        return None
    start_h, start_min, end_h, end_min = (int(found[n]) for n in (3, 4, 5, 6))
    first, end = start_h * 60 + start_min, end_h * 60 + end_min
    if start_h > 23 or start_min > 59 or end_min > 59 or end > _DAY_MIN or first == end:
        return None
    begin, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
    days = frozenset((begin + n) % 7 for n in range((last - begin) % 7 + 1))
    return days, first, end if end > first else end + _DAY_MIN
