"""What data sheets say of Sensirion's particle sensors beyond what our drivers use: others run on them as well."""

import struct

import pytest

from balise_sim.devices import sen55, sen66, sps30, sps30_uart
from balise_sim.devices._command import coded, crc8
from balise_sim.devices.base import Nack

SECOND_US = 1_000_000
WEEK = "00093a80"  # 604800


class TestSps30Uart:
    """DS = Sensirion SPS30 Datasheet version 2.0; frames as printed there, but for what is this sensor's own."""

    def told(self, model: sps30_uart.Model, order: str, at_us: int) -> str:
        """What is heard within 20 ms of an order and its bytes, the longest time that DS table 7 allows."""
        model.transmit(at_us)
        model.receive(bytes.fromhex(order), at_us)
        return model.transmit(at_us + 30_000).hex()

    def measuring(self, output: int = 3) -> sps30_uart.Model:
        model = sps30_uart.Model()
        order = {3: "7e0000020103f97e", 5: "7e0000020105f77e"}[output]
        assert self.told(model, order, 0) == "7e00000000ff7e"
        return model

    @pytest.mark.parametrize(
        ("order", "answer"),
        [
            ("7e0000020103f97e", "7e00000000ff7e"),  # DS 5.3.1
            ("7e001000ef7e", "7e00100000ef7e"),  # DS 5.3.4
            ("7e008001007d5e7e", "7e00800004" + WEEK + "b87e"),  # DS 5.3.7; read, with the week of DS 4.2
            ("7e00800500000000007a7e", "7e008000007f7e"),  # DS 5.3.7; set to never
            ("7e00d001002e7e", "7e00d00009" + "3030303830303030" + "009e7e"),  # DS 5.3.8, where 9B is misprinted
            ("7e00d1002e7e", "7e00d1000702020007000200" + "1a7e"),  # DS 5.3.9, where state 01 is misprinted
            ("7e00d201002c7e", "7e00d200050000000000287e"),  # DS 5.3.10
            ("7e00d3002c7e", "7e00d300002c7e"),  # DS 5.3.11
        ],
    )
    def test_the_sheets_examples(self, order: str, answer: str) -> None:
        assert self.told(sps30_uart.Model(), order, 0) == answer

    @pytest.mark.parametrize(
        ("order", "answer"),
        [
            ("7e000100fe7e", "7e000143" + "00bb7e"),  # stop while idle: DS note 14, state 43
            ("7e000300fc7e", "7e000343" + "00b97e"),  # read while idle
            ("7e005600a97e", "7e005643" + "00667e"),  # clean while idle: DS note 16
            ("7e007d3100ee7e", "7e007d314300ab7e"),  # wake-up while awake, as a real one answered
            ("7e0000020203f87e", "7e000004" + "00fb7e"),  # start with a wrong subcommand: state 4
            ("7e00000103fb7e", "7e000001" + "00fe7e"),  # start with one byte: state 1
            ("7e009900667e", "7e009902" + "00647e"),  # nothing that it knows: state 2
        ],
    )
    def test_what_it_refuses(self, order: str, answer: str) -> None:
        """DS table 6."""
        assert self.told(sps30_uart.Model(), order, 0) == answer

    def test_a_damaged_order_is_no_order_and_hides_no_other(self) -> None:
        model = sps30_uart.Model()
        assert self.told(model, "7e00d201002d7e", 0) == ""
        assert self.told(model, "7e00d201" + "7e00d201002c7e", SECOND_US) == "7e00d200050000000000287e"
        assert self.told(model, "7e01d201002b7e", 2 * SECOND_US) == "", "DS 5.2: the address is always 0"

    def test_values_come_once_a_second_and_once_each(self) -> None:
        """DS 5.3.3."""
        model = self.measuring()
        model.set_channel("pm2_5", 25.25)
        assert self.told(model, "7e000300fc7e", 900_000) == "7e00030000fc7e"
        first = self.told(model, "7e000300fc7e", SECOND_US + 10_000)
        assert first.startswith("7e00030028")
        assert "41ca0000" in first
        assert self.told(model, "7e000300fc7e", 2 * SECOND_US - 200_000) == "7e00030000fc7e"

    def test_whole_numbers(self) -> None:
        """DS 4.3: size in nm."""
        model = self.measuring(5)
        for name, value in (("pm10", 18.4), ("n10_per_cm3", 2999.6), ("typical_particle_size", 0.61e-6)):
            model.set_channel(name, value)
        frame = bytes.fromhex(self.told(model, "7e000300fc7e", 2 * SECOND_US))
        assert struct.unpack(">10H", frame[5:25])[3::6] == (18, 610)
        assert struct.unpack(">10H", frame[5:25])[8] == 3000

    def asleep(self) -> sps30_uart.Model:
        model = sps30_uart.Model()
        assert self.told(model, "7e001000ef7e", 0) == "7e00100000ef7e"
        return model

    def test_waking_by_a_pulse(self) -> None:
        """DS 5.3.5: FF, and the command directly behind it or within 100 ms."""
        assert self.told(self.asleep(), "ff7e007d3100ee7e", SECOND_US) == "7e007d310000ee7e"
        model = self.asleep()
        assert self.told(model, "ff", SECOND_US) == ""
        assert self.told(model, "7e007d3100ee7e", SECOND_US + 90_000) == "7e007d310000ee7e"

    def test_waking_by_two_commands(self) -> None:
        model = self.asleep()
        assert self.told(model, "7e007d3100ee7e", SECOND_US) == ""
        assert self.told(model, "7e007d3100ee7e", SECOND_US + 40_000) == "7e007d310000ee7e"

    def test_a_pulse_too_early_and_other_orders_wake_nothing(self) -> None:
        model = self.asleep()
        assert self.told(model, "ff", SECOND_US) == ""
        assert self.told(model, "7e00d201002c7e", SECOND_US + 50_000) == ""
        assert self.told(model, "7e007d3100ee7e", SECOND_US + 150_000) == ""

    def test_errors_show_in_every_answer_and_warnings_do_not(self) -> None:
        """DS 4.4, 5.3.10."""
        model = self.measuring()
        model.fault("fan_speed")
        assert self.told(model, "7e00d201002c7e", 10 * SECOND_US) == "7e00d20005002000000008" + "7e"
        model.fault("fan_speed", on=False)
        model.fault("laser_current")
        assert self.told(model, "7e00d201002c7e", 20 * SECOND_US) == "7e00d2800500000020008" + "87e"
        model.fault("laser_current", on=False)
        assert self.told(model, "7e00d201002c7e", 30 * SECOND_US) == "7e00d200050000000000287e"

    def test_the_fans_speed_is_not_looked_at_while_it_starts(self) -> None:
        """DS 4.4: three seconds."""
        model = self.measuring()
        model.fault("fan_speed")
        assert self.told(model, "7e00d201002c7e", 4 * SECOND_US) == "7e00d200050000000000287e"

    def test_the_bit_of_the_fan_stays_until_it_is_cleared(self) -> None:
        model = self.measuring()
        model.fault("fan_stopped")
        assert self.told(model, "7e00d201002c7e", 5 * SECOND_US)[6:20] == "80050000001000"
        model.fault("fan_stopped", on=False)
        assert self.told(model, "7e00d201012b7e", 10 * SECOND_US)[10:18] == "00000010"
        assert self.told(model, "7e00d201012b7e", 11 * SECOND_US)[10:18] == "00000000"


