"""The contract of a check, on every one in the folder: it is shown a whole thing, and the same broken, for real."""

import contextlib
import dataclasses
import datetime
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from balise_gateway import doctor, keys, plugins
from balise_gateway.clock import UNKNOWN_MS
from balise_gateway.config import load
from balise_gateway.doctor import Finding, Patient
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.file import FILE_NAME
from balise_tools.gateway import app
from gateway.support import toml

NOW_MS = 1_790_000_000_000
ENDS = datetime.datetime(2049, 1, 1, tzinfo=datetime.UTC)  # of certificates: OpenSSL looks at the real clock


@pytest.fixture
def whole(tmp_path: Path) -> Patient:
    """A gateway that lacks nothing: made by its own code, on a machine that is looked after."""
    (tmp_path / "etc/apt/apt.conf.d").mkdir(parents=True)
    (tmp_path / "etc/apt/apt.conf.d/20auto-upgrades").write_text('APT::Periodic::Unattended-Upgrade "1";\n')
    (tmp_path / "etc/hostname").write_text("passerelle-x7k2\n")
    (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
    config = tmp_path / "gateway.toml"
    config.write_text(toml(tmp_path, hubs=0), encoding="utf-8")
    config.chmod(0o640)
    loaded = load(config)
    keys.load_or_make(loaded.gateway.data_dir)
    journal = Journal(loaded.gateway.data_dir, "balise/test")
    journal.open()
    journal.close()
    return Patient(loaded, config, None, tmp_path, lambda: 20, lambda: NOW_MS)


def look(name: str, patient: Patient) -> list[Finding]:
    return list(plugins.load(doctor, name).look(patient))


@contextlib.contextmanager
def listening(port: int) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]


def with_text(patient: Patient, text: str) -> Patient:
    """The same machine with another configuration."""
    patient.config_path.write_text(text, encoding="utf-8")
    return dataclasses.replace(patient, config=load(patient.config_path))


def no_clock(patient: Patient) -> Patient:
    text = patient.config_path.read_text(encoding="utf-8").replace("clock_uncertainty_ms = 20\n", "")
    return dataclasses.replace(with_text(patient, text), unsure_ms=lambda: UNKNOWN_MS)


def no_rtc(patient: Patient) -> Patient:
    (patient.root / "sys/class/rtc/rtc0").rmdir()
    return patient


def open_key(patient: Patient) -> Patient:
    (patient.config.gateway.data_dir / keys.FILE_NAME).chmod(0o644)
    return patient


def short_key(patient: Patient) -> Patient:
    (patient.config.gateway.data_dir / keys.FILE_NAME).write_bytes(b"short")
    return patient


def open_config(patient: Patient) -> Patient:
    patient.config_path.chmod(0o644)
    return patient


def torn_journal(patient: Patient) -> Patient:
    path = patient.config.gateway.data_dir / FILE_NAME
    data = bytearray(path.read_bytes())
    data[1024:4096] = os.urandom(3072)
    path.write_bytes(data)
    return patient


def set_aside(patient: Patient) -> Patient:
    (patient.config.gateway.data_dir / f"{FILE_NAME}.damaged-1").write_bytes(b"")
    return patient


def many_refused(patient: Patient) -> Patient:
    journal = Journal(patient.config.gateway.data_dir, "balise/test")
    journal.open()
    with journal.transaction() as db:
        tables.COUNTER.put(db, [("refused tag", 5_000)])
    journal.close()
    return patient


def shared_name(patient: Patient) -> Patient:
    (patient.root / "etc/hostname").write_text("raspberrypi\n")
    return patient


def no_updates(patient: Patient) -> Patient:
    (patient.root / "etc/apt/apt.conf.d/20auto-upgrades").write_text('APT::Periodic::Unattended-Upgrade "0";\n')
    return patient


def nothing_yet(patient: Patient) -> Patient:
    made = with_text(patient, patient.config_path.read_text(encoding="utf-8"))
    for file in patient.config.gateway.data_dir.iterdir():
        if file.name in (FILE_NAME, keys.FILE_NAME):
            file.unlink()
    return made


