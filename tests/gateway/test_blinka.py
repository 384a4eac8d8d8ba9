"""Sensors wired to the Pi: Adafruit's drivers, not a byte changed, on our device models behind a busio bus."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from balise_gateway.errors import MissingExtra
from balise_gateway.ingests import blinka
from balise_gateway.sources import blinka as source
from balise_wire.channels import channel
from contracts.found import device
from contracts.strangers import TIME, BusioI2C, StrangeBench, library, module
from gateway.support import played, until

ADDRESSES = {"bme280": "bme280 0x76", "bmp280": "bmp280 0x76", "bme680": "bme680 0x76"}


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Puts a device model on the Pi's bus, and blinka's `board` beside it."""

    def wire(model: str) -> Any:
        made = device(model)()
        bus = BusioI2C(StrangeBench().bus(made))
        monkeypatch.setitem(sys.modules, "board", module("board", I2C=lambda: bus))
        name = blinka.DRIVERS[model].module
        monkeypatch.setitem(sys.modules, name, library(name))
        return made

    return wire


class Heard:
    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []

    def take(self, ingest: Any, source: str, data: bytes, token: Any, marks: int = 0) -> None:
        assert token is None
        self.messages.append((source, data))


async def read(model: str, messages: int = 1) -> tuple[blinka.Ingest, Heard]:
    settings = blinka.Settings(kind="blinka", sensors={"balcony": ADDRESSES.get(model, model)}, period_s=0.1)
    ingest, heard = blinka.Ingest(settings, asyncio.get_running_loop().create_server), Heard()
    task = asyncio.create_task(ingest.run(heard.take))
    TIME.us += 10_000_000
    await until(lambda: TIME.sleep(1) or len(heard.messages) >= messages or task.done())
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        raise task.exception() or AssertionError
    return ingest, heard


@pytest.mark.parametrize("model", sorted(blinka.DRIVERS))
def test_what_is_set_arrives_as_a_row(pi: Callable[[str], Any], model: str) -> None:
    """From the chip's registers through their driver and our source to the channel table's integers."""

    async def scene() -> None:
        made = pi(model)
        wanted = {name: each.low + 0.6 * (each.high - each.low) for name, each in made.CHANNELS.items()}
        for name, value in wanted.items():
            made.set_channel(name, value)
        _, heard = await read(model)
        settings = source.Settings(kind="blinka", prefix="urn:dev:ops:b4115e-")
        (row,) = source.Source(settings, lambda: 0).read(*heard.messages[0])
        assert row.device == "balcony"
        assert {column.model for column in row.shape.columns} == {model}
        for column, value in zip(row.shape.columns, row.values, strict=True):
            each, step = made.CHANNELS[column.name], 10.0**-column.scale
            assert value is not None
            about = pytest.approx(wanted[column.name], rel=max(each.share, 1e-6), abs=1.5 * each.resolution + step)
            assert value * step == about, column.name
            assert channel(column.name).unit == column.unit

    played(scene)


def test_a_sensor_that_does_not_answer_is_told_and_comes_back(pi: Callable[[str], Any]) -> None:
    async def scene() -> None:
        pi("sht4x")
        bus = sys.modules["board"].I2C()
        whole, bus._bus = bus._bus, Absent()
        settings = blinka.Settings(kind="blinka", sensors={"balcony": "sht4x"}, period_s=0.1)
        ingest, heard = blinka.Ingest(settings, asyncio.get_running_loop().create_server), Heard()
        task = asyncio.create_task(ingest.run(heard.take))
        await until(lambda: "balcony" in str(ingest.status()["state"]))
        assert not heard.messages
        bus._bus = whole
        await until(lambda: heard.messages)
        assert ingest.status()["state"] == "up"
        assert "no_answer" in ingest.status()["counters"]  # type: ignore[operator]
        task.cancel()
        await asyncio.wait([task])

    played(scene)


class Absent:
    """A bus on which nobody answers."""

    def writeto(self, address: int, data: bytes) -> None:
        raise OSError(121, "Remote I/O error")

    def readfrom(self, address: int, size: int) -> bytes:
        raise OSError(121, "Remote I/O error")


def test_without_blinka_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "board", None)

    async def scene() -> None:
        with pytest.raises(MissingExtra, match="pi-sensors"):
            await read("sht4x")

    played(scene)


def test_what_is_wrong_in_the_configuration_is_said() -> None:
    def problem(**sensors: str) -> str:
        return str(blinka.Settings(kind="blinka", sensors=sensors).problem())

    assert "nothing would be read" in problem()
    assert "models: bme280" in problem(a="bme999")
    assert "models: bme280" in problem(a="bme280 0x200")
    assert problem(a="bme280 0x77", b="scd4x") == "None"
