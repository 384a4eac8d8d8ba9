"""A Fedow, as far as its sources say: who may ask for a wallet, and what a wallet looks like.

Sources, read and not copied: TiBillet/Fedow, fedow_core/permissions.py (HasKeyAndPlaceSignature), serializers.py
(WalletSerializer, TokenSerializer), utils.py (verify_signature), views.py (WalletAPI.retrieve).
"""

import base64
import hmac
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from balise_gateway.badges.connectors import Connector, fedow
from balise_gateway.clock import Clock
from contracts.connector_ends import MEMBER, OTHER, StandingClock, secret
from contracts.connector_ends._http import HttpEnd

API_KEY = "Zr3kVbQx.s3cr3tS3cr3tS3cr3tS3cr3tS3cr3t0"
ASSET, EUROS = "0f0b7c7e-6d0c-4b64-9c39-0d9b2d1c7a11", "5d3d9c8b-1a53-4f2b-8a35-7a0d8a0e2f22"
WALLETS = {MEMBER: "a3c1f0de-2b7e-4c55-9d0c-1e2f3a4b5c6d", OTHER: "b4d2e1cf-3c8f-4d66-8e1d-2f3a4b5c6d7e"}
PER_HALF_DAY = 400.0  # an hour is 100
_SALT_BYTES = 2048 // 8 - 32 - 2  # the longest (RFC 8017 section 9.1.1); OpenSSL would take a shorter one too


@cache
def place_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


class End(HttpEnd):
    counts_usages = False

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        super().__init__()
        self.clock = clock or StandingClock()
        self.folder, self.keys = folder, folder / "keys"
        self.keys.mkdir(exist_ok=True)
        self.values: dict[str, dict[str, int]] = {wallet: {EUROS: 1234} for wallet in WALLETS.values()}
        self.nested = True  # newer answers
        self.secrets = (API_KEY, API_KEY.partition(".")[2], pem(place_key()).splitlines()[3])

    def settings(self, **settings: Any) -> fedow.Settings:
        words: dict[str, Any] = {"kind": "fedow", "url": "https://fedow.example/", "timeout_s": 20.0, "asset": ASSET}
        words |= {"secret_file": secret(self.folder, API_KEY), "place_key_file": secret(self.keys, pem(place_key()))}
        words |= {"per_half_day": PER_HALF_DAY, "wallets": WALLETS}
        return fedow.Settings(**(words | settings))

    def connector(self, **settings: Any) -> Connector:
        return fedow.Connector(self.settings(**settings), self, self.clock)

    def used(self, key: str) -> int:
        return 0

    def credit(self, member: str, half_days: int) -> None:
        self.values[WALLETS[member]][ASSET] = round(half_days * PER_HALF_DAY)

    def taps(self) -> list[str]:
        return []

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        if not self._may(request):
            return httpx.Response(403, json={"detail": "Authentication credentials were not provided."})
        _, part, wallet, end = request.url.path.split("/")
        assert (request.method, part, end, body) == ("GET", "wallet", "", b"")
        if wallet not in self.values:  # Wallet.objects.get without anybody who catches DoesNotExist
            return httpx.Response(500, html="<h1>Server Error (500)</h1>")
        tokens = [self._token(asset, value) for asset, value in self.values[wallet].items()]
        return httpx.Response(200, json={"uuid": wallet, "get_name": "", "tokens": tokens, "has_user_card": True})

    def _token(self, asset: str, value: int) -> dict[str, Any]:
        category = "TIM" if asset == ASSET else "TLF"
        inner = {"uuid": asset, "name": "Temps", "currency_code": "H", "category": category}
        found = {"uuid": "e" * 8, "name": "Temps", "value": value, "asset": inner if self.nested else asset}
        return {**found, **({"asset_uuid": asset, "asset_category": category} if self.nested else {})}

    def _may(self, request: httpx.Request) -> bool:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if kind != "Api-Key" or not hmac.compare_digest(key, API_KEY):
            return False
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=_SALT_BYTES)
        try:
            signature = base64.urlsafe_b64decode(request.headers["Signature"])
            place_key().public_key().verify(signature, key.encode(), pss, hashes.SHA256())
        except InvalidSignature:
            return False
        return True
