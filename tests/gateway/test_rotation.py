"""A new signing key: nothing is lost or doubled, both keys vouch for each other, and a power cut leaves one of them."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway import keys
from balise_gateway.config import parse
from balise_gateway.errors import JournalUnavailable
from balise_gateway.journal import open_to_read, tables
from balise_gateway.operation import rotation
from balise_sim.hub import Hub
from balise_tools.gateway import app
from balise_wire.envelope import Envelope, Signer, verify_envelope
from balise_wire.items import Manifest, Source
from gateway.support import HUB_SIGNER, AirNode, played, toml, until, utc_rows
from gateway.test_daemon import T0, Sender, Station, station

SEED = bytes(range(32))
NEW = Signer(SEED)


async def sent(made: Station, node: AirNode, first: int, hello: bool = False) -> None:
    """Ten rows, acknowledged."""
    sender = Sender(node)
    if hello:
        sender.keep(node.hello())
    for number in range(first, first + 10):
        sender.keep(node.row(T0 + 60 * number))
    await sender.run(made)


def enrol(made: Station) -> None:
    """The hub is given the new key beside the old one."""
    known = {each.kid: each.public_key for each in (made.signer, NEW)}
    made.hub = Hub(made.store, HUB_SIGNER, known, made.clock.utc_ms, made.behaviour)


def envelopes(made: Station, signer: Signer, log: int = 1) -> list[Envelope]:
    found = made.store.envelopes(signer.kid, log)
    return [verify_envelope(cose, {signer.kid: signer.public_key}) for _, cose in found]


def sources(envelope: Envelope) -> list[dict[object, object]]:
    return [item.map for item in envelope.items if isinstance(item, Source)]


def test_what_was_not_delivered_goes_out_under_the_old_key(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            node = AirNode()
            made.behaviour.mode = "refuse"
            await sent(made, node, 0, hello=True)
            await until(lambda: made.gateway and made.gateway.status()["logs"][1]["pending_rows"] == 0)  # type: ignore[index]
            await made.clean_stop()
            rotation.rotate(tmp_path, SEED, T0 * 1000)
            enrol(made)
            made.behaviour.mode = "ok"
            await made.start()
            await sent(made, node, 10)
            await until(lambda: len(envelopes(made, NEW)) > 0 and len(envelopes(made, made.signer)) > 1)
            await until(lambda: made.store.held(NEW.kid, 1)[0] > 1)
            assert made.store.conflicts() == 0
            assert made.gateway is not None
            told = {"kid": made.signer.kid.hex(), "error": None, "lag_envelopes": {"1": 0}}
            await until(lambda: made.gateway and made.gateway.status()["earlier_keys"] == [told])
            old, new = envelopes(made, made.signer), envelopes(made, NEW)
            assert [each.seq for each in old] == list(range(1, len(old) + 1))
            assert sources(old[-1]) == [{"next_key": NEW.public_key}]
            assert sources(new[0]) == [{"after": [made.signer.kid, 1, len(old)]}]
            await until(lambda: len(envelopes(made, NEW)) > 1)
            assert sources(envelopes(made, NEW)[1])[0]["grant"] == "1"  # told again
            assert new[0].seq == 1
            assert keys.load(tmp_path).kid == NEW.kid
            assert not (tmp_path / rotation.RETIRED / made.signer.kid.hex() / keys.FILE_NAME).exists()

    played(scene)


def test_nothing_is_lost_or_doubled_over_three_keys(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            node, signers = AirNode(), [made.signer]
            for number in range(3):
                made.behaviour.mode = ("refuse", "forget", "ok")[number]
                await sent(made, node, 10 * number, hello=number == 0)
                await made.clean_stop()
                signers.append(rotation.rotate(tmp_path, bytes([number + 1]) * 32, None))
                known = {each.kid: each.public_key for each in signers}
                made.hub = Hub(made.store, HUB_SIGNER, known, made.clock.utc_ms, made.behaviour)
                await made.start()
            made.behaviour.mode = "ok"
            await sent(made, node, 30)
            await until(lambda: len(rows(made, signers)) == 40)
            assert sorted(rows(made, signers)) == [T0 + 60 * number for number in range(40)]
            assert made.store.conflicts() == 0
            for signer in signers:
                assert made.store.held(signer.kid, 1)[1] == []

    played(scene)


def test_what_an_old_key_signed_does_not_leave_under_a_narrower_grant(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            made.behaviour.mode = "refuse"
            await sent(made, AirNode(), 0, hello=True)
            await until(lambda: made.gateway and made.gateway.status()["logs"][1]["rows"] == 10)  # type: ignore[index]
            await made.clean_stop()
            rotation.rotate(tmp_path, SEED, None)
            enrol(made)
            await made.start()
            narrower = toml(tmp_path).replace('channels = ["*"]', 'channels = ["pm10"]')
            assert made.gateway is not None
            assert await made.gateway.reload(parse(narrower, tmp_path / "gateway.toml")) == ["grant for log 1: changed"]
            made.behaviour.mode = "ok"
            await sent(made, AirNode(boot=2), 10, hello=True)
            await until(lambda: len(rows(made, [NEW])) == 10)
            assert rows(made, [made.signer]) == []
            told = [item for each in envelopes(made, NEW) for item in each.items if isinstance(item, Manifest)]
            assert [[channel["n"] for channel in item.map["channels"]] for item in told] == [["pm10"]]

    played(scene)


def rows(made: Station, signers: list[Signer]) -> list[int]:
    return [tick for signer in signers for _, tick, _ in utc_rows(envelopes(made, signer))]


class Cut(Exception):
    """The power is cut here."""


@pytest.mark.parametrize("step", range(6))
def test_a_power_cut_leaves_one_key_or_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Cut before each exchange of names, then started again: journal and key belong together."""

    async def scene() -> None:
        async with station(tmp_path, hubs=0) as made:
            await sent(made, AirNode(), 0, hello=True)
            await made.clean_stop()

    played(scene)
    old, done, replace = keys.load(tmp_path), 0, os.replace

    def cut_off(source: Path, target: Path) -> None:
        nonlocal done
        if done == step:
            raise Cut
        done += 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", cut_off)
    try:
        rotation.rotate(tmp_path, SEED, None)
    except Cut:
        pass
    monkeypatch.undo()
    rotation.finish_interrupted(tmp_path)  # as the next start does
    signer = keys.load(tmp_path)
    assert signer.kid in (old.kid, NEW.kid)
    assert (signer.kid == old.kid) == (step == 0)
    for _, _, _, _, _, cose in tables.ENVELOPE.read(open_to_read(tmp_path)):
        verify_envelope(cose, {signer.kid: signer.public_key})
    if step == 0:  # and it may be tried again
        assert rotation.rotate(tmp_path, bytes(32), None).kid == NEW.kid


def test_a_gateway_that_runs_keeps_its_key(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            with pytest.raises(JournalUnavailable, match="another gateway uses this folder"):
                rotation.rotate(tmp_path, SEED, None)
            assert keys.load(tmp_path).kid == made.signer.kid

    played(scene)


def test_the_command(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(toml(tmp_path / "data"), encoding="utf-8")
    first = CliRunner().invoke(app, ["key", "-c", str(config)]).output.strip()
    done = CliRunner().invoke(app, ["key", "rotate", "-c", str(config)])
    assert done.exit_code == 0, done.output
    second = CliRunner().invoke(app, ["key", "-c", str(config)]).output.strip()
    assert f"new public key: {second}" in done.output
    assert first != second
