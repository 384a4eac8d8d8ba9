"""Cases of config.json: each wrong file names the key, what was found and what to write, and tells no secret."""

import json

from store_cases import put

from balise_node.config import load, parse
from balise_node.errors import ConfigError

KEY = "6b1f0c52e9a4d3870f5e2c9ab8d71e34"
WIFI_PASSWORD = "correct horse battery"
MQTT_PASSWORD = "staple-staple"


def sample() -> dict:
    return {
        "node": "urn:dev:ops:b4115e-air-01",
        "key": KEY,
        "wifi": {"ssid": "street", "password": WIFI_PASSWORD},
        "mqtt": {"host": "192.168.4.1", "user": "air-01", "password": MQTT_PASSWORD},
        "sensors": [
            {"model": "sds011", "uart": 1, "tx": 17, "rx": 16},
            {"model": "bme280", "i2c": 0, "sda": 21, "scl": 22, "address": 118},
        ],
    }


def refused(config: object) -> str:
    """The error of a file, which must not hold a secret."""
    text = config if isinstance(config, str) else json.dumps(config)
    message = ""
    try:
        parse(text)
    except ConfigError as error:
        message = str(error)
    assert message.startswith("config.json: "), message
    for secret in (KEY, WIFI_PASSWORD, MQTT_PASSWORD):
        assert secret not in message, "a secret in an error"
    return message


def changed(path: str, value: object) -> dict:
    """The sample with one key set; REMOVE takes it away."""
    config = sample()
    place = config
    names = path.split(".")
    for name in names[:-1]:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is None:
        del place[names[-1]]
    elif isinstance(place, list):
        place[int(names[-1])] = value
    else:
        place[names[-1]] = value
    return config


def says(message: str, *parts: str) -> None:
    for part in parts:
        assert part in message, (part, message)


def case_defaults_complete_the_file(_folder: str) -> None:
    config = parse(json.dumps(sample()))
    assert config["key"] == bytes.fromhex(KEY)
    assert (config["period_s"], config["board"], config["link"]) == (60, "esp32", "wifi_mqtt")
    assert (config["mqtt"]["port"], config["mqtt"]["keepalive_s"], config["ack_wait_s"]) == (1883, 60, 90)
    assert config["sensors"][1]["freq_hz"] == 100000


def case_no_file(folder: str) -> None:
    for path in (folder + "/missing.json", folder + "/empty.json"):
        put(folder + "/empty.json", b"  \n")
        message = ""
        try:
            load(path)
        except ConfigError as error:
            message = str(error)
        says(message, "not on this board", "copy your config.json")


def case_a_file_is_read(folder: str) -> None:
    put(folder + "/config.json", json.dumps(sample()).encode())
    assert load(folder + "/config.json")["node"] == "urn:dev:ops:b4115e-air-01"


def case_no_json(_folder: str) -> None:
    says(refused('{"node": "x"'), "comma, quote or bracket")
    says(refused("[1, 2]"), "not a JSON object")


def case_unknown_keys_list_the_nearest(_folder: str) -> None:
    says(refused(changed("perod_s", 60)), '"perod_s" is not a known key', '"period_s"')
    says(refused(changed("wifi.sid", "x")), '"wifi.sid"', 'nearest: "wifi.ssid"')
    says(refused(changed("sensors.0.txx", 1)), '"sensors[0].txx"', '"sensors[0].tx"')


def case_missing_keys(_folder: str) -> None:
    for path in ("node", "key", "wifi", "mqtt", "sensors", "wifi.ssid", "mqtt.host"):
        says(refused(changed(path, None)), f'"{path}" is missing; write ')
    says(refused(changed("sensors.0.rx", None)), '"sensors[0].rx" is missing', "goes to the sensor's TX")
    says(refused(changed("sensors.1.model", None)), '"sensors[1].model" is missing')


