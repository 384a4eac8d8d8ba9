"""Can the agreement between the places be read, is this place in it, and who has signed it?"""

from collections.abc import Iterator

from balise_gateway.badges.billing import agreement, signatures
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.errors import PaperError


def look(patient: Patient) -> Iterator[Finding]:
    badge = patient.config.badge
    if badge is None:
        return
    if badge.agreement is None:
        yield well("pas d'accord : jours et demi-journées d'usage", "no agreement: the usual days")
        return
    try:
        told = agreement.load(badge.agreement)
        table = TableCache(patient.config.gateway.data_dir, badge.table_key).load()
        found = signatures.check(badge.agreement, told.raw, told.places, signatures.keys_of(table))
    except PaperError as error:
        yield ill(
            Told(f"l'accord ne peut pas être lu : {error}", f"the agreement cannot be read: {error}"),
            Told("demandez le fichier aux autres lieux", "ask the other places for the file"),
        )
        return
    if badge.place not in told.places:
        yield ill(
            Told(
                f"{badge.place} n'est pas dans l'accord {told.id}", f"{badge.place} is not in the agreement {told.id}"
            ),
            Told("ajoutez le lieu, et faites signer à tous", "add the place, and have everybody sign"),
        )
    for place in found.missing:
        why = found.wrong.get(place)
        yield doubt(
            Told(
                f"l'accord {told.id} : signature de {place} {'sans valeur : ' + why if why else 'absente'}",
                f"agreement {told.id}: the signature of {place} {'does not count: ' + why if why else 'is missing'}",
            ),
            Told(
                "chaque lieu signe avec « balise badge sign » et envoie le fichier .cose à côté",
                "each place signs with `balise badge sign` and sends the .cose file that lies beside it",
            ),
        )
    if found.complete and badge.place in told.places:
        yield well(f"l'accord {told.id} est signé par tous", f"agreement {told.id} is signed by all")
