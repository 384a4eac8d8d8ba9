"""An authenticated session with an NTAG 424 DNA: secure messaging of EV2, the card's side (NT4H2421Gx, 9.1).

Promises that a command whose MAC, padding or counter is wrong raises Refused, and that what goes back carries the next
counter. Leaves who may do what to ntag424.py.
"""

from dataclasses import dataclass

from balise_sim.nfc.cards import _aes

MAC_BYTES = 8
INTEGRITY_ERROR = 0x1E
OK = 0x00


class Refused(Exception):
    """The card answers with this status: the second byte after 91 (10.2, table 23)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status 91{status:02X}")
        self.status = status


@dataclass
class Session:
    """Keys, transaction identifier and command counter since AuthenticateEV2First."""

    key_number: int
    enc_key: bytes
    mac_key: bytes
    transaction: bytes  # TI, 4 bytes
    counter: int = 0

    def _head(self, code: int, counter: int) -> bytes:
        return bytes([code]) + counter.to_bytes(2, "little") + self.transaction

    def _iv(self, label: bytes, counter: int) -> bytes:
        return _aes.encrypted(self.enc_key, label + self.transaction + counter.to_bytes(2, "little") + bytes(8))

    def checked(self, command: int, header: bytes, data: bytes) -> bytes:
        """What a command carries, without its MAC."""
        body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        expected = _aes.short_mac(self.mac_key, self._head(command, self.counter) + header + body)
        if len(data) < MAC_BYTES or mac != expected:  # a model on a bench: no secret to be timed out of it
            raise Refused(INTEGRITY_ERROR)
        return body

    def opened(self, command: int, header: bytes, data: bytes) -> bytes:
        """What a command carries in CommMode.Full, in plain text."""
        body = self.checked(command, header, data)
        if not body:
            return b""
        if len(body) % _aes.BLOCK_BYTES:
            raise Refused(INTEGRITY_ERROR)
        try:
            return _aes.unpadded(_aes.decrypted(self.enc_key, body, self._iv(b"\xa5\x5a", self.counter)))
        except ValueError:
            raise Refused(INTEGRITY_ERROR) from None

    def signed(self, data: bytes, status: int = OK) -> bytes:
        """An answer with its MAC; the command counter goes on."""
        self.counter += 1
        return data + _aes.short_mac(self.mac_key, self._head(status, self.counter) + data)

    def sealed(self, data: bytes, status: int = OK) -> bytes:
        """An answer in CommMode.Full; the command counter goes on."""
        if not data:
            return self.signed(b"", status)
        body = _aes.encrypted(self.enc_key, _aes.padded(data), self._iv(b"\x5a\xa5", self.counter + 1))
        return self.signed(body, status)