def case_wrong_types_and_ranges(_folder: str) -> None:
    says(refused(changed("period_s", "60")), '"period_s": found "60"; write a whole number')
    says(refused(changed("period_s", 1.5)), "found 1.5; write a whole number")
    says(refused(changed("period_s", True)), "found true; write a whole number")
    says(refused(changed("period_s", 1)), "found 1; write the seconds between rows, 5 to 86400")
    says(refused(changed("mqtt.port", 70000)), '"mqtt.port": found 70000', "1883")
    says(refused(changed("wifi", "street")), '"wifi": found "street"; write an object')
    says(refused(changed("sensors", {})), '"sensors": found an object of 0; write a list')
    says(refused(changed("sensors", [])), '"sensors": found a list of 0', "at least one sensor")
    says(refused(changed("sensors.0", 7)), '"sensors[0]": found 7')
    says(refused(changed("node", "my balcony")), '"node": found "my balcony"', "urn:dev:ops:")


def case_a_pico_w_has_a_short_watchdog(_folder: str) -> None:
    config = sample()
    config["board"] = "pico_w"
    config["watchdog_s"] = 9
    says(refused(config), '"watchdog_s": found 9; write at most 8 for a pico_w')
    config["watchdog_s"] = 8
    assert parse(json.dumps(config))["watchdog_s"] == 8


def case_secrets_stay_secret(_folder: str) -> None:
    says(refused(changed("wifi.password", WIFI_PASSWORD * 4)), '"wifi.password": found a text of 84 characters')
    says(refused(changed("mqtt.password", 12345678)), '"mqtt.password": found another value')
    says(refused(changed("key", KEY[:30])), '"key": found a text of 30 characters; write the 32 hex digits')
    says(refused(changed("key", "z" + KEY[1:])), '"key": found a text of 32 characters', "hex digits")


def case_example_keys_are_refused(_folder: str) -> None:
    for key in ("0" * 32, "F" * 32, "00112233445566778899aabbccddeeff", "DEADBEEF" * 4):
        says(refused(changed("key", key)), '"key": found an example key', "this node alone")


def case_sensors(_folder: str) -> None:
    says(refused(changed("sensors.0.model", "sds021")), 'found "sds021"', "bme280", "pms5003", "sds011")
    both = {"model": "bme280", "i2c": 0, "sda": 1, "scl": 2, "uart": 1, "tx": 3, "rx": 4}
    says(refused(changed("sensors.0", both)), '"sensors[0]": found "uart" and "i2c" of "uart", "i2c"')
    says(refused(changed("sensors.0", {"model": "bme280"})), "found none of")


def case_buses_are_shared_only_where_they_can_be(_folder: str) -> None:
    uart = {"model": "pms5003", "uart": 1, "tx": 4, "rx": 5}
    says(refused(changed("sensors.1", uart)), '"sensors[1]": found uart 1', "sensors[0] (sds011) uses already")
    uart = {"model": "pms5003", "uart": 2, "tx": 17, "rx": 5}
    says(refused(changed("sensors.1", uart)), "found pin 17", "sensors[0] (sds011)")
    config = sample()
    config["sensors"].append({"model": "bme280", "i2c": 0, "sda": 21, "scl": 22, "address": 118})
    says(refused(config), '"sensors[2]"', "i2c 0 address 118", "sensors[1] (bme280)")
    config["sensors"][2]["address"] = 119
    assert len(parse(json.dumps(config))["sensors"]) == 3, "two addresses share a bus"
    config["sensors"][2]["sda"] = 25
    says(refused(config), "found i2c 0", "sensors[1] (bme280)")


def case_several_thermometers_share_a_pin_by_their_codes(_folder: str) -> None:
    config = sample()
    config["sensors"].append({"model": "ds18b20", "onewire": 4, "rom": "281cb801000000c6"})
    config["sensors"].append({"model": "ds18b20", "onewire": 4, "rom": "281cb801000000c6"})
    says(refused(config), "found onewire 4 for a ds18b20 281cb801000000c6", "sensors[2] (ds18b20)")
    config["sensors"][3]["rom"] = "285aa201000000c0"
    assert len(parse(json.dumps(config))["sensors"]) == 4
    config["sensors"][3]["rom"] = "28"
    says(refused(config), '"sensors[3].rom": found "28"; write the 16 hex digits')


def case_options_have_ranges(_folder: str) -> None:
    says(refused(changed("sensors.1.shunt_milliohm", 0)), "found 0; write the shunt's milliohms")
    config = sample()
    config["sensors"].append({"model": "ds18b20", "onewire": 4, "bits": 13})
    says(refused(config), '"sensors[2].bits": found 13; write the bits of a value, 9 to 12')
