"""`balise badge` for sessions and settlement: from files of visits to half-days and bills.

Promises that figures depend on the files alone, never on this machine. Leaves them to `badges/billing`.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import bill as bills
from balise_gateway.badges.billing import settlement, signatures
from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.billing.sessions import Session
from balise_gateway.badges.billing.settlement import Bill
from balise_gateway.badges.billing.sheet import sheet_of
from balise_gateway.badges.billing.signatures import PlaceKeys
from balise_gateway.badges.billing.to_csv import to_csv
from balise_gateway.badges.billing.to_pdf import to_pdf
from balise_gateway.badges.billing.to_xlsx import to_xlsx
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.billing.words import Language
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.files import replace_file
from balise_gateway.errors import GatewayError, PaperError
from balise_tools.badge_federation import of_place
from balise_wire import cose
from balise_wire.errors import WireError
from balise_wire.places import KEY_BYTES, Table, read_table

FAILED, USAGE = 1, 2
Visits = Annotated[list[Path], typer.Argument(metavar="VISITS...", help="Envelopes (COSE sequence) or JSON lines.")]
AgreementFile = Annotated[Path, typer.Option("--agreement", help="The agreement between the places.")]
Keys = Annotated[
    list[str] | None, typer.Option("--key", help="A public key that you vouch for: of a gateway, or of the table.")
]
TableFile = Annotated[Path | None, typer.Option("--table", help="The table of places, signed by one of the keys.")]
Period = Annotated[str | None, typer.Option("--period", help="One month, such as 2026-11; all visits if not said.")]
Gateway = Annotated[
    Path | None, typer.Option("-c", "--config", help="This gateway: its table counts, and its billing lines are kept.")
]
Lang = Annotated[Language, typer.Option("--lang", help="Of the sheets: fr or en.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.command("sessions")(show_sessions)
    app.command("settle")(settle)


def show_sessions(
    visits: Visits,
    agreement: AgreementFile,
    key: Keys = None,
    table: TableFile = None,
    period: Period = None,
    as_json: AsJson = False,
) -> None:
    """Who was where on which day, and for how many half-days: one line a person and day."""
    try:
        known, inputs = read_all(visits, agreement, trusted(key, table)[0])
        found = settlement.sessions_in(inputs, known, period and settlement.check_period(period))
        taps, undated = inputs.taps()
    except GatewayError as error:
        fail(str(error))
    for session in found:
        typer.echo(json.dumps(session.document(), ensure_ascii=False) if as_json else _line(session, known))
    _tell(inputs, len(undated))
    outside = sum(tap.host not in known.places for tap in taps)
    if outside:
        typer.echo(f"balise badge: {outside} visits at hosts that are not in the agreement: no half-day", err=True)


def settle(
    visits: Visits,
    *,
    agreement: AgreementFile,
    key: Keys = None,
    table: TableFile = None,
    config: Gateway = None,
    period: Period = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the bill: JSON, CSV, XLSX and PDF.")] = None,
    lang: Lang = "fr",
    as_json: AsJson = False,
) -> None:
    """What each place owes, gross, per pair, after set-off, and which payments settle it."""
    try:
        trust, signing_keys = trusted(key, table, config)
        known, inputs = read_all(visits, agreement, trust)
        bill = computed(inputs, known, signing_keys, period and settlement.check_period(period))
        if out is not None:
            _write(bill, out, signing_keys, lang)
            _keep(bill, config)
    except GatewayError as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(bill.document, ensure_ascii=False))
    else:
        _show_bill(bill.document, known)
    _tell(inputs, len(inputs.taps()[1]))
    if period and period >= f"{datetime.now(known.timezone):%Y-%m}":
        typer.echo(
            f"balise badge: {period} is not over: visits are still to come; countersign the bill later", err=True
        )


def computed(inputs: Inputs, known: Agreement, signing_keys: PlaceKeys, period: str | None) -> Bill:
    """The bill of these visits. Raises PaperError."""
    signed = signatures.check(known.path, known.raw, known.places, signing_keys)
    return settlement.settle(inputs, known, signed, period)


def write_sheets(path: Path, known: Agreement, signing_keys: PlaceKeys, lang: Language) -> list[Path]:
    """The other forms of a bill that lies in a file, with who has countersigned it. Raises GatewayError."""
    document, raw = bills.read(path)
    signed = signatures.check(path, raw, known.places, signing_keys)
    sheet = sheet_of(document, known.currency, signed, lang)
    forms = {".csv": to_csv(document, known.currency), ".xlsx": to_xlsx(sheet), ".pdf": to_pdf(sheet)}
    for ending, data in forms.items():
        replace_file(path.with_suffix(ending), data)
    return [path.with_suffix(ending) for ending in forms]


def _write(bill: Bill, out: Path, signing_keys: PlaceKeys, lang: Language) -> None:
    path = bills.write(bill.document, out)
    written = [path, *write_sheets(path, bill.agreement, signing_keys, lang)]
    typer.echo("\n".join(map(str, written)), err=True)


def _keep(bill: Bill, config: Path | None) -> None:
    if config is None:
        return
    lines = Lines(of_place(config)[0].gateway.data_dir)
    try:
        number = lines.keep(bill.sessions, bill.agreement, datetime.now(bill.agreement.timezone).date())
    finally:
        lines.close()
    typer.echo(f"balise badge: {number} billing lines kept, without times", err=True)


def fail(text: str, code: int = FAILED) -> NoReturn:
    """Ends the command with this message and exit code."""
    typer.echo(f"balise badge: {text}", err=True)
    raise typer.Exit(code)


def public_key(text: str) -> bytes:
    """A public key from 64 hex digits, or the end of the command."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != KEY_BYTES:
        fail(f"--key {text!r}: a public key is {2 * KEY_BYTES} hex digits", USAGE)
    return found


