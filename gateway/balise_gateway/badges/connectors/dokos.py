"""Dokos: the member's booking credit, and a submitted `Booking Credit Usage` for each day's half-days.

Promises that a usage is counted once, however often it is told: the document carries our key, and no other may carry
the same one; one request makes and submits it, so that nothing half done stays. A later figure cancels the document and
amends it, as a person would; 0 half-days cancel it. What somebody has changed there by hand is refused, with what was
found. Leaves to the site whether credit is enough: newer versions refuse a usage when nothing is left.

Read in the sources of Dokos (doctypes Booking Credit, Booking Credit Usage, Booking Credit Ledger; a fork of ERPNext,
2021 to 2023) and of Frappe (frappe/api/v1.py, client.py, exceptions.py). `get_balance` has answered in three forms so
far: rows of {uom, balance}; such rows by item; a number, or numbers by credit type. All are read. Nothing here was
tried on a running Dokos.

The field for our key is the administrator's to add (gateway/BADGES.md): of type Data, unique, not copied. Its value is
the first 16 bytes of the SHA-256 of the usage's key, "-", and the number of the amendment.
"""

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from balise_gateway.badges.connectors import Balance, Tapped, Usage, Want, dated
from balise_gateway.badges.connectors._frappe import Frappe, Said
from balise_gateway.badges.connectors._web import WebSettings
from balise_gateway.clock import Clock, SystemClock, known_utc_ms
from balise_gateway.errors import ConnectorError
from balise_gateway.settings import Key

USAGE = "Booking Credit Usage"
GET_BALANCE = "erpnext.venue.doctype.booking_credit.booking_credit.get_balance"
DRAFT, SUBMITTED, CANCELLED = 0, 1, 2
NOON = "12:00:00"  # of the site: the document wants a time, and nobody is told one
_MOST = 1e9  # no number of credits is larger
_EQUAL = 1e-6  # Frappe keeps quantities as decimals of six places or more
_REFUSED = (400, 409, 413, 417, 422)
_DUPLICATE = ("DuplicateEntryError", "UniqueValidationError", "NameError")


@dataclass(frozen=True, kw_only=True)
class Settings(WebSettings):
    """[[connector]] with kind = "dokos"."""

    credit_type: Annotated[str, Key("the Booking Credit Type that half-days are taken from")] = ""
    item: Annotated[str, Key("the item of the credit, on a Dokos of before 2023 that has no credit types")] = ""
    uom: Annotated[str, Key("the unit of the credit there")] = ""
    per_half_day: Annotated[
        float, Key("how many of it one half-day is; whole numbers only, or Dokos drops the rest")
    ] = 1.0
    member_is: Annotated[
        Literal["user", "customer"], Key("what a member id names: a User (an e-mail) or a Customer")
    ] = "user"
    key_field: Annotated[str, Key("the field that was added to Booking Credit Usage")] = "custom_balise_key"
    method: Annotated[str, Key("the whitelisted function that tells what is left")] = GET_BALANCE

    def problem(self) -> str | None:
        if not self.credit_type and not (self.item and self.uom):
            return "credit_type is missing (or item and uom, on an older Dokos)"
        if not 0 < self.per_half_day <= 1_000_000:
            return f"per_half_day = {self.per_half_day:g}: must be more than 0"
        if not self.key_field.isidentifier():
            return f"key_field = {self.key_field!r}: must be the name of a field, such as custom_balise_key"
        return super().problem()


