"""BlueZ as programs of the host see it on D-Bus, with the world's nodes in the air in place of a radio.

Promises: a program that uses BlueZ (bleak is tried) scans, connects, reads, writes and gets notifications from nodes of
the world; one advertisement in LOST_ONE_IN is not heard. `private_bus` gives a D-Bus of one's own, whose address goes
into DBUS_SYSTEM_BUS_ADDRESS of that program. Leaves to others: the nodes' radios (peripheral.py), pairing, and passive
scans. The loop must be one that waits for real sockets: a PacedLoop. Needs the packages dbus-fast and dbus-daemon.

    with private_bus(folder) as address:
        bluez = BlueZ(world)
        await bluez.start(address)
"""

import asyncio
import contextlib
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from dbus_fast import PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusBytes, DBusInt16, DBusObjectPath, DBusSignature, DBusStr, DBusUInt16
from dbus_fast.errors import DBusError
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property

from balise_sim.node import Node
from balise_sim.peripheral import Advert, Characteristic
from balise_sim.world import World

BUS_NAME = "org.bluez"
ADAPTER = "/org/bluez/hci0"
HEARD_S = 0.25
LOST_ONE_IN = 7
RSSI_DBM, FADING_DBM = -60, 6
MTU = 517  # what BlueZ asks for
BASE_UUID = "0000{}-0000-1000-8000-00805f9b34fb"
FLAG_NAMES = {0x02: "read", 0x04: "write-without-response", 0x08: "write", 0x10: "notify", 0x20: "indicate"}
COMPLETE_NAME, SERVICE_DATA_16, SERVICE_DATA_128 = 0x09, 0x16, 0x21
READ = PropertyAccess.READ

Options = Annotated[dict[str, Variant], DBusSignature("a{sv}")]
Texts = Annotated[list[str], DBusSignature("as")]


@contextlib.contextmanager
def private_bus(folder: Path) -> Iterator[str]:
    """The address of a D-Bus daemon that lives as long as the context. Raises FileNotFoundError without dbus-daemon."""
    program = shutil.which("dbus-daemon")
    if program is None:
        raise FileNotFoundError("dbus-daemon is not installed: on Debian, apt-get install dbus")
    command = [program, "--session", "--nofork", "--nopidfile", f"--address=unix:path={folder / 'bus'}"]
    quiet = subprocess.DEVNULL  # it complains of limits that it may not raise, and works
    with subprocess.Popen([*command, "--print-address"], stdout=subprocess.PIPE, stderr=quiet, text=True) as daemon:
        assert daemon.stdout is not None
        try:
            yield daemon.stdout.readline().strip()
        finally:
            daemon.terminate()


def fields_of(advertisement: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, data) fields of an advertisement; a broken rest is left out."""
    at = 0
    while at < len(advertisement) and advertisement[at] and at + advertisement[at] < len(advertisement):
        end = at + 1 + advertisement[at]
        yield advertisement[at + 1], advertisement[at + 2 : end]
        at = end


def whole_uuid(text: str) -> str:
    return BASE_UUID.format(text) if len(text) == 4 else text


class BlueZ:
    """The service on the bus, with one adapter."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = random.Random(f"{world.seed}/bluez")
        self._devices: dict[str, Device] = {}
        self._searching: asyncio.Task[None] | None = None
        self.bus: MessageBus

    async def start(self, address: str) -> None:
        """Takes its place on the bus."""
        self.bus = await MessageBus(bus_address=address).connect()
        self.bus.export(ADAPTER, Adapter(self))
        await self.bus.request_name(BUS_NAME)

    def stop(self) -> None:
        self.search(on=False)
        self.bus.disconnect()

    def search(self, *, on: bool) -> None:
        """While somebody scans, what the nodes advertise is heard."""
        if self._searching is not None:
            self._searching.cancel()
            self._searching = None
        if on:
            self._searching = self._world.loop.create_task(self._search())

    async def _search(self) -> None:
        while True:
            for node in self._world.nodes.values():
                advert = node.peripheral.advert
                if advert is not None and self._dice.randrange(LOST_ONE_IN):
                    self._heard(node, advert)
            await asyncio.sleep(HEARD_S)

    def _heard(self, node: Node, advert: Advert) -> None:
        strength_dbm = RSSI_DBM + self._dice.randint(-FADING_DBM, FADING_DBM)
        device = self._devices.get(node.name)
        if device is None:
            device = self._devices[node.name] = Device(self, node, advert, strength_dbm)
            self.bus.export(device.path, device)
        else:
            device.heard(advert, strength_dbm)


