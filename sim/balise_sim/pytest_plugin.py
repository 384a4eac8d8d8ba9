"""Fixtures for tests of other people's firmware, hubs and tools; pytest finds them where Balise is installed.

    def test_it_measures(board, world):             # a board on virtual time: an hour takes a moment
        node = board("esp32+bme280", main="import machine; print(machine.I2C(0).scan())")
        world.loop.run_until_complete(world.run_for(3600))
        assert node.console.text() == "[118]"

    def test_a_street_comes_home(street):           # nodes, gateway and hub, with what goes wrong
        assert street("pair").play().ok

    def test_it_says_so(board, world, fault):       # what goes wrong on a board, and is over again
        node = board("air-esp32", main=...)
        with fault(node, "sds011.silence"):
            world.loop.run_until_complete(world.run_for(60))

    def test_my_gateway(hub):                       # a hub that verifies, on a port of this machine
        hub.enrol(public_key)
        httpx.post(hub.url + "/v1/batches", content=envelopes, headers={"Balise-Nonce": "01"})
        assert hub.envelopes()

Promises: the same seed (`--sim-seed`) gives the same run of world, board and street; nothing is left running. Each
fixture may be overridden by one of the same name. Leaves to others: everything behind the fixtures, imported when used.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from balise_sim.hub_thread import LocalHub
    from balise_sim.node import Node
    from balise_sim.street import Street
    from balise_sim.world import World

START_UTC_MS = 1_544_313_600_000  # 2018-12-09T00:00:00Z, inside the recorded air


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed of everything that is left to chance."""
    parser.getgroup("balise").addoption("--sim-seed", default=1, type=int, help="seed of simulated worlds (1)")


@pytest.fixture
def world(request: pytest.FixtureRequest) -> "Iterator[World]":
    """A balise_sim.world.World on virtual time; `world.loop.run_until_complete(world.run_for(s))` lets time pass."""
    from balise_sim.clocks import VirtualLoop
    from balise_sim.world import World

    loop = VirtualLoop()
    with World(loop, START_UTC_MS, seed=request.config.getoption("sim_seed")) as world:
        yield world
    loop.close()


@pytest.fixture
def board(world: "World", tmp_path: Path) -> "Callable[..., Node]":
    """`board(kit, main="", name="board")`: a powered balise_sim.node.Node in the `world`.

    `kit` is a kit's name or such as "esp32+bme280"; `main` is the text of main.py, and `tmp_path / name` the board's
    file system, with our packages in /lib. `node.console` has what it printed, `node.bench.devices` its sensors.
    """
    from balise_sim.desk import put_on
    from balise_sim.kits import kit as kit_of

    def make(kit: str, main: str = "", name: str = "board") -> "Node":
        return put_on(world, kit_of(kit), tmp_path / name, main, name)

    return make


@pytest.fixture
def fault() -> "Callable[[Node, str], contextlib.AbstractContextManager[None]]":
    """`with fault(node, "sds011.silence"):` a part of the node is out of order until the end of the block.

    Names are those of scenario files: a sensor, a bus (`i2c0.nack_data`) or the flash (`flash.full`).
    """
    from balise_sim.home_faults import switch

    @contextlib.contextmanager
    def make(node: "Node", what: str) -> Iterator[None]:
        switch(node, what, on=True)
        try:
            yield
        finally:
            switch(node, what, on=False)

    return make


@pytest.fixture
def street(tmp_path: Path, request: pytest.FixtureRequest) -> "Callable[[str], Street]":
    """`street(scenario)`: a balise_sim.street.Street, not yet played; `.play()` gives its verdict.

    `scenario` is a bundled name, or the path of a file that ends in .toml.
    """
    from balise_sim.scenario import find
    from balise_sim.street import Street

    seed = request.config.getoption("sim_seed")

    def make(scenario: Any) -> "Street":
        return Street(find(str(scenario)), tmp_path / "street", seed)

    return make


@pytest.fixture
def hub(tmp_path: Path) -> "Iterator[LocalHub]":
    """A balise_sim.hub_thread.LocalHub: the reference hub on a port of this machine, on real time."""
    from balise_sim.hub_thread import LocalHub

    with LocalHub(tmp_path / "hub.sqlite") as hub:
        yield hub
