"""Is there room for the journal, and may it be written?"""

import os
import shutil
from collections.abc import Iterator

from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well

LEAST_BYTES, LITTLE_BYTES = 64 << 20, 512 << 20
_MIB = 1 << 20


def look(patient: Patient) -> Iterator[Finding]:
    folder = patient.config.gateway.data_dir
    if not folder.is_dir():
        yield doubt(
            Told(f"{folder} n'existe pas encore", f"{folder} does not exist yet"),
            Told("la passerelle le crée au premier démarrage", "the gateway makes it when it first starts"),
        )
        return
    if os.statvfs(folder).f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
        yield ill(
            Told(f"{folder} ne peut pas être écrit", f"{folder} cannot be written"),
            Told(
                "vérifiez propriétaire et montage ; une carte SD en lecture seule est souvent usée : remplacez-la",
                "check owner and mount; an SD card that has become read-only is often worn out: replace it",
            ),
        )
    free = shutil.disk_usage(folder).free
    said = Told(f"{free // _MIB} Mio libres", f"{free // _MIB} MiB free")
    advice = Told("libérez de la place, ou baissez max_journal_bytes", "free some space, or lower max_journal_bytes")
    if free < LEAST_BYTES:
        yield ill(said, advice)
    elif free < LITTLE_BYTES:
        yield doubt(said, advice)
    else:
        yield well(*said)
