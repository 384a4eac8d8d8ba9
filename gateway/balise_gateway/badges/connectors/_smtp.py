"""One mail to one server (RFC 5321), with the standard library's smtplib, in a thread of its own.

Promises that a name and a password, or the mail itself, cross no network in the clear (STARTTLS, RFC 3207, or TLS from
the first byte, RFC 8314; without either only to this computer); that every failure is a ConnectorError that says
whether later may help (4yz replies, no connection) or the host must do something (5yz); and that no text of the
server's is repeated: it may hold an address. Leaves what is sent when to `csv_mail.py`.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from balise_gateway.badges.connectors import ConnectorSettings
from balise_gateway.badges.connectors._secret import is_this_computer, read_secret
from balise_gateway.errors import ConnectorError
from balise_gateway.settings import Key


@dataclass(frozen=True, kw_only=True)
class ServerSettings(ConnectorSettings):
    """A mail server that takes mail from us."""

    host: Annotated[str, Key("the mail server's name")]
    port: Annotated[int, Key("its TCP port: 587 for STARTTLS, 465 for TLS", least=1, most=65_535)] = 587
    security: Annotated[Literal["starttls", "tls", "none"], Key("none only to a server on this computer")] = "starttls"
    ca_file: Annotated[Path | None, Key("trust the certificates in this file instead of the system's")] = None
    user: Annotated[str | None, Key("the name to log in with; unset: no login")] = None
    password_file: Annotated[Path | None, Key("the file with the password, mode 0600")] = None
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 30.0

    def problem(self) -> str | None:
        if self.security == "none" and not is_this_computer(self.host):
            return 'security = "none": only to a server on this computer; mails name members'
        if (self.user is None) != (self.password_file is None):
            return "user and password_file go together"
        return None

    @property
    def where(self) -> str:
        """The server, without a secret."""
        return f"{self.host}:{self.port}"


async def send(settings: ServerSettings, sender: str, recipients: Sequence[str], message: bytes) -> int:
    """Hands over one mail; how many recipients the server refused, if it took it for others. Raises ConnectorError."""
    password = None if settings.password_file is None else read_secret(settings.password_file)
    return await asyncio.to_thread(_send, settings, password, sender, recipients, message)


def _send(
    settings: ServerSettings, password: str | None, sender: str, recipients: Sequence[str], message: bytes
) -> int:
    try:
        with _connected(settings) as server:
            if settings.security == "starttls":
                server.starttls(context=_context(settings))
            if settings.user is not None and password is not None:
                server.login(settings.user, password)
            return len(server.sendmail(sender, list(recipients), message))
    except smtplib.SMTPAuthenticationError as error:
        raise _no(settings, error.smtp_code, "this user and password are not accepted") from None
    except smtplib.SMTPNotSupportedError:
        raise _no(settings, 0, "it offers no STARTTLS, or no login; see port and security") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _no(settings, min(codes), "it takes mail for none of these recipients") from None
    except smtplib.SMTPResponseException as error:
        raise _no(settings, error.smtp_code, "it does not take this mail") from None
    except ssl.SSLError as error:
        what = f"{settings.where}: no TLS with it ({error.reason}); see port, security and ca_file"
        raise ConnectorError(what, retry=isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))) from None
    except (smtplib.SMTPException, OSError) as error:
        what = f"{settings.where}: no connection, or it broke ({type(error).__name__}); it is tried again"
        raise ConnectorError(what, retry=True) from None
    except UnicodeError:
        raise ConnectorError(f"{settings.where}: user or password has letters that SMTP has not", retry=False) from None


def _connected(settings: ServerSettings) -> smtplib.SMTP:
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=_context(settings))
    return smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)


def _context(settings: ServerSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file)


def _no(settings: ServerSettings, code: int, what: str) -> ConnectorError:
    """RFC 5321 section 4.2.1: 4yz is "not now", 5yz "not so"; -1 is smtplib's word for no answer."""
    told = f" ({code})" if code > 0 else ""
    return ConnectorError(f"{settings.where}: {what}{told}", retry=code == -1 or 400 <= code < 500)
