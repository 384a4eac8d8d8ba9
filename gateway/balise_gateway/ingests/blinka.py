"""Sensors that are wired to the Pi itself: read with Adafruit's CircuitPython drivers on adafruit-blinka.

Promises a message per sensor and period, {"model": ..., "values": {...}} under pi/<name>, for a source of kind blinka;
a sensor that does not answer is counted, told in the status, and set up again at the next period. It reads in the
event loop: the drivers listed here take a few milliseconds, the BME680 a fifth of a second. Leaves names and units of
values to the source. Nothing is acknowledged here: what is in memory at a power cut is lost, `commit_s` says how much.
"""

import asyncio
import importlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from balise_gateway.errors import MissingExtra
from balise_gateway.ingests import Listen, Take, Token
from balise_gateway.log import event
from balise_gateway.settings import Key


class Driver(NamedTuple):
    """One of Adafruit's classes on the I2C bus, the properties to read, and what it wants to be told first."""

    module: str
    name: str
    properties: tuple[str, ...]
    start: str | None = None
    ready: str | None = None  # a property that is true when there is something new


# Without the BME680's humidity: version 3.7 of its driver gives two of the chip's coefficients each other's half.
DRIVERS = {
    "bme280": Driver("adafruit_bme280.basic", "Adafruit_BME280_I2C", ("temperature", "relative_humidity", "pressure")),
    "bme680": Driver("adafruit_bme680", "Adafruit_BME680_I2C", ("temperature", "pressure", "gas")),
    "bmp280": Driver("adafruit_bmp280", "Adafruit_BMP280_I2C", ("temperature", "pressure")),
    "sht31": Driver("adafruit_sht31d", "SHT31D", ("temperature", "relative_humidity")),
    "sht4x": Driver("adafruit_sht4x", "SHT4x", ("temperature", "relative_humidity")),
    "scd30": Driver("adafruit_scd30", "SCD30", ("CO2", "temperature", "relative_humidity"), ready="data_available"),
    "scd4x": Driver(
        "adafruit_scd4x",
        "SCD4X",
        ("CO2", "temperature", "relative_humidity"),
        start="start_periodic_measurement",
        ready="data_ready",
    ),
    "veml7700": Driver("adafruit_veml7700", "VEML7700", ("lux",)),
    "ina219": Driver("adafruit_ina219", "INA219", ("bus_voltage", "current")),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[ingest]] with kind = "blinka"."""

    kind: Annotated[str, Key("how frames arrive")]
    sensors: Annotated[
        dict[str, str], Key('[ingest.sensors] balcony = "bme280 0x76": the model, and its I2C address if not the usual')
    ] = field(default_factory=dict)
    period_s: Annotated[float, Key("how often each sensor is read", least=0.1)] = 60.0

    def problem(self) -> str | None:
        if not self.sensors:
            return 'no [ingest.sensors]: nothing would be read; try balcony = "bme280"'
        for name, text in self.sensors.items():
            if _parsed(text) is None:
                return f'sensors: {name} = {text!r}: write "model" or "model 0x76"; models: {", ".join(DRIVERS)}'
        return None


class Ingest:
    """All sensors on the Pi's I2C bus."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self._settings = settings
        self._state = "starting"
        self._counters: Counter[str] = Counter()
        self._failing: dict[str, str] = {}
        self._ready: dict[str, Any] = {}

    async def run(self, take: Take) -> None:
        try:
            bus = _open_bus()
            self._state = "up"
            loop, number = asyncio.get_running_loop(), 0
            started_s = loop.time()
            while True:
                for name, text in self._settings.sensors.items():
                    self._read(take, bus, name, text)
                number += 1
                await asyncio.sleep(max(0.0, started_s + number * self._settings.period_s - loop.time()))
        finally:
            self._state = "stopped"

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        """Nothing to do: a sensor is not told that it was heard."""

    def answer(self, kid: bytes, sealed: bytes) -> None:
        self._counters["answers_dropped"] += 1

    def status(self) -> dict[str, object]:
        failing = "; ".join(f"{name}: {why}" for name, why in sorted(self._failing.items()))
        counters: dict[str, int] = dict(sorted(self._counters.items()))
        state = failing if failing and self._state == "up" else self._state
        return {"kind": self._settings.kind, "state": state, "where": "i2c", "counters": counters}

    def _read(self, take: Take, bus: Any, name: str, text: str) -> None:
        model, address = _parsed(text) or ("", None)
        driver = DRIVERS[model]
        try:
            if name not in self._ready:  # read from the next time on: what a chip says before it has measured is 0
                self._ready[name] = _set_up(driver, bus, address)
                return
            found = self._ready[name]
            if driver.ready is not None and not getattr(found, driver.ready):
                self._counters["not_ready"] += 1
                return
            values = {each: getattr(found, each) for each in driver.properties}
        except (OSError, ValueError, RuntimeError) as error:  # what these drivers raise when a chip does not answer
            self._fail(name, str(error))
            return
        if self._failing.pop(name, None) is not None:
            event("sensor answers again", sensor=name)
        self._counters["messages"] += 1
        take(self, f"pi/{name}", json.dumps({"model": model, "values": values}).encode(), None)

    def _fail(self, name: str, why: str) -> None:
        self._ready.pop(name, None)
        self._counters["no_answer"] += 1
        if name not in self._failing:
            event("sensor does not answer", sensor=name, why=why)
        self._failing[name] = why


def _parsed(text: str) -> tuple[str, int | None] | None:
    """(model, I2C address or None) of "model" or "model 0x76"."""
    model, _, address = text.strip().partition(" ")
    if model not in DRIVERS:
        return None
    if not address:
        return model, None
    try:
        return (model, int(address, 0)) if 0 < int(address, 0) < 128 else None
    except ValueError:
        return None


def _open_bus() -> Any:
    try:
        board = importlib.import_module("board")
    except (ImportError, NotImplementedError) as error:  # blinka does not know every computer
        raise MissingExtra(f'an ingest of kind "blinka" ({error})', "adafruit-blinka", "pi-sensors") from error
    return board.I2C()


def _set_up(driver: Driver, bus: Any, address: int | None) -> Any:
    try:
        made = getattr(importlib.import_module(driver.module), driver.name)
    except ImportError as error:
        raise MissingExtra(
            f"a sensor read by {driver.module}", driver.module.partition(".")[0], "pi-sensors"
        ) from error
    found = made(bus) if address is None else made(bus, address)
    if driver.start is not None:
        getattr(found, driver.start)()
    return found
