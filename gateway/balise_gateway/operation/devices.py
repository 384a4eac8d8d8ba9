"""What the service must be let at for the readers and outputs of a configuration, and nothing else.

Promises that a kind that is not configured opens no device. Leaves what one kind needs to its own module (`NEEDS`), the
unit's text to `unit.py`, and machine files to `install.py`.
"""

from collections.abc import Iterator
from pathlib import Path

from balise_gateway import plugins
from balise_gateway.badges import outputs, readers
from balise_gateway.badges.needs import Need
from balise_gateway.config import Config

SERIAL_GROUP = "dialout"  # sensors hang on serial ports too: the unit has it, and all serial ports, always
_OWN_UART = ("serial", "ttyAMA", "ttyS")


def of(config: Config) -> Need:
    """All that this configuration needs, together."""
    needs = list(each_of(config))
    return Need(
        tuple(dict.fromkeys(device for need in needs for device in need.devices)),
        tuple(dict.fromkeys(group for need in needs for group in need.groups)),
        sum(need.memory_mib for need in needs),
        sum(need.tasks for need in needs),
        any(need.proc for need in needs),
        any(need.pcscd for need in needs),
    )


def console_ports(config: Config) -> list[str]:
    """The ports of a Pi's own UART that readers use: a login console must not stand there."""
    paths = [path for reader in config.readers if isinstance(path := getattr(reader, "path", None), Path)]
    return [str(path) for path in paths if path.parent == Path("/dev") and path.name.startswith(_OWN_UART)]


def each_of(config: Config) -> Iterator[Need]:
    """What each reader and each output needs."""
    for package, settings in ((readers, config.readers), (outputs, config.outputs)):
        for each in settings:
            yield plugins.load(package, each.kind).NEEDS
