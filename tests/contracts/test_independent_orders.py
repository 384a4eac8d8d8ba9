"""What libraries of others order beyond reading, on our models: names, settings, rest, status.

One test for each library; a setting that is read back shows that both agree about the words and their sums.
"""

import pytest

from balise_sim.devices import sen55, sen66, sps30_uart
from balise_sim.devices.base import DeviceModel
from contracts.strangers import TIME, BusioI2C, StrangeBench, i2c_channel, i2c_connection, library, shdlc_channel


def bus(made: DeviceModel) -> object:
    TIME.us = 0
    return StrangeBench().bus(made)


def test_sensirion_uart_sps30() -> None:
    made = sps30_uart.Model()
    sensor = library("sensirion_uart_sps30.device").Sps30Device(shdlc_channel(bus(made)))
    formats = library("sensirion_uart_sps30.commands").OutputFormat
    assert sensor.read_product_type() == "00080000"
    assert sensor.read_serial_number() == "8F3A21C07E4D115B"
    assert sensor.read_version()[:2] == (2, 2)
    assert sensor.read_auto_cleaning_interval() == 604_800
    sensor.write_auto_cleaning_interval(0x117E7D13)  # every byte that has to be stuffed
    assert sensor.read_auto_cleaning_interval() == 0x117E7D13
    sensor.sleep()
    TIME.sleep(10)
    sensor.wake_up_sequence()
    sensor.start_measurement(formats.OUTPUT_FORMAT_UINT16)
    made.set_channel("typical_particle_size", 0.61e-6)
    made.fault("fan_speed")
    TIME.sleep(6)
    assert sensor.read_measurement_values_uint16()[9] == 610
    assert sensor.read_device_status_register(True)[0] == 1 << 21
    sensor.start_fan_cleaning()
    sensor.stop_measurement()
    with pytest.raises(library("sensirion_shdlc_driver.errors").ShdlcDeviceError):
        sensor.start_fan_cleaning()


def test_sensirion_i2c_sen5x() -> None:
    made = sen55.Model()
    node = library("sensirion_i2c_sen5x").Sen5xI2cDevice(i2c_connection(bus(made)))
    assert (node.get_product_name(), node.get_serial_number()) == ("SEN55", made.SERIAL)
    assert node.get_version().firmware.major == 2
    node.set_temperature_offset_parameters(-1.5, 0.02, 60)
    assert node.get_temperature_offset_parameters() == pytest.approx((-1.5, 0.02, 60))
    node.set_warm_start_parameter(0.5)
    assert node.get_warm_start_parameter() == pytest.approx(0.5, abs=1e-4)
    node.set_rht_acceleration_mode(2)
    assert node.get_rht_acceleration_mode() == 2
    for getter, setter, tuned in (
        (node.get_voc_tuning_parameters, node.set_voc_tuning_parameters, (120, 24, 12, 180, 50, 230)),
        (node.get_nox_tuning_parameters, node.set_nox_tuning_parameters, (2, 24, 12, 720, 50, 230)),
    ):
        setter(*tuned)
        assert getter() == tuned
    node.set_fan_auto_cleaning_interval(86_400)
    assert node.get_fan_auto_cleaning_interval() == 86_400
    node.start_measurement_without_pm()
    TIME.sleep(20)
    values = node.read_measured_values()
    assert not values.mass_concentration_2p5.available
    assert values.voc_index.available
    node.start_measurement()
    made.fault("laser_current")
    made.fault("gas_error")
    TIME.sleep(20)
    node.start_fan_cleaning()
    assert node.read_device_status(clear=True).flags == ["laser_error", "sgp_error", "fan_cleaning"]
    TIME.sleep(3_600)
    state = node.get_voc_state()
    node.stop_measurement()
    node.set_voc_state(state)
    node.start_measurement()
    assert node.get_voc_state() >= state
    node.device_reset()
    assert node.get_rht_acceleration_mode() == 0


def test_adafruit_sen6x() -> None:
    made = sen66.Model()
    node = library("adafruit_sen6x").SEN66(BusioI2C(bus(made)))
    assert (node.product_name, node.serial_number) == ("SEN66", made.SERIAL)
    assert node.version == (4, 0)
    node.ambient_pressure = 985
    node.sensor_altitude = 150
    node.co2_automatic_self_calibration = False
    assert (node.ambient_pressure, node.sensor_altitude) == (985, 150)
    assert not node.co2_automatic_self_calibration
    assert node.force_co2_recalibration(420) == 0
    node.temperature_offset(offset=-2.0, slope=0.01, time_constant=30, slot=1)
    node.start_measurement()
    for fault in ("fan_stopped", "rht_error", "gas_error", "co2_error", "pm_error", "fan_speed"):
        made.fault(fault)
    TIME.sleep(20)
    status = node.device_status
    assert status.fan_error
    assert status.rht_sensor_error
    assert status.gas_sensor_error
    assert status.co2_sensor_2_error
    assert status.pm_sensor_error
    assert status.speed_warning
    assert not status.co2_sensor_1_error
    state = node.voc_algorithm_state
    node.stop_measurement()
    node.voc_algorithm_state = state
    node.start_fan_cleaning()
    TIME.sleep(11)
    node.start_measurement()
    TIME.sleep(2)
    assert node.data_ready
    node.reset()
    assert node.ambient_pressure == 1013


def test_sensirion_i2c_sen66() -> None:
    made = sen66.Model()
    node = library("sensirion_i2c_sen66.device").Sen66Device(i2c_channel(bus(made), 0x6B))
    assert (node.get_product_name(), node.get_product_type()) == ("SEN66", "00085300")
    node.set_voc_algorithm_tuning_parameters(120, 24, 12, 180, 50, 230)
    assert node.get_voc_algorithm_tuning_parameters() == (120, 24, 12, 180, 50, 230)
    node.set_nox_algorithm_tuning_parameters(2, 24, 12, 720, 50, 230)
    assert node.get_nox_algorithm_tuning_parameters() == (2, 24, 12, 720, 50, 230)
    node.set_temperature_acceleration_parameters(20, 20, 100, 20)
    node.start_continuous_measurement()
    made.set_channel("humidity", 61.5)
    TIME.sleep(20)
    humidity, _, voc, nox, co2 = node.read_measured_raw_values()
    assert (humidity, co2) == (6150, 600)
    assert 20_000 < voc < 30_000 > nox > 20_000
    made.fault("co2_error")
    TIME.sleep(20)
    assert node.read_device_status().co2_2_error
    assert node.read_and_clear_device_status().co2_2_error
    made.fault("co2_error", on=False)
    assert not node.read_device_status().co2_2_error
