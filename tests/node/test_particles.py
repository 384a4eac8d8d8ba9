"""What the drivers of Sensirion's particle sensors do beyond the drivers' contract."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensirion_shdlc_driver.serial_frame_builder import ShdlcSerialMosiFrameBuilder

from balise_node.drivers import SensorError, load
from balise_node.drivers._shdlc import Frames, content, order
from balise_sim.devices import sps30_uart
from contracts.bench import Bench
from contracts.found import device

WEEK_S = 604_800


class Rig:
    """One sensor that measures, its bus and its driver."""

    def __init__(self, model: str, **options: Any) -> None:
        self.bench, self.device = Bench(), device(model)(**options)
        self.sensor: Any = load(model)(self.bench.bus(self.device), self.bench.sleep_ms)
        self.sensor.wake()
        self.bench.sleep_ms(self.sensor.WARMUP_S * 1000)

    def read(self) -> dict[str, int | None]:
        return dict(zip(self.sensor.CHANNELS, self.sensor.sample(), strict=True))


@pytest.mark.parametrize("model", ["sps30", "sps30_uart"])
class TestSps30:
    """DS = Sensirion SPS30 Datasheet version 2.0."""

    def test_while_the_fan_is_cleaned_there_are_no_new_values(self, model: str) -> None:
        """DS 4.2: ten seconds."""
        rig = Rig(model)
        rig.sensor.clean()
        with pytest.raises(SensorError) as told:
            rig.sensor.sample()
        assert told.value.what == "not ready"
        rig.bench.sleep_ms(10_000)
        rig.read()
        assert rig.sensor.flags == {}, "asking meanwhile started it anew"

    def test_it_cleans_itself_once_a_week(self, model: str) -> None:
        """DS 4.2."""
        rig = Rig(model)
        rig.bench.sleep_ms((WEEK_S - 30) * 1000 + 500)
        with pytest.raises(SensorError) as told:
            rig.sensor.sample()
        assert told.value.what == "not ready"
        rig.bench.sleep_ms(10_000)
        rig.read()

    def test_values_of_the_second_after_a_power_cut_are_doubtful(self, model: str) -> None:
        """DS 1.1: start-up time."""
        rig = Rig(model)
        rig.device.reset(rig.bench.now_us)
        rig.read()
        assert rig.sensor.flags == dict.fromkeys(range(10), 3)
        rig.bench.sleep_ms(30_000)
        rig.read()
        assert rig.sensor.flags == {}

    def test_a_fault_is_told_as_long_as_it_lasts(self, model: str) -> None:
        """DS 4.4: the bit of the fan stays, so the driver clears it after each sample."""
        rig = Rig(model)
        rig.device.fault("fan_stopped")
        rig.bench.sleep_ms(5_000)
        assert rig.read()["sps30_status"] == 16
        rig.device.fault("fan_stopped", on=False)
        rig.bench.sleep_ms(5_000)
        assert rig.read()["sps30_status"] == 0

    def test_asleep_it_needs_waking(self, model: str) -> None:
        rig = Rig(model)
        rig.sensor.sleep()
        rig.bench.sleep_ms(60_000)
        with pytest.raises(SensorError) as told:
            rig.sensor.sample()
        assert told.value.what in ("silent", "nack")
        rig.sensor.wake()
        rig.bench.sleep_ms(30_000)
        rig.read()

    def test_what_another_program_started_with_whole_numbers(self, model: str) -> None:
        """DS 4.3: over UART their number tells them apart; over I2C the driver starts it anew."""
        bench, made = Bench(), device(model)()
        bus = bench.bus(made)
        sensor = load(model)(bus, bench.sleep_ms)
        made.set_channel("pm10", 12.6)
        if model == "sps30":
            bus.writeto(0x69, bytes.fromhex("00100500f6"))
        else:
            bus.write(bytes.fromhex("7e0000020105f77e"))
        bench.sleep_ms(5_000)
        sensor.wake()
        bench.sleep_ms(30_000)
        assert sensor.sample()[3] == (126 if model == "sps30" else 130)


class TestSen55:
    """DS = Sensirion Datasheet SEN5x version 2."""

    @pytest.mark.parametrize(
        ("unknown", "name"),
        [(["nox_index"], "SEN54"), (["humidity", "temperature", "voc_index", "nox_index"], "SEN50")],
    )
    def test_its_smaller_sisters(self, unknown: list[str], name: str) -> None:
        """DS table 1."""
        rig = Rig("sen55", unknown=unknown)
        assert [channel for channel, value in rig.read().items() if value is None] == unknown

    def test_no_nox_in_the_first_seconds(self) -> None:
        """The maker's driver: 10 to 11 s after power on."""
        bench, made = Bench(), device("sen55")()
        sensor = load("sen55")(bench.bus(made), bench.sleep_ms)
        sensor.wake()
        assert sensor.sample()[7] is None
        bench.sleep_ms(11_000)
        assert sensor.sample()[7] is not None

    def test_the_voc_state_outlives_a_pause_for_whoever_keeps_it(self) -> None:
        """DS 6.1.11: stop forgets it."""
        rig = Rig("sen55")
        rig.bench.sleep_ms(4 * 3_600_000)
        kept = rig.sensor.voc_state()
        assert len(kept) == 8
        rig.sensor.sleep()
        rig.sensor.wake()
        rig.bench.sleep_ms(5_000)
        assert rig.sensor.voc_state() < kept
        rig.sensor.restore(kept)
        rig.bench.sleep_ms(5_000)
        assert rig.sensor.voc_state() >= kept
        assert rig.read()["pm2_5"] is not None

    def test_while_the_fan_is_cleaned_there_are_no_new_values(self) -> None:
        """DS 5.2, 5.4 bit 19."""
        rig = Rig("sen55")
        rig.sensor.clean()
        with pytest.raises(SensorError) as told:
            rig.sensor.sample()
        assert told.value.what == "not ready"
        rig.bench.sleep_ms(10_000)
        assert rig.read()["sen5x_status"] == 0


