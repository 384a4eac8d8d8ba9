"""Which tables a register has: made, recognised, and brought from an older schema to the newest.

`schema_N.sql` is the step from schema N-1 to N. Promises that a file of something else, or of a newer Balise, is
refused and left as it is, and that a step is taken whole or not at all.
"""

import sqlite3
from importlib.resources import files
from pathlib import Path

from balise_gateway.errors import BadgeError

VERSION = 1
APPLICATION_ID = 0x42414C43  # "BALC"


def make_or_migrate(db: sqlite3.Connection, path: Path) -> None:
    """Leaves the file with the newest tables. Raises BadgeError, or sqlite3.Error when the disk refuses."""
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    is_new = not tables and not version
    if not is_new and application != APPLICATION_ID:
        raise BadgeError(f"{path}: is not a register of cards; move it away, or restore the right one from your backup")
    if version > VERSION:
        raise BadgeError(f"{path}: written by a newer Balise (schema {version}, this is {VERSION}); update this one")
    if version < VERSION:
        for number in range(version + 1, VERSION + 1):
            step = files(__package__).joinpath(f"schema_{number}.sql").read_text(encoding="utf-8")
            for statement in step.split(";\n"):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")
