"""The contract `Output`, on every kind in the folder, each before a far end at the edge: pins, a bus, a browser.

A new kind needs one file in `outputs/`: `SETTINGS` for its table, and `FarEnd(folder, settings)` with `output`,
`is_safe()` (dark, silent, as the door is without power) and `close()`. What only one kind does is tested in
`tests/gateway/badges/outputs/`, and what a service must be let at for it stands in its `NEEDS`.
"""

import importlib
import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from balise_gateway import plugins, settings
from balise_gateway.badges import outputs
from balise_gateway.badges.needs import Need
from balise_gateway.badges.outputs import Output
from balise_gateway.badges.showing import Showing
from contracts import bare
from gateway.badges.outputs.showings import STATES, every

KINDS = plugins.kinds(outputs)
PATIENCE_S = 30.0
ACCEPTED = Showing("accepted", direction="in", until_s=60.0)
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
HEAVY = ("PIL", "luma", "gpiozero", "lgpio", "starlette", "fpdf")


def settings_of(kind: str) -> Any:
    end = importlib.import_module(f"contracts.outputs.{kind}")
    return settings.build(plugins.load(outputs, kind).Settings, {"kind": kind, **end.SETTINGS}, "output 1", "test")


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    end = importlib.import_module(f"contracts.outputs.{request.param}")
    found = end.FarEnd(tmp_path, settings_of(request.param))
    yield found
    found.close()


def shows(there: Any) -> Callable[[], bool]:
    """Whether something is seen or heard; a far end that is safe while it shows says so itself."""
    told: Callable[[], bool] = getattr(there, "shows", lambda: not there.is_safe())
    return told


def until(what: Any) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < limit, "never came true"
        time.sleep(0.005)


def test_every_kind_has_its_far_end() -> None:
    here = {path.stem for path in (Path(__file__).parent / "outputs").glob("*.py")}
    assert {name for name in here if not name.startswith("_")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_contract(kind: str) -> None:
    made = plugins.load(outputs, kind).Output
    for name in ("show", "status", "close"):
        wanted = list(inspect.signature(getattr(Output, name)).parameters)
        assert list(inspect.signature(getattr(made, name)).parameters) == wanted, name
    needed = [p for p in inspect.signature(made).parameters.values() if p.default is inspect.Parameter.empty]
    assert [p.name for p in needed] == ["settings"]
    assert plugins.load(outputs, kind).Settings.__dataclass_params__.frozen


@pytest.mark.parametrize("kind", KINDS)
def test_a_constructor_only_builds(kind: str) -> None:
    """No thread, no heavy library: in a process that makes one and ends."""
    script = (
        "import sys, threading\n"
        "from balise_gateway import plugins, settings\n"
        "from balise_gateway.badges import outputs\n"
        f"module = plugins.load(outputs, {kind!r})\n"
        f"table = {{'kind': {kind!r}, **{importlib.import_module(f'contracts.outputs.{kind}').SETTINGS!r}}}\n"
        "made = module.Output(settings.build(module.Settings, table, 'output 1', 'test'))\n"
        "made.status()\n"
        f"print(threading.active_count(), [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "1 []", done.stdout + done.stderr


BARE = """
import time
from balise_gateway import plugins, settings
from balise_gateway.badges import outputs
from balise_gateway.badges.needs import Need
from balise_gateway.badges.showing import Showing
module, table = plugins.load(outputs, sys.argv[1]), json.loads(sys.argv[2])
made = module.Output(settings.build(module.Settings, table, "output 1", "test"))
made.show(Showing("ready"))
while made.status()["state"] == "not used yet":
    time.sleep(0.01)
tell([made.status()["state"], getattr(module.Settings, "NEEDS_PAGE", False)])
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_library_is_said_in_its_state(kind: str) -> None:
    """A page needs what the page's server needs, and that is said at the start."""
    end = importlib.import_module(f"contracts.outputs.{kind}")
    told = bare.told(BARE, kind, json.dumps({"kind": kind, **end.SETTINGS}))
    state, is_page = told.said
    if not told.wanted:
        assert state == "up"
    else:
        assert not is_page, told
        assert state.startswith("away: not installed: "), told
        assert state.endswith(" pip install 'balise[badge]'")


def test_it_says_its_kind_and_its_state(there: Any) -> None:
    for state in STATES:
        there.output.show(Showing(state))
        told = there.output.status()
        assert told["kind"] == type(there.output).__module__.rpartition(".")[2]
        assert isinstance(told["state"], str)
        assert told["state"]


def test_a_card_that_counts_is_seen_heard_or_let_in(there: Any) -> None:
    """An output that does nothing is safe too."""
    there.output.show(ACCEPTED)
    until(shows(there))


def test_it_takes_everything_and_ends_safe(there: Any) -> None:
    """Every showing, faster than any device; then closed, twice, and everything is dark, silent and shut."""
    for showing in every():
        there.output.show(showing)
    there.output.show(ACCEPTED)
    until(shows(there))
    there.output.close()
    there.output.close()
    until(there.is_safe)


def test_it_is_safe_when_it_was_never_used(there: Any) -> None:
    there.output.close()
    until(there.is_safe)


def test_nothing_comes_back_to_life_after_its_end(there: Any) -> None:
    there.output.show(Showing("ready"))
    there.output.close()
    there.output.show(ACCEPTED)
    until(there.is_safe)
    assert there.is_safe()


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_a_service_must_be_let_at_for_it(kind: str) -> None:
    assert isinstance(plugins.load(outputs, kind).NEEDS, Need)
    manual = (Path(__file__).parents[2] / "gateway/BADGES.md").read_text(encoding="utf-8")
    section = manual.partition("\n### As a service\n")[2].partition("\n### ")[0]
    assert f"`{kind}`" in section
