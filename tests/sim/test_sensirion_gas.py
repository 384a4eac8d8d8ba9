"""What data sheets say of the simulated gas, CO2 and humidity sensors beyond what our drivers use."""

from collections.abc import Sequence

import pytest

from balise_node.drivers import scd4x as scd4x_driver
from balise_sim.devices import scd4x, scd30, sgp41, sht4x, sht31
from balise_sim.devices._command import CommandDevice, coded
from balise_sim.devices.base import Nack
from contracts.bench import Bench

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
AIR_TICKS = (0x8000, 0x6666)


class Asked:
    """A model whose commands are sent one after the other, each waited for."""

    def __init__(self, model: CommandDevice) -> None:
        self.model = model
        self.now_us = 10 * SECOND_US

    def tell(self, code: int, *words: int) -> None:
        self.model.write(code.to_bytes(self.model.COMMAND_BYTES, "big") + coded(words), self.now_us)
        self.now_us = max(self.now_us + 1, self.model.busy_until_us)

    def words(self, code: int, count: int = 1, arguments: Sequence[int] = ()) -> list[int]:
        self.tell(code, *arguments)
        data = self.model.read(3 * count, self.now_us)
        found = [int.from_bytes(data[at : at + 2], "big") for at in range(0, 3 * count, 3)]
        assert data == coded(found)
        return found

    def wait(self, us: int) -> None:
        self.now_us += us

    def refuses(self, code: int, *words: int) -> None:
        with pytest.raises(Nack):
            self.tell(code, *words)


class TestSht4x:
    """DS = Sensirion SHT4x, version 3."""

    def test_the_heater_warms_the_chip_and_dries_its_air(self) -> None:
        asked = Asked(sht4x.Model())
        cold_t, cold_rh = asked.words(0xFD, 2)
        for code, kelvin in ((0x39, 50), (0x2F, 27.5), (0x1E, 5), (0x32, 25), (0x24, 13.75), (0x15, 2.5)):
            hot_t, hot_rh = asked.words(code, 2)
            assert (hot_t - cold_t) * 175 / 65535 == pytest.approx(kelvin, abs=0.01)
            assert hot_rh < cold_rh

    def test_heating_takes_a_second_in_which_nothing_is_answered(self) -> None:
        model = sht4x.Model()
        model.write(b"\x39", 0)
        with pytest.raises(Nack):
            model.read(6, 1_099_999)
        assert len(model.read(6, 1_100_000)) == 6

    def test_less_precision_is_faster(self) -> None:
        for code, takes_us in ((0xFD, 8_300), (0xF6, 4_500), (0xE0, 1_600)):
            model = sht4x.Model()
            model.write(bytes((code,)), 0)
            assert model.busy_until_us == takes_us

    def test_a_reset_forgets_the_answer(self) -> None:
        asked = Asked(sht4x.Model())
        asked.tell(0xFD)
        asked.tell(0x94)
        with pytest.raises(Nack):
            asked.model.read(6, asked.now_us)


class TestSht31:
    """DS = Sensirion SHT3x-DIS, version 5."""

    def test_periodic_measurements_are_fetched_once_each(self) -> None:
        asked = Asked(sht31.Model())
        asked.tell(0x2130)
        asked.refuses(0x2400)
        asked.wait(SECOND_US)
        assert len(asked.words(0xE000, 2)) == 2
        asked.tell(0xE000)
        with pytest.raises(Nack):
            asked.model.read(6, asked.now_us)
        asked.tell(0x3093)
        assert len(asked.words(0x2416, 2)) == 2

    def test_the_status_tells_of_resets_and_of_the_heater(self) -> None:
        asked = Asked(sht31.Model())
        assert asked.words(0xF32D) == [0x8010]
        asked.tell(0x3041)
        asked.tell(0x306D)
        assert asked.words(0xF32D) == [0x2000]
        asked.tell(0x3066)
        assert asked.words(0xF32D) == [0]
        asked.tell(0x30A2)
        assert asked.words(0xF32D) == [0x8010]


