"""`balise gateway calibrate`: what two devices side by side say of each other, as a proposal that the host may use.

Promises exit code 0 for a proposal, whose signed record is then written, 1 where the overlap does not say enough (with
every reason), 2 for what cannot be read. Nothing is corrected by it: that needs a `[[correction]]`, which it prints.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from balise_gateway import keys
from balise_gateway.config import Config
from balise_gateway.disk import sync_folder
from balise_gateway.errors import ConfigError, GatewayError
from balise_gateway.journal import open_to_read
from balise_gateway.quality import past, records
from balise_gateway.quality.colocation import LEAST_DAYS, Proposal, pair, propose
from balise_gateway.quality.past import Past
from balise_gateway.quality.records import LINEAR, LINEAR_RH, Record, number
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile, fail, load
from balise_wire.channels import channel as channel_row
from balise_wire.envelope import Signer
from balise_wire.errors import WireError

FOLDER = "calibrations"


def calibrate(
    node: Annotated[str, typer.Argument(help="the node's name, or a CSV file of it")],
    reference: Annotated[str, typer.Argument(help="a reference node's name, or a CSV file of a station")],
    *,
    channel: Annotated[str, typer.Option(help="what both measure, such as pm2_5")],
    config: ConfigFile = DEFAULT_CONFIG,
    humidity: Annotated[bool, typer.Option(help="fit a term for the node's relative humidity, too")] = False,
    window_s: Annotated[int, typer.Option(min=60, help="seconds whose means are compared")] = 3_600,
    least_days: Annotated[float, typer.Option(min=LEAST_DAYS, help="days side by side that you ask for")] = LEAST_DAYS,
    named: Annotated[str, typer.Option(help="the node that a CSV file is of")] = "",
    sensor: Annotated[str, typer.Option(help="the sensor's model, where a CSV file does not say it")] = "",
    serial: Annotated[str, typer.Option(help="the sensor's serial number")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The whole proposal, for programs.")] = False,
) -> None:
    """Compares a node with a reference that stood beside it, and proposes a calibration. Corrects nothing."""
    loaded = load(config)
    try:
        signer = keys.load(loaded.gateway.data_dir)
        mine, theirs = (_past(name, channel, loaded, signer) for name in (node, reference))
        if humidity and mine.humidity is None:
            raise ConfigError(f"{node}: no humidity; fit without --humidity")
    except (GatewayError, WireError) as error:
        fail(str(error), CONFIG_ERROR)
    mine.name, mine.sensor = named or mine.name, sensor or mine.sensor
    mine.unit = mine.unit or channel_row(channel).unit
    pairs = pair(mine.points, theirs.points, mine.humidity if humidity else None, window_s)
    proposal = propose(channel, pairs, least_days)
    record = _record(mine, theirs.name, channel, serial, proposal)
    signed = records.sign(signer, record) if record is not None and not proposal.refusals else None
    path = None if signed is None else _write(loaded.gateway.data_dir / FOLDER, signed)
    told = _told(record, proposal, path)
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(_lines(told, signer, path)))
    if signed is None:
        raise typer.Exit(FAILED)


def _past(name: str, channel: str, config: Config, signer: Signer) -> Past:
    """What this argument stands for: a file if it ends so, else a node."""
    channel_row(channel)  # or WireError, with all there are
    if name.lower().endswith(".csv"):
        return past.of_csv(Path(name), channel)
    db = open_to_read(config.gateway.data_dir)
    try:
        return past.of_log(db, signer.public_key, signer.kid, name, channel)
    finally:
        db.close()


def _record(mine: Past, reference: str, channel: str, serial: str, proposal: Proposal) -> Record | None:
    fit, pairs = proposal.fit, proposal.pairs
    if fit is None:
        return None
    return Record(
        node=mine.name,
        channel=channel,
        unit=mine.unit,
        sensor=mine.sensor,
        serial=serial,
        reference=reference,
        from_utc_ms=pairs.starts_ms[0],
        to_utc_ms=pairs.starts_ms[-1] + 1_000 * pairs.window_s,
        window_s=pairs.window_s,
        n=fit.n,
        model=LINEAR if pairs.humidity_pct is None else LINEAR_RH,
        coefficients=tuple(map(number, fit.coefficients)),
        errors=tuple(map(number, fit.errors)),
        residual_sd=number(fit.residual_sd),
        r2=number(fit.r2),
        rmse=number(fit.rmse),
        nrmse_pct=number(fit.nrmse_pct),
        cv_pct=number(fit.cv_pct),
        low=number(min(pairs.sensor)),
        high=number(max(pairs.sensor)),
    )


def _write(folder: Path, signed: bytes) -> Path:
    """A record is named by its content, so it is never written over another."""
    path = folder / f"{records.name_of(signed)}.cose"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(signed)
        sync_folder(folder)
    except OSError as error:
        fail(f"{path}: the record cannot be written ({error.strerror}); is the folder writable?", CONFIG_ERROR)
    return path


def _told(record: Record | None, proposal: Proposal, path: Path | None) -> dict[str, Any]:
    members = {} if record is None else vars(record)
    return {**members, "days": proposal.pairs.days, "refused": proposal.refusals, "record": path and str(path)}


def _lines(told: dict[str, Any], signer: Signer, path: Path | None) -> list[str]:
    lines = []
    if "model" in told:
        lines += _lines_of_fit(told)
    if path is None:
        return [*lines, "no calibration is proposed:", *(f"  {reason}" for reason in told["refused"])]
    return [
        *lines,
        f"record: {path}",
        "To use it, write this into the configuration; without it nothing changes:",
        "[[correction]]",
        'kind = "calibration"',
        f"node = {json.dumps(told['node'])}",
        f"channel = {json.dumps(told['channel'])}",
        f"record = {json.dumps(str(path.resolve()))}",
        f'public_key = "{signer.public_key.hex()}"',
    ]


def _lines_of_fit(told: dict[str, Any]) -> list[str]:
    first, last = (datetime.fromtimestamp(told[name] / 1_000, UTC).date() for name in ("from_utc_ms", "to_utc_ms"))
    terms = ("offset", "gain", "per %RH")
    line = [f"{told['channel']} of {told['node']} beside {told['reference']}"]
    line.append(f"{first} to {last}: {told['n']} common windows of {told['window_s']} s in {told['days']:.1f} days")
    for name, value, error in zip(terms, told["coefficients"], told["errors"], strict=False):
        line.append(f"{name} {value} ± {error}")
    line.append(f"residual SD {told['residual_sd']} {told['unit']}, R2 {told['r2']}, RMSE {told['rmse']}")
    return [*line, f"nRMSE {told['nrmse_pct']} %, CV between both {told['cv_pct']} %"]
