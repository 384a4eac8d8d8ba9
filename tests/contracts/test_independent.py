"""Libraries of others read from our device models what was set, and from our vectors what our drivers read.

So the models are the sensors to programs that we did not write, and our drivers agree with their makers about bytes. A
new row of READERS needs only a function that gives values by channel, in the channel's unit.
"""

from collections.abc import Callable
from typing import Any

import pytest

from balise_node.drivers import load
from balise_wire.channels import channel
from contracts.found import device, vectors
from contracts.strangers import (
    TIME,
    BusioI2C,
    BusioUART,
    RegisterTape,
    StrangeBench,
    i2c_channel,
    i2c_connection,
    library,
    shdlc_channel,
)
from contracts.tape import Tape, merged

Values = dict[str, float | None]
PM = ("pm1", "pm2_5", "pm4", "pm10")
NUMBERS = ("n0_5_per_cm3", "n1_per_cm3", "n2_5_per_cm3", "n4_per_cm3", "n10_per_cm3")


def until(ready: Callable[[], bool], for_s: float = 20.0) -> None:
    """Looks ten times a second."""
    end_s = TIME.monotonic() + for_s
    while not ready():
        assert TIME.monotonic() < end_s, "it never became ready"
        TIME.sleep(0.1)


def adafruit_bme280(bus: Any) -> Values:
    chip = library("adafruit_bme280.basic").Adafruit_BME280_I2C(BusioI2C(bus), 0x76)
    return {
        "temperature": chip.temperature,
        "humidity": chip.relative_humidity,
        "pressure": chip.pressure * 100,
    }


def adafruit_pm25(bus: Any) -> Values:
    TIME.sleep(40)
    bus.read()  # what it said meanwhile
    read = library("adafruit_pm25.uart").PM25_UART(BusioUART(bus)).read()
    return {"pm1": read["pm10 env"], "pm2_5": read["pm25 env"], "pm10": read["pm100 env"]}


def adafruit_scd30(bus: Any) -> Values:
    chip = library("adafruit_scd30").SCD30(BusioI2C(bus))
    until(lambda: bool(chip.data_available))
    return {"co2": chip.CO2, "temperature": chip.temperature, "humidity": chip.relative_humidity}


def adafruit_scd4x(bus: Any) -> Values:
    chip = library("adafruit_scd4x").SCD4X(BusioI2C(bus))
    chip.start_periodic_measurement()
    until(lambda: bool(chip.data_ready))
    return {"co2": chip.CO2, "temperature": chip.temperature, "humidity": chip.relative_humidity}


def adafruit_sht31d(bus: Any) -> Values:
    chip = library("adafruit_sht31d").SHT31D(BusioI2C(bus))
    return {"temperature": chip.temperature, "humidity": chip.relative_humidity}


def adafruit_sht4x(bus: Any) -> Values:
    temperature, humidity = library("adafruit_sht4x").SHT4x(BusioI2C(bus)).measurements
    return {"temperature": temperature, "humidity": humidity}


def adafruit_sen6x(bus: Any) -> Values:
    node = library("adafruit_sen6x").SEN66(BusioI2C(bus))
    node.start_measurement()
    TIME.sleep(12)
    until(lambda: bool(node.data_ready))
    read = node.all_measurements()
    numbers = node.number_concentration()
    names = (*PM, "humidity", "temperature", "voc_index", "nox_index", "co2")
    values = dict(zip((*names, *NUMBERS), (*read.values(), *numbers.values()), strict=True))
    if (values["temperature"] or 0) > 0x7FFF / 200:  # version 1.1 takes the signed word for an unsigned one
        values["temperature"] -= 0x10000 / 200
    return values


def sensirion_sen66(bus: Any) -> Values:
    node = library("sensirion_i2c_sen66.device").Sen66Device(i2c_channel(bus, 0x6B))
    node.device_reset()
    node.start_continuous_measurement()
    TIME.sleep(12)
    until(lambda: bool(node.get_data_ready()[1]))
    *read, co2 = node.read_measured_values()
    names = (*PM, "humidity", "temperature", "voc_index", "nox_index", *NUMBERS)
    return {
        **dict(zip(names, (each.value for each in (*read, *node.read_number_concentration_values())), strict=True)),
        "co2": co2,
    }


def sensirion_sen5x(bus: Any) -> Values:
    node = library("sensirion_i2c_sen5x").Sen5xI2cDevice(i2c_connection(bus))
    node.device_reset()
    node.start_measurement()
    TIME.sleep(12)
    until(node.read_data_ready)
    read = node.read_measured_values()
    masses = (
        read.mass_concentration_1p0,
        read.mass_concentration_2p5,
        read.mass_concentration_4p0,
        read.mass_concentration_10p0,
    )
    return {
        **{name: each.physical if each.available else None for name, each in zip(PM, masses, strict=True)},
        "humidity": read.ambient_humidity.percent_rh if read.ambient_humidity.available else None,
        "temperature": read.ambient_temperature.degrees_celsius if read.ambient_temperature.available else None,
        "voc_index": read.voc_index.scaled if read.voc_index.available else None,
        "nox_index": read.nox_index.scaled if read.nox_index.available else None,
    }


