"""The consent record of one hub, for people and for other software: what was granted, how it stands, and its history.

JSON-LD in the shape of ISO/IEC TS 27560:2023 as the W3C Data Privacy Vocabulary writes it (w3id.org/dpv, version 2:
ConsentRecord, hasProcess, hasConsentStatus); what DPV has no word for is in our own namespace. Each stream carries the
CNIL's words for where data of a home go (pack de conformite "compteurs communicants", 2014): IN->IN stays, IN->OUT goes
to the recipient, IN->OUT->IN when the recipient's service answers into the home. Leaves the facts to its callers.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from balise_gateway.grants.grant import Grant
from balise_gateway.grants.record import GIVEN, WITHDRAWN, Event

CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "balise": "urn:balise:vocabulary:",
}
CONFORMS_TO = "https://w3id.org/dpv/schema/iso-27560"
STAYS, LEAVES, COMES_BACK = "IN->IN", "IN->OUT", "IN->OUT->IN"
_PURPOSES = {  # the nearest purpose of DPV; where it has none, its top one
    "public-information": "dpv:PublicBenefit",
    "research": "dpv:ResearchAndDevelopment",
    "public-policy": "dpv:PublicPolicyMaking",
    "education": "dpv:Purpose",
    "personal": "dpv:Purpose",
    "service": "dpv:ServiceProvision",
}
_PURPOSE_WORDS = {
    "public-information": ("informer le public", "informing the public"),
    "research": ("la recherche", "research"),
    "public-policy": ("l'action publique", "public policy"),
    "education": ("l'enseignement", "education"),
    "personal": ("l'usage personnel de l'hôte", "the host's own use"),
    "service": ("un service rendu à l'hôte", "a service to the host"),
}
_PLACES = {
    "none": ("le lieu n'est pas dit", "the place is not told"),
    "commune": ("le lieu est la commune", "the place is the commune"),
    "1km": ("le lieu est une maille de 1 km", "the place is a cell of 1 km"),
    "300m": ("le lieu est une maille de 300 m", "the place is a cell of 300 m"),
    "exact": ("le lieu est exact", "the place is exact"),
}
_WHATS = {
    "given": ("accord donné", "given"),
    "paused": ("mis en pause", "paused"),
    "resumed": ("repris", "resumed"),
    "withdrawn": ("retiré, définitivement", "withdrawn, for good"),
}


@dataclass(frozen=True)
class Stream:
    """One channel of one node, and whether this hub gets it."""

    node: str
    channel: str
    leaves: bool


@dataclass(frozen=True)
class Facts:
    """All that a record tells. `grant` is None where the configuration has none; `events` are this hub's."""

    gateway: str  # its key id in hex
    hub: str
    log: int
    grant: Grant | None
    state: str
    events: Sequence[Event]
    streams: Sequence[Stream]


def record_of(facts: Facts) -> dict[str, Any]:
    """The record; the same facts give the same record."""
    grant, moments = facts.grant, [event.at_utc_ms for event in facts.events]
    name = f"balise/{facts.gateway}/{facts.log}"
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": CONFORMS_TO,
        "dct:identifier": name,
        "dpv:hasDataSubject": {"@id": f"urn:balise:{facts.gateway}:host", "@type": "dpv:DataSubject"},
        "dpv:hasConsentStatus": [_status(event) for event in facts.events],
        "balise:state": facts.state,
        "balise:streams": [_stream(stream, grant) for stream in facts.streams],
        "dct:description": _texts(*_description(facts)),
    }
    if moments:
        document |= {"dct:created": iso(min(moments)), "dct:modified": iso(max(moments))}
    if grant is not None:
        document["dpv:hasProcess"] = [_process(facts.hub, grant)]
    return document


def _process(hub: str, grant: Grant) -> dict[str, Any]:
    purpose: dict[str, Any] = {
        "@id": f"balise:purpose/{grant.purpose}",
        "skos:broader": {"@id": _PURPOSES[grant.purpose]},
        "dct:title": _texts(*_PURPOSE_WORDS[grant.purpose]),
    }
    if grant.purpose_text:
        purpose["dct:description"] = grant.purpose_text
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": purpose,
        "dpv:hasRecipient": {"@type": "dpv:Recipient", "dct:title": hub},
        "dct:license": _licence(grant.licence),
        "dct:valid": {"balise:first_day": _day(grant.first_day), "balise:last_day": _day(grant.last_day)},
        "balise:grant": grant.id,
        "balise:digest": grant.digest().hex(),
        "balise:terms": grant.terms(),
    }


