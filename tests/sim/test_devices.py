"""What data sheets say of the simulated sensors beyond what our drivers use: other drivers run on them as well."""

import pytest

from balise_node.drivers import _plantower as pms_driver
from balise_node.drivers import sds011 as sds_driver
from balise_sim.devices import bme280, pms5003, sds011
from balise_sim.devices.base import Nack

SECOND_US = 1_000_000
WARM_US = 40 * SECOND_US


def told(model: sds011.Model | pms5003.Model, order: bytes, at_us: int) -> bytes:
    """What is heard within 200 ms of an order."""
    model.transmit(at_us)
    model.receive(order, at_us)
    return model.transmit(at_us + 200_000)


class TestSds011:
    """PR = Nova Fitness control protocol V1.3."""

    def test_active_mode_is_a_frame_a_second(self) -> None:
        """PR 3.1: the factory's default; 10 bytes at 9600 baud take 10.4 ms."""
        model = sds011.Model()
        assert model.transmit(SECOND_US + 10_000)[:2] == b"\xaa\xc0"
        assert len(model.transmit(10 * SECOND_US)) == 1 + 8 * 10
        assert model.due_us(10 * SECOND_US) == 10 * SECOND_US + 1042

    def test_query_mode_outlives_the_power(self) -> None:
        model = sds011.Model()
        assert told(model, sds_driver.command(2, 1, 1), 0)[:5] == b"\xaa\xc5\x02\x01\x01"
        model.reset(SECOND_US)
        assert model.transmit(WARM_US) == b""
        assert model.due_us(WARM_US) is None

    def test_values_climb_while_it_warms_up(self) -> None:
        model = sds011.Model()
        model.set_channel("pm10", 100.0)
        told(model, sds_driver.command(2, 1, 1), 0)
        words = [told(model, sds_driver.command(4), at * SECOND_US)[4:6] for at in (5, 15, 40)]
        assert [round(int.from_bytes(word, "little"), -1) for word in words] == [170, 500, 1000]

    def test_asleep_it_hears_only_the_work_command(self) -> None:
        model = sds011.Model()
        assert told(model, sds_driver.command(6, 1, 0), WARM_US)[-10:-6] == b"\xaa\xc5\x06\x01"
        assert told(model, sds_driver.command(4), WARM_US + SECOND_US) == b""
        assert told(model, sds_driver.command(7), WARM_US + 2 * SECOND_US) == b""
        assert told(model, sds_driver.command(6, 1, 1), WARM_US + 3 * SECOND_US)[:5] == b"\xaa\xc5\x06\x01\x01"

    def test_an_order_to_another_id_is_not_obeyed(self) -> None:
        """PR 2, 3.3: FF FF is every sensor; a new id counts from its own reply on."""
        model = sds011.Model(device_id=0xA160)
        told(model, sds_driver.command(2, 1, 1), 0)
        for_another = bytearray(sds_driver.command(7))
        for_another[15:17], for_another[17] = b"\x12\x34", (7 + 0x12 + 0x34) & 0xFF
        assert told(model, bytes(for_another), WARM_US) == b""
        new_id = sds_driver.command(5, *([0] * 10), 0x12, 0x34)
        assert told(model, new_id, WARM_US + SECOND_US)[6:8] == b"\x12\x34"
        assert told(model, bytes(for_another), WARM_US + 2 * SECOND_US)[:6] == b"\xaa\xc5\x07\x12\x0b\x10"

    def test_a_working_period(self) -> None:
        """PR 3.5: 30 s of work, one report, and so on every n minutes."""
        model = sds011.Model()
        assert told(model, sds_driver.command(8, 1, 2), 0)[:5] == b"\xaa\xc5\x08\x01\x02"
        assert len(model.transmit(9 * 60 * SECOND_US)) == 5 * 10

    def test_between_two_periods_it_rests(self) -> None:
        """PR 3.5: only the first 30 s of each period are work; commands other than a query are heard all the same."""
        model = sds011.Model()
        told(model, sds_driver.command(2, 1, 1), 0)
        told(model, sds_driver.command(8, 1, 2), 0)
        answered = [len(told(model, sds_driver.command(4), at * SECOND_US)) for at in (20, 40, 110, 130, 160)]
        assert answered == [10, 0, 0, 10, 0]
        assert told(model, sds_driver.command(8), 170 * SECOND_US)[:5] == b"\xaa\xc5\x08\x00\x02"

    def test_a_damaged_order_is_no_order_and_hides_no_other(self) -> None:
        model = sds011.Model()
        told(model, sds_driver.command(2, 1, 1), 0)
        damaged = bytearray(sds_driver.command(4))
        damaged[17] ^= 1
        assert told(model, bytes(damaged), WARM_US) == b""
        assert len(told(model, bytes(damaged[:7]) + sds_driver.command(4), WARM_US + SECOND_US)) == 10


