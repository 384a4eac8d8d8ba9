"""The way out: does it cost by the byte, and so how often, in which form and how fast are batches sent?

Promises that where bytes cost, logs are closed and delivered in sessions, seldom and in the smallest form; where they
do not, as each hub's configuration says. NetworkManager's property `Metered` (1 and 3: yes, 2 and 4: no; 0: not known)
is asked over the system's D-Bus, by systemd's own `busctl`; where nobody knows, the link counts as free, and says so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from balise_gateway.hubs import HubSettings
from balise_gateway.log import event
from balise_gateway.settings import Key

LOOK_S = 60.0
ANSWER_WITHIN_S = 10.0
AskMetered = Callable[[], Awaitable[bool | None]]
_METERED = {"u 1": True, "u 3": True, "u 2": False, "u 4": False}
_ASK = (
    "busctl",
    "--system",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
)


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """[link]"""

    metered: Annotated[Literal["auto", "yes", "no"], Key("do bytes cost? auto: as NetworkManager says")] = "auto"
    monthly_mb: Annotated[float | None, Key("what a month may cost, in 10^6 bytes; unset: no limit", least=0.1)] = None
    plan_day: Annotated[int, Key("the day of the month on which the plan begins anew", least=1, most=28)] = 1
    metered_batch_s: Annotated[float, Key("how often to close and deliver where bytes cost", least=60.0)] = 3_600.0
    drain_kb_per_s: Annotated[
        float | None, Key("the pace of a backlog, in 10^3 bytes a second; unset: as fast as it goes", least=0.1)
    ] = None


class Link:
    """The link as it is now."""

    def __init__(self, settings: LinkSettings, ask: AskMetered | None) -> None:
        """`ask` is `ask_network_manager`, or None where there is nobody to ask."""
        self.settings, self._ask = settings, ask
        self.metered = settings.metered == "yes"
        self.source = "the configuration" if settings.metered != "auto" else "nobody: taken for free"

    async def watch(self) -> None:
        """Asks NetworkManager again and again, until cancelled; does nothing where the configuration says it."""
        while self.settings.metered == "auto" and self._ask is not None:
            told = await self._ask()
            if told is not None and (told, "NetworkManager") != (self.metered, self.source):
                self.metered, self.source = told, "NetworkManager"
                event("link is metered" if told else "link is free", says=self.source)
            await asyncio.sleep(LOOK_S)

    def period_s(self, hub: HubSettings) -> float:
        """How often this hub's log is closed and delivered."""
        return max(hub.batch_s, self.settings.metered_batch_s) if self.metered else hub.batch_s

    def form(self, hub: HubSettings) -> str:
        """The form of columns: few bytes where they cost."""
        return "rice" if self.metered else hub.form


async def ask_network_manager() -> bool | None:
    """Whether the way out is metered; None when it cannot be asked or does not know."""
    try:
        asked = await asyncio.create_subprocess_exec(
            *_ASK, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer, _ = await asked.communicate()
    except (OSError, TimeoutError):
        return None
    return _METERED.get(answer.decode(errors="replace").strip())
