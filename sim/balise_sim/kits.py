"""Kits: a board and the sensors wired to it, each under one name.

Promises: `kit("air-esp32")` gives a kit of the table, `kit("pico_w+bme280")` one put together on the spot; a KitError
names what there is. Leaves to others: which pins the wires take (layout.py).
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

from balise_boards import board_names

if TYPE_CHECKING:
    from balise_sim.devices.base import DeviceModel

SEPARATOR = "+"


class KitError(ValueError):
    """A kit that cannot be had; the text names the choices."""


@dataclass(frozen=True)
class Kit:
    """`board` is a board's name, `sensors` the stems of sensor models; the first that measures a quantity gives it."""

    board: str
    sensors: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.board} with {', '.join(self.sensors) or 'no sensor'}"


KITS = {
    "air-esp32": Kit("esp32", ("sds011", "bme280")),
    "air-pico": Kit("pico_w", ("pms5003", "bme280")),
    "noise-pico": Kit("pico_w", ("inmp441",)),
    "pollen-pico": Kit("pico_w", ("opc_n3",)),
    "gas-s3": Kit("esp32_s3", ("bme280", "scd4x", "sgp41")),
    "fine-esp32": Kit("esp32", ("sps30",)),
    "power-esp32": Kit("esp32", ("ds18b20", "battery", "ina219")),
}

# What a home's rows take of a sensor that tells more than people at home look at; of all others, all of it
WANTED = {"pms5003": ("pm1", "pm2_5", "pm10")}


def sensor_models() -> tuple[str, ...]:
    """The stems of all device models that come with the package."""
    names = [entry.name.removesuffix(".py") for entry in (files("balise_sim") / "devices").iterdir()]
    stems = sorted(name for name in names if name.isidentifier() and not name.startswith("_"))
    return tuple(stem for stem in stems if hasattr(import_module(f"balise_sim.devices.{stem}"), "Model"))


def model_of(name: str) -> "type[DeviceModel]":
    """The device model of a sensor. Raises ModuleNotFoundError."""
    found: type[DeviceModel] = import_module(f"balise_sim.devices.{name}").Model
    return found


def faults_of(model: str) -> tuple[str, ...]:
    """The names of what can go wrong with a sensor."""
    return tuple(sorted(model_of(model).FAULTS))


def kit(name: str) -> Kit:
    """A kit by its name, or "board+sensor+sensor". Raises KitError."""
    if name in KITS:
        return KITS[name]
    board, *sensors = name.split(SEPARATOR)
    if board not in board_names():
        raise KitError(
            f"no kit {name!r}; there are {', '.join(KITS)}, or name a board and sensors, such as esp32+bme280 "
            f"(boards: {', '.join(board_names())})"
        )
    for sensor in sensors:
        if sensor not in sensor_models():
            raise KitError(f"kit {name!r}: no sensor model {sensor!r}; there are {', '.join(sensor_models())}")
    return Kit(board, tuple(sensors))