class TestSen66:
    """DS = Sensirion Datasheet SEN6x version 0.91, and sensirion-i2c-sen66 1.3."""

    def test_no_co2_in_the_first_seconds(self) -> None:
        bench, made = Bench(), device("sen66")()
        sensor = load("sen66")(bench.bus(made), bench.sleep_ms)
        sensor.wake()
        read = dict(zip(sensor.CHANNELS, sensor.sample(), strict=True))
        assert (read["co2"], read["nox_index"], read["voc_index"]) == (None, None, 100)
        bench.sleep_ms(11_000)
        assert None not in sensor.sample()

    def test_the_pressure_for_co2(self) -> None:
        rig = Rig("sen66")
        rig.sensor.set_pressure_hpa(985)
        assert rig.device.settings[0x6720] == (985,)

    def test_cleaning_ends_the_measurement(self) -> None:
        rig = Rig("sen66")
        rig.sensor.clean()
        assert rig.device.engine.mode == "idle"
        rig.bench.sleep_ms(10_000)
        rig.sensor.wake()
        rig.bench.sleep_ms(60_000)
        rig.read()
        assert rig.sensor.flags == {}

    def test_reset_is_as_power_on(self) -> None:
        rig = Rig("sen66")
        rig.sensor.set_pressure_hpa(985)
        rig.sensor.reset()
        assert rig.device.settings[0x6720] == (1013,)
        rig.sensor.wake()
        rig.bench.sleep_ms(60_000)
        rig.read()


@pytest.mark.parametrize("model", ["sps30", "sps30_uart", "sen55", "sen66"])
def test_waking_a_sensor_that_is_awake_does_not_disturb_it(model: str) -> None:
    rig = Rig(model)
    rig.sensor.wake()
    rig.read()
    assert rig.sensor.flags == {}


class TestFrames:
    """SHDLC against the maker's own builder of frames, and against damage."""

    @given(number=st.integers(0, 255), data=st.binary(max_size=40))
    def test_orders_are_what_the_maker_sends(self, number: int, data: bytes) -> None:
        assert order(number, data) == ShdlcSerialMosiFrameBuilder(0, number, data).to_bytes()

    @given(number=st.integers(0, 255), state=st.integers(0, 255), data=st.binary(max_size=60))
    def test_answers_come_out_as_they_went_in(self, number: int, state: int, data: bytes) -> None:
        frame = sps30_uart.sealed(number, state, data)
        assert Frames.size(b"\x13\x7e" + frame, 2) == len(frame)
        assert Frames.fault(frame) is None
        assert content(frame)[:-1] == bytes((0, number, state, len(data))) + data
        assert content(frame) != frame[1:-1] or b"\x7d" not in frame

    @given(data=st.binary(max_size=40), at=st.integers(1, 40), change=st.integers(1, 255))
    def test_a_changed_byte_is_found(self, data: bytes, at: int, change: int) -> None:
        frame = bytearray(sps30_uart.sealed(3, 0, data))
        at = min(at, len(frame) - 2)
        frame[at] ^= change
        if frame[at] not in (0x7E, 0x7D):  # then it ends there, or what follows is another byte
            assert Frames.fault(bytes(frame)) is not None

    @given(data=st.binary(max_size=80))
    def test_any_bytes_have_a_size_and_a_fault_or_none(self, data: bytes) -> None:
        at = data.find(b"\x7e")
        if at >= 0:
            size = Frames.size(data, at)
            assert size == 0 or size > len(data) - at or data[at + size - 1] == 0x7E
        assert Frames.fault(b"\x7e" + data + b"\x7e") in (None, "garbage", "checksum", "bad answer")
