"""The OPC-N3 beyond the contracts: what each command does, timing, what hour and day hold, and a day on a real node."""

import contextlib
import math
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from balise_node.drivers import SensorError
from balise_node.drivers._modbus import crc16
from balise_node.drivers.opc_n3 import Sensor, tenths
from balise_sim.buses import Wire
from balise_sim.devices import opc_n3
from balise_sim.devices.opc_n3 import Model
from contracts.bench import Bench
from node.yard import Yard

GOLDEN_PM = bytes.fromhex("0000c03f0000504000000041b960")  # 1.5, 3.25, 8.0 and their checksum
MINUTE_MS = 60_000
DAY_ROWS = 24 * 60
FAN_BIT, LASER_BIT, WET_BIT = 1, 2, 16


class Desk:
    """A part and a way to speak to it byte by byte."""

    def __init__(self, seed: int = 0) -> None:
        self.bench, self.model = Bench(), Model(seed=seed)
        self.line = self.bench.bus(self.model, Sensor.LINE)
        self.sensor = Sensor(self.line, self.bench.sleep_ms)
        self.bench.sleep_ms(2000)
        self.line.select()

    def say(self, command: int) -> int:
        return self.line.exchange(bytes((command,)))[0]

    def order(self, command: int, *arguments: int, answers: int = 0) -> bytes:
        """The handshake, then arguments out or answers in."""
        assert self.say(command) == 0x31
        self.bench.sleep_ms(11)
        assert self.say(command) == 0xF3
        return self.line.exchange(bytes(arguments) or bytes(answers), 15)

    def rows(self, count: int) -> list[dict[str, int | None]]:
        """Rows of a minute each, as a node takes them."""
        told = []
        for _ in range(count):
            self.bench.sleep_ms(MINUTE_MS)
            told.append(dict(zip(Sensor.CHANNELS, self.sensor.sample(), strict=True)))
        return told

    @property
    def flags(self) -> dict[str, int]:
        return {Sensor.CHANNELS[at]: flag for at, flag in self.sensor.flags.items()}


def test_the_golden_pm_payload() -> None:
    desk = Desk()
    for name, value in (("pm1", 1.5), ("pm2_5", 3.25), ("pm10", 8.0)):
        desk.model.set_channel(name, value)
    desk.order(0x03, 0x03)
    desk.order(0x03, 0x07)
    assert desk.order(0x32, answers=14) == GOLDEN_PM


def test_both_checksums_agree_with_the_published_ones() -> None:
    for crc in (crc16, opc_n3.crc16):
        assert crc(b"123456789") == 0x4B37
        assert crc(GOLDEN_PM[:12]).to_bytes(2, "little") == GOLDEN_PM[12:]


@pytest.mark.parametrize("value", [0.0, 0.049, 0.05, 1.5, 3.25, 9.95, 123.456, 999.9, 1999.95, 1e-30, 65504.0])
def test_tenths_of_binary_numbers(value: float) -> None:
    (as_binary,) = struct.unpack("<f", struct.pack("<f", value))
    assert tenths(struct.pack("<f", value)) == math.floor(as_binary * 10 + 0.5)


def test_what_is_no_number_has_no_tenths() -> None:
    assert [tenths(struct.pack("<f", value)) for value in (math.nan, math.inf, -math.inf)] == [None] * 3
    assert tenths(struct.pack("<f", -0.0)) == 0
    with pytest.raises(SensorError, match="implausible"):
        tenths(struct.pack("<f", -0.1))


def test_what_the_part_says_of_itself() -> None:
    desk = Desk()
    assert desk.order(0x3F, answers=60).startswith(b"OPC-N3 Iss1.1 FirmwareVer=1.17")
    assert desk.order(0x10, answers=60).split()[0] == b"OPC-N3"
    assert desk.order(0x12, answers=2) == b"\x01\x11"
    desk.order(0xCF)
    words = struct.unpack("<81H", desk.order(0x3C, answers=168)[:162])
    assert words[25:50] == opc_n3.BOUNDS_CUM
    assert (words[25 + opc_n3.COARSE], words[49]) == (1600, 4000)


def test_fan_and_laser_are_switched_each() -> None:
    desk = Desk()
    for option, seen in ((3, (1, 0)), (7, (1, 1)), (2, (0, 1)), (6, (0, 0))):
        desk.order(0x03, option)
        status = desk.order(0x13, answers=6)
        assert (status[0], status[4]) == seen


def test_settings_outlive_power_only_when_saved() -> None:
    desk = Desk()
    desk.order(0x42, 0, 99)
    desk.order(0x05, 4)
    desk.order(0x05, 11)  # there are eleven of them, 0 to 10
    assert (desk.order(0x13, answers=6)[2], desk.order(0x3C, answers=168)[167]) == (99, 4)
    desk.order(0x43, 0x3F, 0x3C, 0x3F, 0x3C, 0x42)  # not the sequence
    desk.order(0x06)
    desk.bench.sleep_ms(2100)
    assert (desk.order(0x13, answers=6)[2], desk.order(0x3C, answers=168)[167]) == (255, 2)
    desk.order(0x42, 0, 99)
    desk.order(0x43, 0x3F, 0x3C, 0x3F, 0x3C, 0x43)
    desk.order(0x06)
    assert desk.say(0x13) == 0xFF, "it starts"
    desk.bench.sleep_ms(2100)
    assert desk.order(0x13, answers=6)[2] == 99


