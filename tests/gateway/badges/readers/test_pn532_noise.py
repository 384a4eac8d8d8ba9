"""A chip that answers anything: nfcpy believes much of it, and what it raises then must not end the reader."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.readers import _pn532_chip
from balise_gateway.badges.readers._base import DeviceAway
from balise_gateway.badges.readers._cards import Card
from balise_gateway.badges.readers._pn532_line import ACK
from balise_gateway.errors import CardLost, CardRefused

Answer = tuple[str, bytes]


def framed(body: bytes) -> bytearray:
    """A normal information frame (UM0701-02, 6.2.1.1)."""
    head = bytes([0, 0, 0xFF, len(body), -len(body) & 0xFF])
    return bytearray(head + body + bytes([-sum(body) & 0xFF, 0]))


class NoisyLine:
    """In place of the serial line: acknowledges each command, and answers it with the next of `answers`."""

    TYPE, port, baudrate, is_gone = "TTY", "noise", 115_200, False

    def __init__(self, answers: list[Answer], registers_are_well: bool = True) -> None:
        self.answers, self.count, self.registers_are_well = answers, 0, registers_are_well
        self.due: list[bytearray] = []

    def write(self, frame: bytes) -> None:
        if bytes(frame) == ACK:
            self.due = []
            return
        body = bytes(frame[8:-2] if frame[3:5] == b"\xff\xff" else frame[5:-2])
        self.due = [bytearray(ACK), self.answer(body)]

    def answer(self, body: bytes) -> bytearray:
        command = body[1]
        if command in (0x00, 0x02, 0x12, 0x14, 0x32):  # the start-up goes well
            data = body[2:] if command == 0x00 else b"\x32\x01\x06\x07" if command == 0x02 else b""
            if len(data) > 250:
                size = len(data) + 2
                head = b"\x00\x00\xff\xff\xff" + size.to_bytes(2, "big")
                head += bytes([-sum(head[5:]) & 0xFF])
                inner = bytes([0xD5, command + 1]) + data
                return bytearray(head + inner + bytes([-sum(inner) & 0xFF, 0]))
            return framed(bytes([0xD5, command + 1]) + data)
        if command in (0x06, 0x08) and self.registers_are_well:
            return framed(bytes([0xD5, command + 1]) + bytes(len(body) // 2 - 1 if command == 0x06 else 0))
        how, noise = self.answers[self.count % len(self.answers)]
        self.count += 1
        if how == "raw":
            return bytearray(noise)
        return framed(bytes([0xD5, command + 1]) + noise)

    def read(self, timeout: int) -> bytearray:
        if not self.due or not self.due[0]:
            raise OSError(errno.ETIMEDOUT, "nothing")
        return self.due.pop(0)

    def close(self) -> None: ...


NOISE = st.one_of(
    st.tuples(st.just("raw"), st.binary(max_size=12)),
    st.tuples(st.just("framed"), st.binary(max_size=20)),
    st.tuples(st.just("framed"), st.binary(max_size=20).map(lambda data: b"\x00" + data)),
    st.sampled_from(
        [
            ("framed", bytes.fromhex("01010044000704a1b2c3d4e5f6")),  # an NTAG21x
            ("framed", bytes.fromhex("0101034420070400112233445566067577810280")),  # with ISO 14443-4
            ("framed", bytes.fromhex("010100040804a1b2c33d")),  # a MIFARE Classic
            ("framed", b""),
            ("framed", bytes.fromhex("00067577810280")),  # an ATS
        ]
    ),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(NOISE, min_size=1, max_size=10), st.booleans())
def test_whatever_the_chip_answers_only_named_errors_come_out(answers: list[Answer], registers: bool) -> None:
    chip = _pn532_chip.Pn532(NoisyLine(answers, registers))  # type: ignore[arg-type]
    for _ in range(3):
        try:
            found = chip.find(0.05)
            if found is None:
                continue
            card = Card(found, found.is_classic)
            for work in (card.look, card.read_ndef, card.originality):
                work()
            chip.is_here(found)
        except (CardLost, CardRefused, DeviceAway):  # LineFault is a CardLost
            continue
    chip.close()


def test_the_noise_reaches_deep() -> None:
    """The line plays its part: with the right answers a card is found on it."""
    line = NoisyLine([("framed", bytes.fromhex("01010044000704a1b2c3d4e5f6"))])
    found = _pn532_chip.Pn532(line).find(1.0)  # type: ignore[arg-type]
    assert found is not None
    assert found.uid == bytes.fromhex("04a1b2c3d4e5f6")


def test_a_chip_that_echoes_wrongly_is_not_taken() -> None:
    class Deaf(NoisyLine):
        def answer(self, body: bytes) -> bytearray:
            return framed(bytes([0xD5, body[1] + 1]))

    with pytest.raises(DeviceAway, match="the chip answers wrongly"):
        _pn532_chip.awake(Deaf([("raw", b"")]))  # type: ignore[arg-type]
