"""MQTT topic names and filters (OASIS MQTT 3.1.1 section 4.7): valid or not, and which filter takes which name.

Promises exactly the standard's rules, also for names that start with `$`. Leaves subscriptions to `core.py`.
"""

MAX_BYTES = 1024  # the standard allows 65,535; ours are under 40


def valid_name(name: str) -> bool:
    """May a message be published under this name? (section 4.7.1: no wildcards; 4.7.3: not empty, no U+0000)"""
    return bool(name) and "+" not in name and "#" not in name and "\0" not in name and len(name.encode()) <= MAX_BYTES


def valid_filter(text: str) -> bool:
    """May this be subscribed to? `#` only as the whole last level, `+` only as a whole level."""
    if not text or "\0" in text or len(text.encode()) > MAX_BYTES:
        return False
    levels = text.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return False
    return all(level == "+" or "+" not in level for level in levels)


def matches(text: str, name: str) -> bool:
    """Does the valid filter `text` take the valid topic `name`? (section 4.7.2: wildcards do not take a leading `$`)"""
    if name.startswith("$") and text[0] in "+#":
        return False
    wanted, levels = text.split("/"), name.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)
