"""Calibration records: what two devices side by side have shown, signed by the gateway that has seen it.

Promises that a record that is read was signed with the key that is named, and says what it must; that it is named by
its content (`cal`: the first 16 hex digits of the SHA-256 of its bytes); and that it cannot be taken for an envelope
or an answer, whose payloads are arrays: this one is a map. Numbers are texts, since our CBOR has no fractions. Leaves
fitting to `fit.py`, judging to `colocation.py`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from balise_wire import cbor, cose
from balise_wire.envelope import Signer
from balise_wire.errors import WireError

TYPE = "balise-calibration-1"
LINEAR, LINEAR_RH = "linear", "linear_rh"  # offset, gain; the same and a term per %RH
_COEFFICIENTS = {LINEAR: 2, LINEAR_RH: 3}


@dataclass(frozen=True, kw_only=True)
class Record:
    """`coefficients` and `errors` as in `fit.Fit`; `low` and `high`: what the sensor showed, in the channel's unit."""

    node: str
    channel: str
    unit: str
    sensor: str  # its model, as the manifest says it
    serial: str  # of the sensor; "" when nobody has read it
    reference: str
    from_utc_ms: int
    to_utc_ms: int
    window_s: int
    n: int
    model: str
    coefficients: tuple[str, ...]
    errors: tuple[str, ...]
    residual_sd: str
    r2: str
    rmse: str
    nrmse_pct: str
    cv_pct: str
    low: str
    high: str


def number(value: float) -> str:
    """A number as a record says it: six digits that count."""
    return f"{value:.6g}"


def sign(signer: Signer, record: Record) -> bytes:
    """The record as COSE_Sign1. The same record gives the same bytes."""
    members: dict[str, object] = {"type": TYPE}
    for name, value in asdict(record).items():
        members[name] = list(value) if isinstance(value, tuple) else value
    return signer.sign(cbor.encode(members))


def name_of(signed: bytes) -> str:
    """What a manifest calls this record (`cal`)."""
    return hashlib.sha256(signed).hexdigest()[:16]


def verify(signed: bytes, public_key: bytes) -> Record:
    """The record, if the owner of this key signed it. Raises WireError."""
    _, payload = cose.verify1(signed, {cose.kid_of(public_key): public_key})
    members = cbor.decode(payload)
    if not isinstance(members, dict) or members.get("type") != TYPE:
        raise WireError("malformed", f"not a record of type {TYPE}")
    told: dict[str, Any] = {field.name: _member(members, field.name, field.type) for field in fields(Record)}
    record = Record(**told)
    if len(record.coefficients) != _COEFFICIENTS.get(record.model):
        raise WireError("malformed", f"{len(record.coefficients)} coefficients of model {record.model!r}")
    for text in (*record.coefficients, record.low, record.high):
        _check_number(text)
    return record


def _check_number(text: str) -> None:
    try:
        value = float(text)
    except ValueError as error:
        raise WireError("malformed", f"{text!r} in a calibration record is no number") from error
    if not abs(value) < 1e12:  # NaN is not, either
        raise WireError("malformed", f"{text!r} in a calibration record is beyond all sense")


def _member(members: Mapping[object, object], name: str, wanted: object) -> object:
    value = members.get(name)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = tuple(value)
    kind = {str: str, int: int}.get(wanted, tuple)  # type: ignore[call-overload]
    if not isinstance(value, kind):
        raise WireError("malformed", f"{name} of a calibration record is {value!r}")
    return value
