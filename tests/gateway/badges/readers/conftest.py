"""Benches whose emulated chips end with their test."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.badges.readers.card_benches import Pn532Bench


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Pn532Bench]]:
    """Makes the bench of a PN532, with keys of its reader's settings."""
    with contextlib.ExitStack() as stack:

        def made(**options: object) -> Pn532Bench:
            bench = Pn532Bench(tmp_path, **options)
            stack.callback(bench.close)
            return bench

        yield made
