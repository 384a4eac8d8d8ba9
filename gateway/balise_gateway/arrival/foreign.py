"""Rows of foreign devices on their way into the journal: gathered, told from repeats, and made one entry per device.

Promises that each message becomes a row once, also when its carrier sends it again (within the limits of `MEMORY`);
that all rows of a device and commit become one entry; that a row without a time of its own has the time of its arrival
and says so; and that a device whose clock cannot be right is treated as one without. Leaves protocols to `sources/`,
committing and acknowledging to `intake.py`.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import itemgetter
from struct import Struct
from zlib import crc32

import cbor2

from balise_gateway.clock import Clock, known_utc_ms, source_of
from balise_gateway.ingests import AGAIN, OLD
from balise_gateway.journal import bodies, tables
from balise_gateway.journal.tables import Row
from balise_gateway.mqtt import topics
from balise_gateway.nodes.boots import Boot
from balise_gateway.nodes.dating import EARLIEST_UTC_MS
from balise_gateway.nodes.manifests import ARRIVAL, WITNESSED, Columns, columns_of
from balise_gateway.quality import PASS
from balise_gateway.quality.judge import Verdicts
from balise_gateway.quality.qualifier import Qualifier
from balise_gateway.sources import Heard, Shape, Source, SourceError, SourceSettings, urn_part
from balise_wire import cbor
from balise_wire.items import Anchor, Readings

MEMORY, MAX_MEMORY = 20, 1_024  # rows of a device that a repeat is told from: its last commit's, but so many
MAX_DEVICES = 2_000
MAX_ROUTES = 10_000  # addresses whose source is remembered
MAX_ENTRY_ROWS = 2_048
ARRIVAL_TICK_MS = 1_000
AHEAD_MS = 86_400_000  # a device that is more than a day ahead of a gateway that knows the time is wrong
_NAME = Struct(">Q")
_MASK = 0xFFFFFFFF
_FOREVER_MS = 1 << 53

Rows = list[tuple[int, Sequence[int | None]]]  # (ticks, values)


class Time(IntEnum):
    """Where a row's time comes from."""

    OWN = 0  # the device's own clock
    ARRIVAL = 1  # the gateway's
    BOOT = 2  # the gateway's, before it knew the date: ticks since its start


@dataclass(slots=True, eq=False)
class Device:
    """One foreign device. `seen` names its latest rows, oldest first."""

    name: str
    kind: str
    rows: int = 0
    top_boot: int = 0
    indoor: bool | None = None
    latest: dict[str, list[object]] = field(default_factory=dict)
    latest_utc_ms: int | None = None
    seen: dict[int, None] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """What tables know it by: longer than any key id, so never one."""
        return self.name.encode()

    @classmethod
    def of_row(cls, row: Row) -> "Device":
        """What the journal remembers."""
        told = cbor.decode(row[5])
        latest = told if isinstance(told, dict) else {}
        device = cls(row[0].decode("utf-8", "replace"), str(latest.get("kind", "")), row[4])
        device.top_boot = row[2] + (row[2] > 0)  # a run of the gateway is over, and so is its clock
        seen, values, utc_ms = latest.get("seen"), latest.get("values"), latest.get("utc_ms")
        if isinstance(seen, bytes):
            device.seen = {name: None for (name,) in _NAME.iter_unpack(seen)}
        if isinstance(values, list):
            device.latest = {str(value[0]): value for value in values}
        device.latest_utc_ms = utc_ms if isinstance(utc_ms, int) else None
        return device

    def row(self) -> Row:
        """What to remember. The number of rows stands where nodes have that of acknowledgements: it only rises."""
        seen = b"".join([_NAME.pack(name) for name in self.seen])
        told = {"kind": self.kind, "seen": seen, "utc_ms": self.latest_utc_ms, "values": list(self.latest.values())}
        return (self.key, self.rows, self.top_boot, 0, self.rows, cbor2.dumps(told, canonical=True))

    def note_latest(self, item: Readings, columns: Columns) -> None:
        """Remembers the newest value of each channel, for people."""
        utc_ms = item.times[-1] * columns.tick_ms if item.boot is None else None
        if utc_ms is not None:
            self.latest_utc_ms = max(utc_ms, self.latest_utc_ms or 0)
        last = len(item.times) - 1
        for number, name in enumerate(columns.names):
            mark = next((flag for row, flag in item.flags.get(number, ()) if row == last), PASS)
            value = item.columns[number][-1]
            self.latest[name] = [name, value, columns.scales[number], columns.units[number], mark]

    def forget(self, new: int) -> None:
        """Drops the oldest names when `new` rows have come with this commit."""
        spare = len(self.seen) - min(MAX_MEMORY, max(MEMORY, new))
        if spare > 0:
            for name in list(self.seen)[:spare]:
                del self.seen[name]


