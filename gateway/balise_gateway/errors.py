"""The errors of this room, one tree. Each says what, where, and what to try; none carries a secret.

Exception
  GatewayError
    ConfigError            the configuration file: file, key, choices
    KeyFileError           the signing key's file: permissions or length
    InstallError           a step of the installation that could not be taken
    AccessError            the file with the keys to the API cannot be used
    MissingExtra           a library that an optional part needs is not installed
    JournalError
      JournalUnavailable   the disk refuses: full, read-only, no such folder; worth trying again
      JournalDamaged       the file is there and is not what was written
    BackupError            a backup that cannot be made, read or restored; nothing was changed
    HubError               a delivery that did not happen; nothing was moved
      HubAway              no answer, or "not now": later, at the earliest after `retry_after_s`
      HubTooLarge          fewer bytes in one request, please
      HubRefused           some of a batch was refused, each with its reason
      HubDenied            this gateway may not, or nothing is there: the host must do something
      HubUntrusted         an answer that is not signed by this hub for this request
    BadgeError             badges: the text says which card, place, list or file, and what to try
      CardLost             the card went away before the work on it was done
      CardRefused          the chip, or the reader, does not do that
      PaperError           a table, list, agreement or bill that does not hold; the reason has a name
      ConnectorError       the place's own software did not take it: `retry` says whether later may help
"""

from collections.abc import Mapping


class GatewayError(Exception):
    """Any error that this room raises on purpose."""


class ConfigError(GatewayError):
    """A configuration that cannot be used; the text names file, key and choices."""


class KeyFileError(GatewayError):
    """The signing key's file cannot be used; the text says what to do with it."""


class MissingExtra(GatewayError):
    """An optional library is not installed; the text names the extra that brings it."""

    def __init__(self, part: str, library: str, extra: str) -> None:
        super().__init__(f"{part} needs {library}: pip install 'balise[{extra}]'")
        self.library, self.extra = library, extra


class JournalError(GatewayError):
    """The journal cannot be used now."""


class JournalUnavailable(JournalError):
    """The disk refuses; what was to be written was not written at all."""


class JournalDamaged(JournalError):
    """The journal's file holds other bytes than were written into it."""


class BackupError(GatewayError):
    """A backup cannot be made, read or restored; nothing was changed."""


class HubError(GatewayError):
    """A delivery that did not happen."""


class HubAway(HubError):
    """No answer, or an answer that says "not now"."""

    def __init__(self, what: str, retry_after_s: float = 0.0) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


class HubTooLarge(HubError):
    """The hub wants fewer bytes in one request."""


class HubRefused(HubError):
    """Some of a batch was refused: `reasons` by index; the hub kept the others. Without reasons: nobody knows which."""

    def __init__(self, what: str, reasons: Mapping[int, str]) -> None:
        super().__init__(what)
        self.reasons = dict(reasons)


class HubDenied(HubError):
    """The hub does not let this gateway in, or there is nothing at this address (401, 403, 404): data waits."""


class HubUntrusted(HubError):
    """An answer that is not signed by this hub for this request: it proves nothing."""


class AccessError(GatewayError):
    """The file with the keys to the API cannot be used: nobody is let in."""


class InstallError(GatewayError):
    """A step of the installation that could not be taken; the text names it."""


class BadgeError(GatewayError):
    """Anything about badges that did not work."""


class CardLost(BadgeError):
    """The card went away before the work on it was done: lay it down again."""


class CardRefused(BadgeError):
    """The chip, or the reader, does not do that."""


class PaperError(BadgeError):
    """A signed paper (table, list, agreement, bill) that does not hold. `reason` is short, to count by."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(f"{reason}: {what}")
        self.reason = reason


class ConnectorError(BadgeError):
    """The place's own software did not take it: `retry` says whether later may help, and when at the earliest."""

    def __init__(self, what: str, *, retry: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(what)
        self.retry, self.retry_after_s = retry, retry_after_s
