"""The contracts `Hub` and `RowHub`, on every kind in the folder, against a fake of the wire that each kind speaks.

A new kind needs one file in `far_ends/`, and, when it takes rows, `hubs/<kind>.txt`: what comes over the wire for ROWS,
written beside the hub's documentation and never taken from the code alone; its first line names the source.
What only one kind does is tested in `tests/gateway/hubs/`.
"""

import importlib
import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubRefused
from balise_gateway.hubs import Holding, Hub, RowHub, Stored
from balise_gateway.logbook.rows import HubRow
from balise_wire.envelope import sign_envelope
from balise_wire.items import Loss
from contracts.far_ends import GATEWAY, LOG, ROWS, FarEnd, Held, far_end
from gateway.support import played

HERE = Path(__file__).parent
KINDS = plugins.kinds(hubs)


def takes_rows(kind: str) -> bool:
    return hasattr(plugins.load(hubs, kind).Hub, "send")


ROW_KINDS = [kind for kind in KINDS if takes_rows(kind)]
ENVELOPE_KINDS = [kind for kind in KINDS if not takes_rows(kind)]
ANSWERS = [
    (kind, word) for kind in KINDS for word in importlib.import_module(f"contracts.far_ends.{kind}").FarEnd.answers
]


def envelope(seq: int) -> Stored:
    loss = Loss("urn:dev:ops:b4115e-air-01", "rows", seq, seq, "test")
    return Stored(seq, sign_envelope(GATEWAY, LOG, seq, [loss.pack()]))


BATCH = [envelope(seq) for seq in (1, 2, 3)]


@pytest.fixture
def there(kind: str, tmp_path: Path) -> Iterator[FarEnd]:
    found = far_end(kind, tmp_path)
    yield found
    found.close()


def told(rows: Sequence[HubRow], hub: RowHub, *, newest: bool) -> list[HubRow]:
    """The rows as the uplink hands them over: only what the traits say that this hub can be told."""
    known = hub.traits.channels
    kept = [
        HubRow(r.seq, r.index, r.node, r.utc_ms, r.uncertainty_ms, values, r.about)
        for r in rows
        if (values := tuple(v for v in r.values if known is None or v.channel in known))
    ]
    assert kept, "not one channel of ROWS: let ROWS have one that this hub knows"
    if newest:  # as the uplink does for every hub that takes no past
        kept = list({(row.node, *(v.channel for v in row.values)): row for row in kept}.values())
    return kept


async def sent(there: FarEnd, hub: Hub | RowHub) -> Any:
    if isinstance(hub, RowHub):
        return await hub.send(told(ROWS, hub, newest=shows_now(there)))
    return await hub.deliver(BATCH)


def shows_now(there: FarEnd) -> bool:
    """It has one value of each quantity, the last one."""
    return bool(getattr(there, "shows_now", False))


