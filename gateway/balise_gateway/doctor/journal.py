"""Is the journal whole, and does what is in it get on?"""

import sqlite3
from collections.abc import Iterator

from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.errors import JournalError
from balise_gateway.journal import open_to_read, tables
from balise_gateway.journal.file import FILE_NAME

MANY_REFUSED = 100


def look(patient: Patient) -> Iterator[Finding]:
    folder = patient.config.gateway.data_dir
    if not (folder / FILE_NAME).exists():
        yield doubt(
            Told("pas encore de journal", "no journal yet"),
            Told("démarrez la passerelle une fois", "start the gateway once"),
        )
        return
    try:
        db = open_to_read(folder)
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        refused = {str(name): int(value) for name, value in tables.COUNTER.read(db, "name LIKE 'refused %'")}
    except (JournalError, sqlite3.Error) as error:
        yield _damaged(str(error))
        return
    if found != "ok":
        yield _damaged(str(found))
        return
    yield well("le journal est entier", "the journal is whole")
    for damaged in sorted(folder.glob(f"{FILE_NAME}.damaged-*")):
        yield doubt(
            Told(
                f"un journal abîmé a été mis de côté : {damaged.name}",
                f"a damaged journal was set aside: {damaged.name}",
            ),
            Told(
                "la carte s'use peut-être : préparez-en une autre", "the card may be wearing out: get another one ready"
            ),
        )
    yield from _refusals(refused)


def _damaged(why: str) -> Finding:
    return ill(
        Told(f"le journal ne peut pas être lu : {why}", f"the journal cannot be read: {why}"),
        Told(
            "redémarrez la passerelle : elle sauve ce qui est lisible et dit ce qui manque",
            "restart the gateway: it rescues what is readable and tells what is missing",
        ),
    )


def _refusals(refused: dict[str, int]) -> Iterator[Finding]:
    for name, count in sorted(refused.items()):
        if count < MANY_REFUSED:
            continue
        reason = name.removeprefix("refused ")
        yield doubt(
            Told(f"{count} trames refusées : {reason}", f"{count} frames refused: {reason}"),
            Told(
                "le sens de chaque raison est dans gateway/README.md",
                "what each reason means stands in gateway/README.md",
            ),
        )
