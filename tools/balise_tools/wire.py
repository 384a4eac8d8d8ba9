"""`balise wire`: check signed envelopes, make and check Merkle proofs, all from plain files and without a gateway.

Promises that what is printed was verified, and that the first thing that is not is named: file, item, reason.
Leaves formats and cryptography to balise_wire.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from balise_wire import cbor, checkpoint, cose, log, senml
from balise_wire.envelope import Envelope, peek_name, split_sequence, verify_envelope
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Item, Manifest, Readings

app = typer.Typer(no_args_is_help=True, help="Check signed envelopes; make and check proofs.")

_CONTENT = {1: "manifest", 2: "anchor", 3: "loss", 4: "visit", 5: "receipt", 6: "source", 7: "carried"}

Keys = Annotated[list[str], typer.Option("--key", help="public key of a signer, 64 hex digits; may be repeated")]


class Refused(Exception):
    """What people are told before exit 1: where, and what went wrong."""


@dataclass
class Opened:
    """A file's verified envelopes in order, and what was wrong with the next one, if anything."""

    path: Path
    envelopes: list[Envelope] = field(default_factory=list)
    fault: WireError | None = None


@dataclass
class Known:
    """What readings need to become SenML, gathered from all files: manifests so far, anchors from anywhere."""

    manifests: dict[tuple[bytes, int, int], Manifest] = field(default_factory=dict)
    anchors: dict[tuple[bytes, int], list[Anchor]] = field(default_factory=dict)
    names: dict[tuple[bytes, int, int], bytes] = field(default_factory=dict)

    def add_envelope(self, envelope: Envelope, data: bytes) -> None:
        """Remember the name of an envelope and its anchors; two envelopes never have one name."""
        name = (envelope.kid, envelope.log, envelope.seq)
        if self.names.setdefault(name, data) != data:
            raise WireError("log", f"seq {name[2]} of log {name[1]} is also the name of other bytes: one is false")
        anchors = [item for item in envelope.items if isinstance(item, Anchor)]
        self.anchors.setdefault(name[:2], []).extend(anchors)

    def add_manifest(self, envelope: Envelope, item: Manifest) -> None:
        """Remember a manifest; its number is never used for another one in its log."""
        name = (envelope.kid, envelope.log, item.number)
        if self.manifests.setdefault(name, item) != item:
            raise WireError("manifest", f"number {item.number} was given to another manifest before in log {name[1]}")

    def records(self, envelope: Envelope, item: Readings) -> list[senml.Record]:
        """The resolved SenML of readings."""
        manifest = self.manifests.get((envelope.kid, envelope.log, item.manifest))
        if manifest is None:
            where = f"log {envelope.log} of {envelope.kid.hex()}"
            raise WireError("manifest", f"manifest {item.manifest} of {where} is not known: try --manifest FILE")
        return senml.expand(item, manifest.map, self.anchors.get((envelope.kid, envelope.log), []))


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, readable=True)],
    key: Keys,
    manifest: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="envelopes that hold the manifests")
    ] = None,
) -> None:
    """Verify envelopes and print one JSON line per item, with readings as resolved SenML.

    A FILE is a CBOR sequence of envelopes, raw or as hex digits. Exits 1 at the first item that does not hold.
    """
    keys = _keys(key)
    try:
        for line in _verified_lines(files, manifest, keys):
            typer.echo(line)
    except Refused as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from refused


def _verified_lines(files: Sequence[Path], manifest: Path | None, keys: dict[bytes, bytes]) -> Iterator[str]:
    """All files are opened first: an anchor counts wherever it stands, a manifest only for what comes after it."""
    known = Known()
    helpers = [_open(path, keys, known) for path in [manifest] if path]
    opened = [_open(path, keys, known) for path in files]
    for source in helpers:
        list(_lines_of(source, known))  # only for the manifests
    for source in opened:
        yield from _lines_of(source, known)


def _open(path: Path, keys: dict[bytes, bytes], known: Known) -> Opened:
    """Verify a file up to its first fault."""
    opened = Opened(path)
    try:
        for data in split_sequence(_read(path)):
            envelope = verify_envelope(data, keys)
            known.add_envelope(envelope, data)
            opened.envelopes.append(envelope)
    except WireError as error:
        opened.fault = error
    return opened


def _lines_of(source: Opened, known: Known) -> Iterator[str]:
    number = 0
    for index, envelope in enumerate(source.envelopes):
        for item in envelope.items:
            try:
                line = _line(envelope, item, known)
            except WireError as error:
                raise Refused(f"{source.path}: item {number} (in envelope {index}): {error}") from error
            yield line
            number += 1
    if not source.envelopes and not source.fault:
        typer.echo(f"note: {source.path} holds no envelopes", err=True)
    if source.fault:
        raise Refused(f"{source.path}: item {number} (in envelope {len(source.envelopes)}): {source.fault}")


