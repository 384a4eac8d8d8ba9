"""How the gateway is, as one JSON document: for the page and for `balise gateway status`, also when none is running.

Promises that it holds no key but the public one, no password, and nothing that was not read from the journal or from
the parts that run. Leaves its looks to `page.py` and to the command.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from balise_gateway.config import Config
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.logs import Log
from balise_gateway.nodes.boots import Node
from balise_wire.envelope import Signer
from balise_wire.frames import FrameKeys

Document = dict[str, object]
AGE_S = 0.1  # how old a status may be: whoever asks a hundred times a second does not have it made a hundred times
_MAX_PARKED_TOLD = 20


def shared(status: Callable[[], Document], age_s: float = AGE_S) -> Callable[[], Document]:
    """The same, made again when it is older than that."""
    made_s, document = float("-inf"), Document()

    def told() -> Document:
        nonlocal made_s, document
        now_s = asyncio.get_running_loop().time()
        if now_s - made_s >= age_s:
            made_s, document = now_s, status()
        return document

    return told


def of_journal(db: sqlite3.Connection, config: Config, signer: Signer) -> Document:
    """What the journal alone can tell."""
    counters = {str(name): int(value) for name, value in tables.COUNTER.read(db, "TRUE ORDER BY name")}
    (waiting,) = db.execute("SELECT coalesce(sum(rows), 0) FROM waiting").fetchone()
    names = {HOME_LOG: "home", **{hub.log: hub.name for hub in config.hubs}}
    return {
        "running": False,
        "gateway": identity(signer),
        "journal": {"error": None, "rows_waiting_for_manifest": waiting},
        "nodes": [_node(node) for node in _nodes(db, config)],
        "logs": [_log(db, log, name) for log, name in names.items()],
        "refused": {name.removeprefix("refused "): n for name, n in counters.items() if name.startswith("refused ")},
        "uncorrected": {n.removeprefix("uncorrected "): v for n, v in counters.items() if n.startswith("uncorrected ")},
        "doubted": {name.removeprefix("flag "): n for name, n in counters.items() if name.startswith("flag ")},
    }


def identity(signer: Signer) -> dict[str, str]:
    """What others know this gateway by."""
    return {"kid": signer.kid.hex(), "public_key": signer.public_key.hex()}


def _nodes(db: sqlite3.Connection, config: Config) -> Sequence[Node]:
    nodes = {}
    for settings in config.nodes:
        keys = FrameKeys(settings.key)
        nodes[keys.kid] = Node(settings.name, keys)
    for row in tables.NODE.read(db):
        if row[0] in nodes:
            nodes[row[0]].take_row(row)
    return list(nodes.values())


def _node(node: Node) -> Document:
    latest = node.latest
    values = latest.get("values", [])
    return {
        "name": node.name,
        "kid": node.keys.kid.hex(),
        "boots": node.top_boot,
        "rows": node.rows,
        "latest_utc_ms": latest.get("utc_ms"),
        "latest": [_value(*value) for value in values] if isinstance(values, list) else [],
    }


def _value(name: str, value: int | None, scale: int, unit: str, flag: int) -> Document:
    shown = None if value is None else value / 10**scale if scale > 0 else value * 10**-scale
    return {"name": name, "value": shown, "unit": unit, "flag": flag}


def _log(db: sqlite3.Connection, log: int, name: str) -> Document:
    state = Log.read(db, log)
    where = "entry > ? AND (only_log IS NULL OR only_log = ?)"
    (pending,) = db.execute(f"SELECT coalesce(sum(rows), 0) FROM entry WHERE {where}", (state.cursor, log)).fetchone()
    (held,) = db.execute("SELECT coalesce(sum(rows), 0) FROM withheld WHERE log = ?", (log,)).fetchone()
    document: Document = {
        "log": log,
        "name": name,
        "next_seq": state.next_seq,
        "pending_rows": pending + held,
        "rows": state.rows,
        "readings": state.readings,
        "bytes": state.size_bytes,
        "bytes_per_reading": round(state.size_bytes / state.readings, 3) if state.readings else None,
    }
    if log != HOME_LOG:
        parked = tables.PARKED.read(db, f"log = ? ORDER BY seq LIMIT {_MAX_PARKED_TOLD}", (log,))
        document["hub"] = {
            "held_below": state.hub_next,
            "lag_envelopes": max(0, state.next_seq - state.hub_next),
            "parked": [{"seq": seq, "reason": reason} for _, seq, reason in parked],
        }
    return document


def merged(base: Document, live: Mapping[str, Mapping[str, object]], hubs: Mapping[int, Document]) -> Document:
    """The journal's document with what only the running parts know, section by section and hub by hub."""
    document: Document = {**base, "running": True}
    for section, more in live.items():
        before = document.get(section)
        document[section] = {**before, **more} if isinstance(before, dict) else dict(more)
    told = document.get("logs")
    for entry in told if isinstance(told, list) else []:
        if entry["log"] in hubs:
            entry["hub"] = {**entry["hub"], **hubs[entry["log"]]}
    return document
