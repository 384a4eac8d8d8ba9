"""The chip on its line, asked with nothing but pyserial: bytes as in the manual, speeds, sleep, cable and time."""

import threading
import time
from pathlib import Path

import pytest
import serial

from balise_sim.nfc import frames
from balise_sim.nfc.cards import ntag21x
from balise_sim.nfc.pn532_tty import Pn532Tty

UID = bytes.fromhex("04a1b2c3d4e5f6")
WAKE = bytes(10)
GET_VERSION = bytes.fromhex("0000ff02fed4022a00")
VERSION = bytes.fromhex("0000ff06fad50332010607e800")
CONFIGURE_SAM, SAM_CONFIGURED = bytes.fromhex("0000ff05fbd4140100001700"), bytes.fromhex("0000ff02fed5151600")
TO_921600, SPEED_TAKEN = bytes.fromhex("0000ff03fdd410071500"), bytes.fromhex("0000ff02fed5111a00")
TO_115200 = bytes.fromhex("0000ff03fdd410041800")
LIST_ONE = bytes.fromhex("0000ff04fcd44a0100e100")
PATIENCE_S = 20  # for what must come
SILENCE_S = 0.1  # for what must not come: a chip that is too slow to be caught passes, none that is right fails


class Host:
    """A serial program."""

    def __init__(self, path: Path, baud: int = 115_200) -> None:
        self.port = serial.Serial(str(path), baud, timeout=PATIENCE_S)

    def say(self, frame: bytes) -> None:
        self.port.write(frame)

    def hears(self, *parts: bytes) -> None:
        for part in parts:
            assert self.port.read(len(part)).hex() == part.hex()

    def hears_nothing(self) -> None:
        self.port.timeout = SILENCE_S
        assert self.port.read(1) == b""
        self.port.timeout = PATIENCE_S

    def command(self, code: int, data: bytes = b"") -> bytes:
        """What follows the answer's code."""
        self.say(frames.framed(bytes([frames.TO_CHIP, code]) + data))
        self.hears(frames.ACK)
        head = self.port.read(5)
        long = head[3:] == b"\xff\xff"
        length = int.from_bytes(self.port.read(3)[:2], "big") if long else head[3]
        body = self.port.read(length + 2)
        assert body[:2] == bytes([frames.TO_HOST, code + 1])
        return body[2:-2]


@pytest.fixture
def host(reader: Pn532Tty) -> Host:
    host = Host(reader.path)
    host.say(WAKE + GET_VERSION)
    host.hears(frames.ACK, VERSION)
    host.say(CONFIGURE_SAM)
    host.hears(frames.ACK, SAM_CONFIGURED)
    return host


def test_bytes_are_those_of_the_manual_from_waking_to_a_uid(reader: Pn532Tty, host: Host) -> None:
    reader.lay(ntag21x.Model(UID))
    host.say(LIST_ONE)
    host.hears(frames.ACK, bytes.fromhex("0000ff0ff1d54b01010044000704a1b2c3d4e5f6ca00"))


def test_a_sleeping_chip_loses_what_comes_before_the_fifth_rising_edge(reader: Pn532Tty) -> None:
    host = Host(reader.path)
    host.say(GET_VERSION)
    host.hears_nothing()
    host.say(GET_VERSION)
    host.hears(frames.ACK, VERSION)
    assert host.command(0x16, b"\xf0") == b"\x00"
    host.say(b"\x55" + GET_VERSION)  # five edges in one byte
    host.hears(frames.ACK, VERSION)


def test_before_sam_configuration_no_card_is_found(reader: Pn532Tty) -> None:
    reader.lay(ntag21x.Model(UID))
    host = Host(reader.path)
    host.say(WAKE)
    host.command(0x32, b"\x05\x00\x00\x00")
    assert host.command(0x4A, b"\x01\x00") == b"\x00"
    host.command(0x14, b"\x01")
    assert host.command(0x4A, b"\x01\x00")[-7:] == UID


def test_the_new_speed_begins_with_the_hosts_ack_and_ends_with_power(reader: Pn532Tty, host: Host) -> None:
    host.say(TO_921600)
    host.hears(frames.ACK, SPEED_TAKEN)
    assert reader.baud == 115_200
    host.say(frames.ACK)
    host.port.baudrate = 921_600
    host.say(GET_VERSION)
    host.hears(frames.ACK, VERSION)
    assert reader.baud == 921_600
    host.port.baudrate = 115_200
    host.say(GET_VERSION)
    host.hears_nothing()
    reader.cut_power()
    host.say(WAKE + GET_VERSION)
    host.hears(frames.ACK, VERSION)


def test_without_the_hosts_ack_the_old_speed_stays(reader: Pn532Tty, host: Host) -> None:
    host.say(TO_921600)
    host.hears(frames.ACK, SPEED_TAKEN)
    host.say(GET_VERSION)
    host.hears(frames.ACK, VERSION)
    host.say(frames.ACK)
    host.say(GET_VERSION)
    host.hears(frames.ACK, VERSION)
    assert reader.baud == 115_200