def _line(envelope: Envelope, item: Item | Readings, known: Known) -> str:
    told: dict[str, object] = {
        "kid": envelope.kid.hex(),
        "log": envelope.log,
        "seq": envelope.seq,
        "kind": item.kind,
        "records": [],
    }
    if isinstance(item, Readings):
        told["records"] = known.records(envelope, item)
    else:
        if isinstance(item, Manifest):
            known.add_manifest(envelope, item)
        told.update(_content(item))
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _content(item: Item) -> dict[str, object]:
    """The members of an item that is no readings, under the name of its kind."""
    name = _CONTENT.get(item.kind, "rest")
    if isinstance(item, Manifest):
        return {name: {"number": item.number, "map": _plain(item.map)}}
    if isinstance(item, Anchor):
        return {name: {key: value for key, value in vars(item).items() if key != "kind"}}
    members = item.pack()[1:]
    if item.kind == 3:
        return {name: dict(zip(("node", "what", "from", "to", "reason"), _plain(members), strict=True))}
    return {name: _plain(members[0] if name != "rest" else members)}


def _plain(value: Any) -> Any:
    """A CBOR value as JSON can say it: bytes as hex, keys as text, the exotic as its encoding in hex."""
    if isinstance(value, (bytes, cbor.Raw)):
        return (value.data if isinstance(value, cbor.Raw) else value).hex()
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, dict):
        return {key.hex() if isinstance(key, bytes) else str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, cbor.Tag):
        return {"tag": value.number, "value": _plain(value.value)}
    return value


# --- proofs ----------------------------------------------------------------------------------------------------------


@app.command()
def prove(
    file: Annotated[Path, typer.Argument(metavar="LOGFILE", exists=True, dir_okay=False, readable=True)],
    seq: Annotated[int | None, typer.Option(help="prove that this envelope is in the log")] = None,
    old_size: Annotated[int | None, typer.Option(help="prove that the log of this size is a prefix")] = None,
    size: Annotated[int | None, typer.Option(help="size of the log to prove it for; all envelopes if not said")] = None,
) -> None:
    """Make an inclusion proof (--seq) or a consistency proof (--old-size) from a log file, as JSON.

    LOGFILE holds all envelopes of one log from seq 1, in any order. Nothing is proved by a root alone: compare it with
    a signed checkpoint.
    """
    if (seq is None) == (old_size is None):
        raise typer.BadParameter("say either --seq N (inclusion) or --old-size N (consistency)")
    try:
        kid, number, leaves = _leaves(file)
        taken = len(leaves) if size is None else size
        if not 0 < taken <= len(leaves):
            raise WireError("log", f"no size {taken}: the file holds {len(leaves)} envelopes")
        told: dict[str, object] = {"origin": checkpoint.origin_of(kid, number), "size": taken}
        told["root"] = log.root(leaves[:taken]).hex()
        if seq is not None:
            proof = log.inclusion_proof(leaves[:taken], seq - 1)
            told = {"type": "inclusion", **told, "seq": seq, "leaf": leaves[seq - 1].hex()}
        else:
            proof = log.consistency_proof(leaves[:taken], old_size or 0)
            told = {"type": "consistency", **told, "old_size": old_size, "old_root": log.root(leaves[:old_size]).hex()}
    except WireError as error:
        _fail(f"{file}: {error}", error)
    typer.echo(json.dumps({**told, "proof": [node.hex() for node in proof]}))


@app.command()
def check_proof(
    file: Annotated[Path, typer.Argument(metavar="PROOF", exists=True, dir_okay=False, readable=True)],
    envelope: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="the envelope that is to be in the log")
    ] = None,
    root: Annotated[str, typer.Option(help="the root you trust, 64 hex digits")] = "",
    note: Annotated[
        Path | None, typer.Option("--checkpoint", exists=True, dir_okay=False, help="a signed checkpoint; needs --key")
    ] = None,
    key: Annotated[str, typer.Option(help="public key of the checkpoint's signer, 64 hex digits")] = "",
) -> None:
    """Check a proof that `prove` made. Exits 1 if it does not hold.

    Without --root or --checkpoint the proof's own root is used, which shows only that the proof is in itself sound.
    """
    try:
        told = _proof(file)
        trusted = _trusted_root(told, root, note, key)
        if told.get("type") == "inclusion" and envelope:
            _check_leaf(told, _read(envelope))
        line = _checked(told)
    except WireError as error:
        _fail(f"{file}: {error}", error)
    typer.echo(line)
    if not trusted:
        typer.echo("note: this root is the proof's own; compare it with a signed checkpoint (--checkpoint)", err=True)


