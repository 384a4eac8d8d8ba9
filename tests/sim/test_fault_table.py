"""Every fault that a simulator of these parts must play is an entry of a scenario, or stands here with why not.

The rows are those of the project's fault table, drawn from the parts' protocols and what users of older networks met.
"""

from pathlib import Path

import pytest

from balise_sim import home_faults
from balise_sim.kits import KITS, kit
from balise_sim.scenario import ScenarioError, load
from balise_sim.street import Street

ALL_UART, ALL_I2C = "every UART", "I2C, all"
PLAYED = [  # (part, fault as the table says it, kit of a home that has it, what)
    (ALL_UART, "split frames", "air-esp32", "sds011.split"),
    (ALL_UART, "two frames glued", "air-esp32", "sds011.glued"),
    (ALL_UART, "one flipped bit", "air-esp32", "sds011.flipped_bit"),
    (ALL_UART, "0x42 4D inside data", "air-pico", "pms5003.header_in_data"),
    (ALL_UART, "silence", "air-esp32", "sds011.silence"),
    (ALL_UART, "boot text", "air-esp32", "sds011.boot_text"),
    (ALL_UART, "5 V noise bytes", "air-esp32", "sds011.noise"),
    ("PMS", "mode reply between data frames", "air-pico", "pms5003.reply_between"),
    ("PMS", "zeros for 3 s after wake", "air-pico", "pms5003.zeros_after_wake"),
    ("PMS", "stuck 0.1 to 0.2", "air-pico", "pms5003.near_zero"),
    ("PMS", "error byte not 0", "air-pico", "pms5003.error_byte"),
    ("PMS", "checksum right but all zero", "air-pico", "pms5003.all_zero"),
    ("SDS011", "C5 reply between C0 frames", "air-esp32", "sds011.reply_between"),
    ("SDS011", "sleeps ignoring queries", "air-esp32", "sds011.sleeping_ignores_queries"),
    ("SDS011", "ID change", "air-esp32", "sds011.id_changed"),
    ("SPS30", "needs two wakes", "esp32+sps30_uart", "sps30_uart.needs_two_wakes"),
    ("SPS30", "needs two wakes, on I2C", "esp32+sps30", "sps30.ignores_first_wake"),
    ("SPS30", "empty reply when not ready", "esp32+sps30_uart", "sps30_uart.no_new_values"),
    ("SPS30", "stuffing on each special byte", "esp32+sps30_uart", "sps30_uart.reserved_bits"),
    ("SPS30", "fan error bit", "esp32+sps30", "sps30.fan_stopped"),
    ("NextPM", "not ready", "pico_w+nextpm", "nextpm.not_ready"),
    ("NextPM", "degraded bit with plausible values", "pico_w+nextpm", "nextpm.degraded"),
    ("NextPM", "parity error (8E1)", "pico_w+nextpm", "nextpm.parity"),
    (ALL_I2C, "NACK", "air-esp32", "bme280.nack"),
    (ALL_I2C, "NACK of data", "air-esp32", "i2c0.nack_data"),
    (ALL_I2C, "clock stretch", "esp32+scd30", "scd30.holds_clock"),
    (ALL_I2C, "bus stuck low (needs 9 clocks)", "air-esp32", "i2c0.stuck_data"),
    (ALL_I2C, "bus stuck low until power goes", "air-esp32", "i2c0.stuck_clock"),
    (ALL_I2C, "CRC wrong on word 2 of 3", "esp32+scd4x", "scd4x.crc_word_2"),
    ("SCD4x", "NACK on early read", "esp32+scd4x", "scd4x.never_ready"),
    ("SCD4x", "settings refused while measuring", "esp32+scd4x", "scd4x.deaf_to_stop"),
    ("SCD4x", "ASC shifting the baseline over days", "esp32+scd4x", "scd4x.asc_drift"),
    ("SGP41", "conditioning held too long", "esp32+sgp41", "sgp41.conditioned_too_long"),
    ("SGP41", "state lost at reset", "esp32+sgp41", "sgp41.state_lost"),
    ("BME280", "id 0x58 sold as 0x60", "air-esp32", "bme280.wrong_chip"),
    ("BME280", "status measuring", "air-esp32", "bme280.measuring_forever"),
    ("BME280", "RH stuck at 100", "air-esp32", "bme280.humidity_stuck"),
    ("microphones", "zeros for 2^18 clocks", "esp32+inmp441", "inmp441.startup_zeros"),
    ("microphones", "wrong slot", "esp32+inmp441", "inmp441.wrong_slot"),
    ("microphones", "one-bit shift", "esp32+inmp441", "inmp441.one_bit_shift"),
    ("microphones", "DC offset", "esp32+inmp441", "inmp441.dc_offset"),
    ("microphones", "clipping", "esp32+inmp441", "inmp441.clipping"),
    ("microphones", "dead pin (floating)", "esp32+inmp441", "inmp441.dead_pin"),
    ("OPC-N3", "endless 0x31", "esp32+opc_n3", "opc_n3.busy_forever"),
    ("OPC-N3", "laser off but fan on", "esp32+opc_n3", "opc_n3.laser_off"),
    ("OPC-N3", "fan slow", "esp32+opc_n3", "opc_n3.fan_slow"),
    ("flash, clock", "full", "air-esp32", "flash.full"),
    ("flash, clock", "bit rot", "air-esp32", "flash.bit_rot"),
    ("flash, clock", "RTC battery dead", "esp32+ds3231", "ds3231.battery_dead"),
    ("flash, clock", "NTP +1 year", "air-esp32", "clock"),
]
OF_THE_WIRES = [  # not in the table, but a board's too
    ("air-esp32", "uart2.framing"),
    ("air-esp32", "uart2.lost_bytes"),
]
NOT_AN_ENTRY = {
    (
        ALL_I2C,
        "two devices at one address",
    ): "wiring, not an event, and a node refuses such a pair; test_bus_faults.py plays it",
    ("OPC-N3", "first histogram of unknown length"): "the part does so at every start; `kill` of the home plays it",
    ("flash, clock", "power cut at each write"): "a `kill` has its time, not its write; Flash.cut_at plays it in tests",
    ("flash, clock", "leap"): "a street's UTC is POSIX time, which has no leap second to play",
    ("flash, clock", "DST text"): "nothing in a street tells local time: nodes, gateway and hub know UTC only",
}
HEAD = 'start_utc = "2018-12-09T00:00:00Z"\nhours = 0.5\ndrain_min = 60\nperiod_s = 60\nbatch_s = 600\n'
WHATS = [(name, what) for _, _, name, what in PLAYED] + OF_THE_WIRES


