"""`balise gateway`: what people type, as processes of their own, with real signals."""

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from balise_gateway import keys
from balise_gateway.log import LOGGER, event, line, tell
from balise_sim.processes import free_ports
from balise_tools.gateway import app
from gateway.support import KEY, NAME, PATIENCE_S, AirNode, program, toml

COMMAND = (sys.executable, "-c", "from balise_tools.gateway import app; app(prog_name='balise gateway')")


def balise(*words: str) -> Result:
    """A command that does not run the gateway: in this process."""
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    mqtt_port, page_port = free_ports(2)
    extra = f"[page]\nport = {page_port}"
    path.write_text(toml(tmp_path / "data", extra=extra).replace("port = 0", f"port = {mqtt_port}"), encoding="utf-8")
    return path


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*COMMAND, "run", "-c", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        heard = []
        for told in process.stderr:
            heard.append(told)
            if "ingest listens" in told:
                break
            assert "cannot listen" not in told, heard
        assert process.poll() is None, heard
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def send(config: Path, payload: bytes, topic: str) -> None:
    port = tomllib.loads(config.read_text(encoding="utf-8"))["ingest"][0]["port"]
    words = ["-h", "127.0.0.1", "-p", str(port), "-u", "air-01", "-P", "right", "-t", topic, "-q", "1", "-s"]
    subprocess.run([program("mosquitto_pub"), *words], input=payload, check=True, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_runs_and_stops_when_told(config: Path, number: signal.Signals) -> None:
    with running(config) as process:
        node = AirNode()
        send(config, node.hello(), node.up)
        send(config, node.row(1_544_313_600), node.up)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        told = process.stderr.read()
        assert "gateway stopped" in told
        for word in ("right", KEY.hex(), (config.parent / "data" / keys.FILE_NAME).read_bytes().hex()):
            assert word not in told
    status = json.loads(balise("status", "--json", "-c", str(config)).stdout)
    assert status["running"] is False
    assert [(node["name"], node["rows"]) for node in status["nodes"]] == [(NAME, 1)]


def test_a_kill_loses_nothing_that_was_acknowledged(config: Path) -> None:
    with running(config) as process:
        node = AirNode()
        send(config, node.hello(), node.up)  # returns with the PUBACK: after the commit
        send(config, node.row(1_544_313_600), node.up)
        process.kill()
    status = json.loads(balise("status", "--json", "-c", str(config)).stdout)
    assert status["nodes"][0]["rows"] == 1
    with running(config) as process:
        send(config, node.row(1_544_313_660), node.up)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_status_of_a_running_gateway(config: Path) -> None:
    with running(config) as process:
        node = AirNode()
        send(config, node.hello(), node.up)
        send(config, node.row(1_544_313_600), node.up)
        deadline = time.monotonic() + PATIENCE_S
        while not (document := json.loads(balise("status", "--json", "-c", str(config)).stdout)).get("running"):
            assert time.monotonic() < deadline
        assert document["ingests"][0]["state"] == "up"
        text = balise("status", "-c", str(config)).stdout
        assert re.search(r"gateway [0-9a-f]{16}: running", text)
        assert f"{NAME}: 1 rows; pm2_5 2.7 ug/m3" in text
        assert "journal: all is well" in text
        assert re.search(r"log 1 \(hub 1\): \d+ envelopes, \d+ to deliver, 0 parked", text)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_status_before_the_first_start(config: Path) -> None:
    done = balise("status", "-c", str(config))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "balise gateway run" in done.stderr


def test_key(config: Path) -> None:
    first, second = balise("key", "-c", str(config)), balise("key", "-c", str(config))
    assert first.stdout == second.stdout
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.stdout)
    assert first.stdout.strip() == keys.load(config.parent / "data").public_key.hex()


@pytest.mark.parametrize("command", ["run", "status", "key"])
def test_a_wrong_configuration(config: Path, command: str) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace("commit_s", "comit_s"), encoding="utf-8")
    done = balise(command, "-c", str(config))
    assert done.exit_code == 2
    assert "gateway.toml: gateway: unknown key 'comit_s'; did you mean 'commit_s'?" in done.stderr
    assert isinstance(done.exception, SystemExit)
    assert KEY.hex() not in done.stderr


def test_no_configuration(tmp_path: Path) -> None:
    done = balise("run", "-c", str(tmp_path / "none.toml"))
    assert done.exit_code == 2
    assert "none.toml: cannot be read" in done.stderr


def test_a_key_that_others_can_read(config: Path) -> None:
    balise("key", "-c", str(config))
    os.chmod(config.parent / "data" / keys.FILE_NAME, 0o644)
    words = (*COMMAND, "run", "-c", str(config))  # as a process: it becomes the gateway's
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "chmod 600" in done.stderr


def test_events_are_one_line_each() -> None:
    assert line("it happened", {"why": "a\nb", "n": 3, "text": 'two "words"', "empty": ""}) == (
        'it happened why=a\\nb n=3 text="two \'words\'" empty=""'
    )


def test_events_as_json_lines() -> None:
    stream = io.StringIO()
    tell(stream, "json")
    try:
        event("it happened", level=logging.ERROR, n=3, why='a "b"\nc', kid=Path("x"))
    finally:
        logger = logging.getLogger(LOGGER)
        logger.removeHandler(logger.handlers[-1])
    (told,) = stream.getvalue().splitlines()
    assert json.loads(told) == {"level": "error", "event": "it happened", "n": 3, "why": 'a "b"\nc', "kid": "x"}


def test_a_gateway_that_tells_json_tells_nothing_else(config: Path) -> None:
    words = [*COMMAND, "run", "-c", str(config), "--log", "json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        names = []
        while "ingest listens" not in names:
            names.append(json.loads(process.stderr.readline())["event"])
        process.terminate()
        names += [json.loads(told)["event"] for told in process.stderr]
        assert process.wait(PATIENCE_S) == 0
    assert (names[0], names[-1]) == ("gateway starts", "gateway stopped")
