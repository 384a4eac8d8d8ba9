"""Fedow, the ledger of TiBillet: what a wallet has left of one asset. Usages cannot be entered there.

Promises that a balance is what Fedow says of one asset (a time or loyalty currency), turned into half-days by
`per_half_day`; and that a usage is refused with the reason, never lost or half entered: the visits stay in the
gateway's journal, from which sessions and bills are made. Leaves the ledger to Fedow.

Read in Fedow's sources of 2025 (fedow_core/views.py, permissions.py, serializers.py, utils.py), and what a place's till
(LaBoutik) asks there:

    GET /wallet/<uuid>/                        with the place's own rights (HasKeyAndPlaceSignature)
    Authorization: Api-Key <key>
    Signature: RSA-PSS over the API key (SHA-256, MGF1, longest salt), base64url
    -> {"uuid", "tokens": [{"uuid", "name", "value", "asset": {"uuid", "category", ...}, "asset_uuid", ...}]}

Why usages are refused: a transaction must be later than the one before it of the same asset, so that a visit that was
recorded off line comes too late; a sale needs a card whose tag id is exactly eight hex characters, and the place's
primary card; and nothing can be corrected. What is not sure: nothing here was tried on a running Fedow; how a key and
its RSA key are made for a program other than a till (the handshake wants a key that is called "temp_…") is not
documented; of a wallet that it does not know Fedow answers 500. Not done: badge transactions (category BDG), which need
the member's own RSA key.
"""

import base64
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from balise_gateway.badges.connectors import Balance, Tapped, Usage, Want, dated
from balise_gateway.badges.connectors._secret import read_secret
from balise_gateway.badges.connectors._web import Web, WebSettings, read_json
from balise_gateway.clock import Clock, SystemClock
from balise_gateway.errors import ConnectorError
from balise_gateway.settings import Key

NOT_FOR_USAGES = (
    "not for late visits: Fedow wants transactions in the order of their dates; "
    "the visits are kept in the gateway's journal, and sessions and bills are made of them"
)
_MOST = 1e15  # no value is larger
_NEAR = 1e-9


@dataclass(frozen=True, kw_only=True)
class Settings(WebSettings):
    """[[connector]] with kind = "fedow"."""

    place_key_file: Annotated[Path, Key("the place's RSA private key, PEM without a password, mode 0600")]
    asset: Annotated[str, Key("the UUID of the asset that credit is kept in")]
    per_half_day: Annotated[float, Key("how much of its value one half-day is; Fedow counts in hundredths")]
    wallets: Annotated[dict[str, str], Key("member id = wallet's UUID; not needed where member ids are these")] = field(
        default_factory=dict
    )

    def problem(self) -> str | None:
        bad = [text for text in (self.asset, *self.wallets.values()) if not _is_uuid(text)]
        if bad:
            return f"asset, wallets: {bad[0]!r} is no UUID"
        if not 0 < self.per_half_day <= _MOST:
            return f"per_half_day = {self.per_half_day:g}: must be more than 0"
        return super().problem()


class Connector:
    """One place at one Fedow."""

    wants: frozenset[Want] = frozenset({"balance", "usage"})

    def __init__(self, settings: Settings, transport: Any, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self._web = Web(settings, transport)
        self._state = "not asked yet"

    async def balance(self, member: str) -> Balance | None:
        wallet = self._settings.wallets.get(member, member)
        if not _is_uuid(wallet):
            return None
        try:
            value = await self._value(wallet)
        except ConnectorError as error:
            self._state = str(error)
            raise
        self._state = "up"
        return None if value is None else dated(math.floor(value / self._settings.per_half_day + _NEAR), self._clock)

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        return {usage.key: NOT_FOR_USAGES for usage in usages}

    async def tapped(self, tap: Tapped) -> None:
        """Fedow knows transactions, not taps."""

    def status(self) -> dict[str, object]:
        return {"kind": self._settings.kind, "state": self._state, "where": self._settings.base}

    async def close(self) -> None:
        await self._web.close()

    async def _value(self, wallet: str) -> float | None:
        key = await self._web.secret()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConnectorError(f"{self._settings.secret_file}: must be an API key of Fedow", retry=False)
        headers = {"Authorization": f"Api-Key {key}", "Signature": signature_of(key, self._settings.place_key_file)}
        answer = await self._web.ask("GET", f"/wallet/{uuid.UUID(wallet)}/", headers)
        where = self._settings.base
        if answer.status in (401, 403):
            what = "the API key, or the place's RSA key, is not accepted; see secret_file and place_key_file"
            raise ConnectorError(f"{where}: {what}", retry=False)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise ConnectorError(f"{where}: answered {answer.status}; is this a Fedow?", retry=False)
        return value_in(read_json(answer, where), self._settings.asset)


def signature_of(key: str, path: Path) -> str:
    """What proves that whoever has the API key is the place. Raises ConnectorError."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    pem = read_secret(path)
    try:
        private = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ConnectorError(f"{path}: no RSA private key in PEM without a password", retry=False) from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConnectorError(f"{path}: a private key, but not RSA", retry=False)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
    return base64.urlsafe_b64encode(private.sign(key.encode(), pss, hashes.SHA256())).decode()


def value_in(wallet: Any, asset: str) -> float | None:
    """The value of this asset's token; None when the wallet has none that this place accepts."""
    tokens = wallet.get("tokens") if isinstance(wallet, dict) else None
    for token in tokens if isinstance(tokens, list) else ():
        if isinstance(token, dict) and _same(_asset_of(token), asset):
            value = token.get("value")
            if isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST:
                return float(value)
            return None
    return None


def _asset_of(token: dict[str, Any]) -> object:
    """Newer answers hold the asset as an object, older ones its UUID alone."""
    inner = token.get("asset")
    return inner.get("uuid") if isinstance(inner, dict) else token.get("asset_uuid", inner)


def _same(told: object, asset: str) -> bool:
    return isinstance(told, str) and _is_uuid(told) and uuid.UUID(told) == uuid.UUID(asset)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
