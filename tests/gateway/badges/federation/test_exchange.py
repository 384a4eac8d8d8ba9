"""Partners' visits: what our own native uplink delivers, what is refused and why, what is forgotten."""

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.federation.bodies import Bodies
from balise_gateway.badges.federation.exchange import DAY_S, FILE_NAME, Exchange
from balise_gateway.badges.federation.exchange_paths import MAX_BODY_BYTES, batches_route
from balise_gateway.badges.federation.pace import MAX_ADDRESSES, Pace
from balise_gateway.errors import HubAway, HubRefused, HubTooLarge
from balise_gateway.hubs import Holding, Stored, native
from balise_wire.channels import channel
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Anchor, Item, Loss, Manifest, Readings, Source, Unknown
from balise_wire.visits import MappingRecord, VisitRecord, When
from gateway.badges.federation.net import Net, app
from gateway.badges.federation.places import GATEWAYS, HOME, HOST, KEYS, NOW_S, THIRD, cache

LOG = 3
WHO = bytes(range(16))


def visit(host: str = HOST, tap: int = 1, t: When = NOW_S) -> Item:
    return VisitRecord(host, HOME, WHO, t, 2, 0, tap).item()


def envelope(seq: int, *items: Item | Readings, signer: Signer = GATEWAYS[HOST]) -> bytes:
    return sign_envelope(signer, LOG, seq, [item.pack() for item in items or (visit(tap=seq),)])


