"""The support bundle of a place: what helps is in it, and nothing of a person, a card or a secret."""

import asyncio
import json
import zipfile
from pathlib import Path

from typer.testing import CliRunner

from balise_gateway.operation import bundle
from balise_gateway.operation.redact import GONE, Redaction
from balise_tools.gateway import app
from gateway.badges.places import places

HERE = "coroutine.example"
MEMBER, NAME, CLIENT, UID = "anne-du-bois", "Anne Du Bois", "customer-4711", bytes.fromhex("04a1b2c3d4e5f6")
WALLET = "5e0b4c1e-8d1f-4c59-9a53-1d5cf6a0f001"
CONNECTORS = f"""
[[connector]]
kind = "csv_mail"
folder = "mails"
host = "mail.coroutine.example"
user = "desk@coroutine.example"
password_file = "/etc/balise/mail-password-of-ours"
sender = "desk@coroutine.example"
recipients = ["treasurer.jeanne@coroutine.example"]
[[connector]]
kind = "fedow"
url = "https://fedow.example"
secret_file = "/etc/balise/fedow-key-of-ours"
place_key_file = "/etc/balise/fedow-rsa-of-ours"
asset = "4d9e24be-11bb-4cf2-a6c6-5e7f3d3b1b5c"
per_half_day = 1.0
[connector.wallets]
{MEMBER} = "{WALLET}"
"""
BADGE = 'contact = "https://coroutine.example/contact"\ntable_url = "https://table.example/places.cose"\n'


def test_nothing_of_the_register_and_no_secret_of_a_connector_is_in_it(tmp_path: Path) -> None:
    told: dict[str, str] = {}

    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            number = here.member(MEMBER, uid=UID, client=CLIENT)
            here.show(number, uid=UID)
            (who,) = [who for (who,) in here.office.records.book.db.execute("SELECT who FROM tap")]
            told.update(number=number, who=who.hex())
            assert here.gateway is not None
            text = (tmp_path / HERE / "gateway.toml").read_text(encoding="utf-8")
            status = here.gateway.status()
            log = f"partner wrote from someone@else.example; {MEMBER}; {WALLET}; balise_desk_s3cretOfAGuest\n"
            told.update(bundle.gather(text, status, ["✓ badge_keys: home.key is protected"], log))

    (tmp_path / HERE).mkdir()
    config = f'[gateway]\ndata_dir = "data"\n[badge]\nplace = "{HERE}"\n{BADGE}{CONNECTORS}'
    (tmp_path / HERE / "gateway.toml").write_text(config, encoding="utf-8")
    asyncio.run(scene())
    number, who = told.pop("number"), told.pop("who")
    secrets = [MEMBER, NAME, CLIENT, UID.hex(), number, who, WALLET, "jeanne", "desk@", "someone@", "of-ours", "s3cret"]
    for file, text in told.items():
        assert [secret for secret in secrets if secret.lower() in text.lower()] == [], file
    for helps in (
        HERE,
        "https://coroutine.example/contact",
        "https://table.example",
        "csv_mail",
        "https://fedow.example",
    ):
        assert helps in told["config.txt"]
    assert json.loads(told["status.json"])["badge"]["shown"] == {"accepted": 1}
    assert "✓ badge_keys" in told["doctor.txt"]
    assert "nfcpy" in told["versions.txt"]


def test_a_readers_settings_are_shown_and_its_command_is_not() -> None:
    config = """
[[reader]]
kind = "camera_qr"
name = "door"
command = ["ffmpeg", "-i", "rtsp://cam:p4ss@camera.example/"]
[[reader]]
kind = "serial_qr"
path = "/dev/ttyACM0"
baud = 9600
"""
    shown = Redaction(config).config(config)
    assert "reader 2.baud = 9600" in shown
    assert "reader 1.name = 'door'" in shown
    assert f"reader 1.command = '{GONE}'" in shown
    assert "p4ss" not in shown


def test_the_command_writes_it_and_none_of_the_places_files(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            here.show(here.member(MEMBER))

    asyncio.run(scene())
    config = tmp_path / "gateway.toml"
    config.write_text(f'[gateway]\ndata_dir = "{tmp_path / HERE}"\n[badge]\nplace = "{HERE}"\n', encoding="utf-8")
    done = CliRunner().invoke(app, ["support-bundle", str(tmp_path / "help.zip"), "-c", str(config), "--yes"])
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(tmp_path / "help.zip") as archive:
        assert all(name.endswith((".txt", ".json")) for name in archive.namelist())
        inside = b"".join(archive.read(name) for name in archive.namelist())
    assert MEMBER.encode() not in inside
    assert "badge_keys: aucune sauvegarde avec les clés".encode() in inside
