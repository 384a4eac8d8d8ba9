"""Who has signed a paper: detached COSE_Sign1 beside it, one file per place (RFC 9052 section 4.1).

`agreement.toml.coroutine.example.cose` is the signature of coroutine.example over the bytes of `agreement.toml`.
Promises that a place counts as a signer only when one of its own keys signed these very bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.badges.files import replace_file
from balise_gateway.errors import PaperError
from balise_wire import cose
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.places import Table

PlaceKeys = Mapping[str, tuple[bytes, ...]]  # raw public keys that sign for a place


@dataclass(frozen=True)
class Signatures:
    """`wrong`: by place, why a signature that is there does not count."""

    signed: tuple[str, ...]
    missing: tuple[str, ...]
    wrong: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether every place has signed."""
        return not self.missing


def path_beside(paper: Path, place: str) -> Path:
    """Where the signature of a place lies."""
    return paper.with_name(f"{paper.name}.{place}.cose")


def keys_of(table: Table | None, given: Iterable[tuple[str, bytes]] = ()) -> dict[str, tuple[bytes, ...]]:
    """Keys that sign for places: those of the table, and those that you vouch for yourself."""
    keys = {} if table is None else {place.id: place.sign for place in table.places}
    for place, key in given:
        keys[place] = (*keys.get(place, ()), key)
    return keys


def sign(paper: Path, place: str, signer: Signer) -> Path:
    """Writes the signature of a place beside the paper; signing again writes the same. Raises BadgeError."""
    target = path_beside(paper, place)
    try:
        raw = paper.read_bytes()
    except OSError as error:
        raise PaperError("signature", f"{paper}: cannot be read ({error.strerror})") from error
    replace_file(target, signer.sign_detached(raw))
    return target


def check(paper: Path, raw: bytes, places: Iterable[str], keys: PlaceKeys) -> Signatures:
    """Who of these places has signed these bytes. Raises PaperError when a file cannot be read."""
    signed, missing, wrong = [], [], {}
    for place in sorted(places):
        path = path_beside(paper, place)
        if not path.exists():
            missing.append(place)
            continue
        try:
            cose.verify1_detached(path.read_bytes(), raw, {cose.kid_of(key): key for key in keys.get(place, ())})
            signed.append(place)
        except WireError as error:
            missing.append(place)
            wrong[place] = error.reason
        except OSError as error:
            raise PaperError("signature", f"{path}: cannot be read ({error.strerror})") from error
    return Signatures(tuple(signed), tuple(missing), wrong)
