"""What only Dokos does: rights, documents that people changed, refusals with reasons, several forms of balance."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.connectors import dokos
from balise_gateway.badges.connectors._frappe import said_of
from balise_gateway.delivery.http_hub import Answer
from balise_gateway.errors import ConnectorError
from contracts.connector_ends import MEMBER, NOBODY, OTHER, secret, usage
from contracts.connector_ends.dokos import ADMIN_TOKEN, CREDIT, End
from gateway.support import played


@pytest.fixture
def site(tmp_path: Path) -> End:
    return End(tmp_path)


def recorded(site: End, *usages: Any, **settings: Any) -> dict[str, str]:
    found: dict[str, str] = {}

    async def scene() -> None:
        connector = site.connector(**settings)
        try:
            found.update(await connector.record(usages))
        finally:
            await connector.close()

    played(scene)
    return found


def balance(site: End, member: str = MEMBER, **settings: Any) -> int | None:
    found: list[int | None] = []

    async def scene() -> None:
        connector = site.connector(**settings)
        told = await connector.balance(member)
        found.append(None if told is None else told.half_days)
        await connector.close()

    played(scene)
    return found[0]


def documents(site: End) -> list[tuple[str, int, float]]:
    return [(name, row["docstatus"], row["quantity"]) for name, row in site.documents.items()]


def test_a_usage_is_one_submitted_document_at_noon_with_our_key(site: End) -> None:
    assert recorded(site, usage(7, 2)) == {}
    (made,) = site.documents.values()
    assert made["docstatus"] == 1
    assert (made["user"], made["quantity"], made["booking_credit_type"]) == (MEMBER, 2.0, CREDIT)
    assert made["datetime"] == "2026-02-27 12:00:00"
    assert made["custom_balise_key"] == f"{dokos.mark_of(usage(7).key)}-1"


def test_the_documented_requests_are_what_goes_over_the_wire(site: End) -> None:
    recorded(site, usage())
    balance(site)
    calls = [(request.method, request.url.path) for request, _ in site.log]
    who, client = ("GET", "/api/method/frappe.auth.get_logged_user"), "/api/method/frappe.client."
    assert calls == [
        who,
        ("POST", f"{client}get_list"),
        ("POST", "/api/resource/Booking Credit Usage"),
        who,
        ("POST", f"{client}get_list"),
        ("POST", f"{client}get"),
        ("POST", f"/api/method/{dokos.GET_BALANCE}"),
    ]
    for request, _ in site.log:
        assert request.headers["Authorization"].startswith("token b4115e00key:")
        assert "%40" not in str(request.url), "an address of a person in a log of addresses"
        assert "@" not in str(request.url)


def test_a_later_figure_cancels_and_amends(site: End) -> None:
    recorded(site, usage(1, 1))
    recorded(site, usage(1, 2))
    (first, second) = site.documents.values()
    assert (first["docstatus"], second["docstatus"]) == (2, 1)
    assert second["amended_from"] == first["name"]
    assert second["custom_balise_key"].endswith("-2")


def test_after_a_kill_between_cancelling_and_amending_the_next_telling_completes_it(site: End) -> None:
    recorded(site, usage(1, 1))
    (name,) = site.documents
    site.documents[name]["docstatus"] = 2
    assert recorded(site, usage(1, 2)) == {}
    assert documents(site)[1:] == [(next(reversed(site.documents)), 1, 2.0)]
    assert next(reversed(site.documents.values()))["amended_from"] == name


def test_a_slow_request_that_comes_through_after_the_look_up_is_not_doubled(site: End) -> None:
    """Our first request was given up, and arrives between the second look-up and the second request."""
    real, late = site.take, []

    def take(request: httpx.Request, body: bytes) -> httpx.Response:
        if site.changes(request) and not late:
            late.append(real(request, body))
        return real(request, body)

    site.take = take  # type: ignore[method-assign]
    assert recorded(site, usage()) == {}
    assert len(site.documents) == 1
    assert site.used(usage().key) == 1
    assert late[0].status_code == 200


def test_without_a_unique_field_the_same_would_double_and_the_next_telling_says_so(site: End) -> None:
    recorded(site, usage())
    (made,) = site.documents.values()
    site.documents["BY-HAND"] = {**made, "name": "BY-HAND"}
    reason = recorded(site, usage())[usage().key]
    assert reason.startswith("several documents: ")
    assert "BY-HAND" in reason
    assert len(site.documents) == 2


def test_a_draft_with_our_key_is_left_to_whoever_made_it(site: End) -> None:
    recorded(site, usage())
    next(iter(site.documents.values()))["docstatus"] = 0
    assert "a draft" in recorded(site, usage())[usage().key]


def test_a_refused_usage_has_its_reason_and_the_others_are_recorded(site: End) -> None:
    found = recorded(site, usage(1), usage(2, member=NOBODY), usage(3, member=OTHER))
    assert found == {usage(2).key: f"LinkValidationError: Could not find User: {NOBODY}"}
    assert (site.used(usage(1).key), site.used(usage(3).key)) == (1, 1)


def test_a_site_that_wants_credit_refuses_and_takes_it_when_there_is_some(site: End) -> None:
    site.wants_credit = True
    assert recorded(site, usage())[usage().key].startswith("ValidationError: Please add some booking credits")
    assert site.documents == {}, "a draft stayed behind"
    site.credit(MEMBER, 3)
    assert recorded(site, usage()) == {}
    assert balance(site) == 2


def test_a_new_figure_that_is_refused_leaves_the_earlier_one(site: End) -> None:
    recorded(site, usage(1, 1))
    real = site._on_submit

    def on_submit(made: dict[str, Any]) -> None:
        site.refuses = "at most one" if made["quantity"] > 1 else ""
        real(made)

    site._on_submit = on_submit  # type: ignore[method-assign]
    assert recorded(site, usage(1, 2)) == {usage().key: "ValidationError: at most one; the earlier figure stands"}
    assert site.used(usage().key) == 1


@pytest.mark.parametrize("exc_type", ["QueryDeadlockError", "TimestampMismatchError"])
def test_what_passes_by_itself_is_for_later(site: End, exc_type: str) -> None:
    site.passing = [exc_type]
    with pytest.raises(ConnectorError) as caught:
        recorded(site, usage())
    assert caught.value.retry
    assert recorded(site, usage()) == {}


def test_retry_after_is_handed_on(site: End) -> None:
    site.answer = "429"
    with pytest.raises(ConnectorError) as caught:
        recorded(site, usage())
    assert caught.value.retry_after_s == 17


def test_a_redirect_is_called_one(site: End) -> None:
    site.answer = "a redirect"
    with pytest.raises(ConnectorError, match=r"erp\.example: a redirect; is this the program's own address"):
        recorded(site, usage())


def test_without_the_field_nothing_is_made_and_the_host_is_told_which(site: End) -> None:
    site.key_fields = set()
    with pytest.raises(ConnectorError, match="custom_balise_key in Booking Credit Usage") as caught:
        recorded(site, usage())
    assert not caught.value.retry
    assert site.documents == {}


def test_a_field_that_this_role_may_not_write_is_noticed_and_what_was_made_is_cancelled(site: End) -> None:
    site.may_write_key = False
    with pytest.raises(ConnectorError, match="does not keep custom_balise_key"):
        recorded(site, usage())
    assert [docstatus for _, docstatus, _ in documents(site)] == [2]


@pytest.mark.parametrize("right", ["read", "create", "submit", "cancel", "amend"])
def test_each_right_of_the_documented_role_is_needed(site: End, right: str) -> None:
    if right in ("cancel", "amend"):  # these are for later figures
        recorded(site, usage(1, 1))
    site.rights.discard(("Balise", right))
    with pytest.raises(ConnectorError, match="see its role") as caught:
        recorded(site, usage(1, 2))
    assert not caught.value.retry
    site.rights.add(("Balise", right))
    assert recorded(site, usage(1, 2)) == {}
    assert site.used(usage(1).key) == 2


def test_the_administrators_key_is_refused(site: End, tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="the Administrator's key") as caught:
        recorded(site, usage(), secret_file=secret(tmp_path, ADMIN_TOKEN))
    assert not caught.value.retry
    assert site.documents == {}


def test_a_key_that_was_changed_needs_no_restart(site: End, tmp_path: Path) -> None:
    path = secret(tmp_path, "wrong:key0")

    async def scene() -> None:
        connector = site.connector(secret_file=path)
        with pytest.raises(ConnectorError, match="not accepted"):
            await connector.record([usage()])
        site_token = next(text for text in End.secrets if ":" in text)
        secret(tmp_path, site_token)
        assert await connector.record([usage()]) == {}
        site.answer = "no connection"
        with pytest.raises(ConnectorError) as caught:
            await connector.record([usage()])
        assert "(secret)" in str(caught.value)
        assert site_token.partition(":")[2] not in str(caught.value)
        await connector.close()

    played(scene)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [("a:b", 0o640, "chmod 600"), ("", 0o600, "empty"), ("no colon", 0o600, "<API key>:<API secret>")],
)
def test_a_secrets_file_that_cannot_be_used_says_why_and_not_what(
    site: End, tmp_path: Path, text: str, mode: int, says: str
) -> None:
    with pytest.raises(ConnectorError, match=says):
        recorded(site, usage(), secret_file=secret(tmp_path, text, mode))
    assert site.requests == 0


def test_a_missing_secrets_file_is_named(site: End, tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="nowhere: cannot be read"):
        recorded(site, usage(), secret_file=tmp_path / "nowhere")


@pytest.mark.parametrize("form", ["number", "rows", "rows by item", "numbers by type"])
def test_every_form_of_balance_that_dokos_had_is_read(site: End, form: str) -> None:
    site.form = form
    site.credit(MEMBER, 9)
    assert balance(site, uom="Demi-journée") == 9


def test_a_balance_in_hours_is_rounded_down_to_half_days(site: End) -> None:
    for hours, half_days in ((12, 3), (11, 2), (0, 0), (-1, -1)):
        site.credit(MEMBER, hours)
        assert balance(site, per_half_day=4.0) == half_days


def test_a_usage_in_hours_is_multiplied(site: End) -> None:
    recorded(site, usage(1, 2), per_half_day=4.0)
    assert documents(site)[0][2] == 8.0


def test_a_member_can_be_a_customer(site: End) -> None:
    site.credit(MEMBER, 4)
    site.rights.discard(("Balise", "contacts"))
    assert balance(site, "Ada et Cie", member_is="customer") == 4
    assert recorded(site, usage(member="Ada et Cie"), member_is="customer") == {}
    assert recorded(site, usage(member="Ada et Cie"), member_is="customer") == {}
    assert len(site.documents) == 1


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"url": "http://erp.example"}, "https://"),
        ({"url": "https://user:pass@erp.example"}, "secret_file"),
        ({"url": "erp.example"}, "https://"),
        ({"credit_type": ""}, "credit_type"),
        ({"per_half_day": 0.0}, "per_half_day"),
        ({"key_field": "a b"}, "key_field"),
    ],
)
def test_settings_that_do_not_fit_say_which(keys: dict[str, Any], says: str) -> None:
    words: dict[str, Any] = {"kind": "dokos", "url": "https://e.example", "secret_file": Path("/x"), "credit_type": "c"}
    assert dokos.Settings(**words).problem() is None
    assert dokos.Settings(**(words | {"url": "http://127.0.0.1:8000"})).problem() is None
    assert says in str(dokos.Settings(**(words | keys)).problem())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["uom", "balance"]), inner),
    max_leaves=12,
)
HOSTILE = st.dictionaries(
    st.sampled_from(["data", "message", "exc_type", "exception", "_server_messages", "exc"]),
    JSON | JSON.map(json.dumps) | st.lists(JSON.map(json.dumps)).map(json.dumps),
)


@given(st.integers(200, 599), JSON | HOSTILE)
def test_no_answer_breaks_the_reading_of_answers(status: int, told: Any) -> None:
    try:
        said = said_of(Answer(status, {}, json.dumps(told).encode()), "here")
    except ConnectorError:
        return
    assert said.is_yes or len(said.reason) < 300
    assert said.reason.isprintable()


@given(JSON)
def test_no_balance_breaks_the_reading_of_balances(told: Any) -> None:
    settings = dokos.Settings(kind="dokos", url="https://e", secret_file=Path("/x"), credit_type="c", uom="u")
    found = dokos.balance_in(told, settings)
    assert found is None or abs(found) < 1e9
