"""Serial sensors beyond what our drivers use of them: published frames byte by byte, and every command they know."""

import pytest

from balise_node.drivers import mh_z19 as mhz_driver
from balise_node.drivers import nextpm as npm_driver
from balise_node.drivers import senseair_s8 as s8_driver
from balise_sim.devices import mh_z19, nextpm, pms3003, pms5003, sds011, senseair_s8
from balise_sim.devices.base import UARTDevice

SECOND_US = 1_000_000
WARM_US = 200 * SECOND_US
HOUR_US = 3600 * SECOND_US
GOLDEN = [  # model, what there is, orders before, the last order, what is heard
    (
        sds011,
        {"pm2_5": 123.6, "pm10": 261.8},
        ["aab402010100000000000000000000ffff02ab"],
        "aab404000000000000000000000000ffff02ab",
        "aac0d4043a0aa1601dab",
    ),
    (
        pms5003,
        {"pm1": 5, "pm2_5": 8, "pm10": 9, "n_gt0_3_per_cm3": 9, "n_gt0_5_per_cm3": 2.6, "n_gt1_per_cm3": 0.45}
        | {"n_gt2_5_per_cm3": 0.06, "n_gt5_per_cm3": 0.01, "n_gt10_per_cm3": 0.0},
        ["424de100000170"],
        "424de200000171",
        "424d001c00050008000900050008000903840104002d0006000100009700022e",
    ),
    (
        nextpm,
        {"n1_per_cm3": 13.031, "n2_5_per_cm3": 13.045, "n10_per_cm3": 13.048, "pm1": 10.6, "pm2_5": 11.4, "pm10": 13.3},
        [],
        "81126d",
        "81120032e732f532f8006a00720085a2",
    ),
    (mh_z19, {"co2": 800, "board_temperature": 25}, [], "ff0186000000000079", "ff8603204100000016"),
    (senseair_s8, {"co2": 400}, [], "fe0400030001d5c5", "fe04020190acd8"),
]


def told(model: UARTDevice, order: bytes | str, at_us: int) -> str:
    """What is heard within 800 ms of an order, as hex."""
    model.transmit(at_us)
    model.receive(bytes.fromhex(order) if isinstance(order, str) else order, at_us)
    return model.transmit(at_us + 800_000).hex()


@pytest.mark.parametrize(
    ("module", "air", "before", "order", "heard"), GOLDEN, ids=lambda each: getattr(each, "__name__", "")
)
def test_published_frames(module: object, air: dict[str, float], before: list[str], order: str, heard: str) -> None:
    model: UARTDevice = module.Model()  # type: ignore[attr-defined]
    for name, value in air.items():
        model.set_channel(name, value)
    for each in before:
        told(model, each, 0)
    assert told(model, order, WARM_US) == heard


class TestNextPm:
    """DS = NextPM User Guide V3.6."""

    def test_ready_after_15_s_of_work(self) -> None:
        model = nextpm.Model()
        assert told(model, "811669", 0) == "81160465"
        assert told(model, "81116e", 10 * SECOND_US) == "811104" + "00" * 12 + "6a"
        assert told(model, "811669", 15 * SECOND_US) == "81160069"

    def test_one_command_for_sleep_and_work(self) -> None:
        model = nextpm.Model()
        assert told(model, "81156a", WARM_US) == "81150169"
        assert told(model, "81116e", WARM_US + SECOND_US) == "81160168", "asleep it has no data"
        assert told(model, "81156a", WARM_US + 2 * SECOND_US) == "81150466"

    def test_means_look_back_so_far(self) -> None:
        model = nextpm.Model()
        model.set_channel("pm10", lambda now_us: 100.0 if now_us > 990 * SECOND_US else 0.0)
        words = [told(model, order, 1_000 * SECOND_US)[26:30] for order in ("81116e", "81126d", "81136c")]
        mean_10_s, mean_60_s, mean_900_s = (int(word, 16) for word in words)
        assert mean_10_s > mean_60_s >= mean_900_s > 0

    def test_fan_and_address_are_kept_in_their_range(self) -> None:
        model = nextpm.Model()
        assert told(model, npm_driver.command(0x21, 70), 0)[6:8] == "46"
        assert told(model, npm_driver.command(0x21, 10), SECOND_US)[6:8] == "46"
        assert told(model, npm_driver.command(0x22, 7), 2 * SECOND_US)[6:8] == "07"
        assert told(model, npm_driver.command(0x22, 0), 3 * SECOND_US)[6:8] == "07"

    def test_a_damaged_order_is_no_order_and_hides_no_other(self) -> None:
        model = nextpm.Model()
        assert told(model, "81116f", WARM_US) == ""
        assert told(model, "8121" + "811669", WARM_US + SECOND_US) == "81160069"


