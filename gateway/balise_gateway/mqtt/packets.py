"""MQTT 3.1.1 control packets: bytes to values and back, pure functions (OASIS MQTT 3.1.1 sections 2 and 3).

Promises that a packet from a client either becomes a value or raises PacketError with one of REASONS, whatever the
bytes. Leaves what a packet means at that moment to `core.py`. Section numbers are those of the standard.
"""

from dataclasses import dataclass

from balise_gateway.mqtt import topics

REASONS = (
    "malformed",  # not a packet that the standard allows
    "protocol",  # not MQTT 3.1.1: another protocol name or level
    "too_large",  # more bytes than the limit
    "qos2",  # "exactly once" is not offered: frames have names of their own, QoS 1 and a repeat is the same
    "order",  # a packet that has no place here: before CONNECT, a second CONNECT, or a server's packet
    "login",  # no such user, or another password
)

# Section 2.2.1: the packet types, in the high four bits of the first byte.
CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

# Section 3.2.2.3: why a CONNECT was refused.
ACCEPTED, BAD_PROTOCOL, BAD_CLIENT_ID, NOT_AUTHORISED = 0, 1, 2, 5
SUBSCRIBED, SUBSCRIPTION_REFUSED = 0x00, 0x80  # section 3.9.3; QoS 0 is what is granted

PINGRESP_BYTES = b"\xd0\x00"

RETAIN = 0x01  # section 3.3.1.3: keep this message for who subscribes later
DUP = 0x08  # section 3.3.1.1: this PUBLISH may have been sent before
MAX_NAMES = 256

_LONGEST_HEADER_BYTES = 5  # one byte, and a length of at most four (section 2.2.3)
_FIXED_FLAGS = {CONNECT: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}  # section 2.2.2
_MAX_CLIENT_ID_BYTES = 256


