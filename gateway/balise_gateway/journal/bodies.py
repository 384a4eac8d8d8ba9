"""The bodies of entries: items as deterministic CBOR, in the array form that costs least to read again.

Promises the same bytes as `balise_wire.cbor`. Readings, which are nearly all of them, go through cbor2: a row passes
here three times on its way into two logs. Leaves what an item means to `balise_wire.items`.
"""

import cbor2

from balise_wire import cbor
from balise_wire.errors import WireError
from balise_wire.items import Item, Readings, unpack_item


def packed(item: Item | Readings) -> bytes:
    """What stands in a row of table entry for this item."""
    return cbor2.dumps(item.pack(), canonical=True) if isinstance(item, Readings) else cbor.encode(item.pack())


def unpacked(kind: int, body: bytes) -> Item | Readings:
    """The item of this kind that such a body holds; raises WireError."""
    if kind != Readings.kind:
        return unpack_item(cbor.decode(body))
    try:
        return unpack_item(cbor2.loads(body))
    except cbor2.CBORDecodeError as error:
        raise WireError("malformed", f"the body of an entry: {error}") from error
