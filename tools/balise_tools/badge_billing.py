"""`balise badge` for sessions and settlement: from files of visits to half-days and bills.

Promises that figures depend on the files alone, never on this machine. Leaves them to `badges/billing`.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import settlement, signatures
from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.sessions import Session
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.errors import BadgeError, PaperError
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
        known, inputs, _ = _read(visits, agreement, key, table)
        found = settlement.sessions_in(inputs, known, period and settlement.check_period(period))
        undated = len(inputs.taps()[1])
    except BadgeError as error:
        fail(str(error))
    for session in found:
        typer.echo(json.dumps(session.document(), ensure_ascii=False) if as_json else _line(session, known))
    _tell(inputs, undated)


def settle(
    visits: Visits,
    agreement: AgreementFile,
    key: Keys = None,
    table: TableFile = None,
    period: Period = None,
    as_json: AsJson = False,
) -> None:
    """What each place owes, gross, per pair, after set-off, and which payments settle it."""
    try:
        known, inputs, signing_keys = _read(visits, agreement, key, table)
        signed = signatures.check(agreement, known.raw, known.places, signing_keys)
        bill = settlement.settle(inputs, known, signed, period and settlement.check_period(period))
    except BadgeError as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(bill.document, ensure_ascii=False))
    else:
        _show_bill(bill.document, known)
    _tell(inputs, len(inputs.taps()[1]))


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


def trusted(keys: list[str] | None, table: Path | None) -> tuple[Trust, dict[str, tuple[bytes, ...]]]:
    """Whose visits count, and which keys sign for places. Raises PaperError.

    With a table one of the keys has signed it; the others, and all without a table, are keys of gateways.
    """
    given = [public_key(text) for text in keys or ()]
    if table is None:
        return Trust.of(given), {}
    places, signed_by = _table(table, given)
    return Trust.of((key for key in given if key != signed_by), places), signatures.keys_of(places)


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


def _read(
    visits: list[Path], agreement: Path, keys: list[str] | None, table: Path | None
) -> tuple[Agreement, Inputs, dict[str, tuple[bytes, ...]]]:
    known = agreements.load(agreement)
    trust, signing_keys = trusted(keys, table)
    inputs = Inputs(trust)
    for path in visits:
        inputs.add_file(path)
    return known, inputs, signing_keys


def _line(session: Session, known: Agreement) -> str:
    left = "…" if session.leave_utc is None else _clock(session.leave_utc, known)
    who, times = session.who[:8], f"{_clock(session.arrive_utc, known)}-{left}"
    told = f"{session.day}  {session.host}  {session.home}  {who}  {times}  {session.half_days}"
    return "  ".join([told, *session.flags])


def _clock(utc_s: int, known: Agreement) -> str:
    from datetime import datetime

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
