"""A site of Frappe with Dokos's booking credits, as far as its sources say: rights, submitting, one transaction each.

Sources, read and not copied: frappe/api/v1.py, client.py, handler.py, exceptions.py, model/document.py; Dokos's
doctypes Booking Credit, Booking Credit Usage, Booking Credit Ledger; docs.frappe.io/framework/user/en/api/rest.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from balise_gateway.badges.connectors import Connector, dokos
from balise_gateway.clock import Clock
from contracts.connector_ends import MEMBER, NOBODY, OTHER, StandingClock, secret
from contracts.connector_ends._http import HttpEnd

TOKEN, ADMIN_TOKEN = "b4115e00key:s3cr3t-0f-the-d00r", "adm1n-key:adm1n-s3cr3t"
CREDIT = "Demi-journée"
CUSTOMERS = {MEMBER: "Ada et Cie", OTHER: "Lin"}
_FIELDS = {
    "user",
    "customer",
    "datetime",
    "booking_credit_type",
    "quantity",
    "uom",
    "item",
    "amended_from",
    "docstatus",
}
_STATUS = {
    "AuthenticationError": 401,
    "PermissionError": 403,
    "DoesNotExistError": 404,
    "DuplicateEntryError": 409,
    "QueryDeadlockError": 500,
}


class No(Exception):
    """What a site says no to."""

    def __init__(self, exc_type: str, message: str) -> None:
        super().__init__(message)
        self.exc_type = exc_type


class End(HttpEnd):
    secrets = (TOKEN, *TOKEN.split(":"), *ADMIN_TOKEN.split(":"))
    counts_usages = True

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        super().__init__()
        self.folder, self.clock = folder, clock or StandingClock()
        self.key_fields = {"custom_balise_key"}  # what the administrator has added
        self.is_unique, self.may_write_key = True, True
        self.roles = {"Balise"}
        self.rights = {
            ("Balise", what) for what in ("read", "write", "create", "submit", "cancel", "amend", "contacts")
        }
        self.form = "number"  # of get_balance: "number", "rows", "rows by item", "numbers by type"
        self.wants_credit = False  # newer versions refuse a usage when no credit is left
        self.documents: dict[str, dict[str, Any]] = {}
        self.credits: dict[str, float] = {}
        self.refuses = ""  # a message with which each new usage is refused
        self.passing: list[str] = []  # what the next requests fail with

    def settings(self, **settings: Any) -> dokos.Settings:
        words: dict[str, Any] = {
            "kind": "dokos",
            "url": "https://erp.example/",
            "credit_type": CREDIT,
            "timeout_s": 20.0,
        }
        words |= {} if "secret_file" in settings else {"secret_file": secret(self.folder, TOKEN)}
        return dokos.Settings(**(words | settings))

    def connector(self, **settings: Any) -> Connector:
        return dokos.Connector(self.settings(**settings), self, self.clock)

    def used(self, key: str) -> int:
        mark = dokos.mark_of(key)
        field = next(iter(self.key_fields), "")
        live = [d for d in self.documents.values() if d["docstatus"] == 1 and str(d.get(field)).startswith(f"{mark}-")]
        return round(sum(d["quantity"] for d in live))

    def credit(self, member: str, half_days: int) -> None:
        self.credits[CUSTOMERS[member]] = half_days

    def taps(self) -> list[str]:
        return []

    def changes(self, request: httpx.Request) -> bool:
        return request.url.path.startswith("/api/resource/") or request.url.path.endswith("client.cancel")

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        before = json.dumps(self.documents)
        try:
            value = self._answer(request, body)
        except No as no:
            self.documents = json.loads(before)  # a request is one transaction
            told = {"message": f"<strong>{no}</strong>", "title": "Message", "indicator": "red"}
            answer = {"exception": f"frappe.exceptions.{no.exc_type}: {no}", "exc_type": no.exc_type}
            answer |= {"exc": json.dumps(["Traceback (most recent call last): …"])}
            answer |= {"_server_messages": json.dumps([json.dumps(told)])}
            return httpx.Response(_STATUS.get(no.exc_type, 417), json=answer)
        return httpx.Response(200, json={"message" if "/api/method/" in request.url.path else "data": value})

    def _answer(self, request: httpx.Request, body: bytes) -> Any:
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        user = {f"token {TOKEN}": "balise@coroutine.example", f"token {ADMIN_TOKEN}": "Administrator"}.get(
            request.headers.get("Authorization", "")
        )
        if user is None:
            raise No("AuthenticationError", "Invalid API key or token")
        given = json.loads(body) if body else {}
        if path.startswith("/api/method/"):
            return self._method(path.removeprefix("/api/method/"), user, given)
        assert (request.method, path) == ("POST", f"/api/resource/{dokos.USAGE}")
        return self._insert(given)

    def _method(self, name: str, user: str, given: dict[str, Any]) -> Any:
        if name == "frappe.auth.get_logged_user":
            return user
        clients = {"get_list": self._get_list, "get": self._get, "cancel": self._cancel}
        if name.startswith("frappe.client."):
            return clients[name.rpartition(".")[2]](given)
        if name != dokos.GET_BALANCE:
            raise No("ValidationError", f"Failed to get method for command {name}")
        left = self.credits.get(given["customer"], 0.0)
        item = [{"uom": given.get("uom"), "balance": left, "conversions": []}]
        return {"number": left, "rows": item, "rows by item": {CREDIT: item}, "numbers by type": {CREDIT: left}}[
            self.form
        ]

    def _get_list(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        assert given["limit_page_length"] == 0, "else twenty"
        if given["doctype"] == "Contact":
            self._may("contacts")
            ((_, _, user),) = given["filters"]
            return [{"name": f"contact of {user}"}] if user in CUSTOMERS else []
        assert given["doctype"] == dokos.USAGE
        self._may("read")
        return self._list(given["filters"], given["fields"])

    def _get(self, given: dict[str, Any]) -> dict[str, Any]:
        assert given["doctype"] == "Contact"
        self._may("contacts")
        customers = [customer for user, customer in CUSTOMERS.items() if f"contact of {user}" == given["name"]]
        return {"name": given["name"], "links": [{"link_doctype": "Customer", "link_name": c} for c in customers]}

    def _may(self, what: str) -> None:
        if not any((role, what) in self.rights for role in self.roles):
            raise No("PermissionError", "Insufficient Permission for Booking Credit Usage")

    def _list(self, filters: list[list[str]], fields: list[str]) -> list[dict[str, Any]]:
        ((field, how, pattern),) = filters
        if field not in self.key_fields:
            raise No("DataError", f"Field not permitted in query: {field}")
        assert how == "like"
        assert pattern.count("%") == 1
        rows = [d for d in self.documents.values() if str(d.get(field)).startswith(pattern.rstrip("%"))]
        return [{name: row.get(name) for name in fields} for row in rows][::-1]

    def _insert(self, given: dict[str, Any]) -> dict[str, Any]:
        self._may("create")
        known = _FIELDS | (
            self.key_fields if self.may_write_key else set()
        )  # what is unknown is dropped without a word
        made = {name: value for name, value in given.items() if name in known}
        if made.get("docstatus") == 1:
            self._may("submit")
        user, customer = made.get("user"), made.get("customer")
        if (user or customer) not in {*CUSTOMERS, *CUSTOMERS.values()}:
            raise No("LinkValidationError", f"Could not find User: {user or customer}")
        made["customer"] = customer or CUSTOMERS[str(user)]
        self._check_unique(made)
        name, amended = f"BOOK-CREDIT-USAGE-{len(self.documents) + 1:05}", made.get("amended_from")
        if amended:
            self._may("amend")
            if self.documents[amended]["docstatus"] != 2 or any(
                d.get("amended_from") == amended for d in self.documents.values()
            ):
                raise No("ValidationError", f"{amended} cannot be amended")
            name = f"{amended}-1"
        self.documents[name] = {"name": name, "docstatus": 0, **made}
        if made.get("docstatus") == 1:
            self._on_submit(made)
        return self.documents[name]

    def _check_unique(self, made: dict[str, Any]) -> None:
        for field in self.key_fields if self.is_unique else ():
            if made.get(field) and any(d.get(field) == made[field] for d in self.documents.values()):
                raise No("UniqueValidationError", f"{field} must be unique")

    def _on_submit(self, made: dict[str, Any]) -> None:
        if self.refuses:
            raise No("ValidationError", self.refuses)
        if self.passing:
            raise No(self.passing.pop(), "Please refresh to get the latest document")
        left = self.credits.get(made["customer"], 0.0)
        if self.wants_credit and left <= 0:
            raise No("ValidationError", "Please add some booking credits before making a deduction")
        self.credits[made["customer"]] = left - made["quantity"]

    def _cancel(self, given: dict[str, Any]) -> dict[str, Any]:
        self._may("cancel")
        assert given["doctype"] == dokos.USAGE
        name = given["name"]
        found = self.documents.get(name)
        if found is None:
            raise No("DoesNotExistError", f"{dokos.USAGE} {name} not found")
        if found["docstatus"] != 1:
            raise No("DocstatusTransitionError", "Cannot change docstatus")
        found["docstatus"] = 2
        self.credits[found["customer"]] = self.credits.get(found["customer"], 0.0) + found["quantity"]
        return found


assert NOBODY not in CUSTOMERS