def trusted(keys: list[str] | None, table: Path | None, config: Path | None = None) -> tuple[Trust, PlaceKeys]:
    """Whose visits count, and which keys sign for places. Raises PaperError.

    With --table one of the keys has signed it; the others, and all without a table, are keys of gateways. A gateway
    brings the table that it holds.
    """
    given = [public_key(text) for text in keys or ()]
    if table is not None:
        places, signed_by = _table(table, given)
        return Trust.of((key for key in given if key != signed_by), places), signatures.keys_of(places)
    held = None if config is None else held_table(config)
    return Trust.of(given, held), signatures.keys_of(held)


def held_table(config: Path) -> Table:
    """The table of places that this gateway holds. Raises PaperError."""
    loaded, badge = of_place(config)
    cache = TableCache(loaded.gateway.data_dir, badge.table_key)
    found = cache.load()
    if found is None:
        raise PaperError("table", cache.error)
    return found


def _table(path: Path, keys: list[bytes]) -> tuple[Table, bytes]:
    if not keys:
        fail("--table needs --key: the public key of the federation, which has signed it", USAGE)
    try:
        data = path.read_bytes()
        kid, _ = cose.verify1(data, {cose.kid_of(key): key for key in keys})
        signed_by = next(key for key in keys if cose.kid_of(key) == kid)
        return read_table(data, signed_by), signed_by
    except OSError as error:
        raise PaperError("table", f"{path}: cannot be read ({error.strerror})") from error
    except WireError as error:
        raise PaperError("table", f"{path}: {error}") from error


def read_all(visits: list[Path], agreement: Path, trust: Trust) -> tuple[Agreement, Inputs]:
    known, inputs = agreements.load(agreement), Inputs(trust)
    for path in visits:
        inputs.add_file(path)
    return known, inputs


def _line(session: Session, known: Agreement) -> str:
    left = "…" if session.leave_utc is None else _clock(session.leave_utc, known)
    who, times = session.who[:8], f"{_clock(session.arrive_utc, known)}-{left}"
    told = f"{session.day}  {session.host}  {session.home}  {who}  {times}  {session.half_days}"
    return "  ".join([told, *session.flags])


def _clock(utc_s: int, known: Agreement) -> str:
    return datetime.fromtimestamp(utc_s, known.timezone).strftime("%H:%M")


def _show_bill(document: Any, known: Agreement) -> None:
    typer.echo(f"{document['agreement']}  {document['period']}  inputs {document['inputs_sha256'][:16]}")
    for name in ("gross", "bilateral", "set_off", "transfers"):
        rows = document[name]
        typer.echo(f"{name}: {sum(row['cents'] for row in rows) / 100:.2f} {known.currency} in {len(rows)}")
        for row in rows:
            typer.echo(f"  {row['from']} -> {row['to']}  {row['cents'] / 100:.2f}")
    for flag, what in document["flags"].items():
        if what and flag != "agreement_sha256":
            typer.echo(f"! {flag}: {what if isinstance(what, (int, bool, dict)) else len(what)}")


def _tell(inputs: Inputs, undated: int) -> None:
    """What does not stand in the lines, for people."""
    for reason, number in inputs.refused_by_reason().items():
        hint = "; give --key or --table" if reason == "unknown key" else ""
        typer.echo(f"balise badge: {number} refused: {reason}{hint}", err=True)
    if undated:
        typer.echo(f"balise badge: {undated} visits without a time: no anchor says when they were", err=True)
