"""`balise badge refused`: half-days that the place's own software did not take, each with its reason."""

import json
from typing import Annotated

import typer

from balise_gateway.badges.billing.words import Language
from balise_gateway.badges.connector_outbox import FILE_NAME, Outbox
from balise_gateway.badges.connectors import Usage
from balise_gateway.errors import BadgeError
from balise_tools.badge_billing import AsJson
from balise_tools.badge_federation import fail, of_place
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile

_NOTHING = {"fr": "rien n'a été refusé", "en": "nothing was refused"}
_ROW = {
    "fr": "{day}  {host}  {member}  {half_days} demi-journée(s)  {name} : {reason}",
    "en": "{day}  {host}  {member}  {half_days} half-day(s)  {name}: {reason}",
}
_END = {
    "fr": "{count} refusée(s) ; rien n'est perdu : la passerelle les redit chaque jour et à chaque démarrage",
    "en": "{count} refused; nothing is lost: the gateway tells them again each day and at each start",
}
_NONE = {
    "fr": "aucune section [[connector]] : rien n'est dit à un autre logiciel",
    "en": "no section [[connector]]: no other software is told anything",
}


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("refused")(refused)


def refused(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    connector: Annotated[str, typer.Option(help="Only what this connector refused: its name, or its kind.")] = "",
    lang: Annotated[Language, typer.Option("--lang", help="fr or en.")] = "fr",
    as_json: AsJson = False,
) -> None:
    """Half-days that the place's own software refused, with its reasons. They hold member ids: for the place alone."""
    loaded, _ = of_place(config)
    labels = [section.label for section in loaded.connectors]
    if connector and connector not in labels:
        fail(f"no connector {connector!r}; there are: {', '.join(labels) or 'none'}", CONFIG_ERROR)
    box = Outbox(loaded.gateway.data_dir)
    found: list[tuple[str, Usage, str]] = []
    try:
        if (loaded.gateway.data_dir / FILE_NAME).exists():
            box.open()
            found = [(name, *told) for name in labels if connector in ("", name) for told in box.refused(name)]
    except BadgeError as error:
        fail(str(error), FAILED)
    finally:
        box.close()
    for name, usage, reason in found:
        row = {"day": usage.day, "host": usage.host, "member": usage.member, "half_days": usage.half_days}
        if as_json:
            typer.echo(json.dumps({**row, "connector": name, "reason": reason}, ensure_ascii=False))
        else:
            typer.echo(_ROW[lang].format(**row, name=name, reason=reason))
    if not as_json:
        typer.echo(_NONE[lang] if not labels else _END[lang].format(count=len(found)) if found else _NOTHING[lang])