def hub_away(patient: Patient) -> Patient:
    status = {"logs": [{"name": "far", "hub": {"error": "no connection", "lag_envelopes": 7}}]}
    return dataclasses.replace(patient, status=status)


def _connected(patient: Patient) -> Patient:
    secret = patient.root / "dokos.key"
    secret.write_text("key:secret\n", encoding="utf-8")
    secret.chmod(0o600)
    text = patient.config_path.read_text(encoding="utf-8")
    text += '[badge]\nplace = "here.example"\n[[connector]]\nkind = "dokos"\nurl = "https://erp.example"\n'
    return with_text(patient, f'{text}secret_file = "{secret}"\ncredit_type = "Demi-journée"\n')


def open_secret(patient: Patient) -> Patient:
    made = _connected(patient)
    (patient.root / "dokos.key").chmod(0o644)
    return made


def _with_connector(patient: Patient, **told: object) -> Patient:
    status = {"badge": {"connectors": [{"name": "dokos", "state": "up", "waiting": 7, "refused": {}} | told]}}
    return dataclasses.replace(_connected(patient), status=status)


def program_away(patient: Patient) -> Patient:
    return _with_connector(patient, state="https://erp.example: no connection")


def usages_refused(patient: Patient) -> Patient:
    return _with_connector(patient, refused={"ValidationError": 3})


BROKEN: list[tuple[str, Callable[[Patient], Patient], str, str]] = [
    ("clock", no_clock, "fail", "timedatectl"),
    ("clock", no_rtc, "warn", "DS3231"),
    ("secrets", open_key, "fail", "chmod 600"),
    ("secrets", short_key, "fail", "5 bytes instead of 32"),
    ("secrets", open_config, "fail", "chmod 640"),
    ("secrets", nothing_yet, "warn", "first starts"),
    ("journal", torn_journal, "fail", "rescues"),
    ("journal", set_aside, "warn", "damaged-1"),
    ("journal", many_refused, "warn", "5000 frames refused: tag"),
    ("journal", nothing_yet, "warn", "start the gateway once"),
    ("machine", shared_name, "warn", "hostnamectl"),
    ("machine", no_updates, "warn", "unattended-upgrades"),
    ("hubs", hub_away, "fail", "nothing is lost"),
    ("connectors", open_secret, "fail", "chmod 600"),
    ("connectors", program_away, "fail", "7 usages wait, nothing is lost"),
    ("connectors", usages_refused, "warn", "3 usages refused: ValidationError"),
]


@pytest.mark.parametrize("name", plugins.kinds(doctor))
def test_a_check_finds_nothing_wrong_with_a_whole_gateway(name: str, whole: Patient) -> None:
    with listening(0) as port:
        text = whole.config_path.read_text(encoding="utf-8").replace("port = 0", f"port = {port}")
        found = look(name, with_text(whole, text))
    is_of_badges = name.startswith("badge_") or name == "connectors"
    assert bool(found) != is_of_badges  # of which a gateway without badges hears nothing
    assert [finding for finding in found if finding.state != "ok"] == []


