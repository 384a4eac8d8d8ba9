"""Are the place's keys where only their owner reads them, does the table name them, is there a backup with them?"""

from collections.abc import Iterator
from pathlib import Path

from balise_gateway import backup
from balise_gateway.badges.cards import new_key
from balise_gateway.badges.cards.keys import BOX_KEY, HOME_KEY, NEXT_KEY, PLACE_KEY, Change, load_place
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.errors import BackupError, KeyFileError
from balise_gateway.keys import KeyFile
from balise_wire.envelope import Signer

OLD_DAYS = 30
_MS_PER_DAY = 86_400_000
_SEE = Told("voir « Keys » dans gateway/BADGES.md", 'see "Keys" in gateway/BADGES.md')
_ENTRY = Told(
    "donnez ce que dit « balise badge place card » à qui tient la table",
    "give what 'balise badge place card' prints to who keeps the table",
)
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
    for key in (NEXT_KEY, BOX_KEY):
        if (folder / key.name).exists():
            yield _key(key, folder)
    if (folder / PLACE_KEY.name).exists():
        yield from _in_table(folder, patient.config.badge, patient.utc_ms())
    if (folder / HOME_KEY.name).exists():
        yield _saved(folder, patient.utc_ms())


def _in_table(folder: Path, badge: BadgeSettings, now_ms: int) -> Iterator[Finding]:
    """Whether the table in force names the keys that this place uses, and the next one."""
    cache = TableCache(folder, badge.table_key)
    cache.load()
    place = cache.place(badge.place)
    try:
        told = new_key.told(folder, now_ms // _MS_PER_DAY)
        own, waits = load_place(folder), new_key.waits(folder)
    except KeyFileError as error:
        what = Told(f"le changement de clé est illisible : {error}", f"the change of key cannot be read: {error}")
        yield ill(what, _SEE)
        return
    if waits:
        what = Told(
            "une nouvelle clé de lieu attend que la table la nomme", "a new place key waits until the table names it"
        )
        yield doubt(what, _ENTRY)
    elif place is not None and (Signer(own[0]).public_key not in place.sign or place.box != told.box):
        what = Told(
            "la table nomme d'autres clés pour ce lieu que les siennes : les autres refusent ses listes",
            "the table names other keys for this place than its own: the others refuse its lists",
        )
        yield ill(what, _ENTRY)


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
            _SEE,
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
    try:
        changed_day = Change.load(folder).changed_day
    except KeyFileError:
        changed_day = None  # told by _in_table
    if changed_day is not None and changed_day >= made_ms // _MS_PER_DAY:
        what = Told(
            "place.key a changé depuis la dernière sauvegarde", "place.key has changed since the last backup with keys"
        )
        return doubt(what, _TRY)
    days = (now_ms - made_ms) // _MS_PER_DAY
    if days > OLD_DAYS:
        what = Told(
            f"la dernière sauvegarde avec les clés a {days} jours", f"the last backup with keys is {days} days old"
        )
        return doubt(what, _TRY)
    return well("une sauvegarde avec les clés a été faite", "a backup with the keys was made")
