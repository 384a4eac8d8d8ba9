"""A place in a backup, and back: nothing is lost that was in it, and nothing of what came after it is given twice."""

import asyncio
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from balise_gateway import backup
from balise_gateway import keys as gateway_keys
from balise_gateway.badges import copies
from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.keys import HOME_KEY, PLACE_KEY
from balise_gateway.badges.desk.book import Book, Tap
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.badges.desk_page.book import Typed, TypedBook
from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.register import Member, Register
from balise_gateway.errors import BackupError, GatewayError
from balise_gateway.journal import Journal
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from balise_wire.visits import visit_of
from gateway.badges.places import PlaceAt, places
from gateway.support import until

HERE, THERE, LATE = "coroutine.example", "mappemonde.example", "labaux.example"
PASSPHRASE = "correct horse battery"
UID = bytes.fromhex("04a1b2c3d4e5f6")
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def partners(place: PlaceAt, *others: PlaceAt) -> dict[str, bytes]:
    return {other.name: other.keys.signer.public_key for other in others}


async def brought_back(place: PlaceAt, file: Path, *others: PlaceAt) -> list[str]:
    """The place's disk is lost; a new one gets the backup. Returns what was said."""
    await place.stop()
    shutil.rmtree(place.folder)
    done = backup.restore(file, place.folder, range(1, 9), passphrase=PASSPHRASE)
    await place.start(place.config(partners(place, *others)))
    return done.notes


def visits_at(place: PlaceAt) -> list[int]:
    """The tap numbers of the visits that this place holds of HERE."""
    items = [item for cose in place.office.records.exchange.envelopes() for item in read_envelope(cose).items]
    return sorted(visit_of(item.map).tap for item in items if isinstance(item, Visit))


