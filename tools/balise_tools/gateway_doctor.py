"""`balise gateway doctor`: what is wrong, and what to try.

Promises exit code 0 when nothing fails, 1 when something does. Leaves the checks to `balise_gateway.doctor`.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from balise_gateway import doctor
from balise_gateway.clock import kernel_uncertainty_ms
from balise_gateway.config import Config
from balise_gateway.doctor import Finding, Patient
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, ask_running, load

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}
Language = Annotated[str, typer.Option("--lang", help="fr or en.")]


def examine(
    config: ConfigFile = DEFAULT_CONFIG,
    lang: Language = "fr",
    as_json: Annotated[bool, typer.Option("--json", help="For programs, in both languages.")] = False,
) -> None:
    """Looks at clock, disk, keys, journal, ports, hubs and the machine, and says what to try."""
    loaded = load(config)
    found = list(doctor.examine(patient_of(loaded, config)))
    if as_json:
        typer.echo(json.dumps([_document(name, finding) for name, finding in found], ensure_ascii=False))
    else:
        for line in lines(found, lang):
            typer.echo(line)
    if any(finding.state == "fail" for _, finding in found):
        raise typer.Exit(FAILED)


def patient_of(loaded: Config, path: Path) -> Patient:
    """This machine's gateway."""
    return Patient(loaded, path, ask_running(loaded), Path("/"), kernel_uncertainty_ms, lambda: time.time_ns() // 10**6)


def lines(found: list[tuple[str, Finding]], lang: str) -> list[str]:
    """For people: a mark and a sentence, and below it what to try."""
    told = []
    for name, finding in found:
        told.append(f"{_MARKS[finding.state]} {name}: {getattr(finding.what, lang, finding.what.fr)}")
        if finding.advice is not None:
            told.append(f"    → {getattr(finding.advice, lang, finding.advice.fr)}")
    return told


def _document(name: str, finding: Finding) -> dict[str, Any]:
    advice = None if finding.advice is None else finding.advice._asdict()
    return {"check": name, "state": finding.state, "what": finding.what._asdict(), "advice": advice}
