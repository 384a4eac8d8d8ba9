"""What the gateway tells its operator: one line per event on the standard logger, `what key=value key=value`.

Promises one line each, whatever the values hold. Leaves where lines go to the command that runs the gateway; callers
never hand over a secret, and lines carry no time of their own (the system's journal stamps them).
"""

import logging

LOGGER = "balise.gateway"


def event(what: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Tells one event."""
    logging.getLogger(LOGGER).log(level, "%s", line(what, fields))


def line(what: str, fields: dict[str, object]) -> str:
    """The text of an event: values with spaces are quoted, line breaks and control characters escaped."""
    words = [what]
    for name, value in fields.items():
        text = str(value).encode("unicode_escape").decode("ascii") if not str(value).isprintable() else str(value)
        quoted = '"' + text.replace('"', "'") + '"' if " " in text or not text else text
        words.append(f"{name}={quoted}")
    return " ".join(words)
