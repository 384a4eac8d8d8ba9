"""The door: for whom it opens, for how long, what somebody holds by hand, and what is left when the gateway ends."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from balise_gateway.badges.outputs import _hours, _override
from balise_gateway.badges.outputs._override import FILE, Decision, Override
from balise_gateway.badges.outputs.door import Output, Settings
from balise_gateway.badges.showing import Showing
from balise_tools.main import app
from gateway.badges.outputs.edges import Pins, until
from gateway.badges.outputs.showings import every

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
PIN = 23
WEDNESDAY = datetime(2026, 3, 4, 12, 0, tzinfo=ZoneInfo("Europe/Paris"))


class Scene:
    """One door with a clock that moves when told."""

    def __init__(self, folder: Path, now: datetime = WEDNESDAY, **keys: Any) -> None:
        self.pins, self.ticks_s, self.folder = Pins(), 100.0, folder
        settings = Settings(kind="door", pin=PIN, data_dir=folder, **{"lock": "fail-secure", **keys})
        self.looks = 0  # at the clock
        self.output = Output(settings, self.pins.factory, lambda: now, self._ticks)

    def _ticks(self) -> float:
        self.looks += 1
        return self.ticks_s

    def looked(self) -> None:
        """The door has looked after itself twice from now on."""
        seen = self.looks
        until(lambda: self.looks >= seen + 2)

    def has_power(self) -> bool:
        pin = self.pins.factory.pin(PIN)
        return bool(pin.function == "output" and pin.state)

    def begin(self) -> "Scene":
        self.output.show(Showing("ready"))
        until(lambda: self.output.status()["door"] == "shut")
        return self

    def is_open(self) -> bool:
        return self.output.status()["door"] == "open"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path).begin()
    yield made
    made.output.close()


def test_it_opens_for_who_is_known_and_shuts_by_itself(scene: Scene) -> None:
    assert not scene.has_power()
    scene.output.show(Showing("accepted", direction="in"))
    until(scene.has_power)
    scene.output.show(Showing("ready"))  # the screen goes back; the door keeps its time
    scene.ticks_s += 4.9
    until(scene.is_open)
    scene.ticks_s += 0.2
    until(lambda: not scene.has_power())
    assert scene.output.status()["door"] == "shut"


@pytest.mark.parametrize("desk", [False, True])
@pytest.mark.parametrize("no_credit", [False, True])
def test_it_never_opens_for_anybody_else(tmp_path: Path, desk: bool, no_credit: bool) -> None:
    """Of all showings there are, those of a known card open it, as the settings say; no other does."""
    scene = Scene(tmp_path, open_on_desk=desk, open_on_no_credit=no_credit)
    opening = {"accepted", *(["desk"] if desk else []), *(["no_credit"] if no_credit else [])}
    for showing in every():
        assert scene.output.opens(showing) == (showing.state in opening)


def test_a_card_that_nobody_knows_leaves_it_shut(scene: Scene) -> None:
    for showing in every():
        if showing.state in ("unknown", "unplugged", "ready", "sending"):
            scene.output.show(showing)
    Override(scene.folder).write("open")  # a sign that all of them were seen
    until(scene.is_open)
    assert scene.pins.levels(PIN) == [True]


def test_outside_opening_hours_no_card_opens_it(tmp_path: Path) -> None:
    for hour, opens in ((7, False), (8, True), (19, True), (20, False)):
        scene = Scene(tmp_path, WEDNESDAY.replace(hour=hour), hours=("mon-fri 08:00-20:00",))
        assert scene.output.opens(Showing("accepted")) == opens
    sunday = WEDNESDAY.replace(day=8)
    assert not Scene(tmp_path, sunday, hours=("mon-fri 08:00-20:00",)).output.opens(Showing("accepted"))


@pytest.mark.parametrize("lock", ["fail-secure", "fail-safe"])
@pytest.mark.parametrize("active_high", [True, False])
def test_power_means_what_the_lock_says(tmp_path: Path, lock: str, active_high: bool) -> None:
    scene = Scene(tmp_path, lock=lock, active_high=active_high).begin()
    shut_power = lock == "fail-safe"
    assert scene.has_power() == (shut_power == active_high)
    scene.output.show(Showing("accepted"))
    until(scene.is_open)
    assert scene.has_power() == ((not shut_power) == active_high)
    scene.output.close()
    pin = scene.pins.factory.pin(PIN)
    assert pin.function == "input"  # nobody drives the relay any more
    assert scene.output.status()["door"] == "without power"


def test_a_magnet_has_power_from_the_first_moment(tmp_path: Path) -> None:
    """No click at the start: the pin becomes an output that is on already."""
    scene = Scene(tmp_path, lock="fail-safe")
    scene.output._lock.open()
    assert scene.has_power()
    scene.output._lock.shut()


def test_by_hand_goes_before_cards(scene: Scene) -> None:
    hand = Override(scene.folder)
    hand.write("lock")
    until(lambda: scene.output.status()["by_hand"] == "lock")
    scene.output.show(Showing("accepted"))
    scene.looked()
    assert not scene.is_open()
    assert scene.pins.levels(PIN) == []  # the card did not open it
    scene.ticks_s += 60
    hand.write("open")
    until(scene.has_power)
    hand.write("auto")
    until(lambda: not scene.has_power())


def test_by_hand_holds_over_a_restart_until_its_time_is_over(tmp_path: Path) -> None:
    now = [1_000.0]
    hand = Override(tmp_path, lambda: now[0])
    assert hand.write("open", minutes=30).until_utc_s == 2_800
    assert Override(tmp_path, lambda: now[0]).mode() == "open"
    now[0] = 2_799.9
    assert hand.mode() == "open"
    now[0] = 2_800.0
    assert hand.mode() == "auto"


def test_a_file_that_others_may_write_decides_nothing(scene: Scene) -> None:
    Override(scene.folder).write("open")
    (scene.folder / FILE).chmod(0o666)
    assert Override(scene.folder).read().mode == "auto"
    until(lambda: "others may write it" in str(scene.output.status().get("problem")))
    assert not scene.is_open()


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    Override(tmp_path).write("lock")
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FILE).stat().st_uid == tmp_path.stat().st_uid
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@given(st.binary(max_size=1_200) | st.sampled_from([b'{"mode": "open", "until_utc_s": true}', b'{"mode": ["open"]}']))
def test_a_damaged_file_leaves_the_cards_to_decide(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("door")
    path = folder / FILE
    path.write_bytes(data)
    path.chmod(0o600)
    found = Override(folder).read()
    assert found.mode == "auto"
    assert "damaged" in found.problem


def test_without_a_file_the_cards_decide(tmp_path: Path) -> None:
    assert Override(tmp_path).read() == Decision()
    assert _override.MODES == ("open", "lock", "auto")


CONFIG = '[gateway]\ndata_dir = "data"\n[badge]\nplace = "coroutine.example"\n'
DOOR = '[[output]]\nkind = "door"\npin = 23\nlock = "fail-secure"\n'


def run(folder: Path, text: str, *words: str) -> Any:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["badge", "door", *words, "-c", str(path)])


def test_the_command_decides_and_says_until_when(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = run(tmp_path, CONFIG + DOOR, "open", "--minutes", "30")
    assert done.exit_code == 0, done.output
    assert "held open until 20" in done.output
    assert Override(tmp_path / "data").mode() == "open"
    assert run(tmp_path, CONFIG + DOOR, "lock").output.startswith("the door is held shut;")
    assert Override(tmp_path / "data").mode() == "lock"
    assert run(tmp_path, CONFIG + DOOR, "auto").exit_code == 0
    assert Override(tmp_path / "data").mode() == "auto"


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, CONFIG, "open")
    assert done.exit_code == 2
    assert 'kind "door"' in done.output
    done = run(tmp_path, CONFIG + DOOR, "open")  # no folder data
    assert done.exit_code == 1
    assert "cannot be written" in done.output


ENDING = """
import atexit, sys
seen = {{}}
atexit.register(lambda: print("free" if seen["pins"].is_free(23) else "held", flush=True))  # the last to be called
from gpiozero import Device
from gateway.badges.outputs.edges import Pins, until
from balise_gateway.badges.outputs.door import Output, Settings
from balise_gateway.badges.showing import Showing
pins = seen["pins"] = Pins()
Device.pin_factory = pins.factory
made = Output(Settings(kind="door", pin=23, lock="fail-secure"))
made.show(Showing("accepted"))
until(lambda: pins.level(23))
print("open", flush=True)
{how}
"""


@pytest.mark.parametrize("how", ["pass", "sys.exit(1)", "raise ValueError", "made.close()"])
def test_a_program_that_ends_lets_the_relay_go(how: str) -> None:
    """Also without `close`: gpiozero lets every pin go when Python ends. After kill -9 only the kernel can."""
    words = [sys.executable, "-c", ENDING.format(how=how)]
    tests = Path(__file__).parents[3]  # a program of its own finds the fakes from there
    done = subprocess.run(words, capture_output=True, text=True, cwd=tests)
    assert done.stdout.split() == ["open", "free"], done.stdout + done.stderr


HOURS = {
    "mon-fri 08:00-20:00": [(0, 8, True), (4, 19, True), (4, 20, False), (5, 10, False)],
    "sat 22:00-02:00": [(5, 22, True), (6, 1, True), (6, 2, False), (6, 22, False), (5, 1, False)],
    "fri-mon 09:00-10:00": [(4, 9, True), (6, 9, True), (0, 9, True), (1, 9, False), (3, 9, False)],
    "mon-sun 00:00-24:00": [(0, 0, True), (6, 23, True)],
}


@pytest.mark.parametrize("text", HOURS)
def test_hours_of_a_week(text: str) -> None:
    assert _hours.problem([text], "hours") is None
    for day, hour, wanted in HOURS[text]:
        when = datetime(2026, 3, 2 + day, hour, 0, tzinfo=ZoneInfo("Europe/Paris"))
        assert when.weekday() == day
        assert _hours.inside([text], when) == wanted, (day, hour)


@pytest.mark.parametrize("text", ["", "mon", "mon 8:00-20:00", "mon 08:00-25:00", "lun 08:00-20:00", "mon 24:00-25:00"])
def test_what_is_not_hours_is_told(text: str) -> None:
    assert "hours: " in str(_hours.problem([text], "hours"))


@given(st.text(max_size=24))
def test_any_text_is_hours_or_a_problem(text: str) -> None:
    if _hours.problem([text], "hours") is not None:
        assert not _hours.inside([text], WEDNESDAY)


def test_the_settings_refuse_wrong_hours() -> None:
    assert "hours: " in str(Settings(kind="door", pin=1, lock="fail-safe", hours=("always",)).problem())
