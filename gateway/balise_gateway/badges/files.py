"""Files that are replaced whole, and that only their owner reads; and TOML that somebody else has written.

Promises that a power cut leaves the old file or the new one, and that no text of TOML, however it is nested, ends the
program. Leaves what is in them to their owners.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from balise_gateway.disk import make_folder, sync_folder
from balise_gateway.errors import BadgeError

MODE = 0o600
MAX_TOML_BYTES = 1 << 18  # an agreement of a thousand places has fewer
# tomllib needs memory by the square of a key's parts: one of a hundred thousand takes all there is.
_PART = rb"(?:\"[^\"\n]*+\"|'[^'\n]*+'|[^\s.=#\"']++)"
_DEEP = re.compile(rb"(?<![^\s.=#])(?:" + _PART + rb"[ \t]*+\.[ \t]*+){16}")


def replace_file(path: Path, data: bytes) -> None:
    """Writes beside the place, then exchanges the two: a power cut leaves the old or the new. Raises BadgeError."""
    draft = path.with_name(f"{path.name}.new")
    try:
        make_folder(path.parent)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BadgeError(f"{path}: cannot be written ({error.strerror}); is the folder there, and yours?") from error


def read_toml(raw: bytes) -> dict[str, Any]:
    """The document. Raises TOMLDecodeError or UnicodeDecodeError."""
    if len(raw) > MAX_TOML_BYTES:
        raise tomllib.TOMLDecodeError(f"{len(raw)} bytes: at most {MAX_TOML_BYTES}")
    if _DEEP.search(raw):
        raise tomllib.TOMLDecodeError("a key of more than sixteen parts")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("nested without end") from error
