"""`balise gateway support-bundle`: shows what would be handed over, and writes it when the host says yes.

Promises that nothing is written before it was shown. Leaves redaction to `balise_gateway.operation`.
"""

import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from balise_gateway import doctor
from balise_gateway.config import Config
from balise_gateway.errors import JournalError, KeyFileError
from balise_gateway.operation import bundle, unit
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, ask_running, fail, load, read_journal
from balise_tools.gateway_doctor import lines, patient_of

LOG_LINES = 500


def make(
    file: Annotated[Path, typer.Argument(help="The zip to write.")],
    config: ConfigFile = DEFAULT_CONFIG,
    log: Annotated[Path | None, typer.Option(help="A file with its log, where there is no systemd.")] = None,
    whole: Annotated[bool, typer.Option("--show", help="Prints every text before asking.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Writes without asking.")] = False,
) -> None:
    """Gathers configuration, status, doctor's findings, log and versions, without secrets and places."""
    loaded = load(config)
    findings = lines(list(doctor.examine(patient_of(loaded, config))), "fr")
    texts = bundle.gather(config.read_text(encoding="utf-8"), _status(loaded), findings, _log(log))
    typer.echo(texts["README.txt"])
    if whole:
        for name, text in texts.items():
            typer.echo(f"--- {name}\n{text}")
    if not yes and not typer.confirm(f"Écrire / write {file}?"):
        typer.echo("rien n'a été écrit / nothing was written")
        return
    try:
        bundle.write(texts, file)
    except OSError as error:
        fail(f"{file}: {error.strerror}; choose another name or folder", FAILED)
    typer.echo(f"{file}")


def _status(loaded: Config) -> dict[str, Any]:
    try:
        return ask_running(loaded) or read_journal(loaded)
    except (JournalError, KeyFileError) as error:
        return {"error": str(error)}


def _log(path: Path | None) -> str:
    """The newest lines of the log: of this file, or of systemd's journal; or why there are none."""
    if path is not None:
        found = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(found[-LOG_LINES:]) + "\n"
    words = ["journalctl", "--unit", unit.NAME, "--lines", str(LOG_LINES), "--no-pager", "--output", "short-iso"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no log: {error}\n"
