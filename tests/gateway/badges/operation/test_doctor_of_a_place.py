"""The doctor's checks of badges: each is shown a place that is whole, and the same broken, for real."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from balise_gateway import backup, doctor, plugins
from balise_gateway.badges.billing import signatures
from balise_gateway.badges.cards import new_key
from balise_gateway.badges.cards.keys import CHANGE_FILE, HOME_KEY, PLACE_KEY, Change
from balise_gateway.config import Config
from balise_gateway.doctor import Finding, Patient
from balise_gateway.operation import devices, machine_files, unit
from gateway.badges.places import places

HERE, THERE = "coroutine.example", "mappemonde.example"
CHECKS = [name for name in plugins.kinds(doctor) if name.startswith("badge_")]
READERS = '[[reader]]\nkind = "pn532"\npath = "/dev/serial0"\n[[reader]]\nkind = "pcsc"\n'


@dataclasses.dataclass
class Ward:
    """A place that lacks nothing, and its status as its running gateway told it."""

    patient: Patient
    folder: Path
    root: Path

    @property
    def badge(self) -> dict[str, Any]:
        assert self.patient.status is not None
        badge = self.patient.status["badge"]
        assert isinstance(badge, dict)
        return badge

    def without_status(self) -> "Ward":
        self.patient = dataclasses.replace(self.patient, status=None)
        return self


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, Any], int, Path]:
    """Two places that ran, exchanged lists and signed their agreement: (configuration, status, now, folder)."""
    folder = tmp_path_factory.mktemp("places")
    told: list[tuple[Config, dict[str, Any], int]] = []

    async def scene() -> None:
        async with places(folder, HERE, THERE) as made:
            here, there = made.values()
            await here.office.works.rounds.once()
            for place in (here, there):
                signatures.sign(folder / "agreement.toml", place.name, place.keys.signer)
            now_ms = here.clock.utc_ms()
            backup.note(here.folder, backup.write(here.folder, folder / "b.zip", now_ms, "correct horse battery"))
            assert here.gateway is not None
            told.append((here.config({}, READERS), dict(here.gateway.status()), now_ms))

    asyncio.run(scene())
    return *told[0], folder / HERE


@pytest.fixture
def ward(lived: tuple[Config, dict[str, Any], int, Path], tmp_path: Path) -> Ward:
    """A copy to be broken."""
    import copy
    import shutil

    config, status, now_ms, folder = lived
    mine = tmp_path / "place"
    shutil.copytree(folder, mine)
    for path in folder.parent.glob("agreement.toml*"):
        shutil.copy(path, tmp_path)
    root = tmp_path / "root"
    files = {unit_path(): unit.text("python3", devices.of(config)), machine_files.MODPROBE: machine_files.BLACKLIST}
    files |= {"/boot/firmware/cmdline.txt": "console=tty1 rootwait\n", "/dev/serial0": ""}
    for name, text in files.items():
        (root / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / name.lstrip("/")).write_text(text, encoding="utf-8")
    badge = dataclasses.replace(config.badge, agreement=tmp_path / "agreement.toml")  # type: ignore[type-var]
    config = dataclasses.replace(config, badge=badge, gateway=dataclasses.replace(config.gateway, data_dir=mine))
    status = copy.deepcopy(status)
    status["badge"]["readers"] = [{"name": "door", "kind": "pn532", "state": "up"}]
    return Ward(Patient(config, tmp_path / "gateway.toml", status, root, lambda: 20, lambda: now_ms), mine, root)


def unit_path() -> str:
    return f"/etc/systemd/system/{unit.NAME}"


def look(name: str, patient: Patient) -> list[Finding]:
    return list(plugins.load(doctor, name).look(patient))


def reader(state: str) -> Callable[[Ward], None]:
    def breaks(ward: Ward) -> None:
        ward.badge["readers"][0]["state"] = state

    breaks.__name__ = state.replace(" ", "_")
    return breaks


def reader_gone(ward: Ward) -> None:
    ward.without_status()
    (ward.root / "dev/serial0").unlink()


def not_running(ward: Ward) -> None:
    ward.badge.clear()
    ward.badge["error"] = "badges.db: cannot be opened"


def list_old(ward: Ward) -> None:
    ward.badge["lists"][0] |= {"stale": True, "age_s": 10 * 86_400}


def list_missing(ward: Ward) -> None:
    ward.badge["lists"][0] |= {"stale": True, "age_s": None, "utc_s": None}


def away(ward: Ward) -> None:
    ward.badge["away"] = {THERE: "the link is cut"}


def no_table(ward: Ward) -> None:
    ward.badge["table"]["error"] = "places.cose: no table of places yet"


def table_refused(ward: Ward) -> None:
    ward.badge["table"]["refused"] = {"rollback": 3}


def visits_wait(ward: Ward) -> None:
    ward.badge["waiting"] = 900


def outbox_grows(ward: Ward) -> None:
    ward.badge["connectors"] = [{"name": "dokos", "waiting": 400, "refused": {}, "state": "no answer"}]


def open_home_key(ward: Ward) -> None:
    (ward.folder / HOME_KEY.name).chmod(0o644)


def short_place_key(ward: Ward) -> None:
    (ward.folder / PLACE_KEY.name).write_bytes(b"short")


def next_key(ward: Ward) -> None:
    new_key.begin(ward.folder, leaked=False)


def key_of_another(ward: Ward) -> None:
    (ward.folder / PLACE_KEY.name).write_bytes(bytes(range(32)))


def key_changed(ward: Ward) -> None:
    Change(changed_day=ward.patient.utc_ms() // 86_400_000).save(ward.folder)


def torn_change(ward: Ward) -> None:
    (ward.folder / CHANGE_FILE).write_text("{", encoding="utf-8")


def no_keys(ward: Ward) -> None:
    for key in (PLACE_KEY, HOME_KEY):
        (ward.folder / key.name).unlink()


def no_backup(ward: Ward) -> None:
    (ward.folder / backup.NOTE_NAME).unlink()


def only_without_keys(ward: Ward) -> None:
    (ward.folder / backup.NOTE_NAME).unlink()
    backup.note(ward.folder, backup.write(ward.folder, ward.root / "b.zip", 5))


def old_backup(ward: Ward) -> None:
    now_ms = ward.patient.utc_ms()
    ward.patient = dataclasses.replace(ward.patient, utc_ms=lambda: now_ms + 40 * 86_400_000)


def torn_note(ward: Ward) -> None:
    (ward.folder / backup.NOTE_NAME).write_text("{", encoding="utf-8")


def agreement_of(ward: Ward) -> Path:
    assert ward.patient.config.badge is not None
    path = ward.patient.config.badge.agreement
    assert path is not None
    return path


def no_agreement(ward: Ward) -> None:
    agreement_of(ward).unlink()


def agreement_changed(ward: Ward) -> None:
    path = agreement_of(ward)
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")


def not_signed(ward: Ward) -> None:
    signatures.path_beside(agreement_of(ward), THERE).unlink()


def not_in_it(ward: Ward) -> None:
    path = agreement_of(ward)
    path.write_text(path.read_text(encoding="utf-8").replace(HERE, "elsewhere.example"), encoding="utf-8")


def unit_without_devices(ward: Ward) -> None:
    config = ward.patient.config
    from gateway.badges.operation.test_install_of_a_place import config as with_kinds

    more = with_kinds("lamps")
    ward.patient = dataclasses.replace(ward.patient, config=dataclasses.replace(config, outputs=more.outputs))


def module_loaded(ward: Ward) -> None:
    (ward.root / "sys/module/pn533_usb").mkdir(parents=True)


def no_blacklist(ward: Ward) -> None:
    (ward.root / machine_files.MODPROBE.lstrip("/")).unlink()


def console(ward: Ward) -> None:
    (ward.root / "boot/firmware/cmdline.txt").write_text("console=serial0,115200 console=tty1\n", encoding="utf-8")


BROKEN: list[tuple[str, Callable[[Ward], None], str, str]] = [
    ("badge_readers", reader("away: no such device: /dev/serial0"), "fail", "plugged in"),
    ("badge_readers", reader("away: not allowed: /dev/serial0"), "fail", "sudo balise gateway install"),
    ("badge_readers", reader("away: taken: /dev/serial0"), "fail", "another program"),
    ("badge_readers", reader_gone, "fail", "/dev/serial0 is not there"),
    ("badge_readers", not_running, "fail", "badges do not run: badges.db"),
    ("badge_partners", list_old, "warn", f"the list of {THERE} is 10.0 days old"),
    ("badge_partners", list_missing, "warn", f"the list of {THERE} is missing"),
    ("badge_partners", away, "warn", "the link is cut"),
    ("badge_partners", no_table, "fail", "ask who keeps it"),
    ("badge_partners", table_refused, "warn", "rollback 3"),
    ("badge_partners", visits_wait, "warn", "900 visits wait"),
    ("badge_partners", outbox_grows, "warn", "dokos: 400 usages wait"),
    ("badge_partners", not_running, "warn", "start the gateway"),
    ("badge_keys", open_home_key, "fail", "home.key cannot be used"),
    ("badge_keys", short_place_key, "fail", "place.key cannot be used"),
    ("badge_keys", no_keys, "warn", "no place.key yet"),
    ("badge_keys", next_key, "warn", "waits until the table names it"),
    ("badge_keys", key_of_another, "fail", "the table names other keys"),
    ("badge_keys", key_changed, "warn", "has changed since the last backup"),
    ("badge_keys", torn_change, "fail", "the change of key cannot be read"),
    ("badge_keys", no_backup, "warn", "--with-key"),
    ("badge_keys", only_without_keys, "warn", "no backup with the keys"),
    ("badge_keys", old_backup, "warn", "40 days old"),
    ("badge_keys", torn_note, "warn", "the note of backups"),
    ("badge_agreement", no_agreement, "fail", "cannot be read"),
    ("badge_agreement", agreement_changed, "warn", f"the signature of {THERE} does not count"),
    ("badge_agreement", not_signed, "warn", f"the signature of {THERE} is missing"),
    ("badge_agreement", not_in_it, "fail", "add the place"),
    ("badge_machine", unit_without_devices, "fail", "char-gpiochip"),
    ("badge_machine", module_loaded, "fail", "modprobe -r pn533_usb"),
    ("badge_machine", no_blacklist, "warn", "at the next start"),
    ("badge_machine", console, "fail", "a login console is on serial0"),
]


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("is_running", [True, False])
def test_nothing_is_wrong_with_a_whole_place(name: str, is_running: bool, ward: Ward) -> None:
    found = look(name, ward.patient if is_running else ward.without_status().patient)
    assert found
    waits_for_status = name == "badge_partners" and not is_running
    assert [finding for finding in found if finding.state != "ok"] == (found if waits_for_status else [])


@pytest.mark.parametrize(
    ("name", "breaks", "state", "says"), BROKEN, ids=lambda value: getattr(value, "__name__", None)
)
def test_what_is_broken_is_found_and_said_what_to_try(
    name: str, breaks: Callable[[Ward], None], state: str, says: str, ward: Ward
) -> None:
    breaks(ward)
    found = [finding for finding in look(name, ward.patient) if finding.state == state]
    texts = [f"{finding.what.en} {finding.advice.en if finding.advice else ''}" for finding in found]
    assert any(says in text for text in texts), texts
    for finding in found:
        assert finding.advice is not None
        assert finding.what.fr != finding.what.en
        assert finding.advice.fr != finding.advice.en


def test_every_check_of_badges_is_broken_here() -> None:
    assert {name for name, *_ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_gateway_without_badges_hears_nothing_of_them(name: str, ward: Ward) -> None:
    config = dataclasses.replace(ward.patient.config, badge=None, readers=())
    assert look(name, dataclasses.replace(ward.patient, config=config)) == []
