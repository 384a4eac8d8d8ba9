"""The Bluetooth link of a real node, at the other end a central in the world: frames out, acknowledgements in."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_sim.peripheral import Peripheral
from balise_wire.frames import Ack, FrameKeys, open_frame, seal_ack
from balise_wire.items import Manifest, Readings
from node.yard import KEY, Yard

LAST = 128


class Phone:
    """A central that takes the node's frames and answers them, unless it is told not to."""

    def __init__(self, radio: Peripheral, mtu: int) -> None:
        self.radio, self.mtu = radio, mtu
        self.keys = FrameKeys(KEY)
        self.frames: list[bytes] = []
        self.longest_bytes = 0
        self.connection: int | None = None
        self.answers = True
        self._message = b""

    def connect(self) -> None:
        self.connection = self.radio.connect(self, self.mtu)
        self.write(b"")

    @property
    def handles(self) -> tuple[int, int]:
        up, down = self.radio.characteristics
        return up, down

    def write(self, part: bytes) -> None:
        assert self.connection is not None
        self.radio.written(self.connection, self.handles[1], part)

    def notified(self, handle: int, data: bytes) -> None:
        assert handle == self.handles[0]
        self.longest_bytes = max(self.longest_bytes, len(data))
        self._message += data[1:]
        if data[0] & LAST:
            self.frames.append(self._message)
            self._message = b""
            if self.answers:
                self._answer(self.frames[-1])

    def _answer(self, data: bytes) -> None:
        frame = open_frame(self.keys, data)
        sealed = seal_ack(self.keys, frame.boot * 1000 + frame.count, Ack(frame.boot, frame.count + 1, 0, None, 0))
        asyncio.get_running_loop().create_task(self._write_parts(sealed))

    async def _write_parts(self, message: bytes) -> None:
        room = self.radio.mtu(self.connection or 0) - 4
        parts = [message[at : at + room] for at in range(0, len(message), room)]
        for number, part in enumerate(parts):
            last = LAST if number == len(parts) - 1 else 0
            await self.radio.written(self.connection or 0, self.handles[1], bytes((number | last,)) + part)

    def disconnected(self) -> None:
        self.connection = None


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path, link="ble") as yard:
        yield yard


def test_the_advertisement_says_who_it_is(yard: Yard) -> None:
    yard.run(0.1)
    advert = yard.node.peripheral.advert
    assert advert is not None
    assert advert.connectable
    assert advert.data.endswith(FrameKeys(KEY).kid)
    assert b"b4115e-air-01" in advert.response
    assert max(len(advert.data), len(advert.response)) <= 31


@pytest.mark.parametrize("mtu", [23, 100, 512])
def test_frames_come_in_parts_that_fit_and_acknowledgements_release_them(yard: Yard, mtu: int) -> None:
    phone = Phone(yard.node.peripheral, mtu)
    yard.run(0.1)
    phone.connect()
    yard.run(10)
    frames = [open_frame(phone.keys, data) for data in phone.frames]
    assert [frame.count for frame in frames] == list(range(1, len(frames) + 1))  # each once: all were released
    kinds = [type(item) for frame in frames for item in frame.items]
    assert kinds[0] is Manifest
    assert kinds.count(Readings) >= 8
    assert phone.longest_bytes <= min(mtu, 247) - 3


def test_what_is_not_acknowledged_comes_again_after_a_new_connection(yard: Yard) -> None:
    phone = Phone(yard.node.peripheral, 247)
    phone.answers = False
    yard.run(0.1)
    phone.connect()
    yard.run(5)
    unanswered = set(phone.frames)
    assert len(unanswered) >= 4
    assert phone.connection is not None
    yard.node.peripheral.disconnect(phone.connection)
    yard.run(0.5)
    assert "link: the gateway has disconnected" in yard.node.console.text()
    phone.frames, phone.answers = [], True
    phone.connect()
    yard.run(1)
    assert unanswered <= set(phone.frames)


def test_parts_out_of_order_are_dropped_and_do_no_harm(yard: Yard) -> None:
    phone = Phone(yard.node.peripheral, 247)
    yard.run(0.1)
    phone.connect()
    for part in (b"\x81end", b"\x00start", b"\x02jump", b"\x80", b"\x80not sealed"):
        phone.write(part)
        yard.run(0.1)
    yard.run(5)
    assert yard.node.fault is None
    assert "refused" in yard.node.console.text()
    assert len(phone.frames) >= 4


def test_a_power_cut_ends_the_connection(yard: Yard) -> None:
    phone = Phone(yard.node.peripheral, 247)
    yard.run(0.1)
    phone.connect()
    yard.run(0.1)
    yard.node.power_cut()
    assert phone.connection is None
    assert yard.node.peripheral.advert is None
    yard.node.power_on()
    yard.run(0.1)
    phone.connect()
    yard.run(2)
    assert yard.node.console.text().count("link: connected") == 2
