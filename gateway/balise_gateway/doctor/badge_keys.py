"""Are the place's two keys where only their owner reads them, and is there a backup that holds them?"""

from collections.abc import Iterator
from pathlib import Path

from balise_gateway import backup
from balise_gateway.badges.cards.keys import HOME_KEY, PLACE_KEY
from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.errors import BackupError, KeyFileError
from balise_gateway.keys import KeyFile

OLD_DAYS = 30
_MS_PER_DAY = 86_400_000
_TRY = Told(
    "essayez : sudo balise gateway backup FICHIER --with-key ; gardez-le ailleurs",
    "try: sudo balise gateway backup FILE --with-key; keep it elsewhere",
)


def look(patient: Patient) -> Iterator[Finding]:
    if patient.config.badge is None:
        return
    folder = patient.config.gateway.data_dir
    for key in (PLACE_KEY, HOME_KEY):
        yield _key(key, folder)
    if (folder / HOME_KEY.name).exists():
        yield _saved(folder, patient.utc_ms())


def _key(key: KeyFile, folder: Path) -> Finding:
    if not (folder / key.name).exists():
        return doubt(
            Told(f"pas encore de {key.name}", f"no {key.name} yet"),
            Told(
                "la passerelle la crée au premier démarrage ; si le lieu en avait une, restaurez-la",
                "the gateway makes it when it first starts; if this place had one, restore it",
            ),
        )
    try:
        key.load(folder)
    except KeyFileError as error:
        return ill(
            Told(f"{key.name} est inutilisable : {error}", f"{key.name} cannot be used: {error}"),
            Told("voir « Keys » dans gateway/BADGES.md", 'see "Keys" in gateway/BADGES.md'),
        )
    return well(f"{key.name} est protégée", f"{key.name} is protected")


def _saved(folder: Path, now_ms: int) -> Finding:
    try:
        made_ms = backup.last_with_key_ms(folder)
    except BackupError as error:
        return doubt(Told(f"la note des sauvegardes : {error}", f"the note of backups: {error}"), _TRY)
    if made_ms is None:
        what = Told(
            "aucune sauvegarde avec les clés n'a été faite ici : home.key perdue, les cartes sont perdues",
            "no backup with the keys was made here: with home.key lost, cards are lost",
        )
        return doubt(what, _TRY)
    days = (now_ms - made_ms) // _MS_PER_DAY
    if days > OLD_DAYS:
        what = Told(
            f"la dernière sauvegarde avec les clés a {days} jours", f"the last backup with keys is {days} days old"
        )
        return doubt(what, _TRY)
    return well("une sauvegarde avec les clés a été faite", "a backup with the keys was made")
