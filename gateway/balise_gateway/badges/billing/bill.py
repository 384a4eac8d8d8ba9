"""Bills as files: the object that was computed, byte for byte the same everywhere, so that places can sign it.

`metropole-2026_2026-11.json` and, beside it, one signature per place. Promises that a bill that somebody has signed is
never written over. Leaves other forms of it to `sheet.py` and the modules after it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balise_gateway.badges.files import replace_file
from balise_gateway.errors import PaperError

KEYS = ("agreement", "period", "inputs_sha256", "verified")
LISTS = ("gross", "bilateral", "set_off", "transfers")
_ALL = (*KEYS, *LISTS, "optimal", "flags")
# What depends on the keys and signatures that were at hand, not on the visits: told, and no reason to refuse.
_OF_THE_DAY = ("unsigned", "transfers_need_signatures", "refused", "unverified", "double_names")
_KINDS: dict[str, type] = {"agreement": str, "period": str, "inputs_sha256": str, "verified": bool, "optimal": bool}
_KINDS["flags"] = dict
_FLAG_KINDS: dict[str, type] = {
    **dict.fromkeys(("conflicting_mappings", "no_exit", "not_billable", "uncertain", "undated", "unsigned"), list),
    **dict.fromkeys(("refused", "without_agreement", "without_price"), dict),
    **dict.fromkeys(("double_names", "unverified"), int),
    "agreement_sha256": str,
    "transfers_need_signatures": bool,
}
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def encode(document: Mapping[str, object]) -> bytes:
    """The bytes that places sign."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def file_stem(document: Mapping[str, object]) -> str:
    """The name of the bill's files, without their endings."""
    return "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", str(document[name])) for name in ("agreement", "period"))


def write(document: Mapping[str, object], folder: Path) -> Path:
    """Writes the bill into a folder. Raises PaperError when another one stands there that somebody has signed."""
    path, data = folder / f"{file_stem(document)}.json", encode(document)
    if path.exists() and _bytes(path) != data and any(folder.glob(f"{path.name}.*.cose")):
        raise PaperError("bill", f"{path}: signed already, and not with these figures: move it away, or verify-bill")
    replace_file(path, data)
    return path


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """(the bill, its bytes). Raises PaperError when it is none."""
    data = _bytes(path)
    try:
        document = json.loads(data)
        same = encode(document) == data if isinstance(document, dict) else False
    except (ValueError, RecursionError) as error:
        raise PaperError("bill", f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict) or tuple(document) != _ALL or not same:
        raise PaperError("bill", f"{path}: not a bill as 'balise badge settle --out' writes it, or changed since")
    wrong = _wrong(document)
    if wrong:
        raise PaperError("bill", f"{path}: {wrong} is not what a bill has there")
    return document, data


def month_of(document: Mapping[str, Any]) -> str | None:
    """The month it was computed for; None where it spans others."""
    period = document["period"]
    return period if isinstance(period, str) and _MONTH.fullmatch(period) else None


def differences(bill: Mapping[str, Any], computed: Mapping[str, Any]) -> list[str]:
    """What does not come out the same, as `name: in the bill, computed`. Nothing: every figure holds."""
    names = [name for name in (*KEYS, *LISTS, "optimal") if name != "verified"]
    told = [_told(name, bill[name], computed[name]) for name in names if bill[name] != computed[name]]
    flags, now = bill["flags"], computed["flags"]
    return told + [
        _told(f"flags.{name}", flags.get(name), now[name])
        for name in now
        if name not in _OF_THE_DAY and flags.get(name) != now[name]
    ]


def _wrong(bill: dict[str, Any]) -> str:
    """The first member that no bill of ours has like this; empty when there is none."""
    for name, kind in _KINDS.items():
        if type(bill[name]) is not kind:
            return name
    for name in LISTS:
        if not _are_rows(bill[name], name == "gross"):
            return name
    flags = bill["flags"]
    if flags.keys() != _FLAG_KINDS.keys():
        return "flags"
    for name, kind in _FLAG_KINDS.items():
        if type(flags[name]) is not kind or (kind is dict and any(type(n) is not int for n in flags[name].values())):
            return f"flags.{name}"
    return "" if all(isinstance(place, str) for place in flags["unsigned"]) else "flags.unsigned"


def _are_rows(rows: object, counted: bool) -> bool:
    keys = ["from", "to", "half_days", "cents"] if counted else ["from", "to", "cents"]
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and list(row) == keys
        and all(isinstance(row[name], str) for name in keys[:2])
        and all(type(row[name]) is int for name in keys[2:])
        for row in rows
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PaperError("bill", f"{path}: cannot be read ({error.strerror})") from error


def _told(name: str, given: object, computed: object) -> str:
    if isinstance(given, list) and isinstance(computed, list):
        spare, missing = [row for row in given if row not in computed], [row for row in computed if row not in given]
        return f"{name}: {_rows(spare)} in the bill alone, {_rows(missing)} computed alone"
    return f"{name}: {given} in the bill, {computed} computed"


def _rows(rows: list[object]) -> str:
    return json.dumps(rows, ensure_ascii=False) if len(rows) <= 3 else f"{len(rows)} rows"
