"""A support bundle: what somebody needs who helps from afar, and nothing that is nobody's business.

Promises that the host can read every byte before it is written (plain texts in one zip), that each text went through
`redact.py`, and that it says for itself what is in it. Leaves gathering to the command, redaction to `redact.py`.
"""

import json
import os
import platform
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from balise_gateway.operation.redact import Redaction

README = """\
FR  Ce paquet aide quelqu'un à vous aider. Il contient les textes ci-dessous. Mots de passe, clés, jetons et lieux ont
    été remplacés par [taken out]. Il ne contient aucune mesure hormis la dernière de chaque capteur.
EN  This bundle helps somebody to help you. It holds the texts below. Passwords, keys, tokens and places were replaced
    by [taken out]. There are no readings in it but the last one of each node.

"""
_LIBRARIES = ("balise", "cryptography", "cbor2", "httpx", "starlette", "uvicorn", "paho-mqtt")
_BADGE_LIBRARIES = ("nfcpy", "ndeflib", "pyserial", "pyscard", "gpiozero", "lgpio", "zxing-cpp", "pillow")


def gather(config_text: str, status: Mapping[str, Any], findings: list[str], log: str) -> dict[str, str]:
    """The texts by name, redacted. `status` is the document of `balise gateway status --json`."""
    redaction = Redaction(config_text)
    texts = {
        "config.txt": redaction.config(config_text),
        "status.json": redaction.clean(json.dumps(_without_places(status), ensure_ascii=False, indent=1)),
        "doctor.txt": redaction.clean("\n".join(findings) + "\n"),
        "log.txt": redaction.clean(log),
        "versions.txt": versions(),
    }
    listing = "".join(f"{name:14} {len(text.encode()):>8} bytes\n" for name, text in texts.items())
    return {"README.txt": README + listing, **texts}


def write(texts: Mapping[str, str], path: Path) -> None:
    """The bundle as a zip that only its owner reads. Raises OSError; never over another file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(name, text)


def versions() -> str:
    """What runs here."""
    found = [f"python {platform.python_version()}", f"kernel {platform.release()} {platform.machine()}"]
    for name in (*_LIBRARIES, *_BADGE_LIBRARIES):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return "\n".join(found) + "\n"


def _without_places(told: object) -> object:
    """Without positions that a node measured, in the forms that a status has."""
    if isinstance(told, dict):
        if told.get("name") in ("latitude", "longitude", "altitude"):
            return {**told, "value": None}
        return {key: _without_places(value) for key, value in told.items() if key != "place"}
    return [_without_places(each) for each in told] if isinstance(told, list) else told