class Adapter(ServiceInterface):
    """The radio of the host."""

    def __init__(self, bluez: BlueZ) -> None:
        super().__init__("org.bluez.Adapter1")
        self._bluez = bluez

    @dbus_property(access=READ)
    def Address(self) -> DBusStr:
        return "C0:FF:EE:00:00:01"

    @dbus_property(access=READ)
    def Powered(self) -> DBusBool:
        return True

    @dbus_property(access=READ)
    def Roles(self) -> Texts:
        return ["central"]

    @dbus_method()
    def SetDiscoveryFilter(self, properties: Options) -> None:
        """Everything is heard, whatever is asked for: BlueZ, too, tells more than asked when others scan."""

    @dbus_method()
    def StartDiscovery(self) -> None:
        self._bluez.search(on=True)

    @dbus_method()
    def StopDiscovery(self) -> None:
        self._bluez.search(on=False)


class Device(ServiceInterface):
    """A node that was heard; the central of its connection."""

    def __init__(self, bluez: BlueZ, node: Node, advert: Advert, strength_dbm: int) -> None:
        super().__init__("org.bluez.Device1")
        self._bluez, self._radio = bluez, node.peripheral
        self._address = ":".join(f"{byte:02X}" for byte in node.unique_id)
        self.path = f"{ADAPTER}/dev_{self._address.replace(':', '_')}"
        self._connection: int | None = None
        self._exported: dict[str, ServiceInterface] = {}
        self._values: dict[int, Value] = {}
        self._strength_dbm, self._title = strength_dbm, self._address
        self._data: dict[str, Variant] = {}
        self._read_fields(advert)

    def _read_fields(self, advert: Advert) -> None:
        for kind, data in [*fields_of(advert.data), *fields_of(advert.response)]:
            if kind == COMPLETE_NAME:
                self._title = data.decode(errors="replace")
            elif kind in (SERVICE_DATA_16, SERVICE_DATA_128):
                size = 2 if kind == SERVICE_DATA_16 else 16
                digits = data[:size][::-1].hex()
                parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
                uuid = whole_uuid(digits) if size == 2 else "-".join(parts)
                self._data[uuid] = Variant("ay", data[size:])

    def heard(self, advert: Advert, strength_dbm: int) -> None:
        self._strength_dbm = strength_dbm
        self._read_fields(advert)
        self.emit_properties_changed({"RSSI": strength_dbm, "ServiceData": self._data, "Name": self._title})

    @dbus_property(access=READ)
    def Address(self) -> DBusStr:
        return self._address

    @dbus_property(access=READ)
    def AddressType(self) -> DBusStr:
        return "public"

    @dbus_property(access=READ)
    def Name(self) -> DBusStr:
        return self._title

    @dbus_property(access=READ)
    def Alias(self) -> DBusStr:
        return self._title

    @dbus_property(access=READ)
    def Adapter(self) -> DBusObjectPath:
        return ADAPTER

    @dbus_property(access=READ)
    def RSSI(self) -> DBusInt16:
        return self._strength_dbm

    @dbus_property(access=READ)
    def ServiceData(self) -> Options:
        return self._data

    @dbus_property(access=READ)
    def UUIDs(self) -> Texts:
        return sorted({whole_uuid(found.service) for found in self._radio.characteristics.values()})

    @dbus_property(access=READ)
    def Paired(self) -> DBusBool:
        return False

    @dbus_property(access=READ)
    def Connected(self) -> DBusBool:
        return self._connection is not None

    @dbus_property(access=READ)
    def ServicesResolved(self) -> DBusBool:
        return bool(self._exported)

    @dbus_method()
    def Connect(self) -> None:
        try:
            self._connection = self._radio.connect(self, MTU)
        except ConnectionError as error:
            raise DBusError("org.bluez.Error.Failed", str(error)) from error
        self.emit_properties_changed({"Connected": True})
        self._export(self._radio.mtu(self._connection))
        self.emit_properties_changed({"ServicesResolved": True})

    @dbus_method()
    def Disconnect(self) -> None:
        if self._connection is not None:
            self._radio.disconnect(self._connection)

    def _export(self, mtu: int) -> None:
        services: dict[str, str] = {}
        for found in self._radio.characteristics.values():
            if found.service not in services:
                services[found.service] = path = f"{self.path}/service{len(services) + 1:04x}"
                self._exported[path] = Service(self.path, whole_uuid(found.service))
            path = f"{services[found.service]}/char{found.handle:04x}"
            self._exported[path] = self._values[found.handle] = Value(self, services[found.service], found, mtu)
        for path, interface in self._exported.items():
            self._bluez.bus.export(path, interface)

    async def write(self, handle: int, data: bytes) -> None:
        """Answered when the firmware has heard of it."""
        if self._connection is None:
            raise DBusError("org.bluez.Error.Failed", "Not connected")
        await self._radio.written(self._connection, handle, data)

    # The central of a connection (peripheral.Central)

    def notified(self, handle: int, data: bytes) -> None:
        self._values[handle].notified(data)

    def disconnected(self) -> None:
        self._connection = None
        for path, interface in reversed(self._exported.items()):
            self._bluez.bus.unexport(path, interface)
        self._exported.clear()
        self._values.clear()
        self.emit_properties_changed({"ServicesResolved": False, "Connected": False})


