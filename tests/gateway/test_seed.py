"""The files for a Raspberry Pi's first boot: read back by cloud-init itself, and by the rules of custom.toml."""

import random
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from balise_gateway import config, settings
from balise_gateway.errors import ConfigError
from balise_gateway.operation import seed, site
from balise_tools.gateway import app
from gateway.support import KEY, NAME, program

# made for this test with ssh-keygen -t ed25519; its private half is thrown away
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIutFflJIr07yO+g4f32cCYgxeiz8r53m/IVQqlQyH5h mediator"
FINGERPRINT = "SHA256:urq0zKlAC4qTPrwvqABrayO3Sr+87EYZu1mph84vkEk"
HASH = "$6$saltsalt$8RWsOfwR6M6PpnoeQiEiWzNTPo1f0HjVYjDnLZhGx16aBFRkeqiHAzfXP/LgrOWMBMXqiU2pLrXsSOHNUyUm91"  # of "x"
SECRET = "un secret bien garde"
SITE = f"""
[board]
host_name = "passerelle"
config = "gateway.toml"
[user]
name = "hote"
ssh_keys = ["{PUBLIC}"]
password_hash = "{HASH}"
[wifi]
ssid = "Chez nous: l'été #1"
password = "{SECRET}"
"""
CONFIG = f"""
[gateway]
data_dir = "/var/lib/balise"
[[ingest]]
kind = "mqtt_listener"
[ingest.users]
air = "sesame"
[[node]]
name = "{NAME}"
key = "{KEY.hex()}"
"""
# raspberrypi-sys-mods, usr/lib/raspberrypi-sys-mods/init_config: what it takes, section by section
CUSTOM = {
    "system": {"hostname"},
    "user": {"name", "password", "password_encrypted"},
    "ssh": {"ssh_import_id", "enabled", "password_authentication", "authorized_keys"},
    "wlan": {"ssid", "password", "password_encrypted", "hidden", "country"},
    "locale": {"keymap", "timezone"},
}


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    return tmp_path / "site.toml"


def seeded(site_file: Path, *words: str) -> list[Path]:
    out = site_file.parent / "seeds"
    done = CliRunner().invoke(app, ["seed", str(site_file), "--out", str(out), *words])
    assert done.exit_code == 0, done.output
    return sorted(out.iterdir())


