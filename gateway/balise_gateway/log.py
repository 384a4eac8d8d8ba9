"""What the gateway tells its operator: one line per event on the standard logger, `what key=value key=value` or JSON.

Promises one line each, whatever the values hold, and that each event's name stands in gateway/README.md. Leaves where
lines go to the command that runs the gateway; callers never hand over a secret, and lines carry no time of their own
(the system's journal stamps them).
"""

import json
import logging
from typing import TextIO

LOGGER = "balise.gateway"


def event(what: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Tells one event."""
    logging.getLogger(LOGGER).log(level, "%s", _Event(what, fields))


def tell(stream: TextIO, form: str) -> None:
    """From now on each event is a line there: "text" for people, "json" (JSON Lines) for programs."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def line(what: str, fields: dict[str, object]) -> str:
    """The text of an event: values with spaces are quoted, line breaks and control characters escaped."""
    words = [what]
    for name, value in fields.items():
        text = str(value).encode("unicode_escape").decode("ascii") if not str(value).isprintable() else str(value)
        quoted = '"' + text.replace('"', "'") + '"' if " " in text or not text else text
        words.append(f"{name}={quoted}")
    return " ".join(words)


class _Event:
    """An event on its way through the standard logger; as text it is its line."""

    def __init__(self, what: str, fields: dict[str, object]) -> None:
        self.what, self.fields = what, fields

    def __str__(self) -> str:
        return line(self.what, self.fields)


class _Json(logging.Formatter):
    """`{"level": ..., "event": ..., ...}`; numbers stay numbers, what JSON does not know becomes text."""

    def format(self, record: logging.LogRecord) -> str:
        told = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if not isinstance(told, _Event):
            told = _Event(record.getMessage(), {})
        fields = {"level": record.levelname.lower(), "event": told.what, **told.fields}
        return json.dumps(fields, default=str)
