"""`balise gateway budget`: what a month of delivering will cost, before it is spent.

Promises figures of what is in the journal, brought to a month, and of the network's share that was measured; where
there is nothing yet, it says that it guesses. Leaves counting to `balise_gateway.policy.budget`.
"""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from balise_gateway.config import Config
from balise_gateway.errors import JournalError
from balise_gateway.hubs import HubSettings
from balise_gateway.journal import open_to_read
from balise_gateway.policy import budget
from balise_gateway.policy.budget import Month
from balise_gateway.policy.link import Link
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, fail, load

LOOK_BACK_MS = 7 * 86_400_000
LEAST_MS = 3_600_000
MONTH_S = 30.44 * 86_400
GUESSED_ROWS_A_DAY, GUESSED_BYTES_A_ROW = 1_440, 6  # a row a minute of five channels, in hourly envelopes
ENVELOPE_BYTES = 85  # what an envelope costs without a row in it
_BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class Forecast:
    """One hub's month."""

    hub: str
    envelopes: int
    payload_bytes: int
    cost_bytes: int
    guessed: bool


def show(
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Says what a month will cost on the link as configured (metered, unless [link] says no), and what was spent."""
    loaded = load(config)
    try:
        db = open_to_read(loaded.gateway.data_dir)
    except JournalError as error:
        fail(str(error), FAILED)
    document = document_of(loaded, db, time.time_ns() // 1_000_000)
    typer.echo(json.dumps(document, ensure_ascii=False) if as_json else "\n".join(_lines(document)))


def document_of(config: Config, db: sqlite3.Connection, now_utc_ms: int) -> dict[str, Any]:
    """Forecasts, plan and what was spent in this month."""
    link = Link(config.link, None)
    link.metered = config.link.metered != "no"
    month = Month.of(now_utc_ms, ZoneInfo(config.gateway.time_zone), config.link.plan_day)
    forecasts = [_forecast(config, db, link, hub) for hub in config.hubs]
    limit = None if config.link.monthly_mb is None else round(config.link.monthly_mb * _BYTES_PER_MB)
    total = sum(each.cost_bytes for each in forecasts)
    return {
        "month_from": month.name,
        "spent_bytes": budget.spent_bytes(db, month),
        "plan_bytes": limit,
        "forecast_bytes": total,
        "share_pct": None if limit is None else round(100 * total / limit, 1),
        "hubs": [vars(each) for each in forecasts],
    }


def _forecast(config: Config, db: sqlite3.Connection, link: Link, hub: HubSettings) -> Forecast:
    """From the log's last days, brought to a month of envelopes as often as the link has them."""
    envelopes = round(MONTH_S / link.period_s(hub))
    found = db.execute(
        "SELECT count(*), sum(length(cose)), min(made_utc_ms), max(made_utc_ms) FROM envelope WHERE log = ?1 AND "
        "made_utc_ms >= (SELECT max(made_utc_ms) FROM envelope WHERE log = ?1) - ?2",
        (hub.log, LOOK_BACK_MS),
    ).fetchone()
    count, size, first_ms, last_ms = found
    guessed = not count or last_ms is None or last_ms - first_ms < LEAST_MS
    if guessed:
        data = len(config.nodes) * GUESSED_ROWS_A_DAY * GUESSED_BYTES_A_ROW * MONTH_S / 86_400
    else:
        data = (size - count * ENVELOPE_BYTES) * MONTH_S * 1_000 / (last_ms - first_ms)
    payload = round(max(0.0, data)) + envelopes * ENVELOPE_BYTES
    return Forecast(hub.name, envelopes, payload, budget.cost_bytes(payload, envelopes), guessed)


def _lines(document: dict[str, Any]) -> list[str]:
    told = []
    for each in document["hubs"]:
        how = "a guess: the journal has less than an hour of it" if each["guessed"] else "by its last days"
        parts = (
            f"{each['envelopes']} deliveries, {_mb(each['payload_bytes'])} signed, {_mb(each['cost_bytes'])} with all"
        )
        told.append(f"{each['hub']}: {parts} that the network adds; {how}")
    plan = "no plan: monthly_mb is not set"
    if document["plan_bytes"] is not None:
        plan = f"{document['share_pct']} % of {_mb(document['plan_bytes'])}"
    told.append(f"a month: {_mb(document['forecast_bytes'])}, {plan}")
    return [*told, f"spent since {document['month_from']}: {_mb(document['spent_bytes'])}"]


def _mb(count: int) -> str:
    return f"{count / _BYTES_PER_MB:.2f} MB"