class TestPms5003:
    """DS = Plantower PMS5003 data manual V2.3."""

    def test_active_mode_after_power_on(self) -> None:
        model = pms5003.Model()
        assert len(model.transmit(24 * SECOND_US)) == 10 * 32
        assert told(model, pms_driver.command(0xE2, 0), 24 * SECOND_US) == b"", "read is a command of passive mode"

    def test_active_mode_is_faster_while_the_air_changes(self) -> None:
        """DS "output result": every 2.3 s, or every 200 to 800 ms."""
        model = pms5003.Model()
        model.set_channel("pm2_5", lambda now_us: max(0.0, now_us / SECOND_US - 100) * 50)
        model.transmit(80 * SECOND_US)
        assert len(model.transmit(99 * SECOND_US)) == 9 * 32, "calm: every 2.3 s, the last at 98.9 s"
        model.transmit(105 * SECOND_US)
        assert len(model.transmit(115 * SECOND_US)) == 20 * 32, "50 ug/m3 more each second: every 0.5 s"

    def test_passive_mode_speaks_when_read(self) -> None:
        model = pms5003.Model()
        assert told(model, pms_driver.command(0xE1, 0), 0).hex() == "424d0004e1000174"
        assert model.due_us(WARM_US) is None
        assert len(told(model, pms_driver.command(0xE2, 0), WARM_US)) == 32
        assert told(model, pms_driver.command(0xE1, 1), WARM_US + SECOND_US).hex() == "424d0004e1010175"
        assert len(model.transmit(WARM_US + 4 * SECOND_US)) == 32

    def test_sleep_and_wake(self) -> None:
        model = pms5003.Model()
        assert told(model, pms_driver.command(0xE4, 0), 0).hex() == "424d0004e4000177"
        assert told(model, pms_driver.command(0xE2, 0), SECOND_US) == b""
        assert told(model, pms_driver.command(0xE4, 1), 2 * SECOND_US) == b""
        assert len(model.transmit(10 * SECOND_US)) == 3 * 32

    def test_factory_words_are_not_the_atmospheric_ones(self) -> None:
        model = pms5003.Model()
        model.set_channel("pm2_5", 100.0)
        told(model, pms_driver.command(0xE1, 0), 0)
        frame = told(model, pms_driver.command(0xE2, 0), WARM_US)
        assert (int.from_bytes(frame[6:8], "big"), int.from_bytes(frame[12:14], "big")) == (150, 100)

    def test_zeros_after_wake_last_three_seconds(self) -> None:
        model = pms5003.Model()
        model.fault("zeros_after_wake")
        model.set_channel("pm10", 1000.0)
        told(model, pms_driver.command(0xE1, 0), 0)
        words = [told(model, pms_driver.command(0xE2, 0), at * SECOND_US)[14:16] for at in (1, 2, 4)]
        assert words[0] == words[1] == b"\0\0" != words[2]