def event(name: str, what: str, at_min: int, kits: list[str]) -> str:
    node = f'node = "urn:dev:ops:b4115e-air-{kits.index(name) + 1:02}"' if what != "clock" else 'mode = "ahead"'
    return f'[[event]]\nat_min = {at_min}.5\nfor_min = 3\nwhat = "{what}"\n{node}\n'


def written(path: Path, whats: list[tuple[str, str]]) -> Path:
    """A scenario with a home for each kit, whose faults follow each other."""
    kits = list(dict.fromkeys(name for name, _ in whats))
    text = f"{HEAD}homes = {len(kits)}\nkits = {kits}\n"
    text += "".join(event(name, what, 2 + number % 25, kits) for number, (name, what) in enumerate(whats))
    path.write_text(text, encoding="utf-8")
    return path


def test_each_fault_is_an_entry_that_a_street_plays(tmp_path: Path) -> None:
    """Whatever fails: no row is lost that is not told, no node restarts, and every fault is over at the end."""
    left_out = ("flash.bit_rot", "clock", "inmp441.")  # tests/journey plays these: a listener takes more time
    whats = [(name, what) for name, what in WHATS if not what.startswith(left_out)]
    scenario = load(written(tmp_path / "all.toml", whats))
    street = Street(scenario, tmp_path / "street", 1)
    verdict = street.play()
    assert verdict.ok, verdict
    for node in street.world.nodes.values():
        faults = [device.has(fault) for device in node.bench.devices.values() for fault in device.FAULTS]
        faults += [bool(port.faults) for ports in node.bench.ports.values() for port in ports.values()]
        assert not any(faults), node.name
        assert node.fault is None


def test_each_row_is_told_once_and_played_or_explained(tmp_path: Path) -> None:
    assert len(load(written(tmp_path / "every.toml", WHATS)).events) == len(WHATS)
    told = [(part, fault) for part, fault, _, _ in PLAYED]
    assert len(set(told)) == len(told)
    assert not set(told) & NOT_AN_ENTRY.keys()
    assert all(NOT_AN_ENTRY.values())


def test_a_board_has_the_faults_of_the_buses_it_uses_and_no_others(tmp_path: Path) -> None:
    pico = "air-pico"
    for wrong in ("uart2.framing", "i2c1.stuck_data", "spi0.silence", "flash.gone", "sds011.silence", "pms5003"):
        with pytest.raises(ScenarioError, match="what = '") as error:
            load(written(tmp_path / "mine.toml", [(pico, wrong)]))
        if "." in wrong:
            for name in ("pms5003.silence", "bme280.nack", "uart0.framing", "i2c0.stuck_clock", "flash.bit_rot"):
                assert name in str(error.value)
    home = load(written(tmp_path / "mine.toml", [(pico, "flash.full")])).homes[0]
    assert home.sensors == KITS[pico].sensors == kit(pico).sensors
    assert not [name for name in home_faults.names(home) if name.startswith(("uart1", "i2c1"))]
