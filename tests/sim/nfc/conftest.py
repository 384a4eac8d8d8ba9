"""A PN532 on a pseudo-terminal, at once, and nfcpy 1.0.4 on it as it comes from its authors."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import nfc
import nfc.clf.pn532
import nfc.clf.transport
import pytest

from balise_sim.nfc.pn532_tty import Pn532Tty


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Pn532Tty]:
    with Pn532Tty(tmp_path / "reader", pace=0) as reader:
        yield reader


Frontend = Callable[[], "contextlib.AbstractContextManager[nfc.ContactlessFrontend]"]


@pytest.fixture
def nfcpy(reader: Pn532Tty) -> Frontend:
    """Opens the reader as nfcpy does when it is given a path that its own grammar has no words for."""

    @contextlib.contextmanager
    def opened() -> Iterator[nfc.ContactlessFrontend]:
        frontend = nfc.ContactlessFrontend()
        frontend.device = nfc.clf.pn532.init(nfc.clf.transport.TTY(str(reader.path)))
        frontend.device._path = str(reader.path)
        with frontend:
            yield frontend

    return opened
