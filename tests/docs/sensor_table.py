"""The table of sensors in firmware/README.md, made from the drivers: `python tests/docs/sensor_table.py` prints it."""

from balise_node.drivers import load
from contracts.found import SENSORS

HEAD = ("| `model` | bus | what it gives |", "| --- | --- | --- |")


def rows() -> list[str]:
    """One row for each driver."""
    return [
        f"| `{model}` | {load(model).BUS} | {', '.join(load(model).CHANNELS) or 'shows the others'} |"
        for model in SENSORS
    ]


if __name__ == "__main__":
    print("\n".join((*HEAD, *rows())))