class Service(ServiceInterface):
    """One GATT service."""

    def __init__(self, device_path: str, uuid: str) -> None:
        super().__init__("org.bluez.GattService1")
        self._device_path, self._uuid = device_path, uuid

    @dbus_property(access=READ)
    def UUID(self) -> DBusStr:
        return self._uuid

    @dbus_property(access=READ)
    def Device(self) -> DBusObjectPath:
        return self._device_path

    @dbus_property(access=READ)
    def Primary(self) -> DBusBool:
        return True


class Value(ServiceInterface):
    """One GATT characteristic. Nothing is told before somebody asks for notifications."""

    def __init__(self, device: Device, service_path: str, found: Characteristic, mtu: int) -> None:
        super().__init__("org.bluez.GattCharacteristic1")
        self._device, self._service_path, self._found, self._mtu = device, service_path, found, mtu
        self._notifying = False
        self._value = b""

    def notified(self, data: bytes) -> None:
        if self._notifying:
            self._value = data
            self.emit_properties_changed({"Value": data})

    @dbus_property(access=READ)
    def UUID(self) -> DBusStr:
        return whole_uuid(self._found.uuid)

    @dbus_property(access=READ)
    def Service(self) -> DBusObjectPath:
        return self._service_path

    @dbus_property(access=READ)
    def Value(self) -> DBusBytes:
        return self._value

    @dbus_property(access=READ)
    def Notifying(self) -> DBusBool:
        return self._notifying

    @dbus_property(access=READ)
    def Flags(self) -> Texts:
        return [name for bit, name in FLAG_NAMES.items() if self._found.flags & bit]

    @dbus_property(access=READ)
    def MTU(self) -> DBusUInt16:
        return self._mtu

    @dbus_method()
    def ReadValue(self, options: Options) -> DBusBytes:
        return self._found.value

    @dbus_method()
    async def WriteValue(self, value: DBusBytes, options: Options) -> None:
        await self._device.write(self._found.handle, bytes(value))

    @dbus_method()
    def StartNotify(self) -> None:
        self._notifying = True

    @dbus_method()
    def StopNotify(self) -> None:
        self._notifying = False
