"""`python -m balise_gateway FILE [json]` runs the gateway with this configuration, and nothing else in memory.

Promises exit code 0 after a clean stop (SIGTERM or Ctrl-C: what was taken is then on disk), 2 for a configuration, key
or installation that cannot be used. `balise gateway run` becomes this process: what types commands and prints tables
would stay in memory for months. Leaves everything else to `daemon.py`.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from balise_gateway import config as configuration
from balise_gateway.clock import SystemClock
from balise_gateway.config import Config
from balise_gateway.daemon import Gateway
from balise_gateway.errors import ConfigError, JournalError, KeyFileError, MissingExtra
from balise_gateway.log import event, tell
from balise_gateway.operation.notify import Notify
from balise_gateway.policy.link import ask_network_manager

CONFIG_ERROR = 2


def main(path: Path, log: str = "text") -> int:
    """Runs until told to stop, with events as lines of "text" or "json"; returns the exit code."""
    try:
        loaded = configuration.load(path)
        tell(sys.stderr, log)
        asyncio.run(_run_until_signal(_gateway(loaded), path))
    except (ConfigError, KeyFileError, MissingExtra) as error:
        return _failed(str(error))
    except ExceptionGroup as errors:
        missing = errors.subgroup(MissingExtra)
        if missing is None:
            raise
        return _failed(str(missing.exceptions[0]))
    return 0


def _gateway(loaded: Config) -> Gateway:
    return Gateway(loaded, SystemClock(loaded.gateway.clock_uncertainty_ms), ask_metered=ask_network_manager)


def _failed(text: str) -> int:
    print(f"balise gateway: {text}", file=sys.stderr)
    return CONFIG_ERROR


async def _run_until_signal(gateway: Gateway, path: Path | None = None) -> None:
    """SIGTERM and Ctrl-C end it; SIGHUP has it read the configuration at `path` again."""
    stop, loop, notify = asyncio.Event(), asyncio.get_running_loop(), Notify(os.environ)
    again = asyncio.Event()

    def end() -> None:
        notify.say("STOPPING=1")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    tasks = [loop.create_task(notify.keep_watch(gateway.is_well))]
    if path is not None:
        tasks.append(loop.create_task(_reload_when_told(gateway, path, again, notify)))
    await gateway.run(stop, lambda: notify.say("READY=1", "STATUS=the journal is open"))
    for task in tasks:
        task.cancel()


async def _reload_when_told(gateway: Gateway, path: Path, again: asyncio.Event, notify: Notify) -> None:
    """A configuration that cannot be used changes nothing, and is told."""
    while True:
        await again.wait()
        again.clear()
        notify.say("RELOADING=1")
        try:
            changed = await gateway.reload(configuration.load(path))
            told = f"configuration read again: {'; '.join(changed) or 'nothing has changed'}"
            event("configuration read again", changed="; ".join(changed) or "nothing")
        except (ConfigError, JournalError, MissingExtra) as error:
            told = f"the old configuration stays: {error}"
            event("configuration not taken", level=logging.ERROR, why=error)
        notify.say("READY=1", f"STATUS={' '.join(told.split())}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:3]))
