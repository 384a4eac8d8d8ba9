"""`balise badge` for papers that places sign: the agreement and the bill, and what is kept and told of bills.

Promises that a bill is signed by the place's own key and that verifying recomputes every figure. Leaves figures to
`badges/billing`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import bill as bills
from balise_gateway.badges.billing import signatures
from balise_gateway.badges.billing.lines import Count, Lines
from balise_gateway.badges.billing.signatures import Signatures
from balise_gateway.badges.billing.words import Language
from balise_gateway.badges.cards import keys as place_keys
from balise_gateway.errors import GatewayError, PaperError
from balise_tools.badge_billing import (
    FAILED,
    AgreementFile,
    AsJson,
    Gateway,
    Keys,
    Lang,
    TableFile,
    Visits,
    computed,
    fail,
    read_all,
    trusted,
    write_sheets,
)
from balise_tools.badge_federation import of_place
from balise_tools.gateway_config import DEFAULT_CONFIG, ConfigFile

BillFile = Annotated[Path, typer.Argument(metavar="BILL", help="The bill as JSON.")]
_WRONG = {  # why a signature that lies there does not count
    "signature": "what was signed is not this file, byte for byte; compare the SHA-256",
    "unknown key": "signed by a key that nobody vouches for: give --table and --key, or -c",
}
_COUNTS = {
    "fr": "Demi-journées de {client} par mois et par lieu. Ni jours, ni personnes ; les petits nombres ne sont pas "
    "masqués : quand une seule personne a ce code, ce sont les siennes.",
    "en": "Half-days of {client} by month and place. No days, no people; small numbers are not hidden: when one person "
    "alone has this code, they are that person's.",
}


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.command("sign")(sign)
    app.command("verify-agreement")(verify_agreement)
    app.command("countersign")(countersign)
    app.command("verify-bill")(verify_bill)
    app.command("export")(export)
    app.command("counts")(counts)


def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The agreement.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Signs an agreement with this place's key; the signature lies beside it, for the others."""
    try:
        known = agreements.load(file)
        place = of_place(config)[1].place
        if place not in known.places:
            raise PaperError("agreement", f"{file}: {place} is not in it; add a [[place]], then all sign again")
        typer.echo(str(_signed(file, config)))
    except GatewayError as error:
        fail(str(error))


def verify_agreement(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The agreement.")],
    key: Keys = None,
    table: TableFile = None,
    config: Gateway = None,
) -> None:
    """Reads an agreement and says which places have signed it. Exit status 1 unless all have."""
    try:
        known = agreements.load(file)
        found = signatures.check(file, known.raw, known.places, trusted(key, table, config)[1])
    except GatewayError as error:
        fail(str(error))
    typer.echo(f"{known.id}: {len(known.places)} places, mode {known.mode}, SHA-256 {known.sha256}")
    _show(found)
    if not found.complete:
        raise typer.Exit(FAILED)


def countersign(bill: BillFile, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Signs a bill with this place's key. Recompute it before: `balise badge verify-bill`."""
    try:
        bills.read(bill)
        typer.echo(str(_signed(bill, config)))
    except GatewayError as error:
        fail(str(error))


def verify_bill(
    bill: BillFile,
    visits: Visits,
    *,
    agreement: AgreementFile,
    key: Keys = None,
    table: TableFile = None,
    config: Gateway = None,
) -> None:
    """Recomputes a bill from visits, compares every figure, and says which places have countersigned it."""
    try:
        document, raw = bills.read(bill)
        trust, signing_keys = trusted(key, table, config)
        known, inputs = read_all(visits, agreement, trust)
        now = computed(inputs, known, signing_keys, bills.month_of(document)).document
        found = signatures.check(bill, raw, known.places, signing_keys)
    except GatewayError as error:
        fail(str(error))
    wrong = bills.differences(document, now)
    for text in wrong:
        typer.echo(f"differs: {text}")
    typer.echo("not the same bill" if wrong else "every figure comes out the same")
    if not now["verified"]:
        typer.echo("recomputed from visits that nobody has signed")
    _show(found)
    if wrong:
        raise typer.Exit(FAILED)


def export(
    bill: BillFile,
    *,
    agreement: AgreementFile,
    key: Keys = None,
    table: TableFile = None,
    config: Gateway = None,
    lang: Lang = "fr",
) -> None:
    """Writes CSV, XLSX and PDF of a bill beside it once more, with who has countersigned it by now."""
    try:
        written = write_sheets(bill, agreements.load(agreement), trusted(key, table, config)[1], lang)
    except GatewayError as error:
        fail(str(error))
    typer.echo("\n".join(map(str, written)))


def counts(
    client: Annotated[str, typer.Option(help="The code that the home gave an employer.")],
    config: ConfigFile = DEFAULT_CONFIG,
    lang: Lang = "fr",
    as_json: AsJson = False,
) -> None:
    """What an employer may know: half-days per month and place, from the billing lines that are kept."""
    loaded, badge = of_place(config)
    try:
        lines = Lines(loaded.gateway.data_dir)
        found = lines.counts(client, badge.place)
        lines.close()
    except GatewayError as error:
        fail(str(error))
    if as_json:
        rows = [{"month": one.month, "host": one.host, "half_days": one.half_days} for one in found]
        typer.echo(json.dumps({"client": client, "home": badge.place, "counts": rows}, ensure_ascii=False))
        return
    typer.echo(_counted(client, found, lang))


def _counted(client: str, found: list[Count], lang: Language) -> str:
    rows = [f"{one.month}  {one.host}  {one.half_days}" for one in found]
    return "\n".join([_COUNTS[lang].format(client=client), *rows])


def _signed(paper: Path, config: Path) -> Path:
    loaded, badge = of_place(config)
    return signatures.sign(paper, badge.place, place_keys.load(loaded.gateway.data_dir).signer)


def _show(found: Signatures) -> None:
    for place in found.signed:
        typer.echo(f"signed by {place}")
    for place in found.missing:
        why = found.wrong.get(place)
        typer.echo(f"not signed by {place}" + (f": {_WRONG.get(why, why)}" if why else ""))
