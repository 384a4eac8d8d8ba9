"""MQTT packets as a client writes them: for tests that must send exactly these bytes."""


def text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes = b"") -> bytes:
    length, head = len(body), bytearray((first,))
    while True:
        byte, length = length & 0x7F, length >> 7
        head.append(byte | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def connect(client_id: str = "c", flags: int = 0x02, keep_alive_s: int = 60, rest: bytes = b"") -> bytes:
    return packet(0x10, b"\0\4MQTT\4" + bytes((flags,)) + keep_alive_s.to_bytes(2, "big") + text(client_id) + rest)


def login(user: str, password: str, client_id: str = "c", keep_alive_s: int = 60) -> bytes:
    return connect(client_id, 0xC2, keep_alive_s, text(user) + text(password))


def publish(topic: str = "t", payload: bytes = b"p", packet_id: int = 0, flags: int = 0) -> bytes:
    named = packet_id.to_bytes(2, "big") if packet_id else b""
    return packet(0x30 | flags | (2 if packet_id else 0), text(topic) + named + payload)


def subscribe(packet_id: int, *filters: str, qos: int = 1) -> bytes:
    return packet(0x82, packet_id.to_bytes(2, "big") + b"".join(text(f) + bytes((qos,)) for f in filters))