Gathered = dict[tuple[Device, Shape, Time], Rows]


@dataclass(eq=False)
class Way:
    """One source of the configuration, and its devices by the names that it has for them."""

    kind: str
    prefix: str
    source: Source
    indoor: bool | None = None
    devices: dict[str, Device] = field(default_factory=dict)

    def wants(self, address: str) -> bool:
        path = address.partition("?")[0]
        return any(topics.matches(text, path) for text in self.source.wants)


class Foreign:
    """All sources, and the devices that they have told of."""

    def __init__(self, sources: Sequence[tuple[SourceSettings, Source]], clock: Clock, qualifier: Qualifier) -> None:
        self.devices: dict[bytes, Device] = {}
        self.verdicts = Verdicts()  # of the last `write`
        self._qualifier = qualifier
        self._ways = [Way(settings.kind, settings.prefix, source, settings.indoor) for settings, source in sources]
        self._clock = clock
        self._routes: dict[str, Way | None] = {}
        self._columns: dict[tuple[Device, Shape, Time], Columns] = {}
        self._told: set[bytes] = set()  # manifests with corrected channels that are on disk
        self._new_manifests: dict[bytes, bytes] = {}  # not on disk yet, as far as this run of the gateway knows
        self._boots: dict[Device, Boot] = {}  # of devices with rows whose date is not known yet
        self._horizon_ms = 0

    def route(self, address: str) -> Way | None:
        """The first source that wants what is addressed so."""
        try:
            return self._routes[address]
        except KeyError:
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            found = self._routes[address] = next((way for way in self._ways if way.wants(address)), None)
            return found

    def take_row(self, row: Row) -> None:
        """A device that the journal remembers."""
        self.devices[row[0]] = Device.of_row(row)

    def take(self, gathered: Gathered, way: Way, address: str, data: bytes, marks: int) -> bool:
        """Adds the rows of one message; returns whether there was anything new. Raises SourceError, nothing changed.

        `marks` are those of its ingest. A row without a time of its own is not added when it is OLD: who knows when.
        """
        heard = way.source.read(address, data)
        devices = [way.devices.get(row.device) or self._device(way, row.device) for row in heard]
        crc, new, again = crc32(data), not heard, bool(marks & AGAIN)
        for number, row in enumerate(heard):
            if not marks & OLD or row.utc_ms is not None:
                new = self._add(gathered, devices[number], row, crc + number, again) or new
        return new

    def _add(self, gathered: Gathered, device: Device, row: Heard, crc: int, again: bool) -> bool:
        _, utc_ms, shape, values, told = row
        if told is not None:
            crc, again = crc32(told, crc), True
        if utc_ms is not None and not EARLIEST_UTC_MS <= utc_ms <= self._horizon_ms and self._is_wrong(utc_ms):
            utc_ms = None
        if utc_ms is None:
            name = crc & _MASK
            time, ticks = self._arrival(device)
        else:
            name = (utc_ms & _MASK) << 32 | crc & _MASK
            time, ticks, again = Time.OWN, utc_ms // shape.tick_ms, True
        if again and name in device.seen:
            return False
        device.seen[name] = None
        device.rows += 1
        rows = gathered.get((device, shape, time))
        if rows is None:
            rows = gathered[device, shape, time] = []
        rows.append((ticks, values))
        return True

    def _arrival(self, device: Device) -> tuple[Time, int]:
        utc_ms = known_utc_ms(self._clock)
        if utc_ms is None:
            if device not in self._boots:
                self._start_boot(device)
            return Time.BOOT, self._clock.boot_ms() // ARRIVAL_TICK_MS
        return Time.ARRIVAL, utc_ms // ARRIVAL_TICK_MS

    def _is_wrong(self, utc_ms: int) -> bool:
        """Whether a device's clock cannot be right: before devices of this kind, or far ahead of a clock we know."""
        now_ms = known_utc_ms(self._clock)
        self._horizon_ms = _FOREVER_MS if now_ms is None else now_ms + AHEAD_MS
        return not EARLIEST_UTC_MS <= utc_ms <= self._horizon_ms

    def _device(self, way: Way, told: str) -> Device:
        name = way.prefix + urn_part(told)
        device = self.devices.get(name.encode())
        if device is None:
            if len(self.devices) >= MAX_DEVICES:
                raise SourceError("too many devices", f"{name} would be number {MAX_DEVICES + 1}")
            device = self.devices[name.encode()] = Device(name, way.kind)
        device.indoor = way.indoor
        way.devices[told] = device
        return device

    def write(self, db: sqlite3.Connection, gathered: Gathered) -> list[Row]:
        """Writes what a commit needs of these rows; returns their entries, unnumbered. The same when called again."""
        counts: Counter[Device] = Counter()
        entries: list[Row] = []
        self._qualifier.rewind()
        self.verdicts = Verdicts()
        for (device, shape, time), rows in gathered.items():
            columns = self._columns_of(device, shape, time)
            rows.sort(key=itemgetter(0))
            counts[device] += len(rows)
            for start in range(0, len(rows), MAX_ENTRY_ROWS):
                entries.append(self._entry(device, time, rows[start : start + MAX_ENTRY_ROWS], columns))
        tables.MANIFEST.put(db, self._new_manifests.items())
        for device, count in counts.items():
            device.forget(count)
        self._date()
        tables.BOOT.put(db, [boot.row() for boot in self._boots.values()])
        tables.NODE.put(db, [device.row() for device in counts])
        return entries

    def committed(self) -> None:
        """What `write` wrote is on disk."""
        self._told.update(self._new_manifests)
        self._new_manifests.clear()
        self._qualifier.keep()
        self._boots = {device: boot for device, boot in self._boots.items() if boot.anchor is None}

    def _entry(self, device: Device, time: Time, rows: Rows, columns: Columns) -> Row:
        boot = self._boots[device].boot if time is Time.BOOT else None
        values = [list(column) for column in zip(*[row[1] for row in rows], strict=True)]
        item = Readings(1, boot, [row[0] for row in rows], values)
        item, columns = self._qualified(device, item, columns)
        if boot is not None:
            self._boots[device].note_times(item, columns.tick_ms)
        device.note_latest(item, columns)
        body = bodies.packed(item)
        return (device.key, boot or 0, Readings.kind, columns.digest, None, len(rows), body)

    def _qualified(self, device: Device, item: Readings, columns: Columns) -> tuple[Readings, Columns]:
        wide, wider = self._qualifier.qualify(device.key, device.name, item, columns, self.verdicts)
        if wider is not columns and wider.digest not in self._told:
            self._new_manifests[wider.digest] = wider.packed
        return wide, wider

    def _columns_of(self, device: Device, shape: Shape, time: Time) -> Columns:
        found = self._columns.get((device, shape, time))
        if found is None:
            found = self._columns[device, shape, time] = columns_of(_manifest(device, shape, time))
            self._new_manifests[found.digest] = found.packed
        return found

    def _start_boot(self, device: Device) -> None:
        """From now on this device has rows of this run of the gateway, whose date nobody knows yet."""
        device.top_boot = device.top_boot or 1
        self._boots[device] = Boot(device.key, device.top_boot)

    def _date(self) -> None:
        """As soon as the date is known, it is that of the rows since the start, too."""
        utc_ms = known_utc_ms(self._clock)
        for boot in self._boots.values() if utc_ms is not None else ():
            uncertainty_ms = self._clock.uncertainty_ms()
            source = source_of(self._clock)
            boot.note_anchor(Anchor(boot.boot, self._clock.boot_ms(), utc_ms or 0, source, uncertainty_ms))


def _manifest(device: Device, shape: Shape, time: Time) -> bytes:
    """What this device's columns mean, as a log tells it."""
    channels = [
        {"n": each.name, "u": each.unit, "s": each.scale, "r": each.resolution, "model": each.model}
        for each in shape.columns
    ]
    told: dict[str, object] = {"node": device.name, "trust": WITNESSED, "source": device.kind, "channels": channels}
    told["tick_ms"] = shape.tick_ms if time is Time.OWN else ARRIVAL_TICK_MS
    if time is not Time.OWN:
        told["time"] = ARRIVAL
    if device.indoor is not None:
        told["place"] = {"indoor": device.indoor}
    return cbor.encode(told)
