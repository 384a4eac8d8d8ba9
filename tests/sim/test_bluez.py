"""Bluetooth without a radio: the real bleak finds a simulated node by D-Bus, connects, and carries its frames."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from balise_boards import load_board
from balise_sim.bluez import BlueZ, fields_of, private_bus
from balise_sim.buses import Wire
from balise_sim.live import RealTime
from balise_sim.node import Node
from balise_sim.pace import PacedLoop
from balise_sim.world import World, install_firmware
from balise_wire.frames import Ack, Frame, FrameKeys, open_frame, seal_ack
from balise_wire.items import Manifest, Readings

SERVICE = "b4115e01-0b1e-4d2a-9c3f-6d1f5a7e2c40"
UP, DOWN = SERVICE.replace("e01-", "e02-"), SERVICE.replace("e01-", "e03-")
KEY = bytes.fromhex("6b1f0c52e9a4d3870f5e2c9ab8d71e34")
CONFIG = {
    "node": "urn:dev:ops:b4115e-air-01",
    "key": KEY.hex(),
    "link": "ble",
    "period_s": 5,
    "sensors": [{"model": "bme280", "i2c": 0, "sda": 19, "scl": 18}],
}
SPEED = 5  # bleak's own time-outs run as fast
LONGEST_S = 300.0
LAST = 128


@pytest.fixture
def world() -> Iterator[World]:
    """On real time, because bleak waits for a real socket."""
    loop = PacedLoop(RealTime(SPEED))
    with World(loop, 1_790_000_000_000, seed=5) as world:
        yield world
    loop.close()


@pytest.fixture
def node(world: World, tmp_path: Path) -> Node:
    root = tmp_path / "air-01"
    install_firmware(root)
    (root / "main.py").write_text("import balise_node.main\n", encoding="utf-8")
    (root / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    node = world.add_node("air-01", load_board("esp32"), root, [Wire("bme280", "i2c0")])
    node.power_on()
    return node


async def found() -> tuple[BLEDevice, AdvertisementData]:
    """The first node whose advertisement is heard."""
    async with BleakScanner() as scanner:
        async for device, advertisement in scanner.advertisement_data():
            if SERVICE in advertisement.service_data:
                return device, advertisement
    raise AssertionError("the scan ended")


class Gateway:
    """Puts parts together, opens frames and answers them."""

    def __init__(self, client: BleakClient) -> None:
        self.client, self.keys = client, FrameKeys(KEY)
        self.frames: list[Frame] = []
        self._message = b""
        self._complete: asyncio.Queue[bytes] = asyncio.Queue()

    def take(self, _sender: object, part: bytearray) -> None:
        self._message += part[1:]
        if part[0] & LAST:
            self._complete.put_nowait(self._message)
            self._message = b""

    async def listen(self, frames: int) -> None:
        """So many frames, each answered."""
        await self.client.start_notify(UP, self.take)
        await self.client.write_gatt_char(DOWN, b"", response=True)
        while len(self.frames) < frames:
            frame = open_frame(self.keys, await self._complete.get())
            self.frames.append(frame)
            ack = seal_ack(self.keys, len(self.frames), Ack(frame.boot, frame.count + 1, 0, None, 0))
            await self.client.write_gatt_char(DOWN, bytes((LAST,)) + ack, response=True)


async def carried(world: World, bus: str) -> None:
    bluez = BlueZ(world)
    await bluez.start(bus)
    device, advertisement = await found()
    assert advertisement.service_data[SERVICE] == FrameKeys(KEY).kid
    assert advertisement.local_name == device.name == "b4115e-air-01"
    assert -66 <= advertisement.rssi <= -54
    async with BleakClient(device) as client:
        assert {c.uuid: c.properties for c in client.services.get_service(SERVICE).characteristics} == {
            UP: ["notify"],
            DOWN: ["write"],
        }
        gateway = Gateway(client)
        await asyncio.wait_for(gateway.listen(3), LONGEST_S)
    kinds = [type(item) for frame in gateway.frames for item in frame.items]
    assert [frame.count for frame in gateway.frames] == [1, 2, 3]  # each once: the acknowledgements were heard
    assert kinds[0] is Manifest
    assert Readings in kinds
    await found()  # it advertises again
    bluez.stop()


def test_bleak_carries_frames_of_a_real_node(
    world: World, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        world.loop.run_until_complete(asyncio.wait_for(carried(world, address), LONGEST_S))
    assert "link: connected" in node.console.text()
    assert node.fault is None


def test_a_broken_advertisement_is_read_as_far_as_it_goes() -> None:
    assert list(fields_of(b"\x02\x01\x06\x03\x16\x12\x18")) == [(1, b"\x06"), (0x16, b"\x12\x18")]
    assert list(fields_of(b"\x02\x01\x06\x09\x16")) == [(1, b"\x06")]
    assert list(fields_of(b"\x00\x01")) == []
