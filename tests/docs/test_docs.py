"""The documents say what the code does: commands, keys, reasons, links and versions are checked against it."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from balise_wire.errors import REASONS
from docs import sensor_table

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted(p for p in ROOT.rglob("*.md") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def levels(text: str) -> list[str]:
    bare = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(#+) ", bare, re.MULTILINE)


def sections(path: Path) -> set[str]:
    """The headings as links name them on the web: in lower case, hyphens for spaces, without other signs."""
    bare = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", bare, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_opens_with_a_transcript() -> None:
    head = "\n".join(read("README.md").splitlines()[:30])
    assert fences(head + "\n```", "text"), "no ```text transcript in the first 30 lines"


def test_the_french_readme_says_the_same() -> None:
    english, french = read("README.md"), read("README.fr.md")
    assert levels(english) == levels(french)
    for language in ("sh", "text"):
        assert fences(english, language) == fences(french, language)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_make_commands_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", path.read_text(encoding="utf-8")))
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_to_a_section_lead_to_a_heading(path: Path) -> None:
    for target, section in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert section in sections(path.parent / target if target else path), f"{path.name} links to #{section}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_named_files_exist(path: Path) -> None:
    """A path of ours in back-quotes is a path that exists."""
    rooms = "wire|firmware|gateway|boards|sim|tools|tests"
    for named in re.findall(rf"`((?:{rooms})/[\w./-]*\w/?)`", path.read_text(encoding="utf-8")):
        assert (ROOT / named).exists(), f"{path.name} names {named}"


def commands(app: typer.Typer) -> Iterator[str]:
    def walk(command: object, words: tuple[str, ...]) -> Iterator[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(words)
            return
        for name, child in inner.items():
            yield from walk(child, (*words, name))

    return walk(typer.main.get_command(app), ("balise",))


def test_the_readme_commands_run() -> None:
    """`make demo` and `make test` are run by the journey tests and by whoever reads this; the others are run here."""
    for command in fences(read("README.md"), "sh"):
        for line in command.splitlines():
            if not line.startswith("make "):
                program, *words = line.split()
                assert program == ".venv/bin/balise"
                done = subprocess.run([sys.executable, "-m", "balise_tools", *words], cwd=ROOT, stdout=subprocess.PIPE)
                assert done.returncode == 0
                assert len(done.stdout.splitlines()) == 2


def test_every_command_is_documented() -> None:
    from balise_tools.main import app

    text = read("tools/README.md")
    for command in commands(app):
        assert f"`{command}" in text, f"{command} is not in tools/README.md"


def test_every_event_is_documented() -> None:
    text, found = read("gateway/README.md") + read("gateway/BADGES.md"), 0
    for path in (ROOT / "gateway/balise_gateway").rglob("*.py"):
        for name in re.findall(r"\bevent\(\s*\"([^\"]+)\"", path.read_text(encoding="utf-8")):
            found += 1
            assert f"`{name}`" in text, f"the event {name} of {path.name} is not in gateway/README.md or BADGES.md"
    assert found > 20


@pytest.mark.parametrize(
    ("heading", "folder"), [("Inside the gateway", ""), ("Inside `badges/`", "badges")], ids=("gateway", "badges")
)
def test_the_map_has_every_room_and_no_other(heading: str, folder: str) -> None:
    """Of badges also the modules that stand in no room; the gateway's own are in gateway/README.md."""
    part = read("ARCHITECTURE.md").partition(f"### {heading}\n")[2].partition("\n#")[0]
    told = set(re.findall(r"`([\w.]+/?)`", "\n".join(line.split("|")[1] for line in part.splitlines() if "|" in line)))
    here = [p for p in (ROOT / "gateway/balise_gateway" / folder).iterdir() if not p.name.startswith((".", "_"))]
    rooms = {f"{p.name}/" for p in here if (p / "__init__.py").exists()}
    assert told == rooms | ({p.name for p in here if p.suffix == ".py"} if folder else set())


def test_every_wire_reason_is_documented() -> None:
    for reason in REASONS:
        assert f"`{reason}`" in read("wire/SPEC.md"), f"{reason} is not in wire/SPEC.md"


def test_every_sensor_is_documented_as_it_is() -> None:
    text = read("firmware/README.md")
    for row in sensor_table.rows():
        assert row in text, f"missing or stale: {row}; `python tests/docs/sensor_table.py` prints all"


def test_version_and_changelog_agree() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == version
