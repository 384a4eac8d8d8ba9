"""Are keys and passwords where only their owner reads them?"""

import stat
from collections.abc import Iterator
from pathlib import Path

from balise_gateway import keys
from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.errors import KeyFileError


def look(patient: Patient) -> Iterator[Finding]:
    folder = patient.config.gateway.data_dir
    if not (folder / keys.FILE_NAME).exists():
        yield doubt(
            Told("pas encore de clé de signature", "no signing key yet"),
            Told("la passerelle la crée au premier démarrage", "the gateway makes it when it first starts"),
        )
    else:
        yield _signing_key(folder)
    mode = stat.S_IMODE(patient.config_path.stat().st_mode)
    if mode & 0o007:
        yield ill(
            Told(
                f"tout le monde peut lire {patient.config_path.name}", f"everybody can read {patient.config_path.name}"
            ),
            Told(f"essayez : chmod 640 {patient.config_path}", f"try: chmod 640 {patient.config_path}"),
        )
    else:
        yield well("la configuration est protégée", "the configuration is protected")


def _signing_key(folder: Path) -> Finding:
    try:
        signer = keys.load(folder)
    except KeyFileError as error:
        return ill(
            Told(f"la clé de signature est inutilisable : {error}", f"the signing key cannot be used: {error}"),
            Told("voir « Clés » dans gateway/README.md", 'see "Keys" in gateway/README.md'),
        )
    return well(f"clé de signature {signer.kid.hex()}", f"signing key {signer.kid.hex()}")