def test_ready_takes_ten_milliseconds() -> None:
    desk = Desk()
    assert [desk.say(0x12) for _ in range(3)] == [0x31] * 3
    desk.bench.sleep_ms(10)
    assert desk.say(0x12) == 0xF3


def test_a_wrong_byte_is_forgiven_after_two_seconds() -> None:
    desk = Desk()
    assert desk.say(0x99) == 0x00
    desk.bench.sleep_ms(1900)
    assert desk.say(0x12) == 0x00, "and the two seconds begin again"
    desk.bench.sleep_ms(2100)
    assert desk.order(0x12, answers=2) == b"\x01\x11"
    desk.say(0x12)
    desk.bench.sleep_ms(11)
    assert desk.say(0x30) == 0x00, "another command in the middle of one"


def test_bytes_without_a_pause_are_not_the_parts() -> None:
    desk = Desk()
    desk.say(0x12)
    desk.bench.sleep_ms(11)
    desk.say(0x12)
    assert desk.line.exchange(bytes(2)) == b"\x00\x00"


def test_reading_the_histogram_begins_the_next_and_the_first_tells_no_length() -> None:
    desk = Desk()
    desk.model.set_channel("coarse_per_m3", 50_000)
    desk.order(0x03, 0x03)
    desk.order(0x03, 0x07)
    desk.bench.sleep_ms(10_000)
    lengths = [struct.unpack_from("<H", desk.order(0x30, answers=86), 52)[0]]
    for wait_ms in (10_000, 20_000):
        desk.bench.sleep_ms(wait_ms)
        block = desk.order(0x30, answers=86)
        lengths.append(struct.unpack_from("<H", block, 52)[0])
        assert sum(struct.unpack_from("<9H", block, 30)) > 0
    assert abs(lengths[0] - 1000) > 50
    assert lengths[1:] == pytest.approx([1000, 2000], abs=3)


def test_the_day_grows_row_by_row_and_the_hour_rolls() -> None:
    desk = Desk(seed=3)
    desk.model.set_channel("coarse_per_m3", 4000)
    desk.sensor.wake()
    rows = desk.rows(130)
    seen = sum(row["sampled_volume"] for row in rows)
    assert seen == pytest.approx(130 * 280.2, rel=0.01), "no air goes uncounted"
    counted = sum(row["coarse_count"] for row in rows)
    assert rows[-1]["coarse_24h_per_m3"] == pytest.approx(counted / seen * 1e7, rel=2e-3)
    desk.model.set_channel("coarse_per_m3", 0)
    rows = desk.rows(62)
    assert rows[-1]["coarse_1h_per_m3"] == 0
    assert rows[-1]["coarse_24h_per_m3"] > 0
    assert not desk.flags


def test_a_restart_forgets_and_the_volume_says_so() -> None:
    desk = Desk()
    desk.model.set_channel("coarse_per_m3", 4000)
    desk.sensor.wake()
    before = desk.rows(100)[-1]
    desk.sensor = Sensor(desk.line, desk.bench.sleep_ms)
    desk.bench.sleep_ms(500_000)  # a histogram of unknown length is under way
    desk.sensor.wake()
    after = desk.rows(1)[-1]
    assert after["sampled_volume"] == pytest.approx(280, abs=2)
    width = [row["coarse_24h_high_per_m3"] - row["coarse_24h_low_per_m3"] for row in (before, after)]
    assert width[1] > 5 * width[0]


def test_a_gap_does_not_age_what_was_counted() -> None:
    desk = Desk()
    desk.model.set_channel("coarse_per_m3", 4000)
    desk.sensor.wake()
    before = desk.rows(30)[-1]
    desk.model.fault("silence")
    for _ in range(120):
        desk.bench.sleep_ms(MINUTE_MS)
        with pytest.raises(SensorError):
            desk.sensor.sample()
    desk.model.fault("silence", on=False)
    (after,) = desk.rows(1)
    assert desk.flags["coarse_count"] == 3, "an interval of two hours is longer than the part allows"
    assert after["sampled_volume"] == pytest.approx(655.35 * 4.67, rel=0.01), "all that 16 bits can tell"
    assert after["coarse_24h_per_m3"] != before["coarse_24h_per_m3"]