class TestMhZ19:
    """DS = Winsen MH-Z19B manual V1.0."""

    def read(self, model: mh_z19.Model, at_us: int) -> int:
        return int(told(model, mhz_driver.command(0x86), at_us)[4:8], 16)

    def test_preheating(self) -> None:
        model = mh_z19.Model()
        assert [self.read(model, at * SECOND_US) for at in (10, 170, 181)] == [410, 410, 600]

    def test_zero_point(self) -> None:
        model = mh_z19.Model()
        assert told(model, "ff0187000000000078", WARM_US) == ""
        assert self.read(model, WARM_US + SECOND_US) == 400

    def test_a_room_that_is_never_aired_is_taken_for_clean(self) -> None:
        """The lowest of a day counts as 400 ppm, unless that is off."""
        model, other = mh_z19.Model(), mh_z19.Model()
        assert told(other, "ff0179000000000086", WARM_US) == ""
        for hour in (1, 12, 25, 26):
            values = [self.read(each, hour * HOUR_US) for each in (model, other)]
        assert values == [400, 600]
        assert told(other, "ff0179a000000000e6", 27 * HOUR_US) == ""
        assert [self.read(other, hour * HOUR_US) for hour in (30, 52)] == [600, 400]


class TestSenseairS8:
    """DS = Senseair TDE2067."""

    def test_many_registers_at_once(self) -> None:
        model = senseair_s8.Model()
        model.fault("out_of_range")
        assert told(model, s8_driver.command(4, 0, 4), WARM_US)[:22] == "fe0408" + "0020" + "0000" + "0001" + "0258"

    def test_what_is_refused(self) -> None:
        model = senseair_s8.Model()
        for at, (function, register, value, why) in enumerate(
            [(4, 0x40, 1, "8402"), (4, 3, 9, "8403"), (5, 3, 1, "8501"), (6, 0x1F, 4801, "8603"), (6, 5, 0, "8602")]
        ):
            heard = told(model, s8_driver.command(function, register, value), WARM_US + at * SECOND_US)
            assert heard[2:6] == why
        assert told(model, "fe0400030001c5d5", 2 * WARM_US) == "", "a wrong CRC is not answered"

    def test_background_calibration(self) -> None:
        """HR2 orders it, bit 5 of HR1 tells that it was done."""
        model = senseair_s8.Model()
        assert told(model, s8_driver.command(6, 1, 0x7C06), WARM_US) == s8_driver.command(6, 1, 0x7C06).hex()
        assert told(model, s8_driver.command(3, 0, 1), WARM_US + SECOND_US)[6:10] == "0020"
        assert told(model, s8_driver.command(4, 3, 1), WARM_US + 2 * SECOND_US)[6:10] == "0190"
        told(model, s8_driver.command(6, 0, 0), WARM_US + 3 * SECOND_US)
        assert told(model, s8_driver.command(3, 0, 1), WARM_US + 4 * SECOND_US)[6:10] == "0000"

    def test_self_calibration_after_its_period(self) -> None:
        model = senseair_s8.Model()
        assert told(model, "fe03001f0001a1c3", 0)[6:10] == "00b4"
        values = [told(model, "fe0400030001d5c5", hour * HOUR_US)[6:10] for hour in (1, 179, 181, 182)]
        assert values == ["0258", "0258", "0190", "0190"]


def test_a_pms3003_takes_no_orders() -> None:
    model = pms3003.Model()
    assert len(model.transmit(9 * SECOND_US + 30_000)) == 10 * 24
    model.receive(bytes.fromhex("424de400000173"), 10 * SECOND_US)
    assert len(model.transmit(18 * SECOND_US + 30_000)) == 10 * 24
