"""A site of Frappe over its REST API (docs.frappe.io/framework/user/en/api/rest): documents, methods, and its errors.

Promises that what Frappe says no to is `Said` with its own word for it (`exc_type`, such as "PermissionError", and the
message for people without markup), and that a token which is not accepted, a right that is missing and "not now" are
ConnectorErrors. Leaves what a document means to the kind.

`Authorization: token <api key>:<api secret>`; roles are those of the user that owns the key. Errors, as
frappe/exceptions.py gives their status: 401 AuthenticationError, 403 PermissionError, 404 DoesNotExistError, 409
DuplicateEntryError, 417 ValidationError and all below it, 429 too many requests; anything unforeseen is 500.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from balise_gateway.badges.connectors._web import Web, WebSettings, read_json
from balise_gateway.delivery.http_hub import Answer
from balise_gateway.errors import ConnectorError

ADMINISTRATOR = "Administrator"
MAX_TOLD_CHARS = 160
# What passes by itself, though its status is that of a refusal.
_PASSING = (
    "TimestampMismatchError",
    "QueryDeadlockError",
    "QueryTimeoutError",
    "DocumentLockedError",
    "InReadOnlyMode",
)
_TAGS = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[A-Za-z_]\w{0,80}")


@dataclass(frozen=True)
class Said:
    """An answer of Frappe: `value` of a yes; of a no `exc_type` and `message`."""

    status: int
    value: Any = None
    exc_type: str = ""
    message: str = ""

    @property
    def is_yes(self) -> bool:
        return self.status < 300

    @property
    def word(self) -> str:
        """Frappe's word for it alone: a message may name a member."""
        return self.exc_type or str(self.status)

    @property
    def reason(self) -> str:
        """What is kept beside what was refused."""
        return f"{self.word}: {self.message}" if self.message else self.word


class Frappe:
    """One site. Builds only; the first question asks who this token belongs to."""

    def __init__(self, settings: WebSettings, transport: Any) -> None:
        self._settings, self._web = settings, Web(settings, transport)
        self._checked = ""  # the token that is known not to be the Administrator's

    async def find(self, doctype: str, filters: Sequence[Sequence[str]], fields: Sequence[str]) -> Said:
        """All documents that these filters leave, as maps of these fields."""
        words = {"doctype": doctype, "filters": filters, "fields": fields, "limit_page_length": 0}
        return await self.call("frappe.client.get_list", words)

    async def read(self, doctype: str, name: str) -> Said:
        """One document, with its tables."""
        return await self.call("frappe.client.get", {"doctype": doctype, "name": name})

    async def cancel(self, doctype: str, name: str) -> Said:
        """Takes back a submitted document."""
        return await self.call("frappe.client.cancel", {"doctype": doctype, "name": name})

    async def create(self, doctype: str, values: Mapping[str, object]) -> Said:
        """A new document; with `docstatus` 1 it is submitted in the same transaction, or not there at all."""
        return await self._ask(f"/api/resource/{quote(doctype)}", values)

    async def call(self, method: str, values: Mapping[str, object]) -> Said:
        """A whitelisted function. Always by POST: what is in a body stands in no log of addresses."""
        return await self._ask(f"/api/method/{quote(method)}", values)

    async def close(self) -> None:
        """Closes the connection; may be called twice."""
        await self._web.close()

    async def _ask(self, path: str, values: Mapping[str, object]) -> Said:
        token = await self._web.secret()
        if ":" not in token or not token.isascii() or not token.isprintable() or " " in token:
            what = f"{self._settings.secret_file}: must be <API key>:<API secret>, as Frappe made them"
            raise ConnectorError(what, retry=False)
        if token != self._checked:
            await self._refuse_administrator(token)
            self._checked = token
        return await self._send(token, "POST", path, values)

    async def _refuse_administrator(self, token: str) -> None:
        """A key that may do everything does not belong on a computer at the door."""
        said = await self._send(token, "GET", "/api/method/frappe.auth.get_logged_user")
        if not said.is_yes or not isinstance(said.value, str):
            raise ConnectorError(f"{self._settings.base}: {said.word}; is there a Frappe site?", retry=False)
        if said.value == ADMINISTRATOR:
            what = f"{self._settings.secret_file}: the Administrator's key; make a user with the role in BADGES.md"
            raise ConnectorError(what, retry=False)

    async def _send(self, token: str, method: str, path: str, values: Mapping[str, object] | None = None) -> Said:
        headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        body = b"" if values is None else json.dumps(values).encode()
        if body:
            headers["Content-Type"] = "application/json"
        said = said_of(await self._web.ask(method, path, headers, body), self._settings.base)
        where, told = self._settings.base, self._web.redacted(said.message)
        if said.status == 401:
            raise ConnectorError(f"{where}: this key is not accepted; see {self._settings.secret_file}", retry=False)
        if said.status == 403:
            raise ConnectorError(f"{where}: this key's user may not ({said.exc_type}); see its role", retry=False)
        if said.exc_type in _PASSING:
            raise ConnectorError(f"{where}: {said.exc_type}; it is asked again later", retry=True)
        return Said(said.status, said.value, said.exc_type, told)


def said_of(answer: Answer, where: str) -> Said:
    """What an answer says, whoever wrote it. Raises ConnectorError for one that is not Frappe's."""
    told = read_json(answer, where)
    if not isinstance(told, dict):
        raise ConnectorError(f"{where}: an answer that is no object; is this Frappe?", retry=True)
    if answer.status < 300:
        if "data" not in told and "message" not in told:
            raise ConnectorError(f"{where}: an answer without data; is this Frappe?", retry=True)
        return Said(answer.status, told["data"] if "data" in told else told["message"])
    return Said(answer.status, None, _exc_type(told), _message(told))


def _exc_type(told: Mapping[str, object]) -> str:
    """`exc_type`; older sites give "frappe.exceptions.ValidationError: text" as `exception` alone."""
    text = told.get("exc_type") or told.get("exception")
    found = _WORD.fullmatch(str(text).partition(":")[0].strip().rpartition(".")[2]) if isinstance(text, str) else None
    return found.group() if found else ""


def _message(told: Mapping[str, object]) -> str:
    """The first message for people: `_server_messages` is JSON of a list of JSON."""
    inner = _loaded(told.get("_server_messages"))
    for text in inner if isinstance(inner, list) else ():
        entry = _loaded(text)
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            return _plain(entry["message"])
    text = told.get("exception")
    return _plain(text.partition(":")[2]) if isinstance(text, str) else ""


def _loaded(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _plain(markup: str) -> str:
    text = _TAGS.sub("", markup)
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:MAX_TOLD_CHARS]
