"""A real mail server (aiosmtpd) with STARTTLS and a login, and whoever reads the mails with Python's own readers."""

import csv
import datetime
import email
import email.policy
import io
import ipaddress
import logging
import socket
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from balise_gateway.badges.connectors import Connector, csv_mail
from balise_gateway.clock import Clock
from contracts.connector_ends import MEMBER, OTHER, StandingClock, secret, usage

USER, PASSWORD = "desk@coroutine.example", "mail-s3cr3t"
SENDER, TO = "badges@coroutine.example", ("accounts@coroutine.example", "desk@coroutine.example")


class End:
    answers: ClassVar[Mapping[str, bool]] = {
        "no connection": True,
        "silence": True,
        "421": True,
        "451": True,
        "535": False,
        "550": False,
        "no STARTTLS": False,
        "another certificate": False,
    }
    secrets = (PASSWORD,)
    counts_usages = True

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder, self.clock = folder, clock or StandingClock()
        self.requests, self._answer = 0, "ok"
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.logins: list[tuple[str, bool]] = []  # the name, and whether that was under TLS
        self.refuses: set[str] = set()  # recipients
        self.with_tls, self._controller = "starttls", None
        self._socket: socket.socket | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        _certify(folder / "cert.pem")
        _certify(folder / "other.pem")
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # what the server writes down is not ours
        self.answer = "ok"

    def settings(self, **settings: Any) -> csv_mail.Settings:
        words: dict[str, Any] = {"kind": "csv_mail", "folder": self.folder / "mail", "host": "127.0.0.1"}
        words |= {"port": self.port, "user": USER, "password_file": secret(self.folder, PASSWORD)}
        words |= {"sender": SENDER, "recipients": TO, "grace_days": 0, "timeout_s": 20.0}
        words |= {"ca_file": self.folder / "cert.pem"}
        return csv_mail.Settings(**(words | settings))

    def connector(self, **settings: Any) -> Connector:
        return csv_mail.Connector(self.settings(**settings), None, self.clock)

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        self.close()
        self._answer = word
        if word == "silence":
            self._socket = socket.create_server(("127.0.0.1", self.port))
        elif word != "no connection":
            self._start()

    def used(self, key: str) -> int:
        found = [int(row["half_days"]) for row in self.rows() if row["member"] == _member(key)]
        assert len(found) < 2
        return sum(found)

    def rows(self) -> list[dict[str, str]]:
        """The lines that hold: of each period the newest table; a mail that came twice is one to whoever reads it."""
        newest: dict[str, EmailMessage] = {}
        for mail in self.mails:
            period = str(mail["Subject"]).split()[3]
            newest[period] = mail
        return [row for mail in newest.values() for row in table(mail)]

    def credit(self, member: str, half_days: int) -> None:
        raise NotImplementedError

    def taps(self) -> list[str]:
        return []

    def close(self) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # What aiosmtpd calls.

    async def handle_EHLO(self, server: SMTP, session: Session, _: Envelope, name: str, told: list[str]) -> list[str]:
        self.requests += 1
        session.host_name = name
        return told

    async def handle_MAIL(self, server: SMTP, _: Session, envelope: Envelope, sender: str, options: list[str]) -> str:
        if self._answer == "421":
            return "421 closing"
        envelope.mail_from = sender
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, _: Session, envelope: Envelope, to: str, options: list[str]) -> str:
        if self._answer == "550" or to in self.refuses:
            return f"550 {to}: no such user here, {PASSWORD}"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._answer == "451":
            return "451 later"
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        found = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        if self._answer == "lost":
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]
        return "250 OK"

    def _login(self, _: SMTP, session: Session, __: Envelope, ___: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login.decode(), session.ssl is not None))
        good = data.login.decode() == USER and data.password.decode() == PASSWORD and self._answer != "535"
        return AuthResult(success=good, handled=False)

    def _start(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / ("other.pem" if self._answer == "another certificate" else "cert.pem"))
        words: dict[str, Any] = {"authenticator": self._login, "auth_required": self.with_tls != "none"}
        if self.with_tls == "starttls" and self._answer != "no STARTTLS":
            words |= {"tls_context": context, "require_starttls": True}
        if self.with_tls == "tls":
            words |= {"ssl_context": context, "auth_require_tls": False}  # aiosmtpd means STARTTLS by it
        self._controller = Controller(self, "127.0.0.1", self.port, **words)
        self._controller.start()


def table(mail: EmailMessage) -> list[dict[str, str]]:
    """The lines of its one attachment."""
    (part,) = mail.iter_attachments()
    assert part.get_content_charset() == "utf-8"
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=";"))


def _member(key: str) -> str:
    """Whose this usage of the suite is."""
    return OTHER if key == usage(2).key else MEMBER


def _certify(path: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + cert.public_bytes(serialization.Encoding.PEM))
