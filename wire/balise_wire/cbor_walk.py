"""Where a CBOR item ends, without making anything of it: its form is walked, its content not judged.

Promises that an item of more parts than asked for is refused before a walk through millions of them takes seconds.
Leaves values to `cbor.py`. Not for nodes: it is apart so that their memory does not hold it.
"""

from balise_wire.cbor import counted, end_after, head
from balise_wire.errors import WireError

_ANY = 1 << 64


def end_of(data: bytes, at: int, most_parts: int = _ANY) -> int:
    """Where the item that starts at byte `at` ends. Raises WireError.

    So a reader of a sequence can step over an item that it must refuse, and go on with the next.
    """
    left, walked = 1, 0
    while left:
        left -= 1
        walked += 1
        if walked > most_parts:
            raise WireError("too large", f"an item of more than {most_parts} parts, walked to byte {at}")
        major, argument, at = head(data, at, True)
        if major == 2 or major == 3:
            at = end_after(data, at, argument)
        elif major == 4 or major == 5:
            left += counted(data, at, argument) if major == 4 else 2 * counted(data, at, argument)
        elif major == 6:
            left += 1
    return at
