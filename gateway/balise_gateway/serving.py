"""HTTP for whoever asks: uvicorn's protocol without its server, which wakes ten times a second, and within bounds.

Promises that connections are bounded, of one address more so, and that one which does not say what it wants, or does
not take what it asked for, is closed after a minute: nobody can use up the files that the gateway may open. Connections
from this computer itself, such as a screen's at the door, always find room. Leaves ports and paths to the callers.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from balise_gateway.errors import MissingExtra
from balise_gateway.log import event

TELL_AGAIN_S = 3_600.0


@dataclass(frozen=True)
class Limits:
    """What connections may cost. `patience_s`: how long one may keep us waiting for its request, or for its reading."""

    most: int = 128
    of_one: int = 48  # a browser opens six; a proxy on another computer brings many people
    own: int = 64  # from this computer, beside the others
    patience_s: float = 60.0


@dataclass
class _Door:
    """Who is connected now."""

    limits: Limits
    many: Counter[str] = field(default_factory=Counter)
    told_s: float = -TELL_AGAIN_S

    def lets_in(self, address: str) -> bool:
        own = sum(n for each, n in self.many.items() if _is_own(each))
        if _is_own(address):
            found = own < self.limits.own
        else:
            found = self.many.total() - own < self.limits.most and self.many[address] < self.limits.of_one
        self.many[address] += found
        return found

    def lets_out(self, address: str) -> None:
        self.many[address] -= 1
        if not self.many[address]:
            del self.many[address]

    def tell(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self.told_s >= TELL_AGAIN_S:
            self.told_s = now_s
            event("too many connections", open=self.many.total())


def protocol(
    app: Callable[..., Any], part: str, limits: Limits | None = None
) -> tuple[Callable[[], asyncio.Protocol], Iterable[Any]]:
    """(what makes the protocol of a connection, all connections that uvicorn has open). Raises MissingExtra."""
    try:
        import uvicorn
        from uvicorn.server import ServerState
    except ImportError as error:
        raise MissingExtra(part, "uvicorn", "gateway") from error
    quiet = {"log_config": None, "access_log": False, "log_level": "error"}  # a stranger's nonsense is no event
    config = uvicorn.Config(app, lifespan="off", ws="none", http="h11", interface="asgi3", **quiet)  # type: ignore[arg-type]
    config.load()
    state, door = ServerState(), _Door(limits or Limits())
    made: Any = config.http_protocol_class
    return lambda: _Bounded(made(config=config, server_state=state, app_state={}), door), state.connections


class _Bounded(asyncio.Protocol):
    """One connection, handed on to uvicorn's protocol."""

    def __init__(self, inner: Any, door: _Door) -> None:
        self._inner, self._door = inner, door
        self._address = ""
        self._transport: asyncio.Transport | None = None
        self._look: asyncio.TimerHandle | None = None
        self._cycle: object = None  # the request that was seen last
        self._unread, self._since_s = 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._door.lets_in(self._address):
            self._door.tell()
            cast("asyncio.Transport", transport).abort()
            return
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)
        self._since_s = asyncio.get_running_loop().time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._door.lets_out(self._address)
        if self._look is not None:
            self._look.cancel()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._transport is None else cast("bool | None", self._inner.eof_received())

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(self._door.limits.patience_s / 4, self._looked)

    def _looked(self) -> None:
        """Closes the connection when its other end has kept us waiting for too long."""
        if self._transport is None:
            return
        now_s, cycle = asyncio.get_running_loop().time(), self._inner.cycle
        unread = self._transport.get_write_buffer_size()
        is_ours = cycle is not None and not cycle.response_complete and not cycle.more_body
        if cycle is not self._cycle or (is_ours and not 0 < self._unread <= unread):
            self._since_s = now_s
        self._cycle, self._unread = cycle, unread
        if now_s - self._since_s >= self._door.limits.patience_s:
            self._transport.abort()
        else:
            self._look_later()


def _is_own(address: str) -> bool:
    return address in ("127.0.0.1", "::1", "")
