"""Builds the sensors that config.json names, each on its bus. Forgotten after the start.

Promises that what does not fit is told with the key, what was found and what to write. Leaves to others measuring.
"""

import time

from balise_node.buses import Buses
from balise_node.drivers import SensorError, load
from balise_node.errors import ConfigError
from balise_node.sensors import Member, Sensors

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

_OPTIONS = ("address", "right", "ratio_milli")  # what config.json says to the driver itself
_SPECIAL = ("rom", "bits", "shunt_milliohm")  # and to the drivers only that name it in their OPTIONS


def fit(configs: "list[dict[str, Any]]", period_s: int) -> Sensors:
    """All sensors of a config.json. Raises ConfigError."""
    buses = Buses()
    sensors = Sensors([_member(f"sensors[{i}]", config, buses, period_s) for i, config in enumerate(configs)])
    names = [name for name, _ in sensors.models]
    for name in names:
        if names.count(name) > 1:
            models = ", ".join([model for channel, model in sensors.models if channel == name])
            raise ConfigError(
                f'config.json: "sensors": found {name} twice ({models}); '
                'write in "channels" of one of them what it is to give'
            )
    return sensors


def _member(path: str, config: "dict[str, Any]", buses: Buses, period_s: int) -> Member:
    problem = ""
    try:
        driver = load(config["model"])
        if driver.BUS in config:
            bus = buses.open(driver.BUS, config, getattr(driver, "LINE", {}))
        else:
            problem = f'a {driver.MODEL} has no such bus; write its "{driver.BUS}" and pins'
    except SensorError as error:
        problem = str(error)
    except ValueError as error:  # of a pin or a bus that the board does not have
        problem = f"this board says {error}; write the number and the pins of a bus that it has"
    if problem:
        raise ConfigError(f'config.json: "{path}": {problem}')
    for name in config["channels"]:
        if name not in driver.CHANNELS:
            known = ", ".join(driver.CHANNELS)
            raise ConfigError(f'config.json: "{path}.channels": a {driver.MODEL} has no {name!r}; it has {known}')
    known_options = getattr(driver, "OPTIONS", ())
    for name in _SPECIAL:
        if config.get(name) and name not in known_options:
            raise ConfigError(f'config.json: "{path}.{name}": a {driver.MODEL} has no such option; remove it')
    options = {name: config[name] for name in _OPTIONS + known_options if config.get(name)}
    if getattr(driver, "PACED", False):
        options["period_s"] = period_s
    try:
        sensor = driver(bus, time.sleep_ms, **options)
    except ValueError as error:  # of an option that is no number
        problem = str(error)
    if problem:
        raise ConfigError(
            f'config.json: "{path}": a {driver.MODEL} says {problem}; write its options as the parts have them'
        )
    return Member(sensor, config["channels"])
