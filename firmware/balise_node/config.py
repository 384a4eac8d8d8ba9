"""config.json: read, checked, completed with defaults; an error names the key, what was found and what to write.

No error text holds a secret: of keys and passwords only the length is told. Leaves to others what the values do. This
module is not needed after the start, so what it returns is a plain dictionary and the board may forget the rest.
"""

import json
import os
from binascii import unhexlify

from balise_node.errors import ConfigError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

    from balise_node._shapes import Config

_FILE = "config.json"
_PICO_WATCHDOG_S = 8  # RP2040 datasheet 4.7: 24 bits of half microseconds
_SECRET = ("key", "wifi.password", "mqtt.password")
_REQUIRED = "required"
_NAMES = {str: "text", int: "a whole number", dict: "an object {...}", list: "a list [...]"}

# key, type, default, lowest and highest (of a text: its length), what to write
_TOP = (
    ("node", str, _REQUIRED, 9, 100, 'the name of this node, such as "urn:dev:ops:b4115e-air-01"'),
    ("board", str, "esp32", 1, 40, 'the board, such as "esp32" or "pico_w"'),
    ("key", str, _REQUIRED, 32, 32, "the 32 hex digits of this node's key, the same as in the gateway's file"),
    ("period_s", int, 60, 5, 86400, "the seconds between rows, 5 to 86400, such as 60"),
    ("link", str, "wifi_mqtt", 1, 40, 'a module of the links folder, such as "wifi_mqtt"'),
    ("store_bytes", int, 262144, 16384, 16777216, "the flash for unsent frames, 16384 to 16777216, such as 262144"),
    ("ack_wait_s", int, 90, 5, 3600, "the seconds until a frame is sent again, more than the gateway's commit_s: 90"),
    ("watchdog_s", int, 0, 0, 3600, "the seconds after which a stuck board restarts, 0 for never"),
    ("restart_s", int, 60, 1, 3600, "the seconds to wait before a restart after a fault, such as 60"),
    ("wifi", dict, _REQUIRED, 0, 0, '{"ssid": "...", "password": "..."}'),
    ("mqtt", dict, _REQUIRED, 0, 0, '{"host": "...", "user": "...", "password": "..."}'),
    ("sensors", list, _REQUIRED, 1, 16, 'at least one sensor, such as [{"model": "bme280", "i2c": 0, ...}]'),
)
_WIFI = (
    ("ssid", str, _REQUIRED, 1, 32, "the name of the network, 1 to 32 characters"),
    ("password", str, "", 0, 64, 'the password of the network, "" if it has none'),
)
_MQTT = (
    ("host", str, _REQUIRED, 1, 253, 'the gateway\'s address, such as "192.168.1.20"'),
    ("port", int, 1883, 1, 65535, "the gateway's MQTT port, 1883 unless it was changed"),
    ("user", str, "", 0, 128, "the user that the gateway's file lists"),
    ("password", str, "", 0, 128, "the password that the gateway's file lists"),
    ("keepalive_s", int, 60, 10, 3600, "the seconds after which a silent link is given up, 10 to 3600, such as 60"),
)
_SENSOR: "tuple[Any, ...]" = (
    ("model", str, _REQUIRED, 1, 40, 'the sensor\'s model, such as "bme280"'),
    ("channels", list, [], 0, 20, 'the channels that are wanted of it, such as ["co2"], or leave it out for all'),
)
_UART = (
    ("uart", int, _REQUIRED, 0, 2, "the number of the UART, 0 to 2"),
    ("tx", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to the sensor's RX"),
    ("rx", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to the sensor's TX"),
)
_I2C = (
    ("i2c", int, _REQUIRED, 0, 1, "the number of the I2C bus, 0 or 1"),
    ("sda", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to SDA"),
    ("scl", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to SCL"),
    ("address", int, 0, 0, 119, "the sensor's address, 8 to 119, or leave it out for the model's usual one"),
    ("freq_hz", int, 100000, 10000, 400000, "the bus speed in Hz, 100000 unless the wires are short"),
)
_SHUNT = (("shunt_milliohm", int, 0, 1, 10000, "the shunt's milliohms, or leave it out for the usual 100"),)
_SPI = (
    ("spi", int, _REQUIRED, 0, 2, "the number of the SPI bus, 0 to 2"),
    ("sck", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to SCK"),
    ("mosi", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to MOSI or SDI"),
    ("miso", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to MISO or SDO"),
    ("cs", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to CS or SS"),
)
_I2S = (
    ("i2s", int, _REQUIRED, 0, 1, "the number of the I2S bus, 0 or 1"),
    ("sck", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to SCK or BCLK"),
    ("ws", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to WS or LRCL"),
    ("sd", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to SD or DOUT"),
    ("right", int, 0, 0, 1, "1 when the microphone's L/R pin is high, else 0"),
)
_ONEWIRE = (
    ("onewire", int, _REQUIRED, 0, 48, "the number of the board's pin that goes to DQ"),
    ("rom", str, "", 16, 16, "the 16 hex digits of the sensor's ROM code, or leave it out when it is alone on its pin"),
    ("bits", int, 0, 9, 12, "the bits of a value, 9 to 12, or leave it out for 12"),
)
_ADC = (
    ("adc", int, _REQUIRED, 0, 48, "the number of the board's analogue pin"),
    ("ratio_milli", int, 1000, 1000, 100000, "the divider's ratio in thousandths: 2000 for two equal resistors"),
)
_KINDS = ("uart", "i2c", "spi", "i2s", "onewire", "adc")
_BUSES = (_UART, _I2C + _SHUNT, _SPI, _I2S, _ONEWIRE, _ADC)
_PINS = ("tx", "rx", "sda", "scl", "sck", "mosi", "miso", "cs", "ws", "sd")
# Keys that stand in manuals and examples: whoever reads those could read and forge this node's frames.
_PLACEHOLDERS = (
    "000102030405060708090a0b0c0d0e0f",
    "0123456789abcdef0123456789abcdef",
    "00112233445566778899aabbccddeeff",
    "deadbeefdeadbeefdeadbeefdeadbeef",
)


def load(path: str = "/" + _FILE) -> "Config":
    """Read and check a file. Raises ConfigError."""
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        text = ""
    if not text.strip():
        raise ConfigError(f"{_FILE}: not on this board, or empty; copy your {_FILE} to the board's root")
    return parse(text)


def parse(text: str) -> "Config":
    """Check the text of a file. Raises ConfigError."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{_FILE}: not a JSON object {{...}}; look for a missing comma, quote or bracket")
    config: Config = _fields(found, _TOP, "")
    if not config["node"].startswith("urn:dev:"):
        raise _wrong("node", config["node"], _TOP[0][5])
    config["key"] = _key(found["key"])
    if config["board"] == "pico_w" and config["watchdog_s"] > _PICO_WATCHDOG_S:
        raise _wrong("watchdog_s", config["watchdog_s"], f"at most {_PICO_WATCHDOG_S} for a pico_w, or 0 for never")
    config["wifi"] = _fields(found["wifi"], _WIFI, "wifi.")
    config["mqtt"] = _fields(found["mqtt"], _MQTT, "mqtt.")
    config["sensors"] = [_sensor(entry, f"sensors[{i}]") for i, entry in enumerate(config["sensors"])]
    _check_buses(config["sensors"])
    return config


def _fields(found: "dict[str, Any]", fields: "Any", path: str) -> "Any":
    """A complete copy of an object of the file."""
    known = [field[0] for field in fields]
    for key in found:
        if key not in known:
            nearest = ", ".join([f'"{path}{name}"' for name in _nearest(key, known)])
            raise ConfigError(f'{_FILE}: "{path}{key}" is not a known key; nearest: {nearest}; rename or remove it')
    return {field[0]: _value(found, field, path) for field in fields}


def _value(found: "dict[str, Any]", field: "Any", path: str) -> "Any":
    key, kind, default, low, high, write = field
    if key not in found:
        if default is _REQUIRED:
            raise ConfigError(f'{_FILE}: "{path}{key}" is missing; write {write}')
        return default
    value = found[key]
    if not isinstance(value, kind) or value is True or value is False:
        raise _wrong(path + key, value, f"{_NAMES[kind]}: {write}")
    size = value if kind is int else len(value)
    if kind is not dict and not low <= size <= high:
        raise _wrong(path + key, value, write)
    return value


def _wrong(path: str, value: "Any", write: str) -> ConfigError:
    if isinstance(value, str):
        shown = f"a text of {len(value)} characters" if path in _SECRET or len(value) > 60 else f'"{value}"'
    elif isinstance(value, (dict, list)):
        shown = f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    else:
        shown = "another value" if path in _SECRET else json.dumps(value)
    return ConfigError(f'{_FILE}: "{path}": found {shown}; write {write}')


def _key(text: str) -> bytes:
    try:
        key = unhexlify(text)
    except ValueError:
        key = b""
    if len(key) != 16:
        raise _wrong("key", text, _TOP[2][5])
    if text.lower() in _PLACEHOLDERS or key == key[:1] * 16:
        raise ConfigError(f'{_FILE}: "key": found an example key; write one that was made for this node alone')
    return key


def _sensor(found: "Any", path: str) -> "Any":
    if not isinstance(found, dict):
        raise _wrong(path, found, 'an object such as {"model": "bme280", "i2c": 0, "sda": 21, "scl": 22}')
    kinds = [kind for kind in _KINDS if kind in found]
    if len(kinds) != 1:
        which = " and ".join([f'"{kind}"' for kind in kinds]) or "none"
        known = ", ".join([f'"{kind}"' for kind in _KINDS])
        raise ConfigError(f'{_FILE}: "{path}": found {which} of {known}; write the one that the sensor uses')
    sensor = _fields(found, _SENSOR + _BUSES[_KINDS.index(kinds[0])], path + ".")
    models = _models()
    if models and sensor["model"] not in models:
        raise _wrong(path + ".model", sensor["model"], "one of " + ", ".join(models))
    return sensor


def _models() -> list[str]:
    """The drivers on this board; empty when they cannot be listed (frozen into the firmware)."""
    folder = __file__.rsplit("/", 1)[0] + "/drivers" if "/" in __file__ else "drivers"
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    models = [name.split(".")[0] for name in names if name[0] != "_" and name.split(".")[-1] in ("py", "mpy")]
    return sorted(set(models))


def _check_buses(sensors: "list[dict[str, Any]]") -> None:
    """One set of pins per bus, one sensor per address or select pin, or per bus that none can share."""
    taken: dict[str, Any] = {}
    for number, sensor in enumerate(sensors):
        who = f"sensors[{number}] ({sensor['model']})"
        for claim, sharers in _claims(number, sensor):
            if taken.get(claim, (sharers,))[0] != sharers:
                raise ConfigError(
                    f'{_FILE}: "sensors[{number}]": found {claim}, which {taken[claim][1]} uses already; '
                    "write what the wires say, or a free one"
                )
            taken.setdefault(claim, (sharers, who))


def _claims(number: int, sensor: "dict[str, Any]") -> "list[tuple[str, Any]]":
    """What a sensor needs, each with what another one must have in common with it to share it."""
    kind = [kind for kind in _KINDS if kind in sensor][0]  # noqa: RUF015 - next() of a generator costs a board more
    bus = f"{kind} {sensor[kind]}"
    pins = [sensor[name] for name in _PINS if name in sensor and name != "cs"]
    own: list[tuple[str, Any]] = []
    if kind == "i2c":
        at = sensor["address"] or f"of a {sensor['model']}"
        own = [(f"{bus} address {at}", number)]
    elif kind == "spi":
        own = [(f"pin {sensor['cs']}", number)]
    elif kind in ("onewire", "adc"):
        pins = [sensor[kind]]
        own = [(f"{bus} for a {sensor['model']} {sensor.get('rom', '')}".strip(), number)]
    shared = (bus, pins) if kind in ("i2c", "spi", "onewire") else (bus, number)
    return [shared] + own + [(f"pin {pin}", [bus, pins]) for pin in pins]


def _nearest(name: str, known: list[str]) -> list[str]:
    """The three known names that take the fewest edits."""
    ranked = sorted([(_edits(name, other), other) for other in known])
    return [other for _, other in ranked[:3]]


def _edits(a: str, b: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a):
        before, row[0] = row[0], i + 1
        for j, other in enumerate(b):
            before, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, before + (letter != other))
    return row[-1]
