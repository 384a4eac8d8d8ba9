"""What the hubs over HTTP share: a request with its patience, what each answer means, and several requests per batch.

Promises that an answer means the same at every hub (`refusal`), that what a hub said yes to is not sent again because
another request of the same batch failed, and that no secret stands in an error. Leaves forms and names to the adapters
in hubs/, and when to try again to `uplink.py`.
"""

import asyncio
import datetime
import json
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any

from balise_gateway.errors import HubAway, HubDenied, HubError, HubRefused, HubTooLarge, MissingExtra
from balise_gateway.hubs import HubSettings
from balise_gateway.logbook.rows import HubRow
from balise_gateway.settings import Key

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES = 4 << 20
PLAIN = {"Accept-Encoding": "identity"}  # packed, a few kilobytes become gigabytes before anybody could count them
LONGEST_RETRY_AFTER_S = 86_400.0
_MAX_TOLD_CHARS = 200
_MAX_REMEMBERED = 50_000
_REFUSED = (400, 409, 415, 422)  # something in it is wrong: the uplink halves until it has found what
_LATER = (408, 425, 429)


@dataclass(frozen=True, kw_only=True)
class HttpHubSettings(HubSettings):
    """What every hub over HTTP has."""

    url: Annotated[str, Key('where the hub is, such as "https://hub.example"')]
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 30.0

    def problem(self) -> str | None:
        if self.url.startswith(("https://", "http://")):
            return None
        return f"url = {self.url!r}: must start with https:// (or http://, where the network is yours)"

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")


@dataclass(frozen=True)
class Answer:
    """What came back; a body beyond all reason is never read."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON. Raises HubAway: whoever answers something else is not the hub."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise HubAway(f"{self.status}, but no JSON: is this the hub, or a page of the network?") from error


class Http:
    """The connection to one hub, for `part`. `secrets` are cut out of every error; a constructor that only builds.

    `quote` says what of a refusal's body stands in an error; without it, its beginning.
    """

    def __init__(
        self,
        transport: Any,
        timeout_s: float,
        part: str,
        secrets: Sequence[str] = (),
        quote: Callable[[bytes], str] | None = None,
    ) -> None:
        self._transport, self._timeout_s, self._part, self._quote = transport, timeout_s, part, quote or _shown
        self._secrets = [secret for secret in secrets if secret]
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", ok: Sequence[int] = (200,)
    ) -> Answer:
        """One request; returns the answer if its status is one of `ok`, else raises what `refusal` says."""
        httpx = _library(self._part)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._exchange(method, url, headers, body)
        except TimeoutError as error:
            raise HubAway(f"no answer within {self._timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise HubAway(f"no connection: {self.redacted(str(error)) or type(error).__name__}") from None
        if answer.status in ok:
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise HubAway(f"{answer.status}, but a page for people: is this the hub, or a page of the network?")
            return answer
        raise refusal(answer, self.redacted(self._quote(answer.body)))

    async def close(self) -> None:
        """Closes the connection; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def redacted(self, text: str) -> str:
        """The text without any secret."""
        for secret in self._secrets:
            text = text.replace(secret, "(secret)")
        return text

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._client is None:
            self._client = _library(self._part).AsyncClient(
                transport=self._transport, timeout=None, follow_redirects=False, headers={"User-Agent": "balise"}
            )
        asked = PLAIN | dict(headers)
        async with self._client.stream(method, url, content=body or None, headers=asked) as response:
            refuse_packed(response.headers)
            taken = bytearray()
            async for chunk in response.aiter_bytes():
                taken += chunk
                if len(taken) > MAX_ANSWER_BYTES:
                    raise HubAway(f"an answer of more than {MAX_ANSWER_BYTES} bytes: is this the hub?")
            return Answer(response.status_code, response.headers, bytes(taken))


def refuse_packed(headers: Mapping[str, str]) -> None:
    """Raises HubAway for an answer that is packed, although PLAIN asked for none such (RFC 9110 section 12.5.3)."""
    packed = headers.get("Content-Encoding", "identity")
    if packed.strip().lower() not in ("", "identity"):
        raise HubAway(f"an answer packed as {packed[:20]!r}, which was not asked for: is this the hub?")


