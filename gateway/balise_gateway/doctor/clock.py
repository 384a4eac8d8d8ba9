"""Does the machine know what time it is, and will it after a power cut without network?"""

from collections.abc import Iterator

from balise_gateway.clock import USABLE_MS
from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well


def look(patient: Patient) -> Iterator[Finding]:
    stated = patient.config.gateway.clock_uncertainty_ms
    unsure_ms = patient.unsure_ms() if stated is None else stated
    if unsure_ms > USABLE_MS:
        yield ill(
            Told("l'heure n'est pas connue", "the time is not known"),
            Told(
                "vérifiez le réseau et « timedatectl » ; les mesures attendent, rien n'est perdu",
                "check the network and `timedatectl`; readings wait, nothing is lost",
            ),
        )
    else:
        yield well(f"l'heure est connue à {unsure_ms} ms près", f"the time is known within {unsure_ms} ms")
    if not any((patient.root / "sys/class/rtc").glob("rtc*")):
        yield doubt(
            Told("pas d'horloge sauvegardée (RTC)", "no battery clock (RTC)"),
            Told(
                "après une coupure sans réseau, l'heure sera inconnue un moment ; un DS3231 coûte 3 €",
                "after a power cut without network the time is unknown for a while; a DS3231 costs 3 €",
            ),
        )