def test_a_part_that_was_off_counts_again_from_a_known_moment() -> None:
    desk = Desk()
    desk.sensor.wake()
    desk.rows(1)
    desk.model.fault("laser_off")
    (dark,) = desk.rows(1)
    assert dark["opc_n3_status"] & 0xFFF == LASER_BIT
    assert desk.flags["coarse_count"] == 4
    waited_us = desk.bench.now_us
    desk.rows(1)
    assert desk.bench.now_us - waited_us < MINUTE_MS * 1000 + 500_000, "it is not waited for in every row"
    desk.model.fault("laser_off", on=False)
    (light,) = desk.rows(1)
    assert light["opc_n3_status"] & 0xFFF == 0
    assert light["sampled_volume"] == pytest.approx(18.7, abs=2), "four seconds: what was before is of unknown length"
    assert desk.rows(1)[0]["sampled_volume"] == pytest.approx(280, abs=2)


def test_hours_are_suspect_when_a_tenth_of_them_was() -> None:
    desk = Desk()
    desk.sensor.wake()
    desk.rows(95)
    desk.model.set_channel("humidity", 95.0)
    (wet,) = desk.rows(1)
    assert wet["opc_n3_status"] & 0xFFF == WET_BIT
    assert set(desk.flags) == {"coarse_count", "pm1", "pm2_5", "pm10"}
    desk.rows(6)
    assert desk.flags["coarse_1h_low_per_m3"] == 3
    assert "coarse_24h_low_per_m3" not in desk.flags
    desk.rows(8)
    assert desk.flags["coarse_24h_high_per_m3"] == 3
    desk.model.set_channel("humidity", 50.0)
    desk.rows(62)
    assert set(desk.flags) <= {name for name in Sensor.CHANNELS if "24h" in name}


@pytest.mark.parametrize("fault", sorted(Model.FAULTS))
def test_no_call_outlasts_a_watchdog(fault: str) -> None:
    """A Pico W's bites after 8 s; the part loses its power and then fails as well."""
    desk = Desk()
    desk.sensor.wake()
    desk.rows(1)
    desk.model.reset(desk.bench.now_us)
    desk.model.fault(fault)
    for act in (desk.sensor.sample, desk.sensor.wake, desk.sensor.sample):
        began_us = desk.bench.now_us
        with contextlib.suppress(SensorError):
            act()
        assert desk.bench.now_us - began_us < 7_900_000


def test_few_bus_calls() -> None:
    """Each run of bytes is one call: two handshakes and two answers."""
    desk = Desk()
    desk.sensor.wake()
    desk.rows(1)
    calls = desk.bench.calls
    desk.rows(1)
    assert desk.bench.calls - calls == 6


class Season:
    """Dry air, and grains that come around noon."""

    FIXED = {"temperature": 18.0, "humidity": 55.0, "pm1": 5.0, "pm2_5": 8.0, "pm10": 14.0}  # noqa: RUF012

    def grains_per_m3(self, at_us: int) -> float:
        return 150.0 * (1 - math.cos(2 * math.pi * at_us / 86_400e6))

    def mean_per_m3(self, moments_s: list[float]) -> float:
        return sum(self.grains_per_m3(round(moment * 1e6)) for moment in moments_s) / len(moments_s)

    def channel(self, name: str) -> Callable[[int], float] | None:
        if name == "coarse_per_m3":
            return self.grains_per_m3
        return (lambda _us: self.FIXED[name]) if name in self.FIXED else None


def test_a_day_on_a_real_node(tmp_path: Path) -> None:
    """Its daily interval covers the truth; the hour's is wide; nothing is lost and no air goes uncounted."""
    sensors = [{"model": "opc_n3", "spi": 2, "sck": 18, "mosi": 23, "miso": 19, "cs": 5}]
    wires = [Wire("opc_n3", "spi2", pins=(18, 23, 19, 5))]
    season = Season()
    with Yard(tmp_path, wires=wires, air=season, sensors=sensors) as yard:
        yard.run(DAY_ROWS + 5)
        rows = yard.check_nothing_lost()
        assert not yard.said("sensor ")
        assert not yard.peer.losses()
        assert not yard.node.fault
    assert len(rows) >= DAY_ROWS
    told = [dict(zip(Sensor.CHANNELS, row.values, strict=True)) for row in rows]
    volume_l = sum(row["sampled_volume"] for row in told[-DAY_ROWS:]) / 1000
    assert volume_l == pytest.approx(0.2802 * DAY_ROWS, rel=0.005)
    moments_s = [row.utc_s - yard.world.start_utc_ms / 1000 for row in rows]
    for at in range(360, DAY_ROWS - 10, 60):  # up to there the window holds all that was seen
        truth = season.mean_per_m3(moments_s[: at + 1]) * 10
        assert told[at]["coarse_24h_low_per_m3"] <= truth <= told[at]["coarse_24h_high_per_m3"]
    last, truth = told[-1], season.mean_per_m3(moments_s[-DAY_ROWS:]) * 10
    assert last["coarse_24h_low_per_m3"] <= truth <= last["coarse_24h_high_per_m3"]
    assert last["coarse_24h_high_per_m3"] - last["coarse_24h_low_per_m3"] < 0.7 * truth
    assert all(row["opc_n3_status"] == 606 << 12 for row in told)
    assert {row["pm2_5"] for row in told} == {80}
