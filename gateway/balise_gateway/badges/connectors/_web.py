"""What the connectors over HTTP share: requests with their patience, and what an answer of no program means.

Promises that every failure is a ConnectorError that says whether later may help, and that no secret stands in one.
Leaves to the kinds what their program's own answers mean; the requests themselves are `delivery/http_hub.py`'s.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from balise_gateway.badges.connectors import ConnectorSettings
from balise_gateway.badges.connectors._secret import is_this_computer, read_secret
from balise_gateway.delivery.http_hub import Answer, Http, retry_after_s
from balise_gateway.errors import ConnectorError, HubAway, MissingExtra
from balise_gateway.settings import Key

_ANY = range(200, 600)
_LATER = (408, 425, 429)


@dataclass(frozen=True, kw_only=True)
class WebSettings(ConnectorSettings):
    """What every connector over HTTP has."""

    url: Annotated[str, Key('where the program is, such as "https://erp.example"')]
    secret_file: Annotated[Path, Key("the file with the key to it, mode 0600; see below what stands in it")]
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 30.0

    def problem(self) -> str | None:
        try:
            parts = urlsplit(self.url)
            host, named = parts.hostname or "", parts.username or parts.password
        except ValueError:
            return "url: not an address"
        if named or parts.query or parts.fragment:
            return "url: the address alone; a key belongs into secret_file"
        if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_this_computer(host))):
            return "url: must start with https:// (http:// only on this computer: the key would be read on the way)"
        return None

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")


class Web:
    """The connection of one connector. Builds only; the secret is read when something is asked, and then again."""

    def __init__(self, settings: WebSettings, transport: Any) -> None:
        self._settings, self._transport = settings, transport
        self._secret = ""
        self._http: Http | None = None

    async def secret(self) -> str:
        """What stands in the secret's file now."""
        secret = read_secret(self._settings.secret_file)
        if secret != self._secret:
            await self.close()
            self._secret = secret
        return secret

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """The program's answer, whatever it says of the request itself. Raises ConnectorError when none came."""
        if self._http is None:
            cut = [self._secret, *(part for part in self._secret.split(":") if len(part) > 3)]
            part = f'a connector of kind "{self._settings.kind}"'
            self._http = Http(self._transport, self._settings.timeout_s, part, cut)
        try:
            answer = await self._http.ask(method, f"{self._settings.base}{path}", headers, body, _ANY)
        except MissingExtra as error:
            raise ConnectorError(str(error), retry=False) from error
        except HubAway as error:
            raise ConnectorError(f"{self._settings.base}: {error}", retry=True) from None
        if answer.status in range(300, 400):
            raise ConnectorError(f"{self._settings.base}: a redirect; is this the program's own address?", retry=True)
        if answer.status in _LATER or answer.status >= 500:
            what = f"{self._settings.base}: answered {answer.status}; it is asked again later"
            raise ConnectorError(what, retry=True, retry_after_s=retry_after_s(answer.headers))
        return answer

    def redacted(self, text: str) -> str:
        """The text without any secret."""
        return self._http.redacted(text) if self._http is not None else text

    async def close(self) -> None:
        """Closes the connection; may be called twice."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()


def read_json(answer: Answer, where: str) -> Any:
    """The body. Raises ConnectorError: whoever answers something else is not the program."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ConnectorError(
            f"{where}: {answer.status}, but no JSON; is this the program, or a page?", retry=True
        ) from None