def delivered(there: FarEnd, times: int = 1, **settings: Any) -> Any:
    """What sending gives, the last time."""
    found: list[Any] = []

    async def scene() -> None:
        hub = there.hub(**settings)
        try:
            for _ in range(times):
                found.append(await sent(there, hub))
        finally:
            await hub.close()
            await hub.close()

    played(scene)
    return found[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_after_close_another_session_can_begin(there: FarEnd) -> None:
    """On a link that counts bytes each delivery is a session of its own."""
    arrived: list[bool] = []

    async def scene() -> None:
        hub = there.hub()
        for _ in range(2):
            arrived.append((await sent(there, hub)) is not None)
            await hub.close()

    played(scene)
    assert arrived == [True, True]


def expected(there: FarEnd) -> Counter[Held]:
    hub = there.hub()
    assert isinstance(hub, RowHub)
    step = there.time_step_ms
    return Counter(
        Held(row.node, value.channel, row.utc_ms // step * step if step else None, value.decimal)
        for row in told(ROWS, hub, newest=shows_now(there))
        for value in row.values
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_methods_of_the_contract_and_few_of_its_own(kind: str) -> None:
    module = plugins.load(hubs, kind)
    contract: type = RowHub if takes_rows(kind) else Hub
    public = [name for name, _ in inspect.getmembers(module.Hub, inspect.isfunction) if not name.startswith("_")]
    words = ["close", "send" if takes_rows(kind) else "deliver"]
    assert sorted(public) == words
    for name in words:
        theirs, ours = inspect.signature(getattr(module.Hub, name)), inspect.signature(getattr(contract, name))
        assert list(theirs.parameters) == list(ours.parameters)
    assert issubclass(module.Settings, hubs.HubSettings)


@pytest.mark.parametrize("kind", KINDS)
def test_says_what_its_hub_can_do(there: FarEnd) -> None:
    traits = there.hub().traits
    assert all(isinstance(x, bool) for x in (traits.accepts_past, traits.idempotent, traits.ordered, traits.flags))
    assert traits.batch_limit_bytes >= 1_000
    assert traits.batch_limit_rows >= 1


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_what_its_hub_can_do_is_documented(kind: str, there: FarEnd) -> None:
    """Its row in the guide's table begins with whether it takes the past."""
    lines = (HERE.parents[1] / "gateway/README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{kind}` |") and line.count("|") == 8]
    hub = there.hub()
    assert row.split(" | ")[1].startswith(("yes", "by its") if hub.traits.accepts_past else ("no", "only with"))


@pytest.mark.parametrize("kind", KINDS)
def test_building_one_sends_nothing(there: FarEnd) -> None:
    there.hub()
    assert there.requests == 0


@pytest.mark.parametrize(("kind", "word"), ANSWERS)
def test_an_answer_that_is_none(there: FarEnd, word: str) -> None:
    there.answer = word
    with pytest.raises(there.answers[word]) as caught:
        delivered(there, **({"timeout_s": 0.1} if word == "silence" else {}))
    assert str(caught.value)
    assert not any(secret in repr(error) for error in _chain(caught.value) for secret in there.secrets)


@pytest.mark.parametrize("kind", [kind for kind, word in ANSWERS if word == "later"])
def test_later_says_when(there: FarEnd) -> None:
    there.answer = "later"
    with pytest.raises(HubAway) as caught:
        delivered(there)
    assert caught.value.retry_after_s == 17.0


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_in_a_repr(there: FarEnd) -> None:
    shown = repr(there.hub()) + repr(vars(there.hub()).get("_settings"))
    assert not any(secret in shown for secret in there.secrets)


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_every_value_arrives_once_exact_and_at_its_time(there: FarEnd) -> None:
    size = delivered(there)
    assert Counter(there.held()) == expected(there)
    assert size > 0


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_a_repeat_does_no_harm_where_the_traits_say_so(there: FarEnd) -> None:
    """A kill between the hub's answer and the journal's commit sends the one batch in flight again."""
    delivered(there, times=2)
    once = expected(there)
    assert Counter(there.held()) == (once if there.hub().traits.idempotent else once + once)


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_what_goes_over_the_wire_is_what_the_hub_documents(there: FarEnd, kind: str) -> None:
    source, _, golden = (HERE / f"hubs/{kind}.txt").read_text(encoding="utf-8").partition("\n\n")
    assert source.startswith("# Source: ")
    delivered(there)
    assert there.captured() == golden


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_what_failed_is_sent_again_and_nothing_else(there: FarEnd) -> None:
    """An outage in the middle: what the hub has said yes to before is not sent a second time."""
    found: list[Any] = []

    async def scene() -> None:
        hub = there.hub()
        there.answer = "no connection"
        with pytest.raises(HubAway):
            await sent(there, hub)
        there.answer = "ok"
        found.append(await sent(there, hub))
        await hub.close()

    played(scene)
    assert Counter(there.held()) == expected(there)


@pytest.mark.parametrize("kind", ENVELOPE_KINDS)
def test_moves_envelopes_unchanged_and_says_what_is_held(there: Any) -> None:
    holding = delivered(there)
    assert there.envelopes == {stored.seq: stored.cose for stored in BATCH}
    assert holding == Holding(4, ((6, 8),))
    assert [seq for seq in range(1, 10) if holding.has(seq)] == [1, 2, 3, 6, 7, 8]
    assert holding.highest == 8


@pytest.mark.parametrize("answer", ["refuses one", "conflict"])
@pytest.mark.parametrize("kind", ENVELOPE_KINDS)
def test_a_refusal_names_the_envelope_and_the_reason(there: Any, answer: str) -> None:
    there.answer = answer
    with pytest.raises(HubRefused) as caught:
        delivered(there)
    assert caught.value.reasons == {1: "signature: does not fit"}
    assert set(there.envelopes) == {1, 3}


@pytest.mark.parametrize("kind", ENVELOPE_KINDS)
def test_each_request_is_its_own(there: FarEnd) -> None:
    """An answer to an earlier request is no answer: the nonce differs each time."""
    assert delivered(there, times=3).next_seq == 4
    assert there.requests == 3


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def test_every_far_end_belongs_to_a_kind() -> None:
    stems = {path.stem for path in (HERE / "far_ends").glob("*.py") if not path.stem.startswith("_")}
    assert stems == set(KINDS)
