"""A place changes its key while it runs: partners take its lists and its answers, and its cards go on being good."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway import backup
from balise_gateway.badges.cards import keys, new_key
from balise_gateway.badges.cards.keys import CHANGE_FILE, NEXT_KEY, PLACE_KEY
from balise_gateway.badges.federation.table_toml import places_of
from balise_gateway.badges.register import Register
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import BackupError
from balise_tools.badge import app
from balise_wire import card
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from balise_wire.places import Table, sign_table
from gateway.badges.places import FEDERATION, PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
DAY_S = 86_400
UIDS = {name: bytes.fromhex("04a1b2c3d4e5") + bytes([n]) for n, name in enumerate(("old", "new", "other"))}


class Town:
    """A home that changes its key, and a host with a copy of everything."""

    def __init__(self, made: dict[str, PlaceAt]) -> None:
        self.here, self.there = made.values()
        self.number = 1

    @property
    def today(self) -> int:
        return self.here.clock.utc_ms() // 1000 // DAY_S

    def begin(self, *, leaked: bool) -> new_key.Told:
        new_key.begin(self.here.folder, leaked=leaked)
        return new_key.told(self.here.folder, self.today)

    def publish(self, told: new_key.Told, *to: PlaceAt) -> None:
        entry = replace(self.here.entry(), sign=told.sign, box=told.box)
        table = Table(self.number + 1, self.here.clock.utc_ms() // 1000, (entry, self.there.entry()))
        for place in to:
            place.office.records.cache.take(sign_table(FEDERATION, table))
            place.office.wake()

    def card(self, member: str) -> tuple[str, bytes]:
        """A card of grade 1, signed with the key that signs now: its number and its record."""
        number = self.here.member(member, uid=UIDS[member], grade=1)
        signer = self.here.office.records.keys.signer
        return number, card.sign_record(signer, HERE, number, self.today + 300, UIDS[member])

    def shown(self, member: str, written: tuple[str, bytes], *, at: Sequence[PlaceAt] = ()) -> list[Showing]:
        number, record = written
        self.here.clock.now_ms += 600_000
        signed = ((card.RECORD_TYPE, record),)
        return [p.show(number, home=HERE, uid=UIDS[member], records=signed) for p in at or (self.here, self.there)]

    async def round(self) -> None:
        self.here.clock.now_ms += 600_000
        for place in (self.here, self.there):
            await place.office.works.rounds.once()

    def refused(self) -> list[object]:
        now_s = self.here.clock.utc_ms() // 1000
        return [row["refused"] for p in (self.here, self.there) for row in p.office.records.lists.ages(now_s, DAY_S)]

    def status_of_hub(self) -> object:
        """What the host's gateway says, also of the home that it delivers to."""
        assert self.there.gateway is not None
        return self.there.gateway.status()

    async def changed(self, told: new_key.Told) -> None:
        await until(lambda: self.here.office.records.keys.sign_keys == told.sign)


def visits_at(place: PlaceAt) -> int:
    items = [item for cose in place.office.records.exchange.envelopes() for item in read_envelope(cose).items]
    return sum(isinstance(item, Visit) for item in items)