class Partner:
    """A home that takes visits at https://home.example/badge, and the host's uplink to it."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.now_ms: int | None = NOW_S * 1_000
        self.seconds, self.folder = 0.0, folder
        self.table = cache(folder)
        self.exchange = Exchange(folder, lambda: self.table.table, **limits)
        self.pace = Pace(60, lambda: self.seconds)
        route = batches_route(self.exchange, KEYS[HOME].signer, lambda: self.now_ms, self.pace, Bodies())
        self.net = Net({HOME: app(route)})

    def deliver(self, *envelopes: bytes, key: bytes = KEYS[HOME].signer.public_key) -> Holding:
        settings = native.Settings(name="home", kind="native", log=LOG, url=f"https://{HOME}/badge", public_key=key)
        hub = native.Hub(settings, GATEWAYS[HOST].kid, self.net, random.Random(1))

        async def sent() -> Holding:
            try:
                return await hub.deliver([Stored(seq, cose) for seq, cose in enumerate(envelopes, 1)])
            finally:
                await hub.close()

        return asyncio.run(sent())

    def post(self, body: bytes, nonce: str = "01") -> httpx.Response:
        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.net) as client:
                url = f"https://{HOME}/badge/v1/batches"
                return await client.post(url, content=body, headers={"Balise-Nonce": nonce})

        return asyncio.run(sent())


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner(tmp_path)


def reasons(partner: Partner, *envelopes: bytes) -> list[str]:
    return [str(told["reason"]) for told in partner.exchange.take(b"".join(envelopes), NOW_S).refused]


def test_our_own_uplink_delivers_here_unchanged_and_believes_the_answer(partner: Partner) -> None:
    assert partner.deliver(envelope(1), envelope(2)) == Holding(3)
    assert partner.deliver(envelope(2), envelope(5)) == Holding(3, ((5, 5),))
    partner.exchange.close()
    again = Exchange(partner.folder, lambda: partner.table.table)
    assert list(again.envelopes()) == [envelope(1), envelope(2), envelope(5)]
    assert (partner.folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_what_belongs_to_a_log_of_visits_is_kept_whatever_its_kind(partner: Partner) -> None:
    mapping = MappingRecord(HOST, HOME, WHO, bytes(16), 1, 2).item()
    others = (Anchor(1, 0, NOW_S * 1_000, "gateway", 5), Loss("x", "envelope", 1, 2, "disk"), Source({"a": 1}))
    manifest = Manifest(1, {"node": "urn:dev:ops:x"})
    assert partner.deliver(envelope(1, visit(), mapping, *others, manifest, Unknown(99, ["later"]))) == Holding(2)


def test_a_gateway_speaks_for_its_own_hosts_only(partner: Partner) -> None:
    assert reasons(partner, envelope(1, visit(THIRD))) == ["foreign host"]
    lie = MappingRecord(THIRD, HOME, WHO, bytes(16)).item()
    assert reasons(partner, envelope(1, visit(), lie)) == ["foreign host"]
    assert reasons(partner, envelope(1, visit(THIRD), signer=GATEWAYS[THIRD])) == []
    with pytest.raises(HubRefused) as refused:
        partner.deliver(envelope(2), envelope(3, visit(THIRD)))
    assert "foreign host" in refused.value.reasons[1]
    assert partner.exchange.held(GATEWAYS[HOST].kid, LOG) == (1, [(2, 2)])
    assert partner.exchange.status()["refused"] == {"foreign host": 3}


def test_a_key_that_is_not_in_the_table_is_not_heard(partner: Partner) -> None:
    assert reasons(partner, envelope(1, signer=Signer(bytes(32)))) == ["unknown key"]
    partner.table.table = None
    assert reasons(partner, envelope(1)) == ["unknown key"]


def test_values_of_sensors_and_visits_of_a_wrong_shape_are_refused(partner: Partner) -> None:
    entries = [channel("pm10").manifest_entry("x")]
    manifest = Manifest(1, {"node": "urn:dev:ops:x", "channels": entries})
    rows = Readings(1, None, [NOW_S], [[5]])
    assert reasons(partner, envelope(1, manifest, rows)) == ["readings"]
    assert reasons(partner, sign_envelope(GATEWAYS[HOST], LOG, 2, [[4, {"host": HOST}]])) == ["malformed"]
    assert partner.exchange.held(GATEWAYS[HOST].kid, LOG) == (1, [])


def test_other_bytes_under_a_name_are_kept_apart_and_told(partner: Partner) -> None:
    partner.deliver(envelope(1))
    answer = partner.post(envelope(1, visit(tap=77)))
    assert answer.status_code == 409
    assert answer.json()["refused"][0]["reason"] == "conflict"
    assert list(partner.exchange.envelopes()) == [envelope(1)]
    status = partner.exchange.status()
    assert (status["conflicts"], status["refused"]) == (1, {"conflict": 1})


def test_visits_older_than_ninety_days_are_forgotten_and_not_asked_for_again(partner: Partner) -> None:
    old, new = envelope(1, visit(t=NOW_S - DAY_S)), envelope(2, visit(t=NOW_S), visit(t=NOW_S - 80 * DAY_S))
    unknown = envelope(3, visit(t=(1, 5)))  # nobody knows when: it counts from its arrival
    partner.deliver(old, new, unknown)
    assert partner.exchange.forget(NOW_S + 89 * DAY_S, 90) == 0
    assert partner.exchange.forget(NOW_S + 90 * DAY_S, 90) == 1
    assert list(partner.exchange.envelopes()) == [new, unknown]
    assert partner.deliver(old) == Holding(4)
    assert list(partner.exchange.envelopes()) == [new, unknown]
    assert partner.exchange.status()["forgotten"] == 1


def test_a_visit_from_the_future_is_forgotten_as_if_it_were_of_today(partner: Partner) -> None:
    partner.deliver(envelope(1, visit(t=NOW_S + 1_000 * DAY_S)))
    assert partner.exchange.forget(NOW_S + 91 * DAY_S, 90) == 1


def test_forgotten_bytes_are_gone_from_the_file(partner: Partner) -> None:
    partner.deliver(envelope(1))
    partner.exchange.forget(NOW_S + 91 * DAY_S, 90)
    partner.exchange.close()
    files = list(partner.folder.glob(f"{FILE_NAME}*"))
    assert files
    assert not any(WHO in file.read_bytes() for file in files)


def test_too_much_too_often_and_without_a_clock_are_told_as_the_protocol_says(partner: Partner) -> None:
    with pytest.raises(HubTooLarge):
        partner.deliver(bytes(MAX_BODY_BYTES + 1))
    assert partner.post(envelope(1), nonce="").status_code == 400
    assert partner.post(envelope(1), nonce="00" * 33).status_code == 400
    partner.now_ms = None
    with pytest.raises(HubAway) as away:
        partner.deliver(envelope(1))
    assert away.value.retry_after_s == 60
    partner.now_ms = NOW_S * 1_000
    codes = [partner.post(envelope(1)).status_code for _ in range(60)]
    assert codes == [200] * 56 + [429] * 4
    partner.seconds = 1.0
    assert partner.post(envelope(1)).status_code == 200


def test_one_that_is_refused_does_not_hide_those_after_it(partner: Partner) -> None:
    outcome = partner.exchange.take(envelope(1, visit(THIRD)) + envelope(2) + b"\x82", NOW_S)
    assert [(told["index"], told["reason"]) for told in outcome.refused] == [(0, "foreign host"), (2, "malformed")]
    assert list(partner.exchange.envelopes()) == [envelope(2)]


def test_the_pace_remembers_a_bounded_number_of_addresses() -> None:
    pace = Pace(1, lambda: 0.0)
    assert [pace.wait_s("a"), pace.wait_s("a")] == [0.0, 60.0]
    for number in range(MAX_ADDRESSES):
        pace.wait_s(str(number))
    assert pace.wait_s("a") == 0.0


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200), at=st.integers(0, 500), flip=st.integers(1, 255))
def test_hostile_bytes_are_refused_and_nothing_is_kept(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, flip: int
) -> None:
    partner: Any = Partner(tmp_path_factory.mktemp("exchange"))
    bent = bytearray(envelope(1))
    bent[at % len(bent)] ^= flip
    for hostile in (data, bytes(bent)):
        outcome = partner.exchange.take(hostile, NOW_S)
        assert outcome.refused or not hostile
        assert not outcome.names
    assert not list(partner.exchange.envelopes())
    partner.exchange.close()