def sensirion_sps30(bus: Any) -> Values:
    sensor = library("sensirion_uart_sps30.device").Sps30Device(shdlc_channel(bus))
    sensor.device_reset()
    sensor.start_measurement(library("sensirion_uart_sps30.commands").OutputFormat.OUTPUT_FORMAT_FLOAT)
    TIME.sleep(2)
    *numbers, size_um = sensor.read_measurement_values_float()
    return {**dict(zip((*PM, *NUMBERS), numbers, strict=True)), "typical_particle_size": size_um / 1_000_000}


READERS: dict[str, tuple[Callable[[Any], Values], ...]] = {
    "bme280": (adafruit_bme280,),
    "pms5003": (adafruit_pm25,),
    "scd30": (adafruit_scd30,),
    "scd4x": (adafruit_scd4x,),
    "sen55": (sensirion_sen5x,),
    "sen66": (adafruit_sen6x, sensirion_sen66),
    "sht31": (adafruit_sht31d,),
    "sht4x": (adafruit_sht4x,),
    "sps30_uart": (sensirion_sps30,),
}
PAIRS = [pytest.param(model, read, id=f"{model}: {read.__name__}") for model, row in READERS.items() for read in row]


@pytest.mark.parametrize("part", [0.0, 0.25, 0.6, 1.0])
@pytest.mark.parametrize(("model", "read"), PAIRS)
def test_a_library_of_others_reads_what_is_set(model: str, read: Callable[[Any], Values], part: float) -> None:
    TIME.us = 0
    made, bench = device(model)(), StrangeBench()
    wanted = {name: each.low + part * (each.high - each.low) for name, each in made.CHANNELS.items()}
    for name, value in wanted.items():
        made.set_channel(name, value)
    found = read(bench.bus(made))
    assert found
    for name, value in found.items():
        assert value == pytest.approx(wanted[name], rel=1e-6, abs=1.5 * made.CHANNELS[name].resolution), name


def in_one_piece(model: str, case: dict[str, Any]) -> bool:
    """How pieces are put together again, and what is not a frame, is each library's own affair."""
    answers = merged(vectors(model), case, "answers").values()
    frames = [bytes.fromhex(answer) for answer in answers if isinstance(answer, str)]
    return len(frames) == len(answers) and (device(model).BUS == "i2c" or all(f.count(b"~") == 2 for f in frames))


# What a library says otherwise about the same bytes, and why we do not follow it
OTHERWISE = {
    ("adafruit_sen6x", "just below zero"): "version 1.1 looks for FFFF in signed words as well",
    ("sensirion_sps30", "a sensor that was awake and measuring"): "state 43 is an exception there",
    ("sensirion_sps30", "whole numbers, as somebody else has started it"): "the format is the caller's choice there",
    ("sensirion_sps30", "whole numbers at their end"): "the format is the caller's choice there",
}
# Orders of theirs that our drivers do not send
ALSO = {"sps30_uart": {"7e00d3002c7e": "7e00d300002c7e"}}  # DS 5.3.11, example
AGREED = [
    pytest.param(model, read, case, id=f"{model}: {read.__name__}: {case['why']}")
    for model, row in READERS.items()
    for read in row
    for case in vectors(model)["cases"]
    if "sample" in case and "options" not in case and in_one_piece(model, case)
    if (read.__name__, case["why"]) not in OTHERWISE
]


@pytest.mark.parametrize(("model", "read", "case"), AGREED)
def test_a_library_of_others_makes_the_same_of_our_vectors(
    model: str, read: Callable[[Any], Values], case: dict[str, Any]
) -> None:
    """Within a step, for some round and some cut; for what is unknown each has its own way to say so."""
    TIME.us = 0
    registers = merged(vectors(model), case, "registers")
    answers = merged(vectors(model), case, "answers") | ALSO.get(model, {})
    found = read((RegisterTape if registers else Tape)(answers, registers))
    for name, ours in zip(load(model).CHANNELS, case["sample"], strict=True):
        if name in found and ours is not None:
            step = 10.0 ** -channel(name).scale
            assert found[name] == pytest.approx(ours * step, rel=1e-6, abs=step), name


def test_what_is_said_otherwise_is_a_case() -> None:
    reasons = {case["why"] for model in READERS for case in vectors(model)["cases"]}
    assert {why for _, why in OTHERWISE} <= reasons
    assert {reader for reader, _ in OTHERWISE} <= {read.__name__ for row in READERS.values() for read in row}
