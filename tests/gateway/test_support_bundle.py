"""The support bundle: secrets are seeded everywhere, in every form, and none of them comes out."""

import base64
import json
import stat
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from balise_gateway import hubs as hub_kinds
from balise_gateway import keys, plugins
from balise_gateway.config import load
from balise_gateway.operation.redact import GONE, Redaction
from balise_gateway.settings import keys_of
from balise_tools.gateway import app

KEY = "6b1f0c52e9a4d3870f5e2c9ab8d71e34"
LAT, LON, COMMUNE = "46.51234", "-1.73456", "85191"
SECRETS = {
    "mqtt": "staple-battery-7",
    "broker": "corr3ct/horse+x",
    "influx": "influx==secret",
}

CONFIG = f"""
[gateway]
data_dir = "data"
clock_uncertainty_ms = 20
[[ingest]]
kind = "mqtt_listener"
port = 18831
[ingest.users]
node = "{SECRETS["mqtt"]}"
[[ingest]]
kind = "mqtt_broker"
host = "127.0.0.1"
port = 18832
user = "gateway"
password = "{SECRETS["broker"]}"
[[node]]
name = "urn:dev:ops:b4115e-air-01"
key = "{KEY}"
lat = {LAT}
lon = {LON}
commune = "{COMMUNE}"
[[hub]]
name = "influx"
kind = "influxdb"
bucket = "air"
org = "home"
log = 2
url = "https://reader:p4ssw0rd@influx.example/?token=in-the-url"
token = "{SECRETS["influx"]}"
"""


def log_of(secrets: list[str]) -> str:
    """A careless log: each secret as a stranger's library might print it."""
    lines = [
        "INFO gateway starts",
        "INFO POST https://a:b3llow@hub.example/x?api_key=k3y&day=1",
        "DEBUG Authorization: Bearer abc.def",
    ]
    for secret in secrets:
        raw = secret.encode()
        lines += [
            f"DEBUG login with {secret}",
            f"DEBUG upper {secret.upper()}",
            f"DEBUG url ?x={quote(secret, safe='')}",
            f"DEBUG hex {raw.hex()}",
            f"DEBUG basic {base64.b64encode(raw).decode()}",
        ]
    lines.append(f"DEBUG key {base64.b64encode(bytes.fromhex(KEY)).decode()} at {LAT}, {LON}")
    lines.append("DEBUG token balise_0123456789ab_abcdefghijklmnopqrstuvwxyz")
    return "\n".join(lines)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIG, encoding="utf-8")
    keys.load_or_make(load(file).gateway.data_dir)
    (tmp_path / "log").write_text(log_of([*SECRETS.values(), KEY]), encoding="utf-8")
    return file


def texts_of(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


def test_no_secret_and_no_place_is_in_the_bundle(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "help.zip"
    words = ["support-bundle", str(out), "-c", str(config), "--log", str(tmp_path / "log"), "--yes"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    texts = texts_of(out)
    assert set(texts) == {"README.txt", "config.txt", "status.json", "doctor.txt", "log.txt", "versions.txt"}
    seed = (load(config).gateway.data_dir / keys.FILE_NAME).read_bytes()
    places = [LAT, LON, COMMUNE]
    others = ["b3llow", "k3y&", "abc.def", "p4ssw0rd", "in-the-url", "abcdefghijklmnopqrstuvwxyz", seed.hex()]
    for secret in (*SECRETS.values(), KEY, *places, *others):
        raw = secret.encode()
        for form in (secret, quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode().rstrip("=")):
            for name, text in texts.items():
                assert form.lower() not in text.lower(), f"{form} in {name}"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_what_helps_is_still_there(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "help.zip"
    CliRunner().invoke(app, ["support-bundle", str(out), "-c", str(config), "--log", str(tmp_path / "log"), "--yes"])
    texts = texts_of(out)
    assert "ingest 1.port = 18831" in texts["config.txt"]
    assert "hub 1.kind = 'influxdb'" in texts["config.txt"]
    assert f"node 1.key = '{GONE}'" in texts["config.txt"]
    assert "influx.example" in texts["config.txt"]
    assert "INFO gateway starts" in texts["log.txt"]
    assert "cryptography" in texts["versions.txt"]
    assert json.loads(texts["status.json"])
    assert "✗ ports" in texts["doctor.txt"]


def test_it_is_shown_first_and_a_no_writes_nothing(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "help.zip"
    words = ["support-bundle", str(out), "-c", str(config), "--log", str(tmp_path / "log"), "--show"]
    done = CliRunner().invoke(app, words, input="n\n")
    assert "rien n'a été écrit" in done.output
    assert "INFO gateway starts" in done.output
    assert SECRETS["broker"] not in done.output
    assert not out.exists()
    out.write_text("mine", encoding="utf-8")
    assert CliRunner().invoke(app, [*words, "--yes"]).exit_code == 1
    assert out.read_text(encoding="utf-8") == "mine"


SECRET = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=["C", "Z"]), min_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(secret=SECRET, before=st.text(max_size=20), after=st.text(max_size=20))
def test_whatever_the_secret_is_no_form_of_it_comes_out(secret: str, before: str, after: str) -> None:
    redaction = Redaction(f'[[ingest]]\nkind = "mqtt_broker"\nhost = "x"\npassword = "{secret}"\n')
    raw = secret.encode()
    forms = (secret, quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode().rstrip("="))
    for form in forms:
        cleaned = redaction.clean(f"{before}{form}{after}")
        assert form not in cleaned or form in f"{before}{after}{GONE}"


def test_no_member_is_named_by_the_configuration_of_a_connector() -> None:
    text = (
        '[[connector]]\nkind = "fedow"\nurl = "https://fedow.example"\n[connector.wallets]\n"ada@b.example" = "a3c1"\n'
    )
    shown = Redaction(text).config(text)
    assert "fedow.example" in shown
    assert "ada" not in shown


@pytest.mark.parametrize("kind", plugins.kinds(hub_kinds))
def test_a_key_that_sounds_like_a_secret_is_one_for_every_kind_of_hub(kind: str) -> None:
    section = plugins.load(hub_kinds, kind).Settings
    shown = {key.name for key in keys_of(section)}
    sounding = {name for name in shown if any(word in name for word in ("token", "password", "secret"))}
    sounding -= {"token_kind", "token_type"}
    for name in sounding:
        cleaned = Redaction(f'[[hub]]\n{name} = "hunter2hunter2"\n').clean("hunter2hunter2")
        assert cleaned == GONE, f"{kind}: {name} must be a field with repr=False"