@pytest.mark.parametrize(
    ("name", "breaks", "state", "says"), BROKEN, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_check_finds_what_is_broken_and_says_what_to_try(
    name: str, breaks: Callable[[Patient], Patient], state: str, says: str, whole: Patient
) -> None:
    found = [finding for finding in look(name, breaks(whole)) if finding.state == state]
    texts = [f"{finding.what.en} {finding.advice.en if finding.advice else ''}" for finding in found]
    assert any(says in text for text in texts), texts
    for finding in found:
        assert finding.advice is not None
        assert finding.what.fr
        assert finding.advice.fr != finding.advice.en


def test_a_connector_that_lacks_nothing_is_ready(whole: Patient) -> None:
    (finding,) = look("connectors", _with_connector(whole))
    assert (finding.state, finding.what.en) == ("ok", "dokos: ready")


def test_every_check_is_broken_here() -> None:
    elsewhere = {"ports", "disk"}  # below
    badges = {name for name in plugins.kinds(doctor) if name.startswith("badge_")}  # badges/operation/
    assert {name for name, *_ in BROKEN} | elsewhere | badges == set(plugins.kinds(doctor))


def test_a_port_where_nobody_listens_is_found(whole: Patient) -> None:
    with listening(0) as port:
        pass
    text = (
        f'[gateway]\ndata_dir = "{whole.root}"\n[[ingest]]\nkind = "mqtt_broker"\nhost = "127.0.0.1"\nport = {port}\n'
    )
    (finding,) = look("ports", with_text(whole, text))
    assert finding.state == "fail"
    assert f"127.0.0.1:{port}" in finding.what.en


def test_a_disk_that_fills_or_refuses_is_found(whole: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers are the kernel's interface: a full disk cannot be made on every machine that runs this."""
    real = os.statvfs(whole.config.gateway.data_dir)

    def stat_of(_path: object) -> os.statvfs_result:
        fields = list(real)
        fields[4], fields[8] = 1, real.f_flag | os.ST_RDONLY
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", stat_of)
    states = {finding.what.en: finding.state for finding in look("disk", whole)}
    assert states == {f"{whole.config.gateway.data_dir} cannot be written": "fail", "0 MiB free": "fail"}


@contextlib.contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """A real TLS server on this machine whose certificate lasts until ENDS, and whom to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    made = made.not_valid_after(ENDS)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "hub.pem").write_bytes(certificate + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hub.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server, context), daemon=True).start()
        yield server.getsockname()[1], ssl.create_default_context(cadata=certificate.decode())


def _greet(server: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            link, _ = server.accept()
            with contextlib.suppress(OSError), context.wrap_socket(link, server_side=True) as secured:
                secured.recv(1)


def hub_text(patient: Patient, url: str) -> str:
    hub = f'[[hub]]\nname = "far"\nkind = "native"\nlog = 1\nurl = "{url}"\npublic_key = "{"00" * 32}"\n'
    return f'[gateway]\ndata_dir = "{patient.root}"\n[[ingest]]\nkind = "mqtt_listener"\nanonymous = true\n{hub}'


@pytest.mark.parametrize(
    ("days", "state", "says"), [(90, "ok", "certified until 2049-01-01"), (3, "warn", "the certificate ends in 3 days")]
)
def test_a_hub_is_reached_by_tls_and_its_certificate_looked_at(
    days: int, state: str, says: str, whole: Patient, tmp_path: Path
) -> None:
    now_ms = round(ENDS.timestamp() * 1000) - days * 86_400_000 - 1
    with tls_server(tmp_path) as (port, trust):
        made = with_text(whole, hub_text(whole, f"https://localhost:{port}"))
        trusting = dataclasses.replace(made, utc_ms=lambda: now_ms, trust=lambda: trust)
        (finding,) = look("hubs", trusting)
        assert (finding.state, says in finding.what.en) == (state, True), finding
        (finding,) = look("hubs", made)  # who does not know that certificate
        assert (finding.state, "certificate refused" in finding.what.en) == ("fail", True), finding


def test_a_hub_that_is_not_there_is_found(whole: Patient) -> None:
    with listening(0) as port:
        pass
    (finding,) = look("hubs", with_text(whole, hub_text(whole, f"http://127.0.0.1:{port}")))
    assert (finding.state, "does not answer" in finding.what.en) == ("fail", True)


def test_the_command_speaks_french_english_and_json(whole: Patient) -> None:
    words = ["doctor", "-c", str(whole.config_path)]
    french = CliRunner().invoke(app, words)
    assert french.exit_code == 1  # nobody listens
    assert "✗ ports: mqtt_listener : personne n'écoute" in french.output
    assert "→ la passerelle tourne-t-elle" in french.output
    assert "nobody listens" in CliRunner().invoke(app, [*words, "--lang", "en"]).output
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert {entry["check"] for entry in found} == {
        n for n in plugins.kinds(doctor) if not n.startswith("badge_") and n != "connectors"
    }  # it has no badges, and is not told of any
