"""Every device model keeps the models' contract: the real driver reads from it what was set, and each fault is told."""

import contextlib
import random
from collections.abc import Container
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_node.drivers import SensorError, load
from balise_node.drivers._advice import WHAT_TO_TRY
from balise_sim.buses.adc import SUPPLY_UV
from balise_sim.buses.onewire import Line
from balise_sim.devices._analog import AnalogDevice
from balise_sim.devices._i2s import I2SDevice
from balise_sim.devices._onewire import OneWireDevice
from balise_sim.devices.base import DeviceModel, I2CDevice, Nack, SPIDevice, UARTDevice
from balise_wire.channels import channel
from contracts.bench import Bench
from contracts.found import DEVICES, SENSORS, device, stems, vectors

FAULTS = [
    pytest.param(model, fault, id=f"{model}: {fault}") for model in stems(DEVICES) for fault in device(model).FAULTS
]
MEASURING = [model for model in stems(DEVICES) if device(model).CHANNELS]
UARTS = [model for model in stems(DEVICES) if device(model).BUS == "uart"]
I2CS = [model for model in stems(DEVICES) if device(model).BUS == "i2c"]


class Rig:
    """One device, its bus and its real driver."""

    def __init__(self, model: str, seed: int = 0) -> None:
        self.bench = Bench()
        self.device = device(model)(seed=seed)
        self.driver = load(model)
        self.bus = self.bench.bus(self.device, getattr(self.driver, "LINE", {}))
        self.restart()

    def restart(self) -> None:
        """A node that boots: the driver is new, the sensor is not."""
        self.sensor = self.driver(self.bus, self.bench.sleep_ms)

    def read(self) -> dict[str, int | None]:
        """One period of a node."""
        self.sensor.wake()
        self.bench.sleep_ms(self.driver.WARMUP_S * 1000)
        values = self.sensor.sample()
        self.sensor.sleep()
        return dict(zip(self.driver.CHANNELS, values, strict=True))

    def set(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.device.set_channel(name, value)

    def assert_reads(self, values: dict[str, float], read: dict[str, int | None], but: Container[str] = ()) -> None:
        """Half a step of the sensor, and what integer formulas and the channel's own step add; not of `but`."""
        assert read.keys() - self.device.REPORTS.keys() == values.keys() - self.device.COUNTED.keys()
        for name, value in values.items():
            if name in but:
                continue
            if name in self.device.COUNTED:
                if self.device.COUNTED[name][0] not in but:
                    self.assert_counted(name, value, read)
                continue
            scale = 10 ** channel(name).scale
            quantity = self.device.CHANNELS[name]
            tolerance = max(quantity.resolution, abs(value) * quantity.share) * scale / 2 + 1.5
            assert read[name] == pytest.approx(value * scale, abs=tolerance), name

    def assert_counted(self, name: str, per_m3: float, read: dict[str, int | None]) -> None:
        """A count is chance: within eight standard deviations of its mean, and eight, for small counts are skew."""
        count, volume_l = (read[each] for each in self.device.COUNTED[name])
        assert count is not None
        assert volume_l, "nothing was sampled"
        mean = per_m3 * volume_l / 10 ** channel(self.device.COUNTED[name][1]).scale / 1000
        assert abs(count - mean) <= 8 * mean**0.5 + 8, name


def part_of_range(model: str, part: float) -> dict[str, float]:
    """Every channel at that part of its range."""
    return {name: each.low + part * (each.high - each.low) for name, each in device(model).CHANNELS.items()}


def test_every_driver_has_a_model_and_every_model_a_driver() -> None:
    assert stems(DEVICES) == SENSORS


@pytest.mark.parametrize("model", stems(DEVICES))
def test_it_is_what_its_driver_expects(model: str) -> None:
    made, driver = device(model)(), load(model)
    assert made.BUS == driver.BUS
    assert not made.CHANNELS.keys() & made.REPORTS.keys()
    assert made.COUNTED.keys() <= made.CHANNELS.keys()
    assert {each for pair in made.COUNTED.values() for each in pair} <= set(driver.CHANNELS)
    assert made.CHANNELS.keys() - made.COUNTED.keys() | made.REPORTS.keys() == set(driver.CHANNELS)
    for name, quantity in made.CHANNELS.items():
        assert made.range(name) == (quantity.low, quantity.high)
        assert quantity.low < quantity.usual < quantity.high
        assert 0 < quantity.resolution < quantity.high - quantity.low
        if name in made.COUNTED:
            continue
        scale = 10 ** channel(name).scale
        assert channel(name).low <= quantity.low * scale < quantity.high * scale <= channel(name).high


@pytest.mark.parametrize("model", stems(DEVICES))
def test_the_data_sheet_is_named(model: str) -> None:
    assert "DS = " in (DEVICES / f"{model}.py").read_text(encoding="utf-8").split('"""')[1]


@pytest.mark.parametrize("model", stems(DEVICES))
def test_unknown_names_are_told(model: str) -> None:
    made = device(model)()
    for act in (lambda: made.set_channel("nosuch", 1), lambda: made.range("nosuch"), lambda: made.fault("nosuch")):
        with pytest.raises(ValueError, match=r"nosuch.*it has "):
            act()


@pytest.mark.parametrize("model", stems(DEVICES))
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_driver_reads_what_is_set(model: str, data: st.DataObject) -> None:
    rig = Rig(model)
    values = {name: data.draw(st.floats(*rig.device.range(name)), label=name) for name in rig.device.CHANNELS}
    rig.set(values)
    rig.assert_reads(values, rig.read())


@pytest.mark.parametrize("model", stems(DEVICES))
def test_the_whole_range_and_beyond(model: str) -> None:
    rig = Rig(model)
    for step in range(41):
        values = part_of_range(model, step / 40)
        rig.set(values)
        rig.assert_reads(values, rig.read())
    rig.set(part_of_range(model, -0.5))
    rig.assert_reads(part_of_range(model, 0), rig.read())
    rig.set(part_of_range(model, 1.5))
    rig.assert_reads(part_of_range(model, 1), rig.read())


@pytest.mark.parametrize("model", MEASURING)
def test_a_value_is_of_the_moment_it_is_asked(model: str) -> None:
    """A channel may be a function of the world's time; a sample is no older than its call."""
    rig = Rig(model)
    asked_us: list[int] = []
    name = next(iter(rig.device.CHANNELS))
    low, high = rig.device.range(name)

    def seen(now_us: int) -> float:
        asked_us.append(now_us)
        return (low + high) / 2

    rig.device.set_channel(name, seen)
    rig.sensor.wake()
    rig.bench.sleep_ms(rig.driver.WARMUP_S * 1000 + 500)
    began_us = rig.bench.now_us
    rig.sensor.sample()
    assert began_us <= asked_us[-1] <= rig.bench.now_us


@pytest.mark.parametrize("model", stems(DEVICES))
def test_a_sensor_whose_power_failed_is_read_again(model: str) -> None:
    rig = Rig(model)
    rig.set(part_of_range(model, 0.25))
    rig.read()
    rig.device.reset(rig.bench.now_us)
    rig.assert_reads(part_of_range(model, 0.25), rig.read())
    rig.sensor.wake()
    rig.device.reset(rig.bench.now_us)  # between wake and sample: no second wake tells the sensor what to do
    rig.bench.sleep_ms(rig.driver.WARMUP_S * 1000)
    read = dict(zip(rig.driver.CHANNELS, rig.sensor.sample(), strict=True))
    rig.assert_reads(part_of_range(model, 0.25), read)


@pytest.mark.parametrize("model", stems(DEVICES))
def test_every_fault_has_its_expectation(model: str) -> None:
    expected = vectors(model)["faults"]
    assert expected.keys() == device(model).FAULTS.keys()
    for expectation in expected.values():
        if isinstance(expectation, list):
            assert set(expectation) <= WHAT_TO_TRY.keys()
        elif isinstance(expectation, dict):
            assert expectation.keys() - {"flags"} <= set(load(model).CHANNELS)
            assert expectation.get("flags", {}).keys() <= set(load(model).CHANNELS)
        else:
            assert expectation in ("set", "held")


@pytest.mark.parametrize(("model", "fault"), FAULTS)
def test_a_fault_gives_its_error_or_its_value(model: str, fault: str) -> None:
    """The vector file says which: names of errors, "set" (no harm), "held" (the values before it), or values.

    Values by channel; under "flags", how the sensor judges which of its values.
    """
    expectation: Any = vectors(model)["faults"][fault]
    before, after = part_of_range(model, 0.2), part_of_range(model, 0.6)
    rig = Rig(model, seed=7)
    rig.set(before)
    rig.read()
    rig.device.fault(fault)
    rig.set(after)
    for _ in range(5):
        rig.restart()
        if isinstance(expectation, list):
            with pytest.raises(SensorError) as told:
                rig.read()
            assert told.value.what in expectation
            continue
        read = rig.read()
        told = {rig.driver.CHANNELS[at]: flag for at, flag in getattr(rig.sensor, "flags", {}).items()}
        assert told == (expectation.get("flags", {}) if isinstance(expectation, dict) else {})
        if isinstance(expectation, dict):
            values = {name: value for name, value in expectation.items() if name != "flags"}
            assert {name: read[name] for name in values} == values
            rig.assert_reads(after, read, but=values)
            continue
        rig.assert_reads(before if expectation == "held" else after, read)


@pytest.mark.parametrize(("model", "fault"), FAULTS)
def test_a_fault_that_comes_and_goes_leaves_nothing_behind(model: str, fault: str) -> None:
    rig = Rig(model, seed=8)
    values = part_of_range(model, 0.4)
    rig.set(values)
    rig.read()
    for step in ("wake", "sample", "sleep"):
        rig.device.fault(fault)
        for act in (rig.sensor.wake, rig.sensor.sample, rig.sensor.sleep):
            with contextlib.suppress(SensorError):
                act()
            if act.__name__ == step:
                rig.device.fault(fault, on=False)
        rig.assert_reads(values, rig.read())


@pytest.mark.parametrize("model", stems(DEVICES))
def test_the_same_seed_gives_the_same_bytes(model: str) -> None:
    def told(seed: int) -> list[str]:
        rig, lines = Rig(model, seed), []
        for fault in rig.device.FAULTS:
            rig.device.fault(fault)
            try:
                lines.append(f"{fault}: {rig.read()}")
            except SensorError as error:
                lines.append(f"{fault}: {error}")
            rig.device.fault(fault, on=False)
        return lines

    random.seed(1)
    first = told(5)
    random.seed(2)
    assert told(5) == first


def exercise(made: DeviceModel, steps: list[tuple[int, bytes]]) -> None:
    """Bytes at random moments, as no driver would send them."""
    now_us = 0
    for wait_us, data in steps:
        now_us += wait_us
        if isinstance(made, UARTDevice):
            made.receive(data, now_us)
            assert made.due_us(now_us) is None or made.due_us(now_us) > 0
            assert isinstance(made.transmit(now_us), bytes)
        elif isinstance(made, I2SDevice):
            made.reset(now_us)
            assert len(made.words(len(data) % 2, (now_us // 2, 48_000), len(data) * 997, len(data))) == 4 * len(data)
        elif isinstance(made, I2CDevice):
            try:
                made.write(data, now_us)
                assert len(made.read(len(data), now_us)) == len(data)
            except Nack:
                continue
        elif isinstance(made, OneWireDevice):
            line = Line([made])
            line.reset(now_us)
            line.run(data, now_us)
            assert len(line.run(b"\xff" * len(data), now_us)) == len(data)
        elif isinstance(made, AnalogDevice):
            assert 0 <= made.pin_uv(now_us) <= SUPPLY_UV
        elif isinstance(made, SPIDevice):
            assert len(made.transfer(data, made.MODE, made.MAX_HZ, now_us)) == len(data)


@pytest.mark.parametrize("model", stems(DEVICES))
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_any_bytes_leave_a_model_standing(model: str, data: st.DataObject) -> None:
    sent = sorted({run for case in vectors(model)["cases"] for run in case.get("sent", [])})
    run = st.one_of(st.sampled_from([*sent, ""]).map(bytes.fromhex), st.binary(max_size=40))
    steps = data.draw(st.lists(st.tuples(st.integers(0, 60_000_000), run), max_size=20))
    made = device(model)()
    for fault in data.draw(st.sets(st.sampled_from(sorted(made.FAULTS)), max_size=2)):
        made.fault(fault)
    exercise(made, steps)


@pytest.mark.parametrize("model", UARTS)
def test_a_byte_comes_when_it_is_due_and_not_before(model: str) -> None:
    """Also when answers are longer than the pauses between orders: one line carries one byte at a time."""
    made, now_us = device(model)(), 0
    assert isinstance(made, UARTDevice)
    made.fault("boot_text")
    byte_us = made.BITS_PER_BYTE * 1_000_000 // made.BAUD_HZ
    for case in vectors(model)["cases"]:
        for order in case.get("sent", []):
            made.receive(bytes.fromhex(order), now_us)
    while (due_us := made.due_us(now_us)) is not None and due_us < 10_000_000:
        assert due_us >= now_us + byte_us
        assert made.transmit(due_us - 1) == b""
        assert len(made.transmit(due_us)) == 1
        now_us = due_us
    assert now_us > 0, "the sensor never spoke"


@pytest.mark.parametrize("model", UARTS)
@settings(deadline=None, max_examples=40)
@given(looks_us=st.lists(st.integers(1, 3_000_000), max_size=40))
def test_bytes_do_not_depend_on_who_looks_when(model: str, looks_us: list[int]) -> None:
    def heard(looks: list[int]) -> bytes:
        made, now_us, got = device(model)(), 0, b""
        assert isinstance(made, UARTDevice)
        for wait_us in looks:
            now_us += wait_us
            got += made.transmit(now_us)
        return got + made.transmit(200_000_000)

    assert heard(looks_us) == heard([])


@pytest.mark.parametrize("model", I2CS)
def test_another_address_is_not_answered(model: str) -> None:
    rig = Rig(model)
    rig.sensor = rig.driver(rig.bus, rig.bench.sleep_ms, address=rig.device.address ^ 1)
    with pytest.raises(SensorError) as told:
        rig.read()
    assert told.value.what == "nack"
