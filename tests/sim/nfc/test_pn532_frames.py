"""Frames of the PN532: whole ones come out as they went in, and noise brings nobody down."""

from hypothesis import given
from hypothesis import strategies as st

from balise_sim.nfc import frames
from balise_sim.nfc.faults import Faults
from balise_sim.nfc.field import Field
from balise_sim.nfc.pn532 import Pn532

PARAMETERS = st.binary(min_size=0, max_size=frames.LONGEST_DATA - 2)


def command(code: int, data: bytes) -> bytes:
    return frames.framed(bytes([frames.TO_CHIP, code]) + data)


@given(st.lists(st.tuples(st.integers(0, 255), PARAMETERS), max_size=4), st.data())
def test_commands_are_found_however_their_bytes_are_cut(commands: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(command(*each) for each in commands) + frames.NACK
    deframer, events = frames.Deframer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        events += deframer.take(stream[:size])
        stream = stream[size:]
    assert events == [*(frames.Command(*each) for each in commands), frames.Acknowledged(again=True)]


@given(st.binary(max_size=300), PARAMETERS)
def test_after_noise_and_a_line_of_zeros_a_command_is_heard(noise: bytes, parameters: bytes) -> None:
    """Noise can look like the head of a long frame, whose length of bytes is then swallowed."""
    deframer = frames.Deframer()
    deframer.take(noise + bytes(frames.LONGEST_DATA + 1))
    assert deframer.take(command(2, parameters)) == [frames.Command(2, parameters)]


@given(st.lists(st.tuples(st.sampled_from(range(0, 0x60, 2)), st.binary(max_size=20)), max_size=10))
def test_a_chip_acknowledges_and_answers_whatever_it_is_asked(commands: list[tuple[int, bytes]]) -> None:
    chip = Pn532(Field(), Faults())
    chip.take(bytes(10), chip.baud)
    for code, data in commands:
        sent = chip.take(bytes(10) + command(code, data), chip.baud)
        assert sent[0].data == frames.ACK
        answer = sent[1].data if len(sent) > 1 else b""
        ordinary = len(answer) > 7 and answer[5:7] == bytes([frames.TO_HOST, code + 1])
        assert ordinary or answer == frames.ERROR or (chip.waits_for_card and code == 0x4A)


@given(st.binary(max_size=200))
def test_noise_on_the_line_is_survived(noise: bytes) -> None:
    chip = Pn532(Field(), Faults())
    chip.take(noise, chip.baud)
    chip.cut_power()
    assert len(chip.take(bytes(10) + command(2, b""), chip.baud)) == 2


def test_an_ack_that_is_seen_when_the_host_has_changed_its_speed_counts_and_other_bytes_do_not() -> None:
    """A pseudo-terminal tells the speed of the moment in which bytes are read; see pn532_tty.py."""
    chip = Pn532(Field(), Faults())
    chip.take(bytes(10) + command(0x10, b"\x07"), chip.baud)
    assert chip.take(command(2, b""), 921_600) == []
    assert chip.take(frames.ACK, 460_800) == []
    assert chip.baud == 115_200
    assert len(chip.take(frames.ACK + command(2, b""), 921_600)) == 2
    assert chip.baud == 921_600