def refusal(answer: Answer, told: str = "") -> HubError:
    """What an answer that is no "yes" means. `told` is what its body says, without secrets.

    | status | what is raised |
    | 400, 409, 415, 422 | HubRefused without reasons: something in the batch is wrong |
    | 413 | HubTooLarge |
    | 408, 425, 429, 5xx | HubAway, with Retry-After (RFC 9110 10.2.3) in seconds or as a date |
    | other 4xx (401, 403, 404 first of all) | HubDenied: the key or the address is wrong, the host must do something |
    | anything else (a redirect, a page of some network) | HubAway |
    """
    status = answer.status
    what = f"the hub answered {status}{': ' + told if told else ''}"
    if status in _REFUSED:
        return HubRefused(what, {})
    if status == 413:
        return HubTooLarge(what)
    if status in _LATER or status >= 500:
        return HubAway(what, retry_after_s(answer.headers))
    if status >= 400:
        return HubDenied(f"{what}; check url, ids and keys of this hub")
    return HubAway(f"{what}; is this the hub, or a page of the network?")


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds to wait; 0.0 when the hub does not say. A date counts from the answer's own Date: no clock is needed."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER_S)
    then, now = _moment(text), _moment(headers.get("Date", ""))
    if then is None or now is None:
        return 0.0
    return min(max(0.0, (then - now).total_seconds()), LONGEST_RETRY_AFTER_S)


@dataclass(frozen=True)
class Part:
    """What one request may hold of one row: `index` in the batch, a `key` for ever, and the request it belongs to."""

    index: int
    key: Hashable
    group: tuple[Any, ...]
    payload: Any


class Parts:
    """Several requests for one batch. Remembers what the hub said yes to, until the whole batch is through.

    A repeat by an outage in the middle is so left out; a repeat by a kill is not: at most the one batch in flight.
    """

    def __init__(self) -> None:
        self._done: dict[Hashable, None] = {}

    async def send(
        self, parts: Sequence[Part], ask: Callable[[Sequence[Part]], Awaitable[int]], refused: Mapping[int, str]
    ) -> int:
        """Asks once per group; returns the bytes that `ask` reports.

        `refused` are rows that have no place at this hub. Raises HubRefused after all others were sent, with reasons
        by the row's index, or without if a group of several rows was refused as a whole; other errors at once.
        """
        groups: dict[tuple[Any, ...], list[Part]] = {}
        for part in parts:
            if part.key not in self._done:
                groups.setdefault(part.group, []).append(part)
        reasons, unclear, size_bytes = dict(refused), "", 0
        for group in groups.values():
            try:
                size_bytes += await ask(group)
            except HubRefused as error:
                alone = len({part.index for part in group}) == 1
                told = error.reasons or (dict.fromkeys(range(len(group)), str(error)) if alone else {})
                if not told:
                    unclear = str(error)
                    continue
                reasons |= {group[number].index: why for number, why in told.items()}
                group = [part for number, part in enumerate(group) if number not in told]
            self._done |= dict.fromkeys(part.key for part in group)
        if unclear:
            raise HubRefused(unclear, {})
        for part in parts:
            if part.index not in reasons:  # what is parked comes again, and half of it may be there already
                self._done.pop(part.key, None)
        self._forget_oldest()
        if reasons:
            raise HubRefused(f"{len(reasons)} rows refused: {next(iter(reasons.values()))}", reasons)
        return size_bytes

    def _forget_oldest(self) -> None:
        for key in list(self._done)[: max(0, len(self._done) - _MAX_REMEMBERED)]:
            del self._done[key]


def without_place(rows: Sequence[HubRow], known: Mapping[str, object], example: str) -> dict[int, str]:
    """The rows of nodes that the configuration does not name, by index, each with what to add."""
    return {
        index: f'this hub does not know {row.node}: add [hub.nodes."{row.node}"] with {example}'
        for index, row in enumerate(rows)
        if row.node not in known
    }


@contextmanager
def told_of(whom: str) -> Iterator[None]:
    """An error of the hub's that the host must do something about names whose request it was."""
    try:
        yield
    except HubDenied as error:
        raise HubDenied(f"{whom}: {error}") from None


def header_problem(**texts: str) -> str | None:
    """The first key whose text cannot stand in a header; its value is not told, it may be a secret."""
    for name, text in texts.items():
        if not (text.isascii() and (text.isprintable() or not text)):
            return f"{name}: must be plain ASCII without line breaks, as it goes into a header of each request"
    return None


def bearer(token: str) -> dict[str, str]:
    """The header for a token; none without one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def _moment(text: str) -> datetime.datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a year with twenty digits
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


def _shown(body: bytes) -> str:
    """The beginning of an answer, on one line."""
    text = body[: 4 * _MAX_TOLD_CHARS].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_MAX_TOLD_CHARS].strip()


def _library(part: str) -> Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra(part, "httpx", "gateway") from error
    return httpx