class TestScd4x:
    """DS = Sensirion SCD4x, version 1.3."""

    def test_settings_only_while_it_idles(self) -> None:
        asked = Asked(scd4x.Model())
        asked.tell(0x21B1)
        for code, words in ((0x2416, (0,)), (0x2313, ()), (0x362F, (400,)), (0x3682, ()), (0x219D, ()), (0x21B1, ())):
            asked.refuses(code, *words)
        asked.tell(0xE000, 987)
        assert asked.words(0xE000) == [987]
        asked.tell(0x3F86)
        assert asked.words(0x3682, 3) == [0xF896, 0x9F07, 0x3BBE]

    def test_after_a_stop_it_is_deaf_for_half_a_second(self) -> None:
        model = scd4x.Model()
        model.write(b"\x21\xb1", 0)
        model.write(b"\x3f\x86", SECOND_US)
        with pytest.raises(Nack):
            model.write(b"\x36\x82", SECOND_US + 499_999)
        model.write(b"\x36\x82", SECOND_US + 500_000)

    @pytest.mark.parametrize(("start", "period_s"), [(0x21B1, 5), (0x21AC, 30)])
    def test_one_measurement_a_period_that_is_read_once(self, start: int, period_s: int) -> None:
        asked = Asked(scd4x.Model())
        asked.tell(start)
        asked.wait((period_s - 1) * SECOND_US)
        assert asked.words(0xE4B8) == [0x8000]
        asked.tell(0xEC05)
        with pytest.raises(Nack):
            asked.model.read(9, asked.now_us)
        asked.wait(SECOND_US)
        assert asked.words(0xE4B8) == [0x8006]
        assert asked.words(0xEC05, 3)[0] == 600
        assert asked.words(0xE4B8) == [0x8000]

    def test_single_shots_are_of_an_scd41(self) -> None:
        asked = Asked(scd4x.Model(variant="scd41"))
        began_us = asked.now_us
        asked.tell(0x219D)
        assert asked.now_us - began_us == 5 * SECOND_US
        assert asked.words(0xEC05, 3)[0] == 600
        asked.tell(0x2196)
        assert asked.words(0xEC05, 3)[0] == 0
        assert asked.words(0x202F)[0] >> 12 == 1
        other = Asked(scd4x.Model(variant="scd40"))
        assert other.words(0x202F)[0] >> 12 == 0
        for code in (0x219D, 0x2196, 0x36E0):
            other.refuses(code)

    def test_asleep_it_hears_only_waking_and_does_not_acknowledge_it(self) -> None:
        asked = Asked(scd4x.Model())
        asked.tell(0x36E0)
        asked.refuses(0x3682)
        asked.refuses(0x36F6)
        asked.wait(30_000)
        assert len(asked.words(0x3682, 3)) == 3

    def test_settings_outlive_the_power_when_they_were_kept(self) -> None:
        asked = Asked(scd4x.Model())
        asked.tell(0x2427, 250)
        asked.model.reset(asked.now_us)
        asked.wait(SECOND_US)
        assert asked.words(0x2322) == [0]
        asked.tell(0x2427, 250)
        asked.tell(0x3615)
        asked.tell(0x2427, 300)
        asked.tell(0x3646)
        assert asked.words(0x2322) == [250]
        asked.tell(0x3632)
        assert asked.words(0x2322) == [0]
        assert asked.words(0x3639) == [0]

    def test_a_larger_offset_shows_less_heat(self) -> None:
        asked = Asked(scd4x.Model())
        asked.tell(0x2196)
        as_delivered = asked.words(0xEC05, 3)[1]
        asked.tell(0x241D, round(6 / 175 * 65535))
        asked.tell(0x2196)
        assert (as_delivered - asked.words(0xEC05, 3)[1]) * 175 / 65535 == pytest.approx(2, abs=0.01)

    def test_forced_recalibration(self) -> None:
        asked = Asked(scd4x.Model())
        asked.model.set_channel("co2", 470)
        assert asked.words(0x362F, 1, (420,)) == [0xFFFF]
        asked.tell(0x21B1)
        asked.wait(180 * SECOND_US)
        asked.tell(0x3F86)
        assert asked.words(0x362F, 1, (420,)) == [0x8000 - 50]
        asked.tell(0x219D)
        assert asked.words(0xEC05, 3)[0] == 420

    @pytest.mark.parametrize(("asc", "wanted"), [(True, [700, 400, 400]), (False, [700, 700, 700])])
    def test_a_room_without_fresh_air_reads_lower_day_by_day(self, asc: bool, wanted: list[int]) -> None:
        """The air has 700 ppm at its best, and the self-calibration takes that for 400."""
        bench, model = Bench(), scd4x.Model()
        model.set_channel("co2", 700)
        model.fault("asc_drift")
        sensor = scd4x_driver.Sensor(bench.bus(model), bench.sleep_ms, asc=asc)
        sensor.wake()
        found = [sensor.sample()[0]]
        for days in (7, 1):
            bench.sleep_ms(days * 86_400_000)
            found.append(sensor.sample()[0])
        assert found == wanted
        model.set_channel("co2", 1000)
        bench.sleep_ms(10_000)
        assert sensor.sample()[0] == wanted[-1] + 300


