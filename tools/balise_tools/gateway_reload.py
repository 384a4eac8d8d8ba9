"""`balise gateway reload`: has the running service read its configuration again. Leaves the change to `daemon.py`."""

import subprocess
from pathlib import Path

import typer

from balise_gateway.operation import unit
from balise_tools.gateway_config import FAILED, ConfigFile, fail, load

SERVICE_CONFIG = Path(unit.CONFIG_DIR) / "gateway.toml"


def reload(config: ConfigFile = SERVICE_CONFIG) -> None:
    """Checks the configuration, then has the service take it; what did not change is not disturbed, nothing is lost."""
    load(config)
    if not Path("/run/systemd/system").is_dir():
        fail("there is no systemd here; send the gateway's process a SIGHUP instead (kill -HUP)", FAILED)
    done = subprocess.run(["systemctl", "reload", unit.NAME], capture_output=True, text=True, check=False)
    if done.returncode:
        fail(
            f"{done.stderr.strip() or 'systemctl failed'}; is the service running? systemctl status {unit.NAME}", FAILED
        )
    typer.echo(f"told; what changed: systemctl status {unit.NAME}")
