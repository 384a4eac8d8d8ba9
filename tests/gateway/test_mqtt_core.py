"""One MQTT connection without I/O: the standard's rules, its limits, and whatever bytes a stranger may send."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.ingests import AGAIN, SOON
from balise_gateway.mqtt import packets
from balise_gateway.mqtt.core import (
    BURST_S,
    CONNECT_WITHIN_S,
    MAX_SUBSCRIPTIONS,
    RETAINED,
    Doors,
    Limits,
    Message,
    ServerConnection,
)
from gateway.mqtt_bytes import connect, packet, publish, subscribe, text

LIMITS = Limits(max_packet_bytes=1_000, max_in_flight=3, rate_per_s=100.0)
ACCEPTED = packets.connack(packets.ACCEPTED)


def anyone(user: str | None, password: bytes | None) -> bool:
    return True


def opened(limits: Limits = LIMITS) -> ServerConnection:
    core = ServerConnection(limits, Doors(anyone), 0.0)
    core.receive(connect(), 0.0)
    assert core.outgoing == ACCEPTED
    core.outgoing.clear()
    return core


def test_publish_waits_for_the_owner() -> None:
    core = opened()
    assert core.receive(publish(packet_id=7), 0.0) == [Message("t", b"p", 7, SOON)]
    assert not core.outgoing
    core.committed(7)
    assert core.outgoing == b"\x40\x02\x00\x07"


def test_what_was_not_taken_is_not_acknowledged() -> None:
    core = opened()
    core.receive(publish(packet_id=7), 0.0)
    core.dropped()
    assert not core.outgoing
    assert core.in_flight == 0


def test_qos_0_needs_no_answer() -> None:
    core = opened()
    assert core.receive(publish(), 0.0) == [Message("t", b"p", None, 0)]
    assert core.in_flight == 0


def test_retained_and_repeated_are_messages_like_others() -> None:
    core = opened()
    assert core.receive(publish(packet_id=1, flags=0x08 | 0x01), 0.0) == [
        Message("t", b"p", 1, AGAIN | SOON | RETAINED)
    ]


def test_bytes_one_by_one() -> None:
    core = ServerConnection(LIMITS, Doors(anyone), 0.0)
    found = []
    for byte in connect() + publish(packet_id=1) + subscribe(2, "a/#") + b"\xc0\x00" + publish("x", b"y" * 300):
        found += core.receive(bytes((byte,)), 0.0)
    assert found == [Message("t", b"p", 1, SOON), Message("x", b"y" * 300, None, 0)]
    assert core.outgoing == ACCEPTED + b"\x90\x03\x00\x02\x00" + packets.PINGRESP_BYTES


def test_subscriptions_get_qos_0_and_only_valid_ones() -> None:
    core = opened()
    core.receive(subscribe(9, "a/+", "b", "no/#/no", qos=2), 0.0)
    assert core.outgoing == b"\x90\x05\x00\x09\x00\x00\x80"
    assert core.wants("a/x")
    assert core.wants("b")
    assert not core.wants("no/x/no")
    core.receive(packet(0xA2, b"\0\x0a" + text("b")), 0.0)
    assert core.outgoing.endswith(b"\xb0\x02\x00\x0a")
    assert not core.wants("b")


def test_subscriptions_are_bounded() -> None:
    core = opened()
    core.receive(subscribe(1, *(f"t/{n}" for n in range(MAX_SUBSCRIPTIONS + 1))), 0.0)
    assert core.outgoing.endswith(b"\x00\x80")
    core.outgoing.clear()
    core.receive(subscribe(2, "t/0"), 0.0)  # a repeat takes no room
    assert core.outgoing.endswith(b"\x00")


def test_a_message_for_the_client() -> None:
    core = opened()
    core.send("a/b", b"hello")
    assert core.outgoing == b"\x30\x0a\x00\x03a/bhello"


def test_a_will_is_read_and_forgotten() -> None:
    core = ServerConnection(LIMITS, Doors(anyone), 0.0)
    core.receive(connect(flags=0x02 | 0x04 | 0x08 | 0x20, rest=text("will/topic") + text("gone")), 0.0)
    assert core.outgoing == ACCEPTED
    assert not core.wants("will/topic")


def test_login() -> None:
    seen: list[tuple[str | None, bytes | None]] = []

    def allow(user: str | None, password: bytes | None) -> bool:
        seen.append((user, password))
        return password == b"right"

    for password, code in ((b"right", packets.ACCEPTED), (b"wrong", packets.NOT_AUTHORISED)):
        core = ServerConnection(LIMITS, Doors(allow), 0.0)
        rest = text("air-01") + text(password.decode())
        core.receive(connect(flags=0xC2, rest=rest) + publish(), 0.0)
        assert core.outgoing == packets.connack(code)
        assert (core.closed == "login") is (code != packets.ACCEPTED)
    assert seen == [("air-01", b"right"), ("air-01", b"wrong")]


CLOSES = {
    "another protocol": (packet(0x10, b"\0\4HTTP\4\2\0\0\0\1c"), "protocol"),
    "MQTT 5": (connect().replace(b"MQTT\4", b"MQTT\5"), "protocol"),
    "MQTT 3.1": (packet(0x10, b"\0\6MQIsdp\3\2\0\0\0\1c"), "protocol"),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "order"),
    "a publish first": (publish(), "order"),
    "a second CONNECT": (connect() + connect(), "order"),
    "a server's packet": (connect() + packet(0x20, b"\0\0"), "order"),
    "an acknowledgement of nothing": (connect() + packet(0x40, b"\0\1"), "order"),
    "a reserved type": (connect() + packet(0xF0), "order"),
    "a reserved CONNECT flag": (connect(flags=0x03), "malformed"),
    "a password without a user": (connect(flags=0x42, rest=text("p")), "malformed"),
    "will flags without a will": (connect(flags=0x12), "malformed"),
    "a will with QoS 3": (connect(flags=0x1E, rest=text("t") + text("m")), "malformed"),
    "no client id, not clean": (connect("", flags=0), "malformed"),
    "bytes after CONNECT": (connect(rest=b"x"), "malformed"),
    "a client id beyond reason": (connect("c" * 300), "malformed"),
    "QoS 2": (connect() + packet(0x34, text("t") + b"\0\1p"), "qos2"),
    "QoS 3": (connect() + packet(0x36, text("t") + b"\0\1p"), "malformed"),
    "DUP with QoS 0": (connect() + publish(flags=0x08), "malformed"),
    "packet id 0": (connect() + packet(0x32, text("t") + b"\0\0p"), "malformed"),
    "no packet id": (connect() + packet(0x32, text("t") + b"\0"), "malformed"),
    "a wildcard in a name": (connect() + publish("a/+"), "malformed"),
    "an empty name": (connect() + publish(""), "malformed"),
    "a name that is not UTF-8": (connect() + packet(0x30, b"\0\2\xff\xfe"), "malformed"),
    "a name longer than its packet": (connect() + packet(0x30, b"\0\x09t"), "malformed"),
    "a publish without a body": (connect() + packet(0x30), "malformed"),
    "wrong flags on SUBSCRIBE": (connect() + packet(0x80, b"\0\1" + text("t") + b"\0"), "malformed"),
    "SUBSCRIBE to nothing": (connect() + packet(0x82, b"\0\1"), "malformed"),
    "SUBSCRIBE with QoS 3": (connect() + subscribe(1, "t", qos=3), "malformed"),
    "UNSUBSCRIBE from nothing": (connect() + packet(0xA2, b"\0\1"), "malformed"),
    "a PINGREQ with a body": (connect() + packet(0xC0, b"x"), "malformed"),
    "a length of five bytes": (connect() + b"\x30\xff\xff\xff\xff\x01", "malformed"),
    "a packet beyond the limit": (connect() + packet(0x30, text("t") + bytes(1_000)), "too_large"),
    "a limit announced, not sent": (connect() + b"\x30\xff\xff\x7f", "too_large"),
    "goodbye": (connect() + packet(0xE0), "clean"),
}


@pytest.mark.parametrize("case", CLOSES)
def test_closes_for_a_named_reason(case: str) -> None:
    data, reason = CLOSES[case]
    core = ServerConnection(LIMITS, Doors(anyone), 0.0)
    core.receive(data, 0.0)
    assert core.closed == reason
    assert core.receive(publish(), 0.0) == []  # nothing is taken after the end


def test_refusals_that_have_a_code_say_it() -> None:
    core = ServerConnection(LIMITS, Doors(anyone), 0.0)
    core.receive(connect().replace(b"MQTT\4", b"MQTT\5"), 0.0)
    assert core.outgoing == packets.connack(packets.BAD_PROTOCOL)


def test_what_came_before_the_garbage_counts() -> None:
    core = opened()
    assert core.receive(publish(packet_id=1) + b"\xf0\x00" + publish(packet_id=2), 0.0) == [Message("t", b"p", 1, SOON)]
    assert core.closed == "order"
    core.committed(1)  # late news for a connection that has gone
    assert not core.outgoing


def test_too_much_in_flight_waits_for_commits() -> None:
    core = opened()
    assert len(core.receive(b"".join(publish(packet_id=n) for n in range(1, 6)), 0.0)) == LIMITS.max_in_flight
    assert core.blocked
    assert core.wait_s == 0.0  # only a commit helps
    core.committed(1)
    core.dropped()
    assert [m.packet_id for m in core.resume(0.0)] == [4, 5]


def test_too_fast_a_client_is_slowed() -> None:
    core = opened()
    burst = int(LIMITS.rate_per_s * BURST_S)
    first = core.receive(publish() * (burst + 50), 0.0)
    assert len(first) == burst - 1  # CONNECT was one
    assert core.blocked
    assert 0 < core.wait_s <= 1 / LIMITS.rate_per_s
    assert len(core.resume(0.1)) == 10
    assert len(core.resume(100.0)) == 41


def test_silence_has_a_limit() -> None:
    core = ServerConnection(LIMITS, Doors(anyone), 5.0)
    assert core.deadline_s == 5.0 + CONNECT_WITHIN_S
    core.receive(connect(keep_alive_s=60), 6.0)
    assert core.deadline_s == 6.0 + 90.0
    core.receive(b"\xc0\x00", 50.0)
    assert core.deadline_s == 50.0 + 90.0


def test_no_keep_alive_no_limit() -> None:
    core = ServerConnection(LIMITS, Doors(anyone), 0.0)
    core.receive(connect(keep_alive_s=0), 0.0)
    assert core.deadline_s is None


PIECES = st.sampled_from(
    [connect(), publish(packet_id=1), publish("a/b", b"x" * 200), subscribe(3, "a/#"), b"\xc0\x00", b"\xe0\x00"]
)


@given(st.lists(PIECES | st.binary(max_size=80), max_size=12), st.data())
def test_nothing_that_arrives_raises(parts: list[bytes], data: st.DataObject) -> None:
    """Arbitrary bytes between real packets, cut anywhere: a reason, bounded memory, never an exception."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    core = ServerConnection(LIMITS, Doors(anyone), 0.0)
    taken = 0
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        taken += len(core.receive(stream[start:end], 1.0))
        assert core.closed in (None, "clean", *packets.REASONS)
        assert len(core._buffer) <= len(stream)
        assert core.in_flight <= LIMITS.max_in_flight
        assert len(core.outgoing) < 1_000
    assert taken <= len(stream)


@given(st.lists(PIECES, max_size=10), st.integers(1, 40))
def test_where_a_stream_is_cut_does_not_matter(parts: list[bytes], size: int) -> None:
    stream = b"".join(parts)
    limits = Limits(max_packet_bytes=1_000, max_in_flight=100, rate_per_s=1e9)
    whole, cut = (ServerConnection(limits, Doors(anyone), 0.0) for _ in range(2))
    expected = whole.receive(stream, 0.0)
    assert _in_pieces(cut, stream, size) == expected
    assert (cut.outgoing, cut.closed) == (whole.outgoing, whole.closed)


def _in_pieces(core: ServerConnection, stream: bytes, size: int) -> list[Message]:
    found: Iterable[list[Message]] = (core.receive(stream[at : at + size], 0.0) for at in range(0, len(stream), size))
    return [message for messages in found for message in messages]


def test_an_announced_packet_is_not_stored_beyond_its_limit() -> None:
    """A client that announces much and sends little costs what it sends, and never more than the limit."""
    core = opened()
    core.receive(b"\x30\xe7\x07", 0.0)  # 999 bytes announced
    for _ in range(998):
        core.receive(b"\0", 0.0)
    assert len(core._buffer) <= LIMITS.max_packet_bytes + 5