@pytest.mark.parametrize("speed", [230_400, 460_800, 921_600])
def test_a_chip_left_at_a_high_speed_is_brought_back_by_who_asks_at_that_speed(reader: Pn532Tty, speed: int) -> None:
    reader.leave_at(speed)
    host = Host(reader.path, speed)
    host.say(WAKE + TO_115200)
    host.hears(frames.ACK, SPEED_TAKEN)
    host.say(frames.ACK)
    host.port.baudrate = 115_200
    host.say(GET_VERSION)
    host.hears(frames.ACK, VERSION)


def test_a_chip_asked_without_end_answers_when_a_card_comes_and_an_ack_breaks_it_off(reader, host: Host) -> None:
    host.say(LIST_ONE)
    host.hears(frames.ACK)
    host.hears_nothing()
    reader.lay(ntag21x.Model(UID))
    host.hears(bytes.fromhex("0000ff0ff1d54b01010044000704a1b2c3d4e5f6ca00"))
    reader.take_away()
    host.say(LIST_ONE)
    host.hears(frames.ACK)
    host.say(frames.ACK)
    assert host.command(0x02) == bytes.fromhex("32010607")
    reader.lay(ntag21x.Model(UID))
    host.hears_nothing()


def test_two_cards_are_listed_and_each_answers_under_its_number(reader: Pn532Tty, host: Host) -> None:
    cards = [ntag21x.Model(UID), ntag21x.Model(bytes.fromhex("04a1b2c3d4e5f7"))]
    for card in cards:
        reader.lay(card)
    listed = host.command(0x4A, b"\x02\x00")
    assert listed[0] == 2
    assert listed[6:13] == cards[1].uid
    assert listed[18:25] == cards[0].uid
    assert host.command(0x40, b"\x02\x30\x00")[1:4] == cards[0].uid[:3]
    assert host.command(0x40, b"\x03\x30\x00") == b"\x27"
    chosen = host.command(0x4A, b"\x01\x00" + b"\x88" + UID)
    assert chosen[6:] == UID


def test_a_card_torn_away_is_a_time_out_from_then_on(reader: Pn532Tty, host: Host) -> None:
    reader.lay(ntag21x.Model(UID))
    host.command(0x4A, b"\x01\x00")
    reader.tear_away_after(1)
    assert host.command(0x40, b"\x01\x30\x00")[0] == 0
    assert host.command(0x40, b"\x01\x30\x04") == b"\x01"
    assert host.command(0x42, b"\x30\x04") == b"\x01"


def test_a_nack_brings_the_answer_again_and_damaged_commands_none(reader: Pn532Tty, host: Host) -> None:
    host.say(GET_VERSION)
    host.hears(frames.ACK, VERSION)
    host.say(frames.NACK)
    host.hears(VERSION)
    host.say(GET_VERSION[:-2] + b"\x2b\x00")
    host.hears_nothing()
    host.say(frames.framed(b"\xd4\x99"))
    host.hears(frames.ACK, frames.ERROR)


def test_a_line_test_of_the_longest_frame_comes_back_as_it_went(host: Host) -> None:
    data = bytes(range(256)) + bytes(6)
    assert host.command(0x00, b"\x00" + data) == b"\x00" + data


def test_a_pulled_cable_ends_the_line_takes_the_path_and_comes_back(reader: Pn532Tty, host: Host) -> None:
    ended = threading.Event()

    def wait_for_the_end() -> None:
        try:
            host.port.read(1)
        except (serial.SerialException, OSError):
            ended.set()

    waiting = threading.Thread(target=wait_for_the_end)
    waiting.start()
    reader.unplug()
    assert ended.wait(PATIENCE_S)
    waiting.join()
    assert not reader.path.is_symlink()
    with pytest.raises(serial.SerialException):
        Host(reader.path)
    reader.replug()
    again = Host(reader.path)
    again.say(WAKE + GET_VERSION)
    again.hears(frames.ACK, VERSION)


def test_time_on_the_line_is_told_even_when_none_is_spent(reader: Pn532Tty, host: Host) -> None:
    before_s = reader.modelled_s
    host.command(0x00, bytes(261))
    line_s = 2 * (261 + 10) * 10 / 115_200
    assert line_s < reader.modelled_s - before_s < line_s + 0.005


def test_with_a_pace_an_answer_takes_at_least_its_time(tmp_path: Path) -> None:
    with Pn532Tty(tmp_path / "slow", pace=1.0) as reader:
        host = Host(reader.path)
        host.say(WAKE)
        started_s = time.monotonic()
        host.command(0x00, bytes(261))
        assert time.monotonic() - started_s > 2 * 261 * 10 / 115_200
