"""Does somebody listen where nodes and people knock: our own ports, and the broker when there is one?"""

import socket
from collections.abc import Iterator
from typing import Any

from balise_gateway.doctor import PATIENCE_S, Finding, Patient, Told, ill, well


def look(patient: Patient) -> Iterator[Finding]:
    for settings in patient.config.ingests:
        yield _heard(settings.kind, *_where(settings))
    if patient.config.page is not None:
        yield _heard("page", patient.config.page.host, patient.config.page.port)


def _where(settings: Any) -> tuple[str, int]:
    return settings.listens_on if hasattr(settings, "listens_on") else (settings.host, settings.port)


def _heard(kind: str, host: str, port: int) -> Finding:
    try:
        socket.create_connection((_reachable(host), port), PATIENCE_S).close()
    except OSError as error:
        why = error.strerror or str(error)
        return ill(
            Told(
                f"{kind} : personne n'écoute sur {host}:{port} ({why})",
                f"{kind}: nobody listens at {host}:{port} ({why})",
            ),
            Told(
                "la passerelle tourne-t-elle (systemctl status balise-gateway) ? le courtier aussi ? un pare-feu ?",
                "is the gateway running (systemctl status balise-gateway)? the broker? a firewall?",
            ),
        )
    return well(f"{kind} écoute sur {host}:{port}", f"{kind} listens at {host}:{port}")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
