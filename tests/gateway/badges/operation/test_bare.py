"""A place on which only `pip install balise` was run, as a process: what needs a library says so, the rest runs."""

import signal
import subprocess
from pathlib import Path

from contracts import bare

PATIENCE_S = 60
PROGRAM = "from balise_gateway.__main__ import main\nsys.exit(main(__import__('pathlib').Path(sys.argv[1])))\n"
PLACE = """
[gateway]
data_dir = "FOLDER/data"
[badge]
place = "alder.example"
table_key = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
table_url = "https://alder.example/table.cose"
[[reader]]
kind = "pn532"
name = "door"
path = "/dev/balise-nowhere"
[[reader]]
kind = "keyboard_wedge"
name = "scanner"
path = "/dev/balise-nowhere"
[[output]]
kind = "oled_128x64"
[[connector]]
kind = "credit_file"
file = "credit.csv"
"""


def test_a_place_runs_without_what_is_not_installed_and_says_it(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(PLACE.replace("FOLDER", str(tmp_path)), encoding="utf-8")
    process = subprocess.Popen([*bare.program(PROGRAM), str(config)], stderr=subprocess.PIPE, text=True)
    try:
        _read_until(
            process,
            {
                "reader=door": "not installed: a reader of kind pn532 needs nfcpy: pip install 'balise[badge]'",
                "reader=scanner": "no such device",
                "kind=oled_128x64": "not installed: a display needs pillow: pip install 'balise[badge]'",
                "place=table": "asking other places needs httpx: pip install 'balise[gateway]'",
            },
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate()


def _read_until(process: "subprocess.Popen[str]", wanted: dict[str, str]) -> None:
    """Reads events until each of these names has come, with these words in its line."""
    assert process.stderr is not None
    lines: list[str] = []
    while wanted:
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
        for name in [name for name in wanted if name in lines[-1]]:
            assert wanted.pop(name) in lines[-1]


def test_a_page_without_its_libraries_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(PLACE.replace("FOLDER", str(tmp_path)) + "[page]\nport = 8080\n", encoding="utf-8")
    command = [*bare.program(PROGRAM), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert told == ["balise gateway: the section [page] needs starlette: pip install 'balise[gateway]'"]
