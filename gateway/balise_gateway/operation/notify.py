"""To systemd: ready, reloading, stopping, and "I am well" (sd_notify(3), systemd.service(5) Type=notify).

Promises that the watchdog is fed by the event loop itself, and only while the gateway says that it is well: a loop that
hangs, or a commit that nobody plans any more, is ended by systemd and begun anew. Without systemd all of it is silent.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping

_US_PER_S = 1_000_000


class Notify:
    """The socket that systemd names in the environment; none: nothing is said."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        limit_us, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        mine = not pid or pid == str(os.getpid())
        self.watchdog_s = int(limit_us) / _US_PER_S if limit_us.isdigit() and mine else None

    def say(self, *words: str) -> None:
        """Such as `READY=1`; nobody there to hear it is no fault."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            try:
                link.connect(self._address)
                link.sendall("\n".join(words).encode())
            except OSError:
                pass  # systemd is not there any more: nothing depends on being heard

    async def keep_watch(self, is_well: Callable[[], bool]) -> None:
        """Feeds the watchdog twice in its time, for ever, while all is well."""
        if self.watchdog_s is None:
            return
        while True:
            if is_well():
                self.say("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)
