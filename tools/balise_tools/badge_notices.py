"""`balise badge notices`: the sign for the door and the information for members, from the configuration.

Promises files that can be printed as they are, and says what the place must still fill in. They are drafts that the
place checks. Leaves their words to `balise_gateway.badges.notices`.
"""

from pathlib import Path
from typing import Annotated

import typer

from balise_gateway.badges import notices
from balise_gateway.badges.notices import as_html, as_pdf, texts
from balise_gateway.errors import ConfigError, MissingExtra
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile, load

_KINDS = {"sign": texts.sign, "information": texts.information}
LANGUAGES = tuple(texts.LANGUAGES)


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command("notices")(make)


def make(
    out: Annotated[Path, typer.Option(help="The folder for the files; it is made when there is none.")],
    config: ConfigFile = DEFAULT_CONFIG,
    lang: Annotated[str, typer.Option(help="fr or en; unset: both.")] = "",
) -> None:
    """Writes the sign for the door and the information for members (GDPR art. 13), as HTML and PDF.

    To be checked by the place; this is not legal advice.
    """
    if lang not in ("", *LANGUAGES):
        _fail(f"--lang {lang}: choose fr or en", CONFIG_ERROR)
    loaded = load(config)
    try:
        facts = notices.facts_of(loaded)
        out.mkdir(parents=True, exist_ok=True)
        for language in [lang] if lang else LANGUAGES:
            _write(out, facts, language)
    except ConfigError as error:
        _fail(str(error), CONFIG_ERROR)
    except MissingExtra as error:
        _fail(str(error), FAILED)
    except OSError as error:
        _fail(f"{error.filename or out} cannot be written ({error.strerror})", FAILED)
    for key in facts.gaps:
        typer.echo(f"still to be filled in: {key} in [badge] of {loaded.file}, then make them again", err=True)
    typer.echo("to be checked by the place: these are drafts from the configuration, not legal advice")


def _write(out: Path, facts: notices.Facts, language: str) -> None:
    for kind, made in _KINDS.items():
        notice = made(facts, language)
        for suffix, data in (("html", as_html.page(notice).encode()), ("pdf", as_pdf.document(notice))):
            path = out / f"badge-{kind}-{language}.{suffix}"
            path.write_bytes(data)
            typer.echo(str(path))


def _fail(text: str, code: int) -> None:
    typer.echo(f"balise badge notices: {text}", err=True)
    raise typer.Exit(code)
