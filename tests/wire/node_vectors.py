"""Runs the vector files through what a node uses: the same lines on CPython and on a real MicroPython.

Usage: node_vectors.py FOLDER NUMBER_OF_CHECK. Prints "<file> <cases>", and every case that fails; exits 1 then.
One check at a time: on a board-sized heap the vectors of all would not leave room for what reads them.
"""

import json
import sys

from balise_wire import cbor, frames, hkdf, items, rice
from balise_wire.channels import channel
from balise_wire.errors import REASONS, WireError
from balise_wire.items import Manifest, Readings, unpack_item
from balise_wire.window import Window


def load(folder, name):
    with open(folder + "/" + name) as file:
        return json.load(file)


def refusal(action, *arguments):
    """The reason for which the action refuses its arguments, or None."""
    reason = None
    try:
        action(*arguments)
    except WireError as error:
        reason = error.reason
    assert reason is None or reason in REASONS, reason
    return reason


def same_item(item, told):
    """Is this the item that the vector tells of?"""
    if told["kind"] == 0:
        flags = {int(column): pairs for column, pairs in told["flags"].items()}
        wanted = Readings(told["manifest"], told["boot"], told["times"], told["columns"], flags)
        packed = [unpack_item(cbor.decode(cbor.encode(item.pack(form)))) for form in ("array", "rice")]
        return item == wanted and packed == [wanted, wanted]
    if told["kind"] == 1:
        return item == Manifest(told["manifest"], told["map"])
    return item.kind == told["kind"] and told.get("rest", item.pack()[1:]) == item.pack()[1:]


def batches(content):
    """Without their signatures, which a node does not check."""
    for case in content["cases"]:
        if "error" in case:
            continue
        payload = cbor.decode(bytes.fromhex(case["cose"])).value[2]
        assert cbor.encode(cbor.decode(payload)) == payload
        log, seq, *arrays = cbor.decode(payload)
        same = all(same_item(unpack_item(array), told) for array, told in zip(arrays, case["items"]))  # noqa: B905
        yield case["name"], (log, seq, len(arrays), same) == (case["log"], case["seq"], len(case["items"]), True)


def node_frames(content):
    keys = frames.FrameKeys(bytes.fromhex(content["key"]))
    told = content["derived"]
    yield (
        "derived keys",
        [keys.kid.hex(), keys.up[0].hex(), keys.up[1].hex()]
        == [
            told["kid"],
            told["up key"],
            told["up iv"],
        ]
        and [keys.down[0].hex(), keys.down[1].hex()] == [told["down key"], told["down iv"]],
    )
    for case in content["frames"]:
        data = bytes.fromhex(case["data"])
        if "error" in case:
            yield case["why"], refusal(frames.open_frame, keys, data) == case["error"]
            continue
        frame = frames.open_frame(keys, data)
        again = frames.seal_frame(keys, frame.boot, frame.count, frame.items)
        same = all(same_item(item, told) for item, told in zip(frame.items, case["items"]))  # noqa: B905
        name = (frame.boot, frame.count, frames.frame_kid(data)) == (case["boot"], case["count"], keys.kid)
        yield case["why"], same and name and len(frame.items) == len(case["items"]) and again == data


def node_acks(content):
    keys = frames.FrameKeys(bytes.fromhex(content["key"]))
    for case in content["acks"]:
        data = bytes.fromhex(case["data"])
        if "error" in case:
            yield case["why"], refusal(frames.open_ack, keys, data) == case["error"]
            continue
        ack = frames.Ack(*case["ack"])
        same = frames.open_ack(keys, data) == (case["ack_count"], ack)
        yield case["why"], same and frames.seal_ack(keys, case["ack_count"], ack) == data


def refused_items(content):
    for case in content["refused"]:
        yield case["why"], refusal(unpack_item, cbor.decode(bytes.fromhex(case["data"]))) == case["error"]


def columns(content):
    for case in content["columns"]:
        values, data = case["values"], bytes.fromhex(case["data"])
        yield case["why"], rice.encode(values) == data and rice.decode(data, len(values)) == values
    for case in content["array form only"]:
        item = Readings(1, None, list(range(len(case["values"]))), [case["values"]])
        yield case["why"], rice.encode(case["values"]) is None and unpack_item(item.pack("rice")) == item
    for case in content["refused"]:
        yield case["why"], refusal(rice.decode, bytes.fromhex(case["data"]), case["n"]) == case["error"]
    for case in content["gaps"]:
        values, data = case["values"], bytes.fromhex(case["data"])
        yield case["why"], rice.encode_residuals(values) == data and rice.decode_residuals(data, len(values)) == values


def plain_cbor(content):
    for case in content["good"]:
        data = bytes.fromhex(case["data"])
        yield case["data"], cbor.encode(case["value"]) == data and cbor.decode(data) == case["value"]
    for data in content["kept as they are"]:
        raw = bytes.fromhex(data)
        yield data, cbor.decode(raw) == cbor.Raw(raw) and cbor.encode([cbor.Raw(raw)]) == b"\x81" + raw
    for case in content["refused"]:
        yield case["why"], refusal(cbor.decode, bytes.fromhex(case["data"])) == case["error"]


def the_rest(_content):
    """What has no file: channels, the replay window, RFC 5869 appendix A.1."""
    yield "channel", (channel("pm2_5").scale, channel("pm2_5").unit) == (1, "ug/m3")
    yield "no channel", refusal(channel, "pm25") == "channel"
    window = Window()
    for count in (1, 2, 4, 64):
        window.add(count)
    yield "window", (window.contiguous, window.bitmap) == (2, 1 << 61 | 2)
    yield "replay", refusal(window.add, 4) == "replay"
    yield "too far", refusal(window.add, 67) == "window" and not window.holds(67)
    prk = hkdf.extract(bytes(range(13)), b"\x0b" * 22)
    wanted = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    yield "RFC 5869 A.1", hkdf.expand(prk, bytes(range(0xF0, 0xFA)), 42).hex() == wanted
    yield "an item of every kind", len(items.__all__) == 12


CHECKS = (
    ("batches.json", batches),
    ("frames.json", node_frames),
    ("frames.json", node_acks),
    ("items.json", refused_items),
    ("columns.json", columns),
    ("cbor.json", plain_cbor),
    ("cbor.json", the_rest),
)


def main(folder, number):
    name, check = CHECKS[number]
    cases = failed = 0
    for why, held in check(load(folder, name)):
        cases += 1
        if not held:
            failed += 1
            print("FAILED", name, why)
    print(name, cases)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