def test_a_place_comes_back_on_a_new_disk_and_no_tap_number_is_given_twice(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            number = here.member("anne", uid=UID)
            here.show(number)
            await until(lambda: visits_at(there) == [1])
            table = (here.folder / "places.cose").read_bytes()
            about = backup.write(here.folder, tmp_path / "b.zip", here.clock.utc_ms(), PASSPHRASE)
            assert {"badges.db", "register.db", "lists.db", "exchange.db", "places.cose"} <= about.files.keys()
            for _ in range(3):
                here.clock.now_ms += HOUR_MS
                here.show(number)
            await until(lambda: visits_at(there) == [1, 2, 3, 4])
            old_start = here.office.records.book.start
            await brought_back(here, tmp_path / "b.zip", there)
            assert (here.folder / "places.cose").read_bytes() == table
            assert here.office.records.keys.signer.public_key == here.keys.signer.public_key
            assert here.office.records.book.start > old_start + 1_000
            here.clock.now_ms += HOUR_MS
            assert here.show(uid=UID).state == "accepted"  # its members and its home key are the same
            await until(lambda: len(visits_at(there)) == 5, "the visit after the restore")
            assert visits_at(there)[-1] > 1_000_000
            assert len(set(visits_at(there))) == 5
            assert there.office.records.exchange.status()["conflicts"] == 0

    asyncio.run(scene())


def test_every_host_takes_the_lists_of_a_home_that_came_back_also_one_that_is_newer_than_the_backup(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE, LATE) as made:
            here, there, late = made.values()
            number = here.member("anne")
            await there.office.works.rounds.once()
            backup.write(here.folder, tmp_path / "b.zip", None, PASSPHRASE)
            for _ in range(4):
                here.clock.now_ms += 2 * HOUR_MS
                await there.office.works.rounds.once()
                await late.office.works.rounds.once()
            before = [each.office.records.lists.number_of(HERE) for each in (there, late)]
            assert min(before) > 1_000
            notes = await brought_back(here, tmp_path / "b.zip", there, late)
            assert any("count again" in note for note in notes)
            here.member("zoe")
            here.clock.now_ms += HOUR_MS
            for host, number_before in zip((there, late), before, strict=True):
                await host.office.works.rounds.once()
                assert host.office.works.rounds.away == {}
                assert host.office.records.lists.number_of(HERE) > number_before
                assert host.office.records.lists.by_number(HERE, number) is not None

    asyncio.run(scene())


def test_a_partner_that_came_back_is_sent_again_what_it_lost(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            number = here.member("anne")
            here.show(number)
            await until(lambda: visits_at(there) == [1])
            backup.write(there.folder, tmp_path / "b.zip", None, PASSPHRASE)
            here.clock.now_ms += HOUR_MS
            here.show(number)
            await until(lambda: visits_at(there) == [1, 2])
            await brought_back(there, tmp_path / "b.zip", here)
            assert visits_at(there) == [1]
            here.clock.now_ms += HOUR_MS
            here.show(number)
            await until(lambda: visits_at(there) == [1, 2, 3])

    asyncio.run(scene())


def test_visits_that_are_too_old_by_now_are_forgotten_at_the_next_look(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            here.show(here.member("anne"))
            await until(lambda: visits_at(there) == [1])
            await until(lambda: len(list(own_visits(here.folder))) == 1, "its home log is signed")
            for place, other in ((here, there), (there, here)):
                backup.write(place.folder, tmp_path / f"{place.name}.zip", None, PASSPHRASE)
                here.clock.now_ms += 91 * DAY_MS if place is here else 0
                await brought_back(place, tmp_path / f"{place.name}.zip", other)
            await until(lambda: here.office.records.book.counts() == {})
            here.clock.now_ms += 7 * HOUR_MS  # the journal believes a clock after six hours (logbook/keeping.py)
            await until(lambda: list(own_visits(here.folder)) == [])
            await until(lambda: visits_at(there) == [])

    asyncio.run(scene())


def test_the_first_message_of_a_chip_after_a_restore_proves_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    register = Register(tmp_path, lambda uid: uid.ljust(16))
    with register:
        register.put_member(Member("anne"))
        for number in ("AAAAAAAAAA", "BBBBBBBBBB"):
            register.issue(number, "anne", 1, grade=2)
        assert register.take_counter("AAAAAAAAAA", UID, 7) == ""
    keys.load_or_make(tmp_path)
    restored = older(tmp_path)
    with Register(restored, lambda uid: uid.ljust(16)) as after:
        assert after.take_counter("AAAAAAAAAA", UID, 7) == "replay"
        assert after.take_counter("AAAAAAAAAA", UID, 9) == "unsure"  # it may be one of those after the backup
        assert after.take_counter("AAAAAAAAAA", UID, 9) == "replay"
        assert after.take_counter("AAAAAAAAAA", UID, 10) == ""
        assert after.take_counter("BBBBBBBBBB", UID, 0) == "unsure"  # was never shown before the backup
        assert after.take_counter("BBBBBBBBBB", UID, 1) == ""
        after.issue("CCCCCCCCCC", "anne", 2, grade=2)
        assert after.take_counter("CCCCCCCCCC", UID, 0) == ""


def older(folder: Path) -> Path:
    """A backup of this folder's place, in another folder; both beside it."""
    gateway_keys.load_or_make(folder)
    journal = Journal(folder, "balise/test")
    journal.open()
    journal.close()
    number = len(list(folder.parent.glob("older*")))
    file, new = folder.parent / f"older-{number}.zip", folder.parent / f"older-{number}"
    backup.write(folder, file, None, PASSPHRASE)
    backup.restore(file, new, [], passphrase=PASSPHRASE)
    file.unlink()
    return new


def test_a_tap_without_a_time_is_not_said_a_second_time_in_another_way(tmp_path: Path) -> None:
    folder = tmp_path / "place"
    book = Book(folder)
    book.open()
    for utc_s in (None, 1_530_000_000):
        book.write(Tap(0, utc_s, 1, 1, 5, "door", "card", "desk", "no clock", HERE, b"w" * 16, 0, None, said=False))
    book.close()
    after = Book(older(folder))
    after.open()
    assert [tap.tap for tap in after.unsaid()] == [2]  # the same bytes again are harmless
    after.close()


def test_guest_places_come_back_with_their_keys_and_without_a_number_twice(tmp_path: Path) -> None:
    folder, guest = tmp_path / "data", "places/guest.example"
    folder.mkdir()
    desk_keys.give(folder, "guest.example", "")
    made = keys.load_or_make(folder / guest)
    Register(folder / guest, made.uid_token).open()
    used = TypedBook(folder / guest, 1 << 40)
    visit = Typed(0, 1_530_000_000, 1, HERE, b"w" * 16)
    assert used.write(visit) == (1 << 40) + 1
    new, unused_before = older(folder), older(folder)
    assert (new / "desks.json").read_bytes() == (folder / "desks.json").read_bytes()
    assert keys.load(new / guest).signer.public_key == made.signer.public_key
    after = TypedBook(new / guest, 1 << 40)
    assert [after.write(visit), after.write(visit)] == [(1 << 40) + n + (1 << 20) for n in (2, 3)]
    (unused_before / guest / "typed.db").unlink()
    TypedBook(unused_before / guest, 1 << 40).close()
    assert TypedBook(older(unused_before) / guest, 1 << 40).write(visit) == (1 << 40) + (1 << 20) + 1


@pytest.mark.parametrize("path", ["../evil.db", "places/../badges.db", "places/a/b/badges.db", "/etc/badges.db", "x"])
def test_a_backup_that_names_files_elsewhere_is_refused(path: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(path, b"x")
        made = copies.drafts(tmp_path / "b.zip", archive, {path: "00"}, tmp_path / "data")
        with pytest.raises(BackupError, match="spoilt"), made:
            pass
    with pytest.raises(BackupError, match="spoilt"):
        copies.wanted_keys({path: "00"}, tmp_path)


def test_keys_leave_encrypted_only_and_come_back_as_they_were(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            backup.write(here.folder, tmp_path / "without.zip", None)
            backup.write(here.folder, tmp_path / "with.zip", None, PASSPHRASE)

    asyncio.run(scene())
    seeds = {key.name: (tmp_path / HERE / key.name).read_bytes() for key in (PLACE_KEY, HOME_KEY)}
    for name in ("without.zip", "with.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            inside = b"".join(archive.read(each) for each in archive.namelist())
            pems = {each for each in archive.namelist() if each.endswith(".pem")}
        assert all(seed not in inside and seed.hex().encode() not in inside for seed in seeds.values())
        assert pems == ({"signing.key.pem", "place.key.pem", "home.key.pem"} if name == "with.zip" else set())
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="passphrase does not open"):
        backup.restore(tmp_path / "with.zip", tmp_path / "new", [], passphrase="wrong horse battery")
    assert list((tmp_path / "new").glob("*.key")) == []
    backup.restore(tmp_path / "with.zip", tmp_path / "new", [], passphrase=PASSPHRASE)
    for name, seed in seeds.items():
        assert (tmp_path / "new" / name).read_bytes() == seed
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    (tmp_path / "bare").mkdir()
    shutil.copy(tmp_path / HERE / gateway_keys.FILE_NAME, tmp_path / "bare")
    with pytest.raises(BackupError, match=r"no place\.key"):
        backup.restore(tmp_path / "without.zip", tmp_path / "bare", [])
    keys.load_or_make(tmp_path / "bare")
    with pytest.raises(BackupError, match="is not the place's key of this backup's place"):
        backup.restore(tmp_path / "without.zip", tmp_path / "bare", [])
    assert not (tmp_path / "bare" / "badges.db").exists()


def test_what_is_there_is_set_aside_and_a_damaged_part_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            here.member("anne")
            backup.write(here.folder, tmp_path / "b.zip", None)

    asyncio.run(scene())
    folder = tmp_path / HERE
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BackupError, match="--replace"):
        backup.restore(tmp_path / "b.zip", folder, [])
    told = json.loads(zipfile.ZipFile(tmp_path / "b.zip").read("about.json"))
    told["files"]["lists.db"] = told["files"]["badges.db"]
    with zipfile.ZipFile(tmp_path / "b.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, json.dumps(told) if name == "about.json" else good.read(name))
    with pytest.raises(BackupError, match=r"its lists\.db is not the one"):
        backup.restore(tmp_path / "bad.zip", folder, [], replace=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    done = backup.restore(tmp_path / "b.zip", folder, [], replace=True)
    assert {"badges.db.replaced-1", "register.db.replaced-1", "journal.db.replaced-1"} <= set(done.aside)
    assert (folder / "register.db.replaced-1").read_bytes() == before["register.db"]


def test_a_damaged_file_is_not_taken_into_a_backup(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE):
            pass

    asyncio.run(scene())
    path = tmp_path / HERE / "register.db"
    path.write_bytes(path.read_bytes()[:5_000] + os.urandom(3_000))
    with pytest.raises(GatewayError, match=r"register\.db"):
        backup.write(tmp_path / HERE, tmp_path / "b.zip", None)
    assert not (tmp_path / "b.zip").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("b.zip")] == []


def test_every_file_that_a_place_makes_is_in_its_backup_or_named_here(tmp_path: Path) -> None:
    """A new file of a place must be thought of: copied, or left out on purpose."""
    left_out = {"journal.db", "journal.lock", "grants.json", "grants.lock", backup.NOTE_NAME}  # the gateway's own
    left_out |= {gateway_keys.FILE_NAME, PLACE_KEY.name, HOME_KEY.name}

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, _ = made.values()
            here.show(here.member("anne"))
            names = {path.name.removesuffix("-wal").removesuffix("-shm") for path in here.folder.iterdir()}
            assert {name for name in names if name not in copies.FILES} <= left_out

    asyncio.run(scene())


def test_own_visits_of_before_are_in_the_restored_journal(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            here.show(here.member("anne"))
            await until(lambda: visits_at(there) == [1])
            await until(lambda: len(list(own_visits(here.folder))) == 1)
            backup.write(here.folder, tmp_path / "b.zip", None, PASSPHRASE)
            await brought_back(here, tmp_path / "b.zip", there)
            (envelope,) = own_visits(here.folder)
            assert [type(item) for item in read_envelope(envelope).items] == [Visit]

    asyncio.run(scene())