class Connector:
    """One site of Dokos."""

    wants: frozenset[Want] = frozenset({"balance", "usage"})

    def __init__(self, settings: Settings, transport: Any, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self._site = Frappe(settings, transport)
        self._state = "not asked yet"

    async def balance(self, member: str) -> Balance | None:
        with _Telling(self):
            customer = await self._customer(member)
            if customer is None:
                return None
            said = await self._site.call(self._settings.method, self._question(customer))
            if not said.is_yes:
                raise self._stops(said, f"the function {self._settings.method}")
            left = balance_in(said.value, self._settings)
        if left is None:
            return None
        return dated(math.floor(left / self._settings.per_half_day + _EQUAL), self._clock)

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        refused: dict[str, str] = {}
        if not usages:
            return refused
        with _Telling(self):
            for usage in usages:
                reason = await self._record(usage)
                if reason:
                    refused[usage.key] = reason
        return refused

    async def tapped(self, tap: Tapped) -> None:
        """Dokos wants to know days, not taps."""

    def status(self) -> dict[str, object]:
        return {"kind": self._settings.kind, "state": self._state, "where": self._settings.base}

    async def close(self) -> None:
        await self._site.close()

    async def _customer(self, member: str) -> str | None:
        """Whose credit it is; None when the site names nobody, or several."""
        if self._settings.member_is == "customer":
            return member
        found = await self._site.find("Contact", [["user", "=", member]], ["name"])
        names = [row["name"] for row in self._rows(found, "Contact")]
        customers = set()
        for name in names:
            said = await self._site.read("Contact", str(name))
            if not said.is_yes:
                raise self._stops(said, "Contact")
            links = said.value.get("links") if isinstance(said.value, dict) else None
            for link in links if isinstance(links, list) else ():
                if isinstance(link, dict) and link.get("link_doctype") == "Customer":
                    customers.add(str(link.get("link_name")))
        return customers.pop() if len(customers) == 1 else None

    def _question(self, customer: str) -> dict[str, object]:
        """For every version at once: Frappe leaves out what a function does not take (frappe.get_newargs)."""
        utc_ms = known_utc_ms(self._clock)
        words: dict[str, object] = {"customer": customer}
        words |= {} if utc_ms is None else {"date": _day(utc_ms // 1000)}
        words |= {"booking_credit_type": self._settings.credit_type} if self._settings.credit_type else {}
        return words | ({"uom": self._settings.uom} if self._settings.uom else {})

    async def _record(self, usage: Usage) -> str:
        """Why this one was refused; "" when it is known there."""
        wanted = usage.half_days * self._settings.per_half_day
        for _ in range(2):  # a second time when another request of ours has come through meanwhile
            rows = await self._documents(usage.key)
            live = [row for row in rows if row["docstatus"] != CANCELLED]
            if len(live) > 1:
                return "several documents: " + ", ".join(sorted(str(row["name"]) for row in live))
            if live and self._says(live[0], usage, wanted):
                return ""
            if live and live[0]["docstatus"] == DRAFT:
                return f"a draft: {live[0]['name']} has this key; submit or delete it"
            if live and (reason := await self._cancel(str(live[0]["name"]))):
                return reason
            if not wanted:
                return ""
            said = await self._create(usage, wanted, rows)
            if said.is_yes:
                return await self._checked(said.value, usage)
            if said.exc_type not in _DUPLICATE:
                return self._refusal(said) + (await self._put_back(usage, live[0], rows) if live else "")
        return "several documents: somebody else makes documents with this key"

    async def _documents(self, key: str) -> list[dict[str, Any]]:
        """All that carry this key, oldest amendment first."""
        field = self._settings.key_field
        filters = [[field, "like", f"{mark_of(key)}-%"]]
        hint = f"is there a field {field} in {USAGE}, as BADGES.md says?"
        try:
            said = await self._site.find(USAGE, filters, ["name", "docstatus", "quantity", "user", "customer", field])
        except ConnectorError as error:
            if not error.retry:  # nothing was asked: the key's file, or a library, is what is wrong
                raise
            raise ConnectorError(f"{error}; {hint}", retry=error.retry, retry_after_s=error.retry_after_s) from None
        if not said.is_yes:
            raise ConnectorError(f"{self._settings.base}: {said.word}; {hint}", retry=False)
        rows = self._rows(said, USAGE)
        if any(row.get("docstatus") not in (DRAFT, SUBMITTED, CANCELLED) or not row.get(field) for row in rows):
            raise ConnectorError(f"{self._settings.base}: documents without their state; {hint}", retry=False)
        return sorted(rows, key=lambda row: _amendment(row[field]))

    def _says(self, row: Mapping[str, Any], usage: Usage, wanted: float) -> bool:
        """Whether this document says just this."""
        quantity = row.get("quantity")
        theirs = row.get(self._settings.member_is)  # Frappe writes a name as its document has it
        is_theirs = isinstance(theirs, str) and theirs.casefold() == usage.member.casefold()
        is_number = isinstance(quantity, (int, float)) and abs(quantity - wanted) < _EQUAL
        return is_number and is_theirs and row["docstatus"] == SUBMITTED

    async def _cancel(self, name: str) -> str:
        said = await self._site.cancel(USAGE, name)
        return "" if said.is_yes else self._refusal(said)

    async def _create(self, usage: Usage, wanted: float, rows: list[dict[str, Any]]) -> Said:
        field = self._settings.key_field
        last = _amendment(rows[-1][field]) if rows else 0
        values: dict[str, object] = {self._settings.member_is: usage.member, "datetime": f"{usage.day} {NOON}"}
        values |= {"quantity": wanted, "docstatus": SUBMITTED, field: f"{mark_of(usage.key)}-{last + 1}"}
        given = {
            "booking_credit_type": self._settings.credit_type,
            "item": self._settings.item,
            "uom": self._settings.uom,
        }
        values |= {name: text for name, text in given.items() if text}
        values |= {"amended_from": rows[-1]["name"]} if rows else {}
        return await self._site.create(USAGE, values)

    async def _put_back(self, usage: Usage, was: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
        """The figure of before, when the new one was refused after the old one was cancelled."""
        said = await self._create(usage, float(was.get("quantity") or 0), rows)
        return "; the earlier figure stands" if said.is_yes else "; the earlier figure was cancelled"

    async def _checked(self, made: Any, usage: Usage) -> str:
        """A site drops fields that it does not have, or that this role may not write: then it would be made twice."""
        name, key = (made.get("name"), made.get(self._settings.key_field)) if isinstance(made, dict) else (None, None)
        if isinstance(key, str) and key.startswith(f"{mark_of(usage.key)}-"):
            return ""
        if isinstance(name, str):
            await self._cancel(name)
        what = f"{USAGE} does not keep {self._settings.key_field}: see the field and this role's right to write it"
        raise ConnectorError(f"{self._settings.base}: {what}", retry=False)

    def _refusal(self, said: Said) -> str:
        """The reason for this one usage; raises when the answer is about all of them."""
        if said.status in _REFUSED:
            return said.reason
        raise self._stops(said, USAGE)

    def _stops(self, said: Said, what: str) -> ConnectorError:
        hint = "is Dokos's module Venue there, and may this role use it?"
        return ConnectorError(f"{self._settings.base}: {said.word} for {what}; {hint}", retry=False)

    def _rows(self, said: Said, doctype: str) -> list[dict[str, Any]]:
        if not said.is_yes:
            raise self._stops(said, doctype)
        rows = said.value
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "name" in row for row in rows):
            raise ConnectorError(f"{self._settings.base}: no list of {doctype}; is this Frappe?", retry=True)
        return rows


class _Telling:
    """Keeps the connector's state true to what the last question gave."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._connector._state = "up"
        elif isinstance(error, ConnectorError):
            self._connector._state = str(error)


def mark_of(key: str) -> str:
    """What stands for a usage's key: hex digits, in which LIKE finds no joker."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def balance_in(told: Any, settings: Settings) -> float | None:
    """How much is left, of whatever form `get_balance` has; None when this credit is not in it."""
    if isinstance(told, (int, float)) and not isinstance(told, bool):
        return float(told) if -_MOST < told < _MOST else None
    if isinstance(told, list):
        found = [row.get("balance") for row in told if isinstance(row, dict) and row.get("uom") == settings.uom]
        return balance_in(found[0], settings) if len(found) == 1 and isinstance(found[0], (int, float)) else None
    if isinstance(told, dict):
        inner = told.get(settings.credit_type or settings.item)
        return None if isinstance(inner, dict) else balance_in(inner, settings)
    return None


def _amendment(text: object) -> int:
    """The number behind the dash; 0 when somebody has written something else there."""
    number = str(text).rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0


def _day(utc_s: int) -> str:
    return datetime.datetime.fromtimestamp(utc_s, datetime.UTC).date().isoformat()
