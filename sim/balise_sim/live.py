"""A board in real time, with a prompt on a terminal: what `mpremote` and people at a keyboard talk to.

Promises: the world goes on while the VM computes, however long; Ctrl-D, Ctrl-C, resets and deep sleep do what they do
on a board; the board's clock never falls behind the world's. Nothing here is deterministic. Leaves to others: the
bytes of the terminal (terminal.py), and the VM's side (overlays/_prompt.py).
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balise_boards import Board
from balise_sim.bridge import CHUNK_BYTES, REQUEST, Bridge, Handler, Op, Reply, Request, State
from balise_sim.calls import Calls
from balise_sim.link import Link
from balise_sim.node import LEAD_US, TO_SOFT_RESET, Cause, Node
from balise_sim.pace import Ready, Select
from balise_sim.terminal import Terminal
from balise_sim.vm import Vm

if TYPE_CHECKING:
    from balise_sim.world import World

LISTEN = 1
SOFT_BOOT_US = 30_000
SYNC = 255  # the question with which a VM finds the end of a reply that it lost; overlays/_prompt.py
BLANK = b"\xff" * 4096


class RealTime:
    """The pace of a world alone with real time (pace.Pace): `speed` of its seconds in one."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed, self._start_s = speed, time.monotonic()

    def now_s(self) -> float:
        return (time.monotonic() - self._start_s) * self._speed

    def select(self, really: Select, until_s: float | None) -> Ready:
        return really(3600.0 if until_s is None else max(0.0, (until_s - self.now_s()) / self._speed))

    def close(self) -> None:
        """Nothing is open."""


class LiveBridge(Bridge):
    """Never waits for the VM: `serve` returns when there is nothing to answer, and is called again when there is."""

    def __init__(self, end: socket.socket, handlers: Mapping[int, Handler], now_us: Callable[[], int]) -> None:
        super().__init__(end, handlers, lambda: None)
        end.setblocking(False)
        self._now_us = now_us
        self._inbox = b""

    def answer(self, now_us: int, value: int = 0, payload: bytes = b"") -> None:
        super().answer(max(now_us, self._now_us()), value, payload)

    def serve(self) -> State:
        while True:
            got, self._deferred = self._deferred or self._next_request(), None
            if isinstance(got, State):
                return got
            if got.now_us > max(self.horizon_us, self._now_us() + LEAD_US) and got.op != Op.WAIT:
                self._deferred = got
                return State.AHEAD
            self.requests += 1
            self.last_us = got.now_us
            reply = self._handlers[got.op](got)
            if reply is not None:
                self.answer(got.now_us + reply.cost_us, reply.value, reply.payload)

    def _next_request(self) -> Request | State:
        """A whole request; PARKED when none is here. Zeros between requests pad one that was interrupted."""
        while True:
            self._inbox = self._inbox.lstrip(b"\0")
            if len(self._inbox) >= REQUEST.size:
                op, handle, small, length, now_us, value = REQUEST.unpack_from(self._inbox)
                if op not in self._handlers:
                    return State.GARBLED
                end = REQUEST.size + length
                if len(self._inbox) >= end:
                    payload, self._inbox = self._inbox[REQUEST.size : end], self._inbox[end:]
                    return Request(op, handle, small, now_us, value, payload)
            try:
                part = os.read(self._fd, CHUNK_BYTES)
            except BlockingIOError:
                return State.PARKED
            except ConnectionResetError:
                return State.ENDED
            if not part:
                return State.ENDED
            self._inbox += part


