"""Files that are replaced whole, and that only their owner reads.

Promises that a power cut leaves the old file or the new one. Leaves what is in them to their owners.
"""

import os
from pathlib import Path

from balise_gateway.disk import make_folder, sync_folder
from balise_gateway.errors import BadgeError

MODE = 0o600


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
