"""How a running street looks on a terminal: a table while it runs, the verdict at its end.

Promises: shows only what the nodes said, the gateway's status says and the hub holds; never a guess. Leaves to others:
where these come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from balise_sim.verdict import Verdict

MAX_SHOWN = 5  # rows named one by one when something is wrong
UNITS = {"ug/m3": "µg/m³", "Cel": "°C", "%RH": "% RH"}


@dataclass
class Scene:
    """What is known at one moment. `status` is the gateway's status document, None while it does not answer."""

    utc_ms: int
    kept: Mapping[str, int]  # node to rows
    powered: Mapping[str, bool]
    events: list[str] = field(default_factory=list)
    status: Mapping[str, Any] | None = None


def table(scene: Scene) -> Table:
    """The street as a table: one line a node."""
    title = f"{clock(scene.utc_ms)}   {', '.join(scene.events) or 'all is well'}"
    shown = Table(title=title, caption=caption(scene), title_justify="left", caption_justify="left")
    shown.add_column("node")
    shown.add_column("last values")
    shown.add_column("rows kept", justify="right")
    shown.add_column("acknowledged", justify="right")
    nodes = {node["name"]: node for node in scene.status["nodes"]} if scene.status else {}
    for name, kept in scene.kept.items():
        node = nodes.get(name)
        label = name.rsplit(":", 1)[-1] + ("" if scene.powered[name] else " (no power)")
        values = Text(", ".join(map(value_text, node["latest"]))) if node else Text("…")
        shown.add_row(label, values, f"{kept:,}", f"{node['rows']:,}" if node else "…")
    return shown


def headline(scene: Scene) -> str:
    """The street in one line, for a log."""
    kept = f"{sum(scene.kept.values()):,} rows kept"
    return f"{clock(scene.utc_ms)}  {kept}; {caption(scene)}; {', '.join(scene.events) or 'all is well'}"


def value_text(value: Mapping[str, Any]) -> str:
    """Such as "pm2_5 3.1 µg/m³"; a doubtful value has a question mark, a missing one a dash."""
    if value["value"] is None:
        return f"{value['name']} –"
    doubt = "?" if value["flag"] not in (1, None) else ""
    return f"{value['name']} {value['value']}{doubt} {UNITS.get(value['unit'], value['unit'])}"


def caption(scene: Scene) -> str:
    if scene.status is None:
        return "gateway: no answer"
    hubs = [log for log in scene.status["logs"] if "hub" in log]
    parts = [f"log {log['log']} ({log['name']}): {_log_text(log)}" for log in hubs]
    refused = scene.status.get("refused", {})
    parts += [f"refused: {reason} {count}" for reason, count in refused.items()]
    return "; ".join(parts)


def _log_text(log: Mapping[str, Any]) -> str:
    size = log["bytes_per_reading"]
    signed = f"{size:.2f} signed B per reading" if size else "nothing signed"
    return f"{signed}, hub lag {log['hub']['lag_envelopes']} envelopes and {log['pending_rows']} rows"


def clock(utc_ms: int) -> str:
    return f"{datetime.fromtimestamp(utc_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def verdict_lines(verdict: Verdict) -> list[str]:
    """The hub's last word, line by line."""
    per_reading = verdict.signed_bytes / verdict.readings if verdict.readings else 0.0
    lines = [
        f"rows kept by the nodes     {verdict.produced:>9,}",
        f"at the hub, once, verified {verdict.delivered:>9,}",
        f"lost                       {len(verdict.lost):>9,}   declared lost {verdict.declared_lost:,}",
        f"duplicated                 {len(verdict.duplicated):>9,}",
        f"envelopes                  {verdict.envelopes:>9,}   holes {len(verdict.holes)}, not verified "
        f"{len(verdict.unverified)}, same name with other bytes {verdict.conflicts}",
        f"signed bytes per reading   {per_reading:>9.2f}   {verdict.readings:,} readings",
    ]
    if verdict.vm:
        lines.append(f"nodes ran on               {verdict.vm}")
    if verdict.silent or verdict.restarts:
        lines.append(f"nodes without a row: {', '.join(verdict.silent) or 'none'}; unasked restarts {verdict.restarts}")
    wrong = [*map(str, verdict.lost), *map(str, verdict.duplicated), *verdict.holes, *verdict.unverified]
    lines += [f"  {line}" for line in wrong[:MAX_SHOWN]]
    if len(wrong) > MAX_SHOWN:
        lines.append(f"  and {len(wrong) - MAX_SHOWN:,} more")
    if verdict.unannounced:
        lines.append(f"kept, but the power went before the node said so: {verdict.unannounced}")
    lines.append(f"verdict: {'every' if verdict.ok else 'NOT every'} row is at the hub exactly once")
    return lines


def energy_lines(mah_per_day: Mapping[str, float]) -> list[str]:
    """What each board draws, without its sensors: a line a node, in mAh a day."""
    return [
        f"{name.rsplit(':', 1)[-1]:<26} {mah:>9.1f} mAh a day, without its sensors" for name, mah in mah_per_day.items()
    ]