class LiveNode(Node):
    """See the module. `image` is a littlefs image in place of the folder `root`, which then only fills a new one."""

    def __init__(self, world: "World", name: str, board: Board, root: Path, image: Path | None = None) -> None:
        super().__init__(world, name, board, root, Link(world.loop, seed=name))
        self._image = image
        if image is not None and not image.exists():
            image.write_bytes(BLANK * (board.flash_bytes // len(BLANK)))
        version = f"MicroPython on a simulated board; {board.machine}"
        banner = f'{version}\r\nType "help()" for more information.\r\n>>> '
        self.terminal = Terminal(world.loop, banner.encode())
        self.terminal.on_text = self._hear
        self._is_ready = False

    def _hear(self, data: bytes) -> None:
        self.console.take(data)
        self.console.cut(self.world.now_us)

    def settings(self) -> dict[str, Any]:
        """As any board's, and what the prompt needs to know."""
        image = str(self._image.resolve()) if self._image is not None else ""
        return super().settings() | {"prompt": True, "raw": self.terminal.is_raw, "image": image}

    # The boot

    def _boot(self) -> None:
        self.boots += 1
        self.fault = None
        self._is_ready = False
        self._boot_us = self.world.now_us
        is_soft = self._cause is Cause.SOFT_RESET
        self._vm = self.world.spawn(self.board, prompt=True)
        self._calls = Calls(self, self._boot_us)
        own: dict[int, Handler] = {SYNC: self._sync, Op.HELLO: self._greet} if is_soft else {SYNC: self._sync}
        self._bridge = LiveBridge(self._vm.bridge, self._calls.table | own, self._since_boot_us)
        if not is_soft:
            self.terminal.say(f"rst:0x{self._cause:x} ({self._cause.name}), simulated {self.board.title}")
        self.terminal.attach(self._vm.console_fd, raw=is_soft and self.terminal.is_raw)
        self.world.loop.add_reader(self._vm.bridge.fileno(), self._serve)

    def _greet(self, request: Request) -> Reply | None:
        """A soft reset is quick: the chip and its loader do not start again."""
        assert self._calls is not None
        reply = self._calls.table[Op.HELLO](request)
        return reply and reply._replace(cost_us=SOFT_BOOT_US)

    def _since_boot_us(self) -> int:
        return self.world.now_us - self._boot_us

    def overlays_ready(self, baseline_bytes: int) -> None:
        """The prompt takes more than what was measured; world.spawn has added for it."""
        self._is_ready = True

    def restart(self, kind: int, after_ms: int, now_us: int) -> None:
        """As any board; its terminal says so."""
        super().restart(kind, after_ms, now_us)
        if kind == TO_SOFT_RESET:
            self.terminal.detach()
            self.terminal.say("MPY: soft reboot")

    def _close_vm(self, vm: Vm) -> None:
        self.world.loop.remove_reader(vm.bridge.fileno())
        self.terminal.detach()
        vm.close()
        self._vm = self._bridge = self._calls = None

    def _drain(self) -> None:
        """The terminal reads by itself."""

    def _vm_ended(self) -> None:
        """Ctrl-D at the prompt, sys.exit(), or a VM that could not start."""
        assert self._vm is not None
        status = self.world.source.reap(self._vm)
        self._close_vm(self._vm)
        self._end_boot()
        if not self._is_ready:
            self.fault = f"{self.name}: its VM ended with status {status}"
            self.terminal.say(self.fault)
            return
        self.terminal.say("MPY: soft reboot")
        self.bench.pins.forget()
        self._plan_boot(Cause.SOFT_RESET, self.world.now_us)

    # Requests

    def wait(self, request: Request) -> Reply | None:
        """The VM counted from its own clock, which stood still while it computed or sat at the prompt."""
        late_us = max(0, self._since_boot_us() - request.now_us)
        until_us = request.value + late_us if request.value >= 0 else request.value
        return super().wait(request._replace(now_us=request.now_us + late_us, value=until_us))

    def _sync(self, request: Request) -> Reply:
        """Ctrl-C came in the middle of a request: nobody waits for its answer any more. Or: may it come?"""
        if request.small:
            self.terminal.listen(request.small == LISTEN)
            return Reply()
        self._wait = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return Reply(request.value)
