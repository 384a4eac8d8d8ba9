"""A new configuration while the gateway runs: what changed begins anew, everything else goes on, nothing is lost."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from balise_gateway.config import Config, parse
from balise_gateway.errors import ConfigError, JournalUnavailable
from balise_gateway.operation.changes import changes
from balise_sim.processes import free_ports
from gateway.support import KEY, NAME, PATIENCE_S, AirNode, config_in, played, toml, until
from gateway.test_daemon import T0, Sender, Station, station

OTHER = bytes(range(1, 17))
OTHER_NODE = f'[[node]]\nname = "urn:dev:ops:b4115e-air-02"\nkey = "{OTHER.hex()}"\n'


def changed(made: Station, **options: object) -> Config:
    return config_in(made.folder, **{**made.options, **options})


async def reload(made: Station, config: Config) -> list[str]:
    assert made.gateway is not None
    return await made.gateway.reload(config)


def test_a_node_is_added_while_another_sends(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made, made.client() as open_all_the_time:
            first = Sender(AirNode())
            first.keep(first.node.hello())
            for number in range(30):
                first.keep(first.node.row(T0 + 60 * number))
            sending = asyncio.create_task(first.run(made))
            assert await reload(made, changed(made, extra=OTHER_NODE)) == ["node urn:dev:ops:b4115e-air-02: added"]
            second = Sender(AirNode(OTHER, "urn:dev:ops:b4115e-air-02"))
            second.keep(second.node.hello())
            second.keep(second.node.row(T0 + 30))
            await second.run(made)
            await sending
            await until(lambda: len(made.rows_at_hub()) == 31)
            assert made.rows_at_hub() == Counter({T0 + 30: 1} | {T0 + 60 * number: 1 for number in range(30)})
            await open_all_the_time.publish(
                first.node.up, first.node.row(T0 + 9_000), qos=1
            )  # still the same connection
            await until(lambda: made.rows_at_hub()[T0 + 9_000] == 1)

    played(scene)


def test_many_changes_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            sender = Sender(AirNode())
            sender.keep(sender.node.hello())
            for number in range(150):
                sender.keep(sender.node.row(T0 + 60 * number))
            sending = asyncio.create_task(sender.run(made))
            for number in range(12):
                await reload(made, changed(made, extra=OTHER_NODE if number % 2 else "", home_batch_s=0.2 + number))
                await asyncio.sleep(0.02)
            await sending
            await until(lambda: len(made.rows_at_hub()) == 150)
            assert set(made.rows_at_hub().values()) == {1}
            assert made.store.conflicts() == 0

    played(scene)


def test_only_what_changed_begins_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path, hubs=2) as made:
            assert made.gateway is not None
            gateway, parts = made.gateway, made.gateway._parts
            assert parts is not None
            ingest, first = gateway.ingests[0], parts.uplinks[0]
            config = changed(made, hubs=2)
            second = replace(config.hubs[1], batch_s=7.0)
            assert await reload(made, replace(config, hubs=(config.hubs[0], second))) == ["hub hub 2: changed"]
            assert gateway._parts is not None
            assert gateway.ingests[0] is ingest
            assert gateway._parts.uplinks[0] is first
            assert gateway._parts.uplinks[1] is not parts.uplinks[1]
            assert await reload(made, replace(config, hubs=config.hubs[:1], grants={})) == [
                "hub hub 2: removed",
                "grant for log 1: removed",
                "grant for log 2: removed",
            ]
            assert [uplink.settings.name for uplink in gateway._parts.uplinks] == ["hub 1"]
            assert gateway._parts.uplinks[0] is not first  # it obeyed a grant that is no more

    played(scene)


def test_what_cannot_be_taken_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            assert made.gateway is not None
            before = made.gateway._parts
            elsewhere = parse(toml(tmp_path / "elsewhere"), tmp_path / "gateway.toml")
            with pytest.raises(ConfigError, match="data_dir cannot change"):
                await reload(made, elsewhere)
            assert before is not None
            before.journal.db.execute("PRAGMA query_only = ON")  # as a card that has become read-only
            with pytest.raises(JournalUnavailable, match="read-only"):
                await reload(made, changed(made, extra=OTHER_NODE))
            assert made.gateway._parts is before
            before.journal.db.execute("PRAGMA query_only = OFF")
            assert len(await reload(made, changed(made, extra=OTHER_NODE))) == 1

    played(scene)


def test_changes_are_told_without_values(tmp_path: Path) -> None:
    old = config_in(tmp_path)
    new = parse(toml(tmp_path).replace("right", "wrong").replace(KEY.hex(), OTHER.hex()), tmp_path / "gateway.toml")
    assert changes(old, old) == []
    assert changes(old, new) == ["ingest 1: changed", f"node {NAME}: changed"]


def until_told(ear: socket.socket, wanted: str) -> list[str]:
    """What systemd hears, up to the message in which this stands."""
    heard = [""]
    while wanted not in heard[-1]:
        heard.append(ear.recv(1000).decode())
    return heard


def test_a_real_process_takes_a_new_file_and_leaves_a_bad_one(tmp_path: Path) -> None:
    config, (port,) = tmp_path / "gateway.toml", free_ports(1)
    text = toml(tmp_path / "data", extra=f"[page]\nport = {port}")
    config.write_text(text, encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(PATIENCE_S)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        words = [sys.executable, "-m", "balise_gateway", str(config)]
        with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as process:
            until_told(ear, "READY=1")
            for spoilt, wanted in (
                (
                    text.replace("commit_s", "comit_s"),
                    "the old configuration stays: gateway.toml: gateway: unknown key",
                ),
                (text.replace(f"port = {port}", 'host = "127.0.0.2"\nport = 28081'), "read again: page: changed"),
                (text, "read again: page: changed"),
            ):
                config.write_text(spoilt, encoding="utf-8")
                process.send_signal(signal.SIGHUP)
                heard = until_told(ear, wanted)
                assert "RELOADING=1" in heard
                assert heard[-1].startswith("READY=1\n")
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