def test_a_place_changes_its_key_and_nobody_refuses_anything(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            town = Town(made)
            written = town.card("old")
            guest = town.there.member("zoe")
            await town.round()
            told = town.begin(leaked=False)
            town.publish(told, town.here)  # the other place has the table of before
            town.here.clock.now_ms += 600_000
            town.here.member("ada")
            await town.round()
            assert town.here.office.records.keys.sign_keys == told.sign[1:]
            town.publish(told, town.there)
            town.here.clock.now_ms += (DAY_S + 1) * 1000
            town.here.office.wake()
            await town.changed(told)
            fresh = town.card("new")
            await town.round()
            assert town.refused() == [{}, {}]
            assert [(s.state, s.grade) for s in town.shown("old", written)] == [("accepted", 1)] * 2
            assert [(s.state, s.grade) for s in town.shown("new", fresh)] == [("accepted", 1)] * 2
            assert town.here.show(guest, home=THERE).state == "accepted"
            # the host's configuration names the old key, and the home answers with the new one
            await until(lambda: visits_at(town.here) == 2 and town.there.office._waiting() == 0)

    asyncio.run(scene())


def test_old_cards_end_when_the_table_lets_go_of_the_old_key(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            town = Town(made)
            written = town.card("old")
            told = town.begin(leaked=False)
            town.publish(told, town.here, town.there)
            town.here.clock.now_ms += (DAY_S + 1) * 1000
            town.here.office.wake()
            await town.changed(told)
            town.number = 2
            town.publish(new_key.told(town.here.folder, town.today + 366), town.here, town.there)
            await town.round()
            assert town.refused() == [{}, {}]
            assert town.shown("old", written, at=[town.there])[0].reason == "signature"

    asyncio.run(scene())


def test_after_a_leak_the_new_key_counts_at_once_and_old_cards_nowhere(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            town = Town(made)
            written = town.card("old")
            plain, guest = town.here.member("ada"), town.there.member("zoe")
            await town.round()
            told = town.begin(leaked=True)
            town.publish(told, town.there)
            town.publish(told, town.here)
            await town.changed(told)
            await town.there.office.works.rounds.once()  # at the same moment: the list is made anew all the same
            assert town.there.show(plain, home=HERE).state == "accepted"
            fresh = town.card("new")
            await town.round()
            assert [s.reason for s in town.shown("old", written)] == ["signature"] * 2
            assert [(s.state, s.grade) for s in town.shown("new", fresh)] == [("accepted", 1)] * 2
            assert town.there.show(plain, home=HERE).state == "accepted"
            assert town.here.show(guest, home=THERE).state == "accepted"
            await until(lambda: "public_key" in str(town.status_of_hub()))  # it names the key that leaked
            assert town.there.office._waiting() > 0
            town.there.roads.cut.add(THERE)  # who does not run answers nobody
            await town.there.stop()
            await town.there.start(town.there.config({HERE: told.sign[0]}))
            town.there.roads.cut.clear()
            await until(lambda: visits_at(town.here) == 3 and town.there.office._waiting() == 0)

    asyncio.run(scene())


def test_a_restart_in_between_goes_on_with_the_change(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            town = Town(made)
            told = town.begin(leaked=False)
            town.publish(told, town.here, town.there)
            await town.here.crash()
            town.here.clock.now_ms += (DAY_S + 1) * 1000
            await town.here.start(town.here.config({THERE: town.there.keys.signer.public_key}))
            assert town.here.office.records.keys.sign_keys == told.sign

    asyncio.run(scene())


def test_a_backup_holds_what_a_change_needs_and_is_refused_over_a_newer_key(tmp_path: Path) -> None:
    phrase = "correct horse battery staple"

    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            new_key.begin(here.folder, leaked=True)
            backup.write(here.folder, tmp_path / "waits.zip", None, phrase)

    asyncio.run(scene())
    told = new_key.told(tmp_path / HERE, 0)
    backup.restore(tmp_path / "waits.zip", tmp_path / "new", [], passphrase=phrase)
    assert new_key.told(tmp_path / "new", 0) == told
    assert new_key.is_leak(tmp_path / "new")
    names = (PLACE_KEY.name, NEXT_KEY.name, CHANGE_FILE)
    assert [(tmp_path / "new" / name).read_bytes() for name in names] == [
        (tmp_path / HERE / name).read_bytes() for name in names
    ]
    at = new_key.Scene(HERE, None, DAY_S, is_alone=True)
    assert new_key.look(tmp_path / "new", keys.load(tmp_path / "new"), at, lambda: iter(()))
    with pytest.raises(BackupError, match="is not the place's key of this backup's place"):
        backup.restore(tmp_path / "waits.zip", tmp_path / "new", [], replace=True, passphrase=phrase)


# --- The command -----------------------------------------------------------------------------------------------------


def command(folder: Path, *words: str, table_key: str = "") -> tuple[int, str, str]:
    config = folder / "gateway.toml"
    config.write_text(
        f'[gateway]\ndata_dir = "data"\n[badge]\nplace = "{HERE}"\nname = "La Coroutine"\n{table_key}\n',
        encoding="utf-8",
    )
    done = CliRunner().invoke(app, [*words, "-c", str(config)])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_prints_the_entry_for_the_table_and_does_the_rest_when_it_is_in_force(tmp_path: Path) -> None:
    data, federation = tmp_path / "data", f'table_key = "{FEDERATION.public_key.hex()}"'
    assert command(tmp_path, "new-key")[0] == 1  # there is no key yet
    own = keys.load_or_make(data)
    code, entry, told = command(tmp_path, "new-key", table_key=federation)
    assert code == 0, told
    assert "waits" in told
    (tmp_path / "places.toml").write_text(entry, encoding="utf-8")
    (place,) = places_of(tmp_path / "places.toml")
    assert place.sign[1] == own.signer.public_key
    assert command(tmp_path, "place", "card", table_key=federation)[1] == entry
    assert command(tmp_path, "new-key", table_key=federation)[1] == entry
    made = replace(place, prefix="coro", login="https://coroutine.example/in")
    (data / "places.cose").write_bytes(sign_table(FEDERATION, Table(1, 1_000_000_000, (made,))))
    code, entry, told = command(tmp_path, "new-key", table_key=federation)
    assert "is the new one now" in told
    (tmp_path / "places.toml").write_text(entry, encoding="utf-8")
    assert places_of(tmp_path / "places.toml") == (made,)  # what the table says beside keys is kept
    assert keys.load(data).sign_keys == place.sign
    assert "--again" in command(tmp_path, "new-key", table_key=federation)[2]
    assert keys.load(data).sign_keys == place.sign


def test_after_a_leak_the_command_names_the_cards_that_must_be_written_again(tmp_path: Path) -> None:
    own = keys.load_or_make(tmp_path / "data")
    assert command(tmp_path, "member", "ada")[0] == 0
    numbers = [card.make_number(bytes([n] * 6)) for n in range(3)]
    with keys_register(tmp_path / "data", own) as register:
        for number, grade in zip(numbers, (1, 0, 2), strict=True):
            register.issue(number, "ada", 1, grade=grade)
    code, entry, told = command(tmp_path, "new-key", "--leaked")
    assert code == 0, told
    assert [card.printed(number) in told for number in numbers] == [True, False, False]
    assert own.signer.public_key.hex() not in entry
    assert own.box_public.hex() not in entry


def keys_register(folder: Path, own: keys.HomeKeys) -> Register:
    return Register(folder, own.uid_token)
