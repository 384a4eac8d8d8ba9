"""What the hubs over HTTP share: what each answer means, pauses, secrets, and several requests for one batch."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.delivery.http_hub import Answer, Http, Part, Parts, header_problem, refusal, retry_after_s
from balise_gateway.errors import HubAway, HubDenied, HubError, HubRefused, HubTooLarge
from gateway.support import START_UTC_MS, played

MEANINGS: dict[type[HubError], set[int]] = {
    HubRefused: {400, 409, 415, 422},
    HubDenied: {401, 402, 403, 404, 405, 406, 410, 411, 412, 414, 418, 421, 431, 451},
    HubTooLarge: {413},
    HubAway: {200, 204, 301, 302, 307, 308, 408, 425, 429, 500, 501, 502, 503, 504, 507, 511, 599},
}


@pytest.mark.parametrize(
    ("status", "meaning"), [(status, kind) for kind, known in MEANINGS.items() for status in sorted(known)]
)
def test_a_status_has_one_meaning(status: int, meaning: type[HubError]) -> None:
    error = refusal(Answer(status), "because")
    assert type(error) is meaning
    assert f"{status}: because" in str(error)
    assert not isinstance(error, HubRefused) or error.reasons == {}


def date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(START_UTC_MS / 1000 + second, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": " 17 "}, 17.0),
        ({"Retry-After": "999999999999"}, 86_400.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "1e9"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": "\u0663"}, 0.0),
        ({"Retry-After": date(90), "Date": date(0)}, 90.0),
        ({"Retry-After": date(0), "Date": date(90)}, 0.0),
        ({"Retry-After": date(10**7), "Date": date(0)}, 86_400.0),
        ({"Retry-After": date(90)}, 0.0),  # without the hub's own clock there is nothing to count from
    ],
)
def test_retry_after_in_seconds_or_as_a_date(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(headers) == seconds
    error = refusal(Answer(503, headers))
    assert isinstance(error, HubAway)
    assert error.retry_after_s == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_stands_in_retry_after_gives_a_number(text: str, now: str) -> None:
    assert 0.0 <= retry_after_s({"Retry-After": text, "Date": now}) <= 86_400.0


def test_a_secret_in_an_address_or_an_answer_is_in_no_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/gone":
            raise httpx.ConnectError(f"cannot reach {request.url}")
        return httpx.Response(400, content=b"what is " + bytes(request.url.query) + b"\n\x1b[31m?")

    async def scene() -> None:
        http = Http(httpx.MockTransport(answer), 5.0, "test", ["s3cr3t", ""])
        for path, error in (("/", HubRefused), ("/gone", HubAway)):
            with pytest.raises(error) as caught:
                await http.ask("GET", f"http://hub.example{path}?key=s3cr3t", {})
            assert "s3cr3t" not in repr(caught.value) + repr(caught.value.__cause__)
            assert "(secret)" in str(caught.value)
            assert str(caught.value).isprintable()
        await http.close()

    played(scene)


def test_an_answer_that_is_no_json_is_not_the_hubs() -> None:
    with pytest.raises(HubAway, match="is this the hub"):
        Answer(200, {}, b"<html>").json()


def test_a_page_for_people_is_not_the_hubs_answer() -> None:
    page = httpx.MockTransport(lambda request: httpx.Response(200, html="<html>welcome to the hotel</html>"))

    async def scene() -> None:
        http = Http(page, 5.0, "test")
        with pytest.raises(HubAway, match="page of the network"):
            await http.ask("GET", "http://hub.example/", {})
        await http.close()

    played(scene)


@given(st.text(max_size=30), st.text(max_size=20))
def test_any_address_and_header_ends_in_an_answer_or_an_error_of_ours(url: str, text: str) -> None:
    async def scene() -> None:
        http = Http(httpx.MockTransport(lambda request: httpx.Response(200, json=[])), 5.0, "test")
        try:
            await http.ask("GET", f"https://{url}", {"Authorization": text})
        except HubError:
            pass
        await http.close()

    played(scene)


@pytest.mark.parametrize("text", ["clé", "two\nlines", "tab\t"])
def test_what_cannot_stand_in_a_header_is_told_without_its_value(text: str) -> None:
    told = header_problem(tenant="fine", token=text)
    assert told is not None
    assert told.startswith("token: must be plain ASCII")
    assert text not in told


class Several:
    """A hub that takes groups of parts and fails as told: what it has said yes to, and how often."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers, self.held = list(answers), Counter[object]()

    async def ask(self, parts: Sequence[Part]) -> int:
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer == "away":
            raise HubAway("later")
        if answer == "refuses all":
            raise HubRefused("something", {})
        if answer == "refuses the first":
            self.held.update(part.key for part in parts[1:])
            raise HubRefused("one", {0: "no good"})
        self.held.update(part.key for part in parts)
        return len(parts)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), unique=True, max_size=12),
    st.lists(st.sampled_from(["ok", "away", "refuses all", "refuses the first"]), max_size=20),
)
def test_several_requests_repeat_nothing_and_lose_nothing(rows: list[tuple[int, int]], answers: list[str]) -> None:
    """The uplink's rules on top: away is tried again, an unclear refusal halves, reasons park."""
    hub, whole, parked = Several(answers), Parts(), set[object]()

    async def deliver(batch: list[Part]) -> None:
        while batch:
            try:
                await whole.send([Part(n, p.key, p.group, None) for n, p in enumerate(batch)], hub.ask, {})
                return
            except HubAway:
                continue
            except HubRefused as error:
                if error.reasons or len(batch) == 1:
                    parked.update(batch[n].key for n in error.reasons or {0: ""})
                    return
                await deliver(batch[: len(batch) // 2])
                batch = batch[len(batch) // 2 :]

    parts = [Part(0, row, (row[1],), None) for row in rows]
    played(lambda: deliver(parts))
    assert all(count == 1 for count in hub.held.values())
    assert set(hub.held) | parked == {part.key for part in parts}
    assert not set(hub.held) & parked