def _leaves(path: Path) -> tuple[bytes, int, list[bytes]]:
    """(kid, log, leaf hashes in order of seq) of a file that holds one whole log."""
    logs: dict[tuple[bytes, int], dict[int, bytes]] = {}
    for data in split_sequence(_read(path)):
        kid, number, seq = peek_name(data)
        if logs.setdefault((kid, number), {}).setdefault(seq, data) != data:
            raise WireError("log", f"two different envelopes with seq {seq} of {checkpoint.origin_of(kid, number)}")
    if len(logs) != 1:
        names = ", ".join(checkpoint.origin_of(kid, number) for kid, number in sorted(logs))
        raise WireError("log", f"one log is wanted, the file holds {len(logs)}: {names or 'it is empty'}")
    (kid, number), envelopes = logs.popitem()
    holes = [seq for seq in range(1, len(envelopes) + 1) if seq not in envelopes]
    if holes:
        raise WireError("log", f"{len(envelopes)} envelopes up to seq {max(envelopes)}: seq {holes[0]} is missing")
    return kid, number, [log.leaf_hash(envelopes[seq]) for seq in sorted(envelopes)]


def _proof(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError("proof", "not JSON") from error
    if not isinstance(told, dict) or told.get("type") not in ("inclusion", "consistency"):
        raise WireError("proof", 'no "type" that is "inclusion" or "consistency"')
    return told


def _checked(told: dict[str, Any]) -> str:
    """Check a proof by itself; what to say when it holds."""
    size, root, nodes = _number(told, "size"), _hash(told, "root"), told.get("proof")
    if not isinstance(nodes, list):
        raise WireError("proof", '"proof" is not a list of hashes')
    proof = [_hash({"proof": node}, "proof") for node in nodes]
    if told["type"] == "inclusion":
        seq = _number(told, "seq")
        log.verify_inclusion(_hash(told, "leaf"), seq - 1, size, proof, root)
        return f"holds: seq {seq} is in the log of size {size} with root {root.hex()}"
    old_size = _number(told, "old_size")
    log.verify_consistency(old_size, _hash(told, "old_root"), size, root, proof)
    return f"holds: the log of size {old_size} is a prefix of the log of size {size} with root {root.hex()}"


def _trusted_root(told: dict[str, Any], root: str, note: Path | None, key: str) -> bool:
    """Compare the proof's root with the one handed in; False if there was none."""
    if root and _hash(told, "root") != _hash({"--root": root}, "--root"):
        raise WireError("proof", f"its root is {told['root']}, not {root}")
    if note is None:
        return bool(root)
    signed = checkpoint.verify_checkpoint(note.read_text(encoding="utf-8", errors="replace"), _public_key(key))
    if (told.get("origin"), told.get("size"), told.get("root")) != (signed.origin, signed.size, signed.root.hex()):
        raise WireError("proof", f"it is for another log, size or root than {note} (size {signed.size})")
    return True


def _check_leaf(told: dict[str, Any], data: bytes) -> None:
    if log.leaf_hash(data) != _hash(told, "leaf"):
        raise WireError("proof", "it is about other bytes than this envelope")
    kid, number, seq = peek_name(data)
    if (told.get("origin"), told.get("seq")) != (checkpoint.origin_of(kid, number), seq):
        raise WireError("proof", f"the envelope calls itself seq {seq} of {checkpoint.origin_of(kid, number)}")


def _number(told: dict[str, Any], name: str) -> int:
    value = told.get(name)
    if not isinstance(value, int):
        raise WireError("proof", f'"{name}" is not a number')
    return value


def _hash(told: dict[str, Any], name: str) -> bytes:
    try:
        value = bytes.fromhex(told.get(name, ""))
    except (TypeError, ValueError) as error:
        raise WireError("proof", f"{name} is not hex digits") from error
    if len(value) != log.HASH_BYTES:
        raise WireError("proof", f"{name} is not {log.HASH_BYTES} bytes")
    return value


# --- what both need --------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    """The bytes of a file; a file of nothing but hex digits and white space is taken for what they stand for."""
    data = path.read_bytes()
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        return data


def _keys(texts: Sequence[str]) -> dict[bytes, bytes]:
    public_keys = [_public_key(text) for text in texts]
    return {cose.kid_of(public_key): public_key for public_key in public_keys}


def _public_key(text: str) -> bytes:
    try:
        public_key = bytes.fromhex(text)
    except ValueError:
        public_key = b""
    if len(public_key) != cose.KEY_BYTES:
        raise typer.BadParameter(f"--key {text!r} is not a public key: {2 * cose.KEY_BYTES} hex digits are wanted")
    return public_key


def _fail(told: str, error: WireError) -> None:
    typer.echo(told, err=True)
    raise typer.Exit(1) from error
