"""`balise badge visits`: what this gateway saw and what partners delivered, in one file that others can verify."""

from pathlib import Path

from typer.testing import CliRunner

from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.grants.rules import Home
from balise_gateway.journal import Journal
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import logs
from balise_gateway.logbook.closing import Closer
from balise_gateway.operation import rotation
from balise_tools.badge import app
from balise_wire.envelope import split_sequence, verify_envelope
from balise_wire.items import Item, Loss, Visit
from balise_wire.visits import MappingRecord
from gateway.badges.federation.places import GATEWAYS, HOME, HOST, NOW_S, THIRD, cache
from gateway.badges.federation.test_exchange import DAY_S, WHO, envelope, visit
from gateway.badges.federation.test_federation_cli import config
from gateway.support import FakeClock

OTHER_MONTH_S = NOW_S + 40 * DAY_S


def journal(folder: Path, *items: Item) -> None:
    """A gateway of HOME that has said these, each in an envelope of its own."""
    clock = FakeClock()
    made = Journal(folder, "balise/test")
    made.open()
    closer = Closer(made, GATEWAYS[HOME], clock, {HOME_LOG: Home()})
    with made.transaction() as db:
        logs.ensure(db, [HOME_LOG])
    for item in items:
        with made.transaction() as db:
            logs.say(db, [item])
        while closer.close(HOME_LOG, "array"):
            pass
    made.close()


def printed(*words: str, folder: Path) -> tuple[int, list[tuple[str, int]]]:
    """(host, tap) of each visit that the command prints, all of them verified."""
    found = CliRunner().invoke(app, ["visits", *words, "-c", str(folder / "gateway.toml")])
    keys = {signer.kid: signer.public_key for signer in GATEWAYS.values()}
    if found.exit_code:
        return found.exit_code, []
    opened = [verify_envelope(part, keys) for part in split_sequence(found.stdout_bytes)]
    items = [item for each in opened for item in each.items if isinstance(item, Visit)]
    return 0, [(str(item.map["host"]), int(str(item.map["tap"]))) for item in items]


def test_own_visits_and_those_of_partners_come_in_one_sequence(tmp_path: Path) -> None:
    config(tmp_path)
    mapping = MappingRecord(HOME, HOST, WHO, bytes(16)).item()
    told = (visit(HOME, 1), Loss("x", "envelope", 1, 2, "disk"), visit(HOME, 2, OTHER_MONTH_S), mapping)
    journal(tmp_path / "data", *told)
    table = cache(tmp_path)
    partners = Exchange(tmp_path / "data", lambda: table.table)
    partners.take(envelope(1) + envelope(2, visit(THIRD, 9), signer=GATEWAYS[THIRD]), NOW_S)
    partners.close()
    everything = [(HOME, 1), (HOME, 2), (HOST, 1), (THIRD, 9)]
    code, found = printed(folder=tmp_path)
    assert (code, sorted(found)) == (0, everything)
    assert printed("--host", HOST, folder=tmp_path) == (0, [(HOST, 1)])
    assert (HOME, 2) not in printed("--period", "2026-05", folder=tmp_path)[1]
    assert printed("--period", "2026-07", folder=tmp_path) == (0, [(HOME, 2)])
    assert printed("--period", "July", folder=tmp_path)[0] == 2


def test_visits_that_an_earlier_key_of_this_gateway_signed_are_among_them(tmp_path: Path) -> None:
    config(tmp_path)
    journal(tmp_path / "data", visit(HOME, 1))
    key = tmp_path / "data" / "signing.key"
    key.write_bytes(bytes([30]) * 32)  # that of HOME, as in places.py
    key.chmod(0o600)
    rotation.rotate(tmp_path / "data", bytes([99]) * 32, NOW_S * 1_000)
    assert printed(folder=tmp_path) == (0, [(HOME, 1)])


def test_a_visit_of_just_now_is_not_signed_yet_and_that_is_said(tmp_path: Path) -> None:
    config(tmp_path)
    journal(tmp_path / "data", visit(HOME, 1))
    words = ["visits", "-c", str(tmp_path / "gateway.toml")]
    before = CliRunner().invoke(app, words)
    assert before.stderr == "1 envelope of visits\n"
    made = Journal(tmp_path / "data", "balise/test")
    made.open()
    with made.transaction() as db:
        logs.say(db, [visit(HOME, 2), visit(HOME, 3)])
    made.close()
    after = CliRunner().invoke(app, words)
    assert after.stdout_bytes == before.stdout_bytes
    told = after.stderr.splitlines()[1]
    assert told.startswith("visits of here that are not signed yet, and not in it: 2; ")
    assert "within 3600 s (home_batch_s)" in told


def test_a_gateway_that_has_seen_nobody_prints_nothing(tmp_path: Path) -> None:
    config(tmp_path)
    assert printed(folder=tmp_path) == (0, [])
