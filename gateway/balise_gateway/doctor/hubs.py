"""Can each hub be reached, does its certificate last, and does it take what is sent?"""

import datetime
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from balise_gateway.doctor import PATIENCE_S, Finding, Patient, Told, doubt, ill, well

SOON_DAYS = 14
_MS_PER_DAY = 86_400_000


def look(patient: Patient) -> Iterator[Finding]:
    if not patient.config.hubs:
        yield well("aucun hub : rien ne part", "no hub: nothing leaves")
    for settings in patient.config.hubs:
        where = _where(settings)
        if where is not None:
            yield _reached(patient, settings.name, *where)
    for log in (patient.status or {}).get("logs", []):
        if log.get("hub", {}).get("error"):
            yield ill(
                Told(f"{log['name']} : {log['hub']['error']}", f"{log['name']}: {log['hub']['error']}"),
                Told(
                    f"{log['hub']['lag_envelopes']} lots attendent, rien n'est perdu ; écrivez au responsable du hub",
                    f"{log['hub']['lag_envelopes']} envelopes wait, nothing is lost; write to those who run the hub",
                ),
            )


def _where(settings: Any) -> tuple[str, int, bool] | None:
    """(host, port, TLS) of a hub that is somewhere else; None for one that is a folder or a port of ours."""
    url = getattr(settings, "url", None)
    if isinstance(url, str) and url:
        parts = urlsplit(url if "//" in url else f"//{url}")
        tls = parts.scheme in ("https", "mqtts", "tls")
        return parts.hostname or "", parts.port or (443 if tls else 80), tls
    host, port = getattr(settings, "host", None), getattr(settings, "port", None)
    if isinstance(host, str) and isinstance(port, int) and not hasattr(settings, "listens_on"):
        return host, port, bool(getattr(settings, "tls", False))
    return None


def _reached(patient: Patient, name: str, host: str, port: int, tls: bool) -> Finding:
    try:
        with socket.create_connection((host, port), PATIENCE_S) as link:
            return _certified(patient, name, host, link) if tls else _plain(name, host, port)
    except socket.gaierror:
        what = Told(f"{name} : le nom {host} est inconnu", f"{name}: the name {host} is not known")
        return ill(what, Told("vérifiez le nom, puis le réseau et le DNS", "check the name, then network and DNS"))
    except ssl.SSLError as error:
        why = error.reason or str(error)
        what = Told(f"{name} : certificat refusé ({why})", f"{name}: certificate refused ({why})")
        advice = Told(
            "l'heure est-elle juste ? le réseau a-t-il un portail ? sinon, écrivez au responsable du hub",
            "is the time right? does this network have a portal? else write to those who run the hub",
        )
        return ill(what, advice)
    except OSError as error:
        why = error.strerror or str(error)
        what = Told(f"{name} : {host}:{port} ne répond pas ({why})", f"{name}: {host}:{port} does not answer ({why})")
        return ill(what, Told("vérifiez le réseau ; les lots attendent", "check the network; envelopes wait"))


def _plain(name: str, host: str, port: int) -> Finding:
    return well(f"{name} : {host}:{port} répond, sans TLS", f"{name}: {host}:{port} answers, without TLS")


def _certified(patient: Patient, name: str, host: str, link: socket.socket) -> Finding:
    with patient.trust().wrap_socket(link, server_hostname=host) as secured:
        certificate = secured.getpeercert() or {}
    ends = datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), datetime.UTC)
    days = round((ends.timestamp() * 1000 - patient.utc_ms()) // _MS_PER_DAY)
    if days < SOON_DAYS:
        return doubt(
            Told(f"{name} : le certificat finit dans {days} jours", f"{name}: the certificate ends in {days} days"),
            Told("écrivez au responsable du hub", "write to those who run the hub"),
        )
    return well(
        f"{name} : {host} répond, certificat jusqu'au {ends:%Y-%m-%d}",
        f"{name}: {host} answers, certified until {ends:%Y-%m-%d}",
    )