def asked(model: sps30.Model | sen55.Model | sen66.Model, order: str, words: int, at_us: int) -> list[int]:
    """The words of an answer, 20 ms after the order."""
    model.write(bytes.fromhex(order), at_us)
    data = model.read(3 * words, at_us + 20_000)
    assert all(crc8(data[i : i + 2]) == data[i + 2] for i in range(0, len(data), 3))
    return [data[i] << 8 | data[i + 1] for i in range(0, len(data), 3)]


class TestSps30:
    """DS = Sensirion SPS30 Datasheet version 2.0."""

    def measuring(self) -> sps30.Model:
        model = sps30.Model()
        model.write(bytes.fromhex("00100300ac"), 0)
        return model

    def test_the_pointer_stays(self) -> None:
        """DS 6.1, 6.3.3: the flag may be read again without being asked for again."""
        model = self.measuring()
        assert asked(model, "0202", 1, 500_000) == [0]
        assert model.read(3, 2_500_000) == bytes.fromhex("0001b0")
        asked(model, "0300", 20, 2_600_000)
        assert asked(model, "0202", 1, 2_700_000) == [0]

    def test_the_latest_values_are_read_as_often_as_one_likes(self) -> None:
        """DS 6.3.4."""
        model = self.measuring()
        first = asked(model, "0300", 20, 1_100_000)
        assert asked(model, "0300", 20, 1_200_000) == first

    def test_nothing_to_read_before_the_first_values(self) -> None:
        with pytest.raises(Nack):
            asked(self.measuring(), "0300", 20, 100_000)

    def test_whole_numbers(self) -> None:
        model = sps30.Model()
        model.write(bytes.fromhex("00100500f6"), 0)
        model.set_channel("pm1", 7.0)
        assert asked(model, "0300", 10, 2 * SECOND_US)[0] == 7

    def test_information(self) -> None:
        """DS 6.3.8 to 6.3.10."""
        model = sps30.Model()
        assert struct.pack(">4H", *asked(model, "d002", 4, 0)) == b"00080000"
        assert asked(model, "8004", 2, SECOND_US) == [0x0009, 0x3A80]
        assert asked(model, "d100", 1, 2 * SECOND_US) == [0x0202]

    def test_asleep_it_acknowledges_nothing_until_the_second_wake_up(self) -> None:
        """DS 6.3.6."""
        model = sps30.Model()
        model.write(bytes.fromhex("1001"), 0)
        for at_us in (SECOND_US, 2 * SECOND_US):  # more than 100 ms apart
            with pytest.raises(Nack):
                model.write(bytes.fromhex("1103"), at_us)
        with pytest.raises(Nack):
            model.read(3, 2 * SECOND_US + 20_000)
        with pytest.raises(Nack):
            model.write(bytes.fromhex("0202"), 2 * SECOND_US + 40_000)
        model.write(bytes.fromhex("1103"), 2 * SECOND_US + 90_000)
        assert asked(model, "0202", 1, 3 * SECOND_US) == [0]

    def test_sleep_is_for_idle_mode_only(self) -> None:
        """DS note 19."""
        model = self.measuring()
        model.write(bytes.fromhex("1001"), SECOND_US)
        assert asked(model, "0202", 1, 3 * SECOND_US) == [1]

    def test_reserved_bits(self) -> None:
        model = sps30.Model()
        model.fault("reserved_bits")
        assert asked(model, "d206", 2, 0) == [0x7E11, 0x1300]


