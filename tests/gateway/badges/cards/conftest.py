"""Parts for tests of cards: a place that makes batches.

The same examples in every run, and no limit on time: a slow machine must not fail a correct parser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from balise_sim.nfc.pn532_tty import Pn532Tty
from gateway.badges.cards.series_bench import Scene

settings.register_profile(
    "steady cards", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady cards")


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[Pn532Tty]:
    with Pn532Tty(tmp_path / "reader", pace=0.0) as made:
        yield made


@pytest.fixture
def scene(tmp_path: Path, chip: Pn532Tty) -> Scene:
    return Scene(tmp_path, chip)
