"""What only Fedow does: the place's signature, wallets by member, and why a usage is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.connectors import fedow
from balise_gateway.errors import ConnectorError
from contracts.connector_ends import MEMBER, NOBODY, secret, usage
from contracts.connector_ends.fedow import ASSET, WALLETS, End, pem
from gateway.support import played


@pytest.fixture
def there(tmp_path: Path) -> End:
    return End(tmp_path)


def balance(there: End, member: str = MEMBER, **settings: Any) -> int | None:
    found: list[int | None] = []

    async def scene() -> None:
        connector = there.connector(**settings)
        told = await connector.balance(member)
        found.append(None if told is None else told.half_days)
        await connector.close()

    played(scene)
    return found[0]


def test_a_usage_is_refused_with_the_reason_and_where_it_is_kept(there: End) -> None:
    async def scene() -> None:
        refused = await there.connector().record([usage(1), usage(2)])
        assert set(refused) == {usage(1).key, usage(2).key}
        for reason in refused.values():
            assert reason.partition(":")[0] == "not for late visits"
            assert "journal" in reason

    played(scene)
    assert there.requests == 0


@pytest.mark.parametrize("nested", [True, False])
def test_the_asset_of_the_configuration_is_read_and_no_other(there: End, nested: bool) -> None:
    there.nested = nested
    assert balance(there) is None, "a wallet with euros alone"
    there.credit(MEMBER, 3)
    assert balance(there) == 3


def test_a_part_of_a_half_day_is_rounded_down(there: End) -> None:
    there.values[WALLETS[MEMBER]][ASSET] = 1_199
    assert balance(there) == 2


def test_a_member_id_may_be_the_wallets_uuid(there: End) -> None:
    there.credit(MEMBER, 5)
    assert balance(there, WALLETS[MEMBER], wallets={}) == 5


def test_of_a_member_without_wallet_nothing_is_asked(there: End) -> None:
    assert balance(there, NOBODY) is None
    assert there.requests == 0


def test_a_wallet_that_fedow_does_not_know_is_its_500_and_for_later(there: End) -> None:
    with pytest.raises(ConnectorError) as caught:
        balance(there, "c5e3f2d0-4d90-4e77-9f2e-3a4b5c6d7e8f")
    assert caught.value.retry


def test_another_key_of_the_place_is_not_accepted(there: End, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.mkdir()
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(ConnectorError, match="not accepted") as caught:
        balance(there, place_key_file=secret(path, pem(other)))
    assert not caught.value.retry


@pytest.mark.parametrize(
    ("text", "says"), [("no key", "no RSA private key"), (pem(ec.generate_private_key(ec.SECP256R1())), "not RSA")]
)
def test_a_key_that_is_none_says_so_and_not_what_stands_there(there: End, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "other"
    path.mkdir()
    with pytest.raises(ConnectorError, match=says) as caught:
        balance(there, place_key_file=secret(path, text))
    assert text.splitlines()[-1] not in str(caught.value)
    assert there.requests == 0


def test_a_key_that_others_can_read_is_refused(there: End, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.mkdir()
    with pytest.raises(ConnectorError, match="chmod 600"):
        balance(there, place_key_file=secret(path, "x", 0o644))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"asset": "hours"}, "'hours' is no UUID"),
        ({"wallets": {"ada": "x"}}, "'x' is no UUID"),
        ({"per_half_day": 0.0}, "per_half_day"),
        ({"url": "http://fedow.example"}, "https://"),
    ],
)
def test_settings_that_do_not_fit_say_which(keys: dict[str, Any], says: str) -> None:
    words: dict[str, Any] = {"kind": "fedow", "url": "https://fedow.example", "secret_file": Path("/x")}
    words |= {"place_key_file": Path("/y"), "asset": ASSET, "per_half_day": 400.0}
    assert fedow.Settings(**words).problem() is None
    assert says in str(fedow.Settings(**(words | keys)).problem())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ASSET),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["tokens", "asset", "value", "uuid", "asset_uuid"]), inner)
    ),
    max_leaves=12,
)
WALLET = st.fixed_dictionaries(
    {"tokens": st.lists(st.fixed_dictionaries({"asset_uuid": st.just(ASSET), "value": JSON}))}
)


@given(JSON | WALLET)
def test_no_answer_breaks_the_reading_of_wallets(told: Any) -> None:
    value = fedow.value_in(json.loads(json.dumps(told)), ASSET)
    assert value is None or abs(value) < 1e15