class TestScd30:
    """DS = Sensirion SCD30 interface description, version 1.0."""

    def test_settings_are_told_and_outlive_the_power(self) -> None:
        asked = Asked(scd30.Model())
        values = {0x4600: 30, 0x5306: 1, 0x5204: 450, 0x5403: 150, 0x5102: 90}
        for code, value in values.items():
            asked.tell(code, value)
        asked.tell(0xD304)
        asked.wait(2 * SECOND_US)
        assert {code: asked.words(code)[0] for code in values} == values
        assert asked.words(0xD100) == [0x0342]

    def test_what_is_out_of_range_is_not_taken(self) -> None:
        asked = Asked(scd30.Model())
        asked.tell(0x4600, 1)
        asked.tell(0x5204, 2001)
        assert asked.words(0x4600) == [2]
        assert asked.words(0x5204) == [400]
        asked.tell(0x0010, 600)
        asked.wait(10 * SECOND_US)
        assert asked.words(0x0202) == [0]

    def test_it_goes_on_measuring_after_a_power_cut_until_it_is_stopped(self) -> None:
        asked = Asked(scd30.Model())
        asked.tell(0x0010, 1013)
        asked.model.reset(asked.now_us)
        asked.wait(4 * SECOND_US)
        assert asked.words(0x0202) == [1]
        assert len(asked.words(0x0300, 6)) == 6
        assert asked.words(0x0202) == [0]
        asked.tell(0x0104)
        asked.wait(4 * SECOND_US)
        assert asked.words(0x0202) == [0]

    def test_forced_recalibration_and_offset(self) -> None:
        model = scd30.Model()
        asked = Asked(model)
        model.set_channel("co2", 470)
        asked.tell(0x0010, 0)
        asked.tell(0x5204, 420)
        asked.tell(0x5403, 200)
        asked.wait(3 * SECOND_US)
        assert asked.words(0x0300, 6)[:4] == [0x43D2, 0, 0x4198, 0]  # 420 ppm, 21 - 2 Cel


class TestSgp41:
    """DS = Sensirion SGP41, version 1.0."""

    def test_conditioning_for_more_than_ten_seconds_destroys_the_nox_pixel(self) -> None:
        for wait_s, burnt in ((9, False), (11, True)):
            asked = Asked(sgp41.Model())
            asked.tell(0x2612, *AIR_TICKS)
            asked.wait(wait_s * SECOND_US)
            assert (asked.words(0x2619, 2, AIR_TICKS)[1] == 0xFFFF) == burnt
            asked.model.reset(asked.now_us)
            asked.wait(SECOND_US)
            assert asked.words(0x280E) == [0xD402 if burnt else 0xD400]

    def test_turning_the_heater_off_ends_the_conditioning_and_cools_the_plate(self) -> None:
        asked = Asked(sgp41.Model())
        asked.tell(0x2612, *AIR_TICKS)
        asked.tell(0x3615)
        asked.wait(60 * SECOND_US)
        assert asked.words(0x2619, 2, AIR_TICKS) == [24000, 12800]
        asked.wait(SECOND_US)
        assert asked.words(0x2619, 2, AIR_TICKS) == [30000, 16000]

    def test_each_has_its_own_commands(self) -> None:
        asked = Asked(sgp41.Model(variant="sgp40"))
        asked.refuses(0x2612, *AIR_TICKS)
        asked.refuses(0x2619, *AIR_TICKS)
        assert asked.words(0x260F, 1, AIR_TICKS) == [24000]
        assert asked.words(0x202F) == [0x3220]
        assert asked.words(0x3682, 3) == [0x0000, 0x0123, 0x4567]
        Asked(sgp41.Model()).refuses(0x260F, *AIR_TICKS)
