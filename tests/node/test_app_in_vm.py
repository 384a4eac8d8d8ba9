"""The real app in a real MicroPython on a simulated ESP32: rows on the grid, nothing lost, nothing twice."""

from pathlib import Path

import pytest

from balise_wire.items import Manifest
from node.yard import CALM, CONFIG, NODE, Yard

CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00"
# What comes instead of a gateway: one piece for each piece that the node sends.
HOSTILE = [
    ("silent", []),
    ("http", [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
    ("refuses", [b"\x20\x02\x00\x05"]),
    ("short connack", [b"\x20\x01\x00"]),
    ("cut connack", [b"\x20\x02\x00"]),
    ("refuses the topic", [CONNACK, b"\x90\x03\x00\x01\x80"]),
    ("endless length", [CONNACK, SUBACK, b"\x30\xff\xff\xff\xff\xff"]),
    ("huge packet", [CONNACK, SUBACK, b"\x30\xff\xff\x7f" + b"x" * 4000]),
    ("empty publish", [CONNACK, SUBACK, b"\x30\x00" * 50]),
    ("odd publish", [CONNACK, SUBACK, b"\x32\x03\x00\xff\x00" * 5]),
    ("unknown packets", [CONNACK, SUBACK, bytes((0xF0, 0)) + bytes((0x00, 1, 7))]),
]


def test_rows_lie_on_the_utc_grid_and_the_hello_comes_first(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(20)
        rows = yard.check_nothing_lost()
        times = [row.utc_s for row in rows]
        assert times == list(range(times[0], times[0] + 60 * len(times), 60))
        assert times[0] % 60 == 0
        assert len(rows) >= 18
        assert {row.values for row in rows} == {CALM}
        first = yard.peer.frames[min(yard.peer.frames)]
        assert first.count == 1
        (manifest,) = yard.peer.manifests()
        assert manifest.map["node"] == NODE
        names = [(channel["n"], channel["model"]) for channel in manifest.map["channels"]]
        assert names[0] == ("pm2_5", "sds011")
        assert names[4] == ("pressure", "bme280")
        (anchor,) = yard.peer.anchors()
        assert abs(anchor.utc_ms - anchor.boot_ms - (yard.world.start_utc_ms + 500)) < 1000
        assert anchor.uncertainty_ms < 200, "the hello was answered at once"
        assert yard.peer.topics == {f"balise/v1/n/{yard.peer.keys.kid.hex()}/up"}


def test_without_utc_rows_have_ticks_and_the_anchor_comes_later(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.utc_shift_ms = None
        yard.run(5)
        assert [row.ticks_s for row in yard.check_nothing_lost()][:3] == [60, 120, 180]
        yard.utc_shift_ms = 0
        yard.run(10)
        rows = yard.check_nothing_lost()
        times = [row.utc_s for row in rows if row.utc_s is not None]
        assert all(time % 60 == 0 for time in times)
        assert len(times) >= 7
        anchors = yard.peer.anchors()
        assert anchors[-1].uncertainty_ms < 200, "asked again, because the first answer had waited for a commit"
        assert not yard.peer.losses()


def test_a_link_that_is_down_loses_nothing(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(5)
        yard.node.link.down("wifi")
        yard.run(75)
        kept = len(yard.kept())
        assert kept >= 78, "measuring does not wait for the network"
        assert len(yard.peer.rows()) < 6
        yard.node.link.up("wifi")
        yard.run(12)
        assert len(yard.check_nothing_lost()) >= kept + 10
        assert not yard.peer.losses()


def test_a_silent_link_is_found_out(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(3)
        yard.node.link.patience_s = 1e9  # nobody tells the node: it must find out by itself
        yard.node.link.down("cable")
        yard.run(10)
        assert yard.said("link: the gateway has been silent")
        yard.node.link.up("cable")
        yard.run(5)
        yard.check_nothing_lost()
        assert len(yard.said("link: connected")) >= 2


def test_resets_and_power_cuts_lose_nothing(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.peer.takes = False
        for _ in range(4):
            yard.run(3.4)
            yard.node.reset()
            yard.run(3.7)
            yard.node.power_cut()
            yard.run(0.5)
            yard.node.power_on()
        yard.peer.takes = True
        yard.run(10)
        yard.check_nothing_lost()
        boots = {line.boot for line in yard.kept()}
        assert len(boots) == 9
        assert max(boots) - min(boots) == 8


def test_power_cuts_at_every_change_of_flash(tmp_path: Path) -> None:
    with Yard(tmp_path, period_s=60) as yard:
        cut = 0
        while not yard.kept() or yard.node.flash.cut_at is None:
            cut += 1
            yard.node.flash.cut_at = yard.node.flash.changes + cut
            yard.run(1.5)
            if not yard.node.powered:
                yard.node.power_on()
        yard.node.flash.cut_at = None
        yard.run(4)
        assert cut > 5
        yard.check_nothing_lost()


def test_lost_acknowledgements_bring_the_same_bytes_again(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.peer.answers = False
        yard.run(12)
        sent = [data for _, data in yard.peer.received]
        assert len(sent) > len(set(sent)), "sent again, unchanged (the peer checks that)"
        assert {row.utc_s for row in yard.peer.rows()} == {None}, "no answer, no time"
        yard.peer.answers = True
        yard.run(20)
        yard.check_nothing_lost()
        yard.node.reset()
        yard.run(1)
        assert int(yard.said("store: ")[-1].split()[1]) < 45, "released frames are not kept for ever"


def test_replayed_and_forged_answers_change_nothing(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.peer.commit_s = 5
        yard.run(5)
        yard.utc_shift_ms = 7_200_000
        boot = min(yard.peer.windows)
        yard.peer.answers = False
        yard.peer.answer(boot)  # authentic, of another time, and it releases nothing: as one that was held back
        for ack in [*yard.peer.acks[:3], yard.peer.acks[-1]]:
            assert yard.peer.say(ack) == 1
        yard.peer.say(b"")
        yard.peer.say(b"nonsense")
        yard.peer.say(yard.peer.acks[0][:-1] + b"\x00")
        yard.utc_shift_ms = 0
        yard.peer.answers = True
        yard.run(5)
        rows = yard.check_nothing_lost()
        assert len(yard.peer.anchors()) == 1, "the clock was not moved"
        assert rows[-1].utc_s is not None
        assert rows[-1].utc_s * 1000 <= yard.world.utc_ms
        assert len(yard.said("acknowledgement ")) == 3


def test_a_gateway_that_was_replaced_hears_the_hello_again(tmp_path: Path) -> None:
    """Its rows would have no meaning there before the next boot, which may be months away."""
    with Yard(tmp_path) as yard:
        yard.run(90)
        first = yard.peer
        yard.replace_gateway()
        yard.run(30)
        assert yard.node.boots == 1
        manifests = yard.peer.items(Manifest)
        assert [item for _, _, item in manifests] == [item for _, _, item in first.items(Manifest)]
        assert yard.said("link: the gateway has forgotten this boot")
        assert len(yard.peer.rows()) >= 28
        yard.run(120)
        assert len(yard.peer.items(Manifest)) == 1


def test_a_full_store_keeps_what_it_has_and_tells_what_it_could_not(tmp_path: Path) -> None:
    with Yard(tmp_path, store_bytes=16384, period_s=30) as yard:
        yard.run(2)
        yard.peer.takes = False
        yard.run(180)
        assert len(yard.said("not kept")) > 100
        yard.peer.takes = True
        yard.run(30)
        refused = len(yard.said("not kept"))
        rows = yard.check_nothing_lost()
        losses = [loss for loss in yard.peer.losses() if loss.reason == "store full"]
        assert {(loss.node, loss.what) for loss in losses} == {(NODE, "rows")}
        lost = [time for loss in losses for time in range(loss.first, loss.last + 1, 30)]
        assert len(lost) == refused
        assert len(set(lost)) == refused
        measured = sorted({row.utc_s for row in rows} | set(lost))
        assert measured == list(range(measured[0], measured[-1] + 1, 30)), "each slot has a row or is told as lost"


def test_an_unplugged_sensor_is_missing_and_never_a_number(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(3)
        yard.node.bench.devices["bme280"].fault("nack")
        yard.run(5)
        yard.node.bench.devices["bme280"].fault("nack", on=False)
        yard.node.bench.devices["sds011"].fault("silence")
        yard.run(5)
        yard.node.bench.devices["sds011"].fault("silence", on=False)
        yard.run(5)
        rows = [row.values for row in yard.check_nothing_lost()]
        assert set(rows) == {CALM, (*CALM[:2], None, None, None), (None, None, *CALM[2:])}
        assert rows[-1] == CALM
        assert len(yard.said("sensor bme280: nack")) == 1, "told once, not every minute"
        assert len(yard.said("sensor bme280: works again")) == 1
        assert len(yard.said("sensor sds011: silent")) == 1


@pytest.mark.parametrize("shift_ms", [-3_600_000, -61_000, -1_500, 1_500, 61_000, 3_600_000])
def test_a_gateway_whose_clock_is_set_makes_no_row_twice(tmp_path: Path, shift_ms: int) -> None:
    with Yard(tmp_path) as yard:
        yard.run(10)
        yard.utc_shift_ms = shift_ms
        yard.run(80)
        rows = yard.check_nothing_lost()
        assert len(rows) >= 87, "measuring goes on"
        assert not yard.peer.losses()
        assert len(yard.peer.anchors()) >= 2, "a step is told"
        assert rows[-1].utc_s is not None
        assert abs(rows[-1].utc_s * 1000 - shift_ms - yard.world.utc_ms) < 70_000


def test_slow_sensors_miss_slots_and_tell_them(tmp_path: Path) -> None:
    with Yard(tmp_path, period_s=5) as yard:
        yard.run(3)
        yard.node.bench.devices["sds011"].fault("silence")
        yard.node.bench.devices["bme280"].fault("stuck_low")
        yard.run(10)
        rows = yard.check_nothing_lost()
        lost = [time for loss in yard.peer.losses() for time in range(loss.first, loss.last + 1, 5)]
        times = sorted([row.utc_s for row in rows if row.utc_s is not None] + lost)
        assert times == list(range(times[0], times[-1] + 1, 5))


def test_a_wrong_config_is_told_and_nothing_restarts(tmp_path: Path) -> None:
    with Yard(tmp_path, perod_s=60) as yard:
        yard.run(10)
        assert yard.said('config.json: "perod_s" is not a known key; nearest: "period_s"')
        assert yard.node.boots == 1


def test_two_sensors_of_one_quantity_are_refused(tmp_path: Path) -> None:
    twice = [
        {"model": "sds011", "uart": 2, "tx": 17, "rx": 16},
        {"model": "pms5003", "uart": 1, "tx": 4, "rx": 5},
    ]
    with Yard(tmp_path, sensors=twice) as yard:
        yard.run(1)
        assert yard.said('config.json: "sensors": found pm2_5 twice (sds011, pms5003)')


WRONG_BUSES = [
    {"model": "bme280", "uart": 1, "tx": 4, "rx": 5},
    {"model": "bme280", "i2c": 0, "sda": 9, "scl": 22},  # pin 9 belongs to the ESP32's flash
]


@pytest.mark.parametrize("sensor", WRONG_BUSES)
def test_buses_that_cannot_be_are_a_wrong_config(tmp_path: Path, sensor: dict[str, object]) -> None:
    with Yard(tmp_path, sensors=[sensor]) as yard:
        yard.run(3)
        assert yard.said('config.json: "sensors[0]": ')
        assert yard.node.boots == 1


def test_a_fault_nobody_foresaw_restarts_the_board_without_wearing_it_out(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(2)
        yard.node.power_cut()
        (yard.root / "frames.bin.new").mkdir()
        yard.node.power_on()
        yard.run(30)
        assert yard.said("Traceback")
        assert 20 <= yard.node.boots <= 33, "once a minute"
        assert yard.node.flash.changes < 5 * yard.node.boots
        yard.node.power_cut()
        (yard.root / "frames.bin.new").rmdir()
        yard.node.power_on()
        yard.run(3)
        assert yard.check_nothing_lost()


def test_a_wrong_password_is_told_and_rows_are_kept(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.peer.password = "another"
        yard.run(5)
        assert "compare mqtt.user and mqtt.password" in yard.said("link: ")[0]
        assert len(yard.kept()) >= 4
        yard.peer.password = "staple-staple"
        yard.run(4)
        yard.check_nothing_lost()


def test_a_frame_that_is_always_lost_holds_the_window(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.peer.deaf_to = 3
        yard.run(100)
        counts = [count for _, count in yard.peer.frames]
        assert max(counts) <= 3 + 63, "a frame further on would say that the lost one was given up"
        yard.peer.deaf_to = None
        yard.run(30)
        yard.check_nothing_lost()


@pytest.mark.parametrize("speech", HOSTILE, ids=[name for name, _ in HOSTILE])
def test_a_hostile_gateway_only_costs_the_connection(tmp_path: Path, speech: tuple[str, list[bytes]]) -> None:
    with Yard(tmp_path) as yard:
        yard.replace_peer(speech[1])
        yard.run(12)
        assert yard.node.boots == 1
        assert len(yard.kept()) >= 10
        assert yard.said("link: ")
        yard.replace_peer(None)
        yard.run(8)
        yard.check_nothing_lost()


def test_the_watchdog_is_fed_while_all_is_well(tmp_path: Path) -> None:
    with Yard(tmp_path, watchdog_s=8, period_s=300) as yard:
        yard.run(30)
        yard.check_nothing_lost()
        assert yard.node.boots == 1


def test_a_fortnight_with_ticks_that_wrap(tmp_path: Path) -> None:
    with Yard(tmp_path, period_s=3600, mqtt=CONFIG["mqtt"] | {"keepalive_s": 3600}) as yard:
        yard.run(14 * 24 * 60)
        rows = yard.check_nothing_lost()
        times = [row.utc_s for row in rows]
        assert times == list(range(times[0], times[0] + 3600 * len(times), 3600))
        assert len(times) >= 14 * 24 - 1
        assert yard.node.boots == 1


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    received = []
    for name in ("one", "two"):
        with Yard(tmp_path / name, seed=5) as yard:
            yard.run(4)
            yard.node.link.down("wifi")
            yard.run(4)
            yard.node.link.up("wifi")
            yard.run(4)
            received.append(yard.peer.received)
    assert received[0] == received[1]


def test_the_node_fits_its_board_with_room_to_spare(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(60)
        assert yard.node.fault is None
        free_bytes = int(yard.said("boot ")[0].split()[-3])
        assert free_bytes > 24_000, "after everything is loaded, on the VM's 64 bits"
