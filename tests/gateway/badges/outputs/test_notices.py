"""The sign for the door and the information for members: whole, from the configuration, in two languages, on paper."""

import itertools
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from balise_gateway.badges import notices
from balise_gateway.badges.notices import Facts, Notice, as_html, as_pdf, texts
from balise_gateway.badges.outputs import _letters
from balise_gateway.config import parse
from balise_gateway.errors import ConfigError
from balise_tools.main import app

PLAIN = Facts("coroutine.example", "La Coroutine", "donnees@coroutine.example", 90)
WHOLE = Facts("coroutine.example", "Cœur <b>", "donnees@coroutine.example", 30, True, True, True, ("dokos",))
EMPTY = Facts("coroutine.example", "", "", 90)
ALL = list(itertools.product((PLAIN, WHOLE, EMPTY), texts.LANGUAGES))
# GDPR art. 13: what must be told, by a word of each language
MUST = {
    "controller, art. 13.1.a": ("Qui en répond", "Who is responsible"),
    "purposes and basis, 13.1.c": ("6.1.b", "6.1.b"),
    "legitimate interests, 13.1.d": ("intérêt légitime", "legitimate interest"),
    "recipients, 13.1.e": ("Qui le reçoit", "Who receives it"),
    "transfers, 13.1.f": ("Personne hors de l'Union européenne", "Nobody outside the European Union"),
    "periods, 13.2.a": ("10 ans", "10 years"),
    "access and correction, 13.2.b": ("corriger", "corrected"),
    "erasure, 13.2.b": ("effacer", "erased"),
    "restriction, 13.2.b": ("limiter", "limit its use"),
    "portability, 13.2.b": ("dans un fichier", "in a file"),
    "objection, 13.2.b": ("vous opposer", "object"),
    "complaint, 13.2.d": ("CNIL", "CNIL"),
    "whether it must be given, 13.2.e": ("Sans badge", "without a badge"),
    "automated decisions, 13.2.f": ("par la machine seule", "by the machine alone"),
    "no checking of movements": ("vos déplacements", "where you are"),
    "the employer": ("par mois et par lieu ; ni jours", "by month and place; no days"),
    "a draft": ("pas un conseil juridique", "not legal advice"),
}


def whole(notice: Notice) -> str:
    parts = [notice.title, notice.place, notice.draft, *notice.steps, notice.foot]
    for section in notice.sections:
        parts += [section.heading, *section.paragraphs, *section.points]
    return "\n".join(parts)


@pytest.mark.parametrize("what", MUST)
@pytest.mark.parametrize("facts", [PLAIN, WHOLE, EMPTY])
def test_members_are_told_what_the_law_wants(what: str, facts: Facts) -> None:
    for language, word in zip(texts.LANGUAGES, MUST[what], strict=True):
        assert word in whole(texts.information(facts, language))


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_periods_and_contact_are_those_of_the_configuration(language: str) -> None:
    for facts in (PLAIN, WHOLE):
        for notice in (texts.information(facts, language), texts.sign(facts, language)):
            assert f"{facts.keep_taps_days} {'jours' if language == 'fr' else 'days'}" in whole(notice)
            assert facts.contact in whole(notice)
            assert facts.name in whole(notice)
            assert notice.gaps == ()


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_what_a_place_does_not_have_is_not_told(language: str) -> None:
    words = {"fr": ("porte", "caméra", "pseudonyme, différent", "dokos"), "en": ("door", "camera", "differs", "dokos")}
    for word in words[language]:
        assert word in whole(texts.information(WHOLE, language))
        assert word not in whole(texts.information(PLAIN, language))
    assert words[language][0] in whole(texts.sign(WHOLE, language))
    assert words[language][0] not in whole(texts.sign(PLAIN, language))


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_gaps_are_seen(language: str) -> None:
    for notice in (texts.information(EMPTY, language), texts.sign(EMPTY, language)):
        assert notice.gaps == ("name", "contact")
        assert '<span class="gap">[' in as_html.page(notice)


def test_both_languages_say_the_same() -> None:
    """As many sections, paragraphs and points, and the same numbers."""
    for facts in (PLAIN, WHOLE, EMPTY):
        for made in (texts.sign, texts.information):
            french, english = (made(facts, language) for language in texts.LANGUAGES)
            assert [(len(s.paragraphs), len(s.points)) for s in french.sections] == [
                (len(s.paragraphs), len(s.points)) for s in english.sections
            ]
            numbers = [sorted(re.findall(r"\d+", whole(notice))) for notice in (french, english)]
            assert numbers[0] == numbers[1]