def _status(event: Event) -> dict[str, Any]:
    """What the host did. DPV knows given and withdrawn; a pause leaves the consent given, and nothing leaves in it."""
    kind = {GIVEN: "dpv:ConsentGiven", WITHDRAWN: "dpv:ConsentWithdrawn"}.get(event.what, f"balise:{event.what}")
    told: dict[str, Any] = {
        "@type": kind,
        "dpv:isIndicatedBy": {"@type": "dpv:DataSubject"},
        "dpv:isIndicatedAtTime": iso(event.at_utc_ms),
        "balise:grant": event.grant,
        "dct:description": _texts(*_WHATS[event.what]),
    }
    return told | ({"balise:terms": event.terms} if event.terms else {})


def _stream(stream: Stream, grant: Grant | None) -> dict[str, Any]:
    return {"balise:node": stream.node, "balise:channel": stream.channel, "balise:cnil": way(stream.leaves, grant)}


def way(leaves: bool, grant: Grant | None) -> str:
    """The CNIL's word for a stream."""
    if not leaves or grant is None:
        return STAYS
    return COMES_BACK if grant.purpose == "service" else LEAVES


def _description(facts: Facts) -> tuple[str, str]:
    """What is granted, in French and in English."""
    grant = facts.grant
    if grant is None:
        return f"Rien n'est accordé à {facts.hub}.", f"Nothing is granted to {facts.hub}."
    indoor = (
        ("y compris à l'intérieur", "indoors too") if grant.indoor else ("à l'extérieur seulement", "outdoors only")
    )
    fine = (
        (f"une valeur toutes les {grant.resolution_s} s", f"one value every {grant.resolution_s} s")
        if grant.resolution_s
        else ("telles que mesurées", "as they were measured")
    )
    late = (
        (f"{grant.delay_s:g} s ou plus après leur arrivée", f"{grant.delay_s:g} s or more after they arrived")
        if grant.delay_s
        else ("dès leur arrivée", "as they arrive")
    )
    days_fr, days_en = _days(grant)
    french, english = _PURPOSE_WORDS[grant.purpose]
    place_fr, place_en = _PLACES[grant.place]
    visits_fr, visits_en = _visits(grant)
    if not grant.channels:
        return (
            f"{facts.hub} reçoit{visits_fr}, {late[0]}{days_fr} ; pour {french} ; licence {grant.licence}.",
            f"{facts.hub} gets{visits_en}, {late[1]}{days_en}; for {english}; licence {grant.licence}.",
        )
    return (
        f"{facts.hub} reçoit {', '.join(grant.channels)} de {', '.join(grant.nodes)}, {indoor[0]}, {fine[0]}, "
        f"{late[0]}{days_fr} ; {place_fr} ;{visits_fr and visits_fr + ' ;'} pour {french} ; licence {grant.licence}.",
        f"{facts.hub} gets {', '.join(grant.channels)} of {', '.join(grant.nodes)}, {indoor[1]}, {fine[1]}, "
        f"{late[1]}{days_en}; {place_en};{visits_en and visits_en + ';'} for {english}; licence {grant.licence}.",
    )


def _visits(grant: Grant) -> tuple[str, str]:
    """Whose badge visits leave; nothing where none do."""
    if not grant.visits:
        return "", ""
    homes = ", ".join(grant.visits)
    return (
        f" les passages de badges, avec leurs heures et sous pseudonyme, des membres de : {homes}",
        f" badge visits, with their times and under pseudonyms, of the members of: {homes}",
    )


def _days(grant: Grant) -> tuple[str, str]:
    """The grant's days, both of them in it."""
    french = english = ""
    if grant.first_day:
        french, english = f", à partir du {grant.first_day:%d/%m/%Y}", f", from {grant.first_day} on"
    if grant.last_day:
        french, english = f"{french}, jusqu'au {grant.last_day:%d/%m/%Y} inclus", f"{english}, up to {grant.last_day}"
    return french, english


def _texts(french: str, english: str) -> list[dict[str, str]]:
    return [{"@language": "fr", "@value": french}, {"@language": "en", "@value": english}]


def iso(utc_ms: int) -> str:
    """A moment as ISO 8601, in UTC."""
    return datetime.datetime.fromtimestamp(utc_ms / 1000, datetime.UTC).isoformat(timespec="seconds")


def _licence(identifier: str) -> str:
    """The address of a licence of the SPDX list; one that is not in it has none."""
    return identifier if identifier.startswith("LicenseRef-") else f"https://spdx.org/licenses/{identifier}"


def _day(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()