class TestSen55:
    """DS = Sensirion Datasheet SEN5x version 2."""

    def measuring(self, order: str = "0021") -> sen55.Model:
        model = sen55.Model()
        model.write(bytes.fromhex(order), 0)
        return model

    def test_without_pm(self) -> None:
        """DS 5.1: the PM output is FFFF; from firmware 2 on the modes may be changed directly."""
        model = self.measuring("0037")
        read = asked(model, "03c4", 8, 20 * SECOND_US)
        assert read[:4] == [0xFFFF] * 4
        assert 0x7FFF not in read[4:]
        learned = asked(model, "6181", 4, 21 * SECOND_US)
        model.write(bytes.fromhex("0021"), 22 * SECOND_US)
        assert 0xFFFF not in asked(model, "03c4", 8, 24 * SECOND_US)
        assert asked(model, "6181", 4, 25 * SECOND_US) > learned, "gases are measured on"

    def test_before_the_first_values_all_are_unknown(self) -> None:
        assert asked(self.measuring(), "03c4", 8, 500_000) == [0xFFFF] * 4 + [0x7FFF] * 4

    def test_busy_it_acknowledges_nothing(self) -> None:
        """DS table 12: 50 ms for the start."""
        with pytest.raises(Nack):
            self.measuring().write(bytes.fromhex("0202"), 49_000)

    @pytest.mark.parametrize("code", ["60d0", "60e1"])
    def test_tuning_is_for_idle_mode_and_within_limits(self, code: str) -> None:
        """DS 6.1.8, 6.1.9."""
        model = sen55.Model()
        usual = asked(model, code, 6, 0)
        model.write(bytes.fromhex(code) + coded((251, 12, 12, 180, 50, 230)), SECOND_US)
        assert asked(model, code, 6, 2 * SECOND_US) == usual
        model.write(bytes.fromhex(code) + coded((100, 24, 12, 180, 50, 230)), 3 * SECOND_US)
        assert asked(model, code, 6, 4 * SECOND_US) == [100, 24, 12, 180, 50, 230]
        model.write(bytes.fromhex("0021"), 5 * SECOND_US)
        model.write(bytes.fromhex(code) + coded((9, 12, 12, 720, 50, 230)), 6 * SECOND_US)
        assert asked(model, code, 6, 7 * SECOND_US) == [100, 24, 12, 180, 50, 230]
        model.write(bytes.fromhex("d304"), 8 * SECOND_US)
        assert asked(model, code, 6, 9 * SECOND_US) == usual

    def test_cleaning_shows_in_the_status(self) -> None:
        """DS 5.4: bit 19, for ten seconds; the old values stay (DS 5.2)."""
        model = self.measuring()
        before = asked(model, "03c4", 8, 20 * SECOND_US)
        model.write(bytes.fromhex("5607"), 21 * SECOND_US)
        model.set_channel("pm10", 999.0)
        assert asked(model, "d206", 2, 25 * SECOND_US) == [0x0008, 0]
        assert asked(model, "0202", 1, 26 * SECOND_US) == [0]
        assert asked(model, "03c4", 8, 27 * SECOND_US) == before
        assert asked(model, "d206", 2, 32 * SECOND_US) == [0, 0]
        assert asked(model, "03c4", 8, 34 * SECOND_US)[3] == 9990

    def test_the_state_is_taken_in_idle_mode_only(self) -> None:
        """DS 6.1.11: and counts at the next start."""
        model = self.measuring()
        model.write(bytes.fromhex("6181") + coded((0, 0, 1, 0)), SECOND_US)
        assert asked(model, "6181", 4, 2 * SECOND_US)[2] == 0
        model.write(bytes.fromhex("0104"), 3 * SECOND_US)
        model.write(bytes.fromhex("6181") + coded((0, 0, 1, 0)), 4 * SECOND_US)
        model.write(bytes.fromhex("0021"), 5 * SECOND_US)
        assert asked(model, "6181", 4, 8 * SECOND_US)[2:] == [1, 2]