class PacketError(Exception):
    """Bytes that close the connection: `reason` is one of REASONS; `code` is what a CONNACK says, if one is due."""

    def __init__(self, reason: str, detail: str, code: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.code = reason, detail, code


@dataclass(frozen=True, slots=True)
class Connect:
    """Section 3.1. The will is read and forgotten: nobody subscribes to nodes here."""

    client_id: str
    clean: bool
    keep_alive_s: int
    user: str | None
    password: bytes | None


def header(data: bytes, at: int, limit_bytes: int) -> tuple[int, int] | None:
    """(where the body starts, where it ends) of the packet at `at`; None when its header is not complete yet."""
    length, shift, position, end = 0, 0, at + 1, len(data)
    while position < end:
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            if length > limit_bytes:
                raise PacketError("too_large", f"{length} bytes announced, the limit is {limit_bytes}")
            return position, position + length
        shift += 7
        if position - at == _LONGEST_HEADER_BYTES:
            raise PacketError("malformed", "a remaining length of more than four bytes")
    return None


def check_flags(first: int) -> None:
    """Section 2.2.2: reserved flags must be as listed, else the connection is closed."""
    wanted = _FIXED_FLAGS.get(first >> 4)
    if wanted is not None and first & 0x0F != wanted:
        raise PacketError("malformed", f"flags {first & 15} on a packet of type {first >> 4}")


def parse_publish(
    first: int, data: bytes, start: int, end: int, names: dict[bytes, str]
) -> tuple[str, int, int | None]:
    """(topic, where the payload starts, packet id or None) of the PUBLISH whose body is data[start:end], section 3.3.

    None stands for QoS 0. `names` remembers the topics that were valid, at most MAX_NAMES of them.
    """
    qos = first >> 1 & 3
    if qos == 2:
        raise PacketError("qos2", "QoS 2 is not offered: use QoS 1")
    if qos == 3 or (qos == 0 and first & DUP):
        raise PacketError("malformed", "QoS 3, or DUP with QoS 0")
    if end - start < 2:
        raise PacketError("malformed", "a PUBLISH without a topic")
    at = start + 2 + (data[start] << 8 | data[start + 1])
    topic = names.get(data[start:at])
    if topic is None:
        topic = _new_name(data[start : min(at, end)], at - start, names)
    if qos == 0:
        return topic, at, None
    if end < at + 2:
        raise PacketError("malformed", "QoS 1 without a packet id")
    packet_id = data[at] << 8 | data[at + 1]
    if packet_id == 0:
        raise PacketError("malformed", "packet id 0")
    return topic, at + 2, packet_id


def _new_name(raw: bytes, length: int, names: dict[bytes, str]) -> str:
    """A topic with its two bytes of length, seen for the first time."""
    topic = text_of(raw[2:], length - 2)
    if not topics.valid_name(topic):
        raise PacketError("malformed", "a topic that is empty, too long or has wildcards")
    if len(names) >= MAX_NAMES:
        names.clear()
    names[raw] = topic
    return topic


def text_of(raw: bytes, length: int) -> str:
    """Section 1.5.3: UTF-8 of the length announced."""
    if len(raw) != length:
        raise PacketError("malformed", "a text that ends early")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PacketError("malformed", "a text that is not UTF-8") from error


class Reader:
    """Takes fields off the front of a packet's body."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def __bool__(self) -> bool:
        return self._at < len(self._body)

    def byte(self) -> int:
        return self._take(1)[0]

    def word(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def binary(self) -> bytes:
        return self._take(self.word())

    def text(self) -> str:
        raw = self.binary()
        return text_of(raw, len(raw))

    def _take(self, count: int) -> bytes:
        taken = self._body[self._at : self._at + count]
        if len(taken) != count:
            raise PacketError("malformed", "a packet that ends early")
        self._at += count
        return taken


def parse_connect(body: bytes) -> Connect:
    """Section 3.1; raises PacketError with the CONNACK code that is due, if one is."""
    reader = Reader(body)
    name = reader.binary()
    if name not in (b"MQTT", b"MQIsdp"):
        raise PacketError("protocol", "not MQTT")
    level = reader.byte()
    if name != b"MQTT" or level != 4:  # section 3.1.2.2
        raise PacketError("protocol", f"MQTT level {level}; this is a server for level 4, MQTT 3.1.1", BAD_PROTOCOL)
    flags = reader.byte()
    keep_alive_s = reader.word()
    client_id = reader.text()
    _check_connect_flags(flags)
    if flags & 0x04:
        reader.text()  # the will's topic
        reader.binary()  # and its message
    user = reader.text() if flags & 0x80 else None
    password = reader.binary() if flags & 0x40 else None
    if reader:
        raise PacketError("malformed", "bytes after the last field of CONNECT")
    clean = bool(flags & 0x02)
    if (not client_id and not clean) or len(client_id) > _MAX_CLIENT_ID_BYTES or "\0" in client_id:  # section 3.1.3.1
        raise PacketError("malformed", "a client id that is too long, or empty without a clean session", BAD_CLIENT_ID)
    return Connect(client_id, clean, keep_alive_s, user, password)


def _check_connect_flags(flags: int) -> None:
    """Sections 3.1.2.3 to 3.1.2.9."""
    will, will_qos = flags & 0x04, flags >> 3 & 3
    if flags & 0x01 or will_qos == 3 or (not will and flags & 0x38) or (flags & 0x40 and not flags & 0x80):
        raise PacketError("malformed", "CONNECT flags that the standard forbids")


def parse_subscribe(body: bytes) -> tuple[int, list[str]]:
    """(packet id, filters) of a SUBSCRIBE, section 3.8; a filter that is not valid is kept, to be refused by name."""
    reader, filters = Reader(body), []
    packet_id = reader.word()
    while reader:
        filters.append(reader.text())
        if reader.byte() > 2:
            raise PacketError("malformed", "a SUBSCRIBE for QoS 3")
    return _named(packet_id, filters)


def parse_unsubscribe(body: bytes) -> tuple[int, list[str]]:
    """(packet id, filters) of an UNSUBSCRIBE, section 3.10."""
    reader, filters = Reader(body), []
    packet_id = reader.word()
    while reader:
        filters.append(reader.text())
    return _named(packet_id, filters)


def _named(packet_id: int, filters: list[str]) -> tuple[int, list[str]]:
    if packet_id == 0 or not filters:
        raise PacketError("malformed", "packet id 0, or no filter at all")
    return packet_id, filters


def connack(code: int) -> bytes:
    """Section 3.2; "session present" is never set: nothing is kept for a client that is away."""
    return bytes((CONNACK << 4, 2, 0, code))


def puback(packet_id: int) -> bytes:
    """Section 3.4."""
    return bytes((PUBACK << 4, 2, packet_id >> 8, packet_id & 0xFF))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """Section 3.9."""
    return _packet(SUBACK << 4, packet_id.to_bytes(2, "big") + bytes(codes))


def unsuback(packet_id: int) -> bytes:
    """Section 3.11."""
    return _packet(UNSUBACK << 4, packet_id.to_bytes(2, "big"))


def publish(topic: str, payload: bytes, retained: bool = False) -> bytes:
    """A PUBLISH with QoS 0, section 3.3."""
    name = topic.encode()
    return _packet(PUBLISH << 4 | (RETAIN if retained else 0), len(name).to_bytes(2, "big") + name + payload)


def _packet(first: int, body: bytes) -> bytes:
    length, head = len(body), bytearray((first,))
    while True:  # section 2.2.3
        byte, length = length & 0x7F, length >> 7
        head.append(byte | (0x80 if length else 0))
        if not length:
            return bytes(head) + body