def test_cloud_init_takes_it(site_file: Path) -> None:
    (board,) = seeded(site_file)
    words = [program("cloud-init"), "schema", "--config-file", str(board / "user-data")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    spoilt = site_file.parent / "spoilt"
    spoilt.write_text("#cloud-config\nusers: 7\n", encoding="utf-8")
    words[-1] = str(spoilt)
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0  # it does look


def test_what_a_board_is_told(site_file: Path) -> None:
    (board,) = seeded(site_file)
    told = yaml.safe_load((board / "user-data").read_text(encoding="utf-8"))
    assert told["hostname"] == board.name
    (user,) = told["users"]
    assert (user["name"], user["passwd"], user["lock_passwd"]) == ("hote", HASH, False)
    assert "sudo" not in user
    assert told["ssh_pwauth"] is False
    assert told["write_files"][0]["content"] == CONFIG
    network = yaml.safe_load((board / "network-config").read_text(encoding="utf-8"))["network"]
    points = network["wifis"]["wlan0"]["access-points"]
    assert list(points) == ["Chez nous: l'été #1"]
    assert yaml.safe_load((board / "meta-data").read_text(encoding="utf-8"))["local-hostname"] == board.name


def test_bookworm_is_told_the_same(site_file: Path) -> None:
    (board,) = seeded(site_file)
    told = tomllib.loads((board / "custom.toml").read_text(encoding="utf-8"))
    assert told.pop("config_version") == 1
    for section, keys in told.items():
        assert set(keys) <= CUSTOM[section], section
    assert told["system"]["hostname"] == board.name
    assert told["ssh"]["authorized_keys"] == [PUBLIC]
    assert told["user"]["password"] == HASH


def test_the_wifi_key_is_that_of_the_standard() -> None:
    """IEEE 802.11i-2004, annex H.4.3, test vector 1."""
    wifi = site.WifiSettings(ssid="IEEE", password="password")
    assert wifi.psk == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    assert site.WifiSettings(ssid="IEEE", password=wifi.psk).psk == wifi.psk


def test_files_are_for_their_owner_and_hold_no_password(site_file: Path) -> None:
    (board,) = seeded(site_file)
    assert stat.S_IMODE(board.stat().st_mode) == 0o700
    for file in board.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
        assert SECRET not in file.read_text(encoding="utf-8"), file.name
    loaded = site.load(site_file)
    for secret in (SECRET, HASH, KEY.hex(), "sesame"):
        assert secret not in repr(loaded)


def test_each_board_has_a_name_and_a_password_of_its_own(site_file: Path) -> None:
    site_file.write_text(SITE.replace('config = "gateway.toml"\n', ""), encoding="utf-8")
    boards = seeded(site_file, "--boards", "20")
    assert len(boards) == 20
    passwords = {config.load(board / "gateway.toml").ingests[0].users["node"] for board in boards}
    assert len(passwords) == 20


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (f'ssh_keys = ["{PUBLIC}"]\npassword_hash = "{HASH}"', "", "no default password"),
        (HASH, "raspberry", "openssl passwd -6"),
        (PUBLIC, "-----BEGIN OPENSSH PRIVATE KEY-----", "no public key"),
        (PUBLIC, PUBLIC.replace("AAAAC3", "AAAAD3"), "no public key"),
        ('"passerelle"', '"Passerelle d\'ici"', "host_name"),
        (SECRET, "court", "8 to 63"),
        ('name = "hote"', 'name = "root"', "not root"),
        ('config = "gateway.toml"', 'package = "none.deb"', "make deb"),
        ('config = "gateway.toml"', 'confg = "gateway.toml"', "did you mean 'config'"),
        ('config = "gateway.toml"', 'config = "none.toml"', "cannot be read"),
        ("[wifi]", "[wlan]", "unknown key 'wlan'"),
    ],
)
def test_what_is_refused(site_file: Path, old: str, new: str, says: str) -> None:
    assert old in SITE
    site_file.write_text(SITE.replace(old, new), encoding="utf-8")
    done = CliRunner().invoke(app, ["seed", str(site_file), "--out", str(site_file.parent / "seeds")])
    assert done.exit_code == 2
    assert says in done.output
    assert not (site_file.parent / "seeds").exists()
    for secret in (SECRET, HASH):
        assert secret not in done.output


def test_a_gateway_that_the_service_could_not_run_is_refused(site_file: Path) -> None:
    (site_file.parent / "gateway.toml").write_text(CONFIG.replace("/var/lib/balise", "/srv/data"), encoding="utf-8")
    with pytest.raises(ConfigError, match="data_dir must be"):
        site.load(site_file)


def test_a_fingerprint_is_that_of_ssh_keygen() -> None:
    assert site.key_fingerprint(PUBLIC) == FINGERPRINT


@given(
    ssid=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8),
    password=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63),
)
def test_any_network_is_written_so_that_it_is_read(ssid: str, password: str) -> None:
    user = site.UserSettings(name="hote", ssh_keys=(PUBLIC,))
    wifi = site.WifiSettings(ssid=ssid, password="f" * 64)
    assert site.WifiSettings(ssid=ssid, password=password).problem() is None
    told = site.Site(site.BoardSettings(host_name="p"), user, wifi)
    written = yaml.safe_load(yaml.safe_dump(seed.network_config(told), allow_unicode=True))
    assert list(written["network"]["wifis"]["wlan0"]["access-points"]) == [ssid]


def test_the_same_chance_gives_the_same_seed(site_file: Path) -> None:
    loaded, folder = site.load(site_file), site_file.parent
    names = [seed.write(loaded, folder / name, random.Random(1)) for name in ("a", "b")]
    assert names[0] == names[1]
    assert (folder / "a" / names[0] / "user-data").read_bytes() == (folder / "b" / names[1] / "user-data").read_bytes()


def test_every_key_of_the_site_file_is_documented() -> None:
    text = (Path(__file__).parents[2] / "gateway" / "README.md").read_text(encoding="utf-8")
    for name, section in (("board", site.BoardSettings), ("user", site.UserSettings), ("wifi", site.WifiSettings)):
        for key in settings.keys_of(section):
            assert f"| `{name}.{key.name}` | {key.type} | {key.default or 'needed'} | {key.doc} |" in text
