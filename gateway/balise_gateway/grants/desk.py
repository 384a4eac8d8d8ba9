"""The grants of a whole configuration, for the gateway that obeys them and for the commands that change them.

Promises one way to build `Standings`. Leaves what they do to `standings.py`.
"""

from zoneinfo import ZoneInfo

from balise_gateway.config import Config
from balise_gateway.grants.record import Record
from balise_gateway.grants.standings import Standings
from balise_wire.frames import FrameKeys


def standings_of(config: Config) -> Standings:
    """The views of all logs. Nothing is read until one is looked at."""
    hubs = {hub.log: hub.name for hub in config.hubs}
    sites = {FrameKeys(node.key).kid: node.whereabouts for node in config.nodes}
    record = Record(config.gateway.data_dir)
    return Standings(hubs, config.grants, sites, ZoneInfo(config.gateway.time_zone), record)
