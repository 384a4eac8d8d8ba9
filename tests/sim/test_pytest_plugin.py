"""The fixtures that others get for their tests: a small project of theirs, run by a pytest of its own."""

import pytest

pytest_plugins = ["pytester"]

THEIR_TESTS = '''
import httpx
import pytest

from balise_wire.cose import kid_of
from balise_wire.envelope import Signer, sign_envelope, verify_answer
from balise_wire.items import Loss

FIRMWARE = """
import machine, time
i2c = machine.I2C(0, scl=machine.Pin(18), sda=machine.Pin(19))
print(i2c.scan(), time.ticks_ms())
time.sleep(3600)
print(time.ticks_ms())
"""


def test_a_board(board, world):
    node = board("esp32+bme280", main=FIRMWARE)
    world.loop.run_until_complete(world.run_for(4000))
    first, second = node.console.text().splitlines()
    assert first.startswith("[118] 35")
    assert int(second) - int(first.split()[-1]) >= 3600_000
    assert set(node.bench.devices) == {"bme280"}


def test_two_boards_share_a_world(board, world):
    nodes = [board("air-pico", main=f"print({number})", name=f"node-{number}") for number in range(2)]
    world.loop.run_until_complete(world.run_for(1))
    assert [node.console.text() for node in nodes] == ["0", "1"]


WATCH = """
import machine, time
i2c = machine.I2C(0, scl=machine.Pin(18), sda=machine.Pin(19))
while True:
    print(i2c.scan())
    time.sleep(10)
"""


def test_a_fault(board, world, fault):
    node = board("esp32+bme280", main=WATCH)
    world.loop.run_until_complete(world.run_for(15))
    with fault(node, "bme280.nack"):
        world.loop.run_until_complete(world.run_for(10))
    world.loop.run_until_complete(world.run_for(10))
    assert node.console.text().splitlines() == ["[118]", "[118]", "[]", "[118]"]
    for wrong in ("bme280.rain", "sds011.silence", "flash.gone", "i2c0.gone", "uart2"):
        with pytest.raises(ValueError, match="it has"), fault(node, wrong):
            pass


def test_a_street(street, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        """
start_utc = "2018-12-09T00:00:00Z"
hours = 0.5
drain_min = 60
period_s = 60
batch_s = 600
homes = 1
[[event]]
at_min = 5
for_min = 10
what = "cable"
"""
    )
    verdict = street(mine).play()
    assert verdict.ok
    assert verdict.produced >= 28


def test_a_hub(hub):
    gateway = Signer(b"g" * 32)
    kid = hub.enrol(gateway.public_key)
    envelope = sign_envelope(gateway, 1, 1, [Loss("urn:dev:ops:b4115e-air-01", "rows", 1, 2, "test").pack()])
    url = hub.url + "/v1/batches"
    hub.behaviour.mode = "refuse"
    assert httpx.post(url, content=envelope, headers={"Balise-Nonce": "01"}).status_code == 503
    hub.behaviour.mode = "ok"
    answer = httpx.post(url, content=envelope, headers={"Balise-Nonce": "01"})
    assert verify_answer(answer.content, {kid_of(hub.public_key): hub.public_key}).next == 2
    assert [(found.kid, found.log, found.seq) for found in hub.envelopes()] == [(kid, 1, 1)]

'''


def test_others_get_a_world_a_board_a_street_and_a_hub(pytester: pytest.Pytester) -> None:
    """Found by the package's entry point: their project names nothing of ours."""
    pytester.makepyfile(THEIR_TESTS)
    done = pytester.runpytest_subprocess("-p", "no:pytest_embedded", "--sim-seed", "3")
    done.assert_outcomes(passed=5)


def test_each_fixture_says_what_it_is(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_subprocess("-p", "no:pytest_embedded", "--fixtures").stdout.str()
    for name in ("world", "board", "fault", "street", "hub"):
        assert f"\n{name} --" in shown