class TestSen66:
    """DS = Sensirion Datasheet SEN6x version 0.91, and sensirion-i2c-sen66 1.3."""

    def test_settings_beyond_their_limits_are_not_taken(self) -> None:
        model = sen66.Model()
        model.write(bytes.fromhex("6720") + coded((699,)), 0)
        assert asked(model, "6720", 1, SECOND_US) == [1013]
        model.write(bytes.fromhex("6736") + coded((3000,)), 2 * SECOND_US)
        assert asked(model, "6736", 1, 3 * SECOND_US) == [3000]

    def test_nothing_starts_while_the_fan_is_cleaned(self) -> None:
        model = sen66.Model()
        model.write(bytes.fromhex("5607"), 0)
        model.write(bytes.fromhex("0021"), 5 * SECOND_US)
        assert asked(model, "0202", 1, 9 * SECOND_US) == [0]
        model.write(bytes.fromhex("0021"), 11 * SECOND_US)
        assert asked(model, "0202", 1, 13 * SECOND_US) == [1]

    def test_what_the_algorithm_has_learned_outlives_a_stop(self) -> None:
        model = sen66.Model()
        model.write(bytes.fromhex("0021"), 0)
        model.write(bytes.fromhex("0104"), 100 * SECOND_US)
        model.write(bytes.fromhex("0021"), 200 * SECOND_US)
        assert asked(model, "6181", 4, 211 * SECOND_US)[3] == 110

    def test_forced_calibration_is_for_idle_mode(self) -> None:
        model = sen66.Model()
        model.write(bytes.fromhex("6707") + coded((420,)), 0)
        assert model.read(3, SECOND_US) == coded((0x8000,))
        model.write(bytes.fromhex("0021"), 2 * SECOND_US)
        model.write(bytes.fromhex("6707") + coded((420,)), 3 * SECOND_US)
        assert model.read(3, 4 * SECOND_US) == coded((0xFFFF,))
