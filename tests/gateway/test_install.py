"""The gateway as a service: the unit's exposure, the steps of an installation, and what systemd hears."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway.config import load
from balise_gateway.operation import unit
from balise_gateway.operation.notify import Notify
from balise_tools.gateway import app
from gateway.support import played, toml

EXPOSURE = 20  # tenths


def run(*words: str) -> str:
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == 0, found.output
    return found.output


def test_the_unit_is_exposed_no_more_than_it_must_be(tmp_path: Path) -> None:
    """By systemd's own judgement; without that program this fails: `set-up programs` installs it."""
    file = tmp_path / unit.NAME
    file.write_text(unit.text("/usr/bin/python3"), encoding="utf-8")
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
    naive = tmp_path / "naive.service"
    naive.write_text("[Service]\nExecStart=/usr/bin/python3\nUser=pi\n", encoding="utf-8")
    assert subprocess.run([*words[:-1], str(naive)], capture_output=True, check=False).returncode == 1


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    file = tmp_path / unit.NAME
    file.write_text(unit.text(sys.executable), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if unit.NAME in line and "is not executable" not in line]
    assert ours == []


def test_the_unit_lets_the_clock_be_read() -> None:
    """ProtectClock= forbids adjtimex(2) also to those who only read: no time would ever be believed."""
    lines = unit.text(sys.executable).splitlines()
    assert not any(line.startswith("ProtectClock=") for line in lines)
    denied = lines.index("SystemCallFilter=~@privileged @resources")
    assert "adjtimex" in lines[denied + 2]  # what comes later wins


def test_an_installation_says_its_steps_and_overwrites_nothing(tmp_path: Path) -> None:
    root = ["--root", str(tmp_path)]
    planned = run("install", "--dry-run", *root)
    assert "would write a first configuration, /etc/balise/gateway.toml" in planned
    assert list(tmp_path.iterdir()) == []
    run("install", *root)
    config = tmp_path / "etc/balise/gateway.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    (listener,) = load(config).ingests
    assert len(listener.users["node"]) >= 16
    before = config.read_text(encoding="utf-8")
    assert "write" not in run("install", *root)
    assert config.read_text(encoding="utf-8") == before
    run("uninstall", *root)
    assert not (tmp_path / "etc/systemd/system" / unit.NAME).exists()
    assert config.exists()


def test_two_machines_get_two_passwords(tmp_path: Path) -> None:
    found = set()
    for name in ("a", "b"):
        run("install", "--root", str(tmp_path / name))
        found.add((tmp_path / name / "etc/balise/gateway.toml").read_text(encoding="utf-8"))
    assert len(found) == 2


def test_systemd_hears_ready_watchdog_and_stopping_from_a_real_process(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(toml(tmp_path), encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(20)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        process = subprocess.Popen([sys.executable, "-m", "balise_gateway", str(config)], env=environment)
        try:
            heard = [ear.recv(200).decode() for _ in range(4)]
            assert any(text.startswith("READY=1\nSTATUS=") for text in heard)
            assert "WATCHDOG=1" in heard
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.append(ear.recv(200).decode())
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_a_gateway_that_is_not_well_feeds_no_watchdog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000"})
        health = [True, False]

        async def scene() -> None:
            looks = 0

            def is_well() -> bool:
                nonlocal looks
                looks += 1
                return health[0] if looks == 1 else health[1]

            watch = asyncio.create_task(notify.keep_watch(is_well))
            while looks < 5:
                await asyncio.sleep(0)
            watch.cancel()

        played(scene)
        assert ear.recv(200) == b"WATCHDOG=1"
        with pytest.raises(BlockingIOError):
            ear.recv(200)


def test_without_systemd_nothing_is_said() -> None:
    notify = Notify({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    notify.say("READY=1")
    assert notify.watchdog_s is None
