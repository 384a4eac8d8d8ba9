"""What the Plantower drivers share: frames told apart by their length word, and modes that somebody left."""

import pytest

from balise_node.drivers._plantower import Frames, command
from balise_node.drivers.pms5003 import Sensor
from balise_sim.devices.pms5003 import Model
from contracts.bench import Bench

FRAMES = {  # the whole frame for each length word
    4: "424d0004e1000174",
    20: "424d001400010001000100010001000100000000005100fa",
    24: "424d001800050008000900050008000903840104002d000697000229",
    28: "424d001c00050008000900050008000903840104002d0006000100009700022e",
    36: "424d002400050008000900050008000903840104002d000600010000000f00d701e00000970003fd",
}


@pytest.mark.parametrize("length", FRAMES)
def test_a_frame_for_each_length_word(length: int) -> None:
    frame = bytes.fromhex(FRAMES[length])
    assert len(frame) == length + 4
    assert Frames.size(b"\x00" + frame, 1) == len(frame)
    assert Frames.fault(frame) is None
    assert Frames.fault(frame[:-1] + bytes((frame[-1] ^ 1,))) == "checksum"


@pytest.mark.parametrize("length", [0, 2, 5, 16, 21, 26, 30, 32, 40, 0x1C00, 0xFFFF])
def test_another_length_word_begins_no_frame(length: int) -> None:
    assert Frames.size(b"\x42\x4d" + length.to_bytes(2, "big") + bytes(60), 0) == 0


@pytest.mark.parametrize("order", [(0xE1, 0), (0xE1, 1), (0xE2, 0), (0xE4, 0), (0xE4, 1)])
def test_commands(order: tuple[int, int]) -> None:
    golden = {"424de100000170", "424de100010171", "424de200000171", "424de400000173", "424de400010174"}
    assert command(*order).hex() in golden


@pytest.mark.parametrize("orders", [[(0xE1, 1)], [(0xE4, 0)], [(0xE1, 0), (0xE4, 0)]], ids=["active", "asleep", "both"])
def test_a_sensor_is_read_in_whatever_mode_it_was_left(orders: list[tuple[int, int]]) -> None:
    bench, model = Bench(), Model()
    model.set_channel("pm2_5", 40.0)
    for order in orders:
        model.receive(command(*order), bench.now_us)
    bench.sleep_ms(60_000)
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    bench.sleep_ms(30_000)
    assert sensor.sample()[1] == 400


def test_a_sensor_that_goes_back_to_active_mode_is_read_all_the_same() -> None:
    bench, model = Bench(), Model()
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    bench.sleep_ms(40_000)
    model.receive(command(0xE1, 1), bench.now_us)
    bench.sleep_ms(1_000)
    assert [sensor.sample()[1] for _ in range(3)] == [80, 80, 80]
    sensor.sleep()
    bench.sleep_ms(10_000)
    assert model.due_us(bench.now_us) is None


def test_the_error_byte_flags_every_value_until_it_is_gone() -> None:
    bench, model = Bench(), Model()
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    bench.sleep_ms(40_000)
    model.fault("error_byte")
    assert sensor.sample()[-1] & 0xFF == 2
    assert sensor.flags == dict.fromkeys(range(12), 4), "the status itself is no doubtful value"
    model.fault("error_byte", on=False)
    sensor.sample()
    assert sensor.flags == {}


def test_what_nobody_sets_follows_the_air() -> None:
    """Counts and "CF=1" masses of a model move with its masses."""
    model = Model()
    model.set_channel("pm2_5", 100.0)
    assert model.measure("pm2_5_cf1", 0) == 150.0
    assert model.measure("n_gt0_3_per_cm3", 0) == pytest.approx(112.0)