@pytest.mark.parametrize(("facts", "language"), ALL)
def test_html_is_whole_and_asks_nobody(facts: Facts, language: str) -> None:
    for notice in (texts.sign(facts, language), texts.information(facts, language)):
        page = as_html.page(notice)
        assert f'<html lang="{language}">' in page
        assert "<b>" not in page
        assert not re.search(r"https?://|src=|@import", page)
        assert page.count("<section>") == len(notice.sections)


def words_of(pdf: bytes) -> tuple[Any, str]:
    read = PdfReader(BytesIO(pdf))
    text = " ".join(page.extract_text() for page in read.pages)
    return read, re.sub(r"[\s\u00a0]+", "", text)


@pytest.mark.parametrize(("facts", "language"), ALL)
def test_every_word_is_on_the_paper(facts: Facts, language: str) -> None:
    for notice, size in ((texts.sign(facts, language), (148, 210)), (texts.information(facts, language), (210, 297))):
        read, words = words_of(as_pdf.document(notice))
        assert len(read.pages) == 1
        box = read.pages[0].mediabox
        assert (round(float(box.width) * 25.4 / 72), round(float(box.height) * 25.4 / 72)) == size
        for line in whole(notice).split("\n"):
            told = line if _letters.files() is not None else line.replace("œ", "oe")
            assert re.sub(r"\s+", "", told) in words, line


def test_a_machine_without_dejavu_writes_them_all_the_same(tmp_path: Path) -> None:
    """In a process that finds no font of the system: œ becomes oe, nothing becomes a question mark."""
    code = (
        "import sys\n"
        "from balise_gateway.badges.notices import Facts, as_pdf, texts\n"
        "facts = Facts('coroutine.example', 'C\u0153ur d\u2019\u00e9t\u00e9', 'x@y.example', 90)\n"
        "sys.stdout.buffer.write(as_pdf.document(texts.information(facts, 'fr')))"
    )
    bare = {**os.environ, "XDG_DATA_DIRS": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=bare, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    _, words = words_of(done.stdout)
    assert "Coeurd'été" in words
    assert "?" not in words


CONFIG = '[gateway]\ndata_dir = "data"\n[badge]\nplace = "coroutine.example"\n'


def run(folder: Path, text: str, *words: str) -> Any:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["badge", "notices", "-c", str(path), "--out", str(folder / "out"), *words])


def test_the_command_writes_all_of_them(tmp_path: Path) -> None:
    done = run(tmp_path, CONFIG + 'name = "Ici"\ncontact = "nous@ici.example"\n')
    assert done.exit_code == 0, done.output
    kinds = itertools.product(("sign", "information"), texts.LANGUAGES, ("html", "pdf"))
    wanted = sorted(f"badge-{kind}-{language}.{suffix}" for kind, language, suffix in kinds)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == wanted
    assert "not legal advice" in done.output
    assert "filled in" not in done.output
    assert "Ici" in (tmp_path / "out/badge-sign-fr.html").read_text(encoding="utf-8")


def test_the_command_writes_one_language_and_names_gaps(tmp_path: Path) -> None:
    done = run(tmp_path, CONFIG, "--lang", "en")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "out").iterdir())) == 4
    for key in ("name", "contact"):
        assert f"still to be filled in: {key} in [badge]" in done.output


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    assert "choose fr or en" in run(tmp_path, CONFIG, "--lang", "de").output
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    done = run(tmp_path, CONFIG)
    assert done.exit_code == 1
    assert "cannot be written" in done.output
    with pytest.raises(ConfigError, match=r"no \[badge\]"):
        notices.facts_of(
            parse(
                '[gateway]\ndata_dir = "data"\n[[ingest]]\nkind = "mqtt_listener"\nanonymous = true\n',
                tmp_path / "gateway.toml",
            )
        )


def test_facts_are_read_from_the_configuration(tmp_path: Path) -> None:
    more = 'agreement = "a.toml"\nkeep_taps_days = 30\n[[output]]\nkind = "door"\npin = 5\nlock = "fail-safe"\n'
    facts = notices.facts_of(parse(CONFIG + more, tmp_path / "gateway.toml"))
    assert facts == Facts("coroutine.example", "", "", 30, has_door=True, has_partners=True)
