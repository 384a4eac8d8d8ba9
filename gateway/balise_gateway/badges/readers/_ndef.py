"""From an NDEF message to what a reader hands over: its first URI, and the other records as they are.

Promises that no message, however broken, raises: it has no URI then. Uses ndeflib; `UriRecord.iri` and never `.uri`,
which turns `?picc_data=…&cmac=…` into `?picc_data%3D…%26cmac%3D…` (ndeflib 0.3.3).
"""

from balise_gateway.badges.readers._codes import checked
from balise_gateway.errors import MissingExtra

URI, MOST_RECORDS = "urn:nfc:wkt:U", 16


def opened(message: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """(the first URI or "", the other records as (type name, payload))."""
    try:
        import ndef  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("a reader of cards", "ndeflib", "badge") from error
    uri, others = "", list[tuple[str, bytes]]()
    try:
        for record in ndef.message_decoder(message, errors="relax", known_types={URI: ndef.UriRecord}):
            if record.type != URI:
                others.append((record.type, bytes(record.data)))
            elif not uri:
                uri = checked(record.iri) or ""
            if len(others) >= MOST_RECORDS:
                break
    except (ndef.DecodeError, ValueError):  # ndeflib raises both: UnicodeDecodeError is a ValueError
        return "", []
    return uri, others
