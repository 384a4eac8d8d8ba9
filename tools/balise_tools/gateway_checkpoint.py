"""`balise gateway checkpoint`: what a log was at this moment, signed. Leaves the form to `balise_wire.checkpoint`."""

from typing import Annotated

import typer

from balise_gateway import keys
from balise_gateway.errors import JournalError, KeyFileError
from balise_gateway.journal import open_to_read
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import logs
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, fail, load
from balise_wire.checkpoint import sign_checkpoint
from balise_wire.log import Frontier


def checkpoint(
    log: Annotated[int, typer.Option("--log", help="The number of the log; 0 is the home log.")] = HOME_LOG,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Prints a signed note of a log's size and root, also where old envelopes were given up; the gateway may run."""
    data_dir = load(config).gateway.data_dir
    tree = Frontier()
    try:
        signer = keys.load(data_dir)
        for leaf in logs.leaf_hashes(open_to_read(data_dir), log):
            tree.append(leaf)
    except (JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    typer.echo(sign_checkpoint(signer, log, tree.size, tree.root()), nl=False)