class TestBme280:
    """DS = Bosch BST-BME280-DS002-15."""

    def registers(self, model: bme280.Model, register: int, count: int, at_us: int) -> bytes:
        model.write(bytes((register,)), at_us)
        return model.read(count, at_us)

    def test_a_forced_measurement(self) -> None:
        """DS 3.3.3, 5.4.4, 9.1: 8 ms at x1, then sleep mode and the data of that moment."""
        model = bme280.Model()
        model.set_channel("temperature", lambda now_us: now_us / SECOND_US)
        model.write(bytes((0xF2, 1, 0xF4, 0x25)), 20 * SECOND_US)
        assert self.registers(model, 0xF3, 1, 20 * SECOND_US + 7_999) == b"\x08"
        assert self.registers(model, 0xF7, 8, 20 * SECOND_US + 7_999) == b"\x80\0\0\x80\0\0\x80\0"
        assert self.registers(model, 0xF3, 2, 20 * SECOND_US + 8_000) == b"\x00\x24"
        data = self.registers(model, 0xF7, 8, 90 * SECOND_US)
        assert bme280.TRIM.fine_temperature(int.from_bytes(data[3:6], "big") >> 4) / 5120 == pytest.approx(
            20.008, abs=0.01
        )

    def test_humidity_oversampling_counts_only_behind_the_other_register(self) -> None:
        """DS 5.4.3."""
        model = bme280.Model()
        model.write(bytes((0xF4, 0x25, 0xF2, 1)), 0)
        assert self.registers(model, 0xFD, 2, SECOND_US) == b"\x80\x00"
        model.write(bytes((0xF4, 0x25)), SECOND_US)
        assert self.registers(model, 0xFD, 2, 2 * SECOND_US) != b"\x80\x00"

    def test_what_is_off_reads_as_skipped(self) -> None:
        """DS 5.4.7: 80000."""
        model = bme280.Model()
        model.write(bytes((0xF2, 1, 0xF4, 0x21)), 0)
        data = self.registers(model, 0xF7, 8, SECOND_US)
        assert data[:3] == b"\x80\0\0" != data[3:6]

    def test_oversampling_adds_bits(self) -> None:
        """DS 3.4.2, 3.4.3: 16 bits at x1, 20 at x16, where pressure steps by 0.16 Pa."""
        model = bme280.Model()
        model.set_channel("pressure", 98765.4)
        model.write(bytes((0xF4, 0xB5)), 0)
        data = self.registers(model, 0xF7, 6, SECOND_US)
        t_fine = bme280.TRIM.fine_temperature(int.from_bytes(data[3:6], "big") >> 4)
        assert bme280.TRIM.pressure_pa(int.from_bytes(data[:3], "big") >> 4, t_fine) == pytest.approx(98765.4, abs=0.1)

    def test_normal_mode_measures_by_itself(self) -> None:
        """DS 3.3.4: with 1000 ms of standby, and a little, a measurement a second."""
        model = bme280.Model()
        model.set_channel("temperature", lambda now_us: now_us / SECOND_US)
        model.write(bytes((0xF5, 0xA0, 0xF2, 1, 0xF4, 0x27)), 0)
        for at_s in (3, 10, 60):
            data = self.registers(model, 0xFA, 3, at_s * SECOND_US)
            seen_s = bme280.TRIM.fine_temperature(int.from_bytes(data, "big") >> 4) / 5120
            assert at_s - 1.02 < seen_s <= at_s

    def test_soft_reset(self) -> None:
        """DS 5.4.2, 5.4.4: all as after power on; the status says so while the constants are copied."""
        model = bme280.Model()
        model.write(bytes((0xF2, 1, 0xF4, 0x25)), 0)
        model.write(b"\xe0\xb5", SECOND_US)
        assert self.registers(model, 0xF4, 1, SECOND_US) == b"\x24"
        model.write(b"\xe0\xb6", SECOND_US)
        assert self.registers(model, 0xF2, 3, SECOND_US) == b"\0\x01\0"
        assert self.registers(model, 0xF2, 3, SECOND_US + 2_000) == b"\0\0\0"
        assert self.registers(model, 0xE0, 1, 2 * SECOND_US) == b"\0"

    def test_read_only_registers_stay(self) -> None:
        model = bme280.Model()
        model.write(bytes((0xD0, 0x12, 0x88, 0x34)), 0)
        assert self.registers(model, 0xD0, 1, 0) == b"\x60"
        assert self.registers(model, 0x88, 2, 0) == (28009).to_bytes(2, "little")

    def test_a_probe_of_the_address(self) -> None:
        """I2C.scan() writes nothing and looks for the acknowledge."""
        model = bme280.Model(address=0x77)
        model.write(b"", 0)
        model.fault("nack")
        with pytest.raises(Nack, match="0x77"):
            model.write(b"", 0)
