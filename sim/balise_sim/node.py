"""One simulated board: its power, its boots, and the VM that computes while the world's clock stands still.

Promises: a boot ends only by its own wish, its watchdog, a power cut or the end of its VM, and the reason is told to
the next boot or found in `fault`; the same seed gives the same boots. Leaves to others: what requests mean (calls.py),
devices (buses.py), the network (station.py), and time itself (world.py).
"""

import asyncio
import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balise_boards import HEAP_GATES, Board
from balise_sim.bridge import MAX_REPLY_BYTES, Bridge, Reply, Request, State
from balise_sim.buses import Bench
from balise_sim.calls import ENTRY, Calls
from balise_sim.console import Console
from balise_sim.energy import OFF, Ledger
from balise_sim.flash import Flash
from balise_sim.link import Link
from balise_sim.native_heap import NativeHeap
from balise_sim.peripheral import Peripheral
from balise_sim.station import PUSH_BYTES, Station
from balise_sim.vm import Vm

if TYPE_CHECKING:
    from balise_sim.world import World

LEAD_US = 20_000  # how far a VM's clock may run before the world's
SECOND_US = 1_000_000
RTC_START_S = {"rp2": 1_609_459_200}  # the RP2040's clock starts at 2021-01-01, the ESP32's at its epoch
TO_RESET, TO_SLEEP, TO_SOFT_RESET = 1, 2, 3


class Cause(enum.IntEnum):
    """machine.reset_cause()."""

    POWER_ON = 1
    HARD_RESET = 2
    WATCHDOG = 3
    DEEP_SLEEP = 4
    SOFT_RESET = 5


@dataclass
class _Wait:
    """What a parked VM waits for, in its own time; `until_us` -1: no end."""

    now_us: int
    until_us: int
    interest: list[tuple[Any, ...]]  # (handle, events, bytes that the VM has) each


def board_settings(board: Board, root: Path) -> dict[str, Any]:
    """What overlays need to know, as for a board that was never used before."""
    return {
        "platform": board.platform,
        "machine": board.machine,
        "release": "1.29.0",
        "version": "",
        "epoch_year": board.epoch_year,
        "ticks_period": board.ticks_period,
        "cpu_hz": board.cpu_hz,
        "flash_bytes": board.flash_bytes,
        "unique_id": "000000000000",
        "reset_cause": int(Cause.POWER_ON),
        "rtc_us": 0,
        "seed": 0,
        "root": str(root.resolve()),
    }


class Node:
    """A board in the world. `fault` says why its firmware no longer runs, None while it does."""

    def __init__(self, world: "World", name: str, board: Board, root: Path, link: Link) -> None:
        self.world, self.name, self.board, self.root, self.link = world, name, board, root, link
        self.bench = Bench(board, self._edge)
        self.station = Station(world.network, link, world.next_address(), lambda _handle: self._stir())
        self.station.rejoins = board.platform == "esp32"
        self.energy = Ledger(board.current_ua, lambda: world.now_us)
        self.station.on_radio, self.station.on_sent = self.energy.radio, self.energy.sent
        self.native_heap = NativeHeap(board.native_heap)
        self.sleeps_lightly = False  # a wait is a light sleep
        self._baseline_bytes = 0
        self.peripheral = Peripheral(world.loop, self._ble_event)
        self.dice = random.Random(f"{world.seed}/{name}")
        self.console = Console(world.start_utc_ms)
        self.boots = 0
        self.fault: str | None = None
        self.vm_version = ""
        self.rtc_memory = b""
        self.flash = Flash(root, board.flash_bytes)
        self._cause = Cause.POWER_ON
        self._rtc_zero_us = 0
        self._boot_us = 0
        self._vm: Vm | None = None
        self._bridge: Bridge | None = None
        self._calls: Calls | None = None
        self._wait: _Wait | None = None
        self._timer: asyncio.TimerHandle | None = None  # the next look at a parked VM, or the next boot
        self._dog: asyncio.TimerHandle | None = None
        self._dog_us = self._dog_timeout_us = 0
        self._look_is_planned = False
        self._then: Callable[[], None] | None = None  # what to do when the VM has parked for good
        self.powered = False

    # What scenarios do

    def power_on(self) -> None:
        """Power comes: after the board's boot time its firmware runs."""
        if self.powered:
            return
        self.powered = True
        now_us = self.world.now_us
        self._rtc_zero_us = now_us - RTC_START_S.get(self.board.platform, 0) * SECOND_US
        self.rtc_memory = b""
        self.bench.power_on(now_us)
        self._plan_boot(Cause.POWER_ON, now_us)

    def power_cut(self) -> None:
        """Power goes, without warning, wherever the firmware is."""
        self.powered = False
        self._end_boot()
        self.energy.processor(OFF, self.world.now_us)

    def reset(self) -> None:
        """Somebody presses the board's button."""
        if self.powered:
            self._end_boot()
            self.bench.pins.forget()
            self._plan_boot(Cause.HARD_RESET, self.world.now_us)

    @property
    def is_running(self) -> bool:
        return self._vm is not None

    @property
    def requests(self) -> int:
        """How many requests this boot's VM has made."""
        return self._bridge.requests if self._bridge else 0

    # The boot

    def _plan_boot(self, cause: Cause, at_us: int) -> None:
        self._cause = cause
        self._timer = self.world.call_at_us(at_us, self._boot)

    def _boot(self) -> None:
        self.boots += 1
        self.fault = None
        self._boot_us = self.world.now_us
        self.energy.processor("boot", self._boot_us)
        self._vm = self.world.spawn(self.board)
        self._calls = Calls(self, self._boot_us)
        self._bridge = Bridge(self._vm.bridge, self._calls.table, self._drain)
        self._bridge.horizon_us = self.board.boot_ms * 1000 + LEAD_US
        self._serve()

    @property
    def unique_id(self) -> bytes:
        """The chip's, which is its radios' address as well."""
        return random.Random(self.name).randbytes(6)

    def settings(self) -> dict[str, Any]:
        """What the VM is told about its board."""
        return board_settings(self.board, self.root) | {
            "version": f"simulated {self.board.name}, VM {self.vm_version}",
            "unique_id": self.unique_id.hex(),
            "reset_cause": int(self._cause),
            "rtc_us": self._boot_us - self._rtc_zero_us,
            "seed": self.dice.getrandbits(30),
        }

    def overlays_ready(self, baseline_bytes: int) -> None:
        """The board's modules are loaded, and take so much of the heap."""
        self.world.check_baseline(baseline_bytes)
        self._baseline_bytes = baseline_bytes
        self.energy.processor("run", self._boot_us + self.board.boot_ms * 1000)

    def python_bytes(self, allocated_bytes: int) -> int:
        """What Python's objects would take on the board, of what the VM has allocated."""
        return round((allocated_bytes - self._baseline_bytes) / HEAP_GATES[self.board.heap_gate])

    def set_rtc(self, rtc_us: int) -> None:
        self._rtc_zero_us = self._boot_us - rtc_us

    def finished(self, kind: int, free_bytes: int, text: str) -> None:
        """main.py ended: 0 by itself, 1 with an exception, 2 for want of memory; the board sits at its prompt."""
        if kind == 2:
            self.fault = (
                f"{self.name} does not fit its board: {text}; {self.board.name} has {self.board.free_heap_bytes} bytes "
                f"of heap, {free_bytes} were free after main.py had ended (gate: {self.board.heap_gate})"
            )
        else:
            self.fault = f"{self.name}: main.py ended" + (f" with {text}" if text else "")

    def restart(self, kind: int, after_ms: int, now_us: int) -> None:
        """The firmware asked for a reset (1), a deep sleep (2) or a soft reset (3); its request is never answered."""
        cause = {TO_RESET: Cause.HARD_RESET, TO_SLEEP: Cause.DEEP_SLEEP}.get(kind, Cause.SOFT_RESET)
        at_us = self._boot_us + now_us + after_ms * 1000
        forever = kind == TO_SLEEP and after_ms == 0

        def then() -> None:
            self._end_boot()
            self.bench.pins.forget()
            if kind == TO_SLEEP:
                self.energy.processor("deep_sleep", self._boot_us + now_us)
            if not forever:
                self._plan_boot(cause, at_us)

        self._then = then

    def touch_flash(self, request: Request) -> Reply | None:
        """The firmware is about to change a file: the moment at which power cuts hurt most."""
        reply = self.flash.request(request)
        if reply is None:
            self._then = self.power_cut
        return reply

    def _end_boot(self) -> None:
        for timer in (self._timer, self._dog):
            if timer is not None:
                timer.cancel()
        self._timer = self._dog = None
        self._then = self._wait = None
        self.station.lose_power()
        self.native_heap.clear()
        self.sleeps_lightly = False
        self.peripheral.lose_power()
        if self._vm is not None:
            self.world.source.kill(self._vm)
            self._close_vm(self._vm)
        self.flash.lose_power()

    def _close_vm(self, vm: Vm) -> None:
        self.console.drain(vm.console_fd)
        self.console.cut(self.world.now_us, end_of_boot=True)
        vm.close()
        self._vm = self._bridge = self._calls = None

    # Running

    def _serve(self) -> None:
        """Lets the VM compute until it waits."""
        assert self._bridge is not None
        state = self._bridge.serve()
        self._drain()
        self.console.cut(self._boot_us + self._bridge.last_us)
        if state is State.AHEAD:
            self._timer = self.world.call_at_us(self._boot_us + self._bridge.ahead_us, self._catch_up)
        elif state is State.ENDED:
            self._vm_ended()
        elif state is State.HUNG:
            self._vm_hangs()
        elif state is State.GARBLED:
            self._end_boot()
            self.fault = f"{self.name}: its VM says what no overlay says; the bridge is out of step"
        elif self._then is not None:
            then, self._then = self._then, None
            then()

    def _catch_up(self) -> None:
        if self._bridge is not None:
            self._bridge.horizon_us = self.world.now_us - self._boot_us + LEAD_US
            self._serve()

    def _drain(self) -> None:
        if self._vm is not None:
            self.console.drain(self._vm.console_fd)

    def _vm_ended(self) -> None:
        assert self._vm is not None
        status = self.world.source.reap(self._vm)
        self._close_vm(self._vm)
        self._end_boot()
        last = self.console.lines[-1][1] if self.console.lines else ""
        self.fault = f"{self.name}: its VM ended with status {status}; last line: {last!r}"

    def _vm_hangs(self) -> None:
        """Firmware computes without ever looking at the clock: only a watchdog helps, and it bites at its time."""
        assert self._vm is not None
        self.world.source.kill(self._vm)
        self._close_vm(self._vm)
        if self._dog is None:
            self._end_boot()
            self.fault = f"{self.name}: its firmware hangs, and no watchdog is set"

    def feed_watchdog(self, timeout_us: int, now_us: int) -> None:
        """Sets the time-out when it is above 0, and starts anew."""
        self._dog_timeout_us = timeout_us or self._dog_timeout_us
        self._dog_us = self._boot_us + now_us + self._dog_timeout_us
        if self._dog is None and self._dog_timeout_us:
            self._dog = self.world.call_at_us(self._dog_us, self._bite)

    def _bite(self) -> None:
        if self.world.now_us < self._dog_us:
            self._dog = self.world.call_at_us(self._dog_us, self._bite)
            return
        self._end_boot()
        self.bench.pins.forget()
        self._plan_boot(Cause.WATCHDOG, self.world.now_us)

    # Waiting

    def wait(self, request: Request) -> Reply | None:
        """Answers at once when something is ready or the time has come, else parks the VM."""
        interest = list(ENTRY.iter_unpack(request.payload))
        wait = _Wait(request.now_us, request.value, interest)
        if request.now_us - (self.world.now_us - self._boot_us) <= LEAD_US:
            ready = self._collect(wait, request.now_us)
            over = 0 <= wait.until_us <= request.now_us
            if ready or over or self.bench.pins.edges:
                return Reply(len(ready), ready)
        self._wait = wait
        self.energy.processor("light_sleep" if self.sleeps_lightly else "wait", self._boot_us + wait.now_us)
        self._arm(wait)
        return None

    def _collect(self, wait: _Wait, now_us: int) -> bytes:
        """The ready handles with their bytes, as overlays/_streams.py reads them."""
        ready = b""
        for handle, mask, unread in wait.interest:
            if len(ready) + ENTRY.size + PUSH_BYTES > MAX_REPLY_BYTES:
                break  # the others at the next wait
            source = self._calls.source(handle) if self._calls else None
            got = source.collect(mask, unread, self._boot_us + now_us) if source else None
            if got is not None:
                ready += ENTRY.pack(handle, got[0], len(got[1])) + got[1]
        return ready

    def _arm(self, wait: _Wait) -> None:
        """Plans the next look: at the end of the wait, or when a UART will have something."""
        now_us = self._boot_us + wait.now_us
        moments = [self._boot_us + wait.until_us] if wait.until_us >= 0 else []
        for handle, mask, _unread in wait.interest:
            source = self._calls.source(handle) if self._calls and mask & 1 else None
            due_us = source.due_us(now_us) if source else None
            if due_us is not None:
                moments.append(due_us)
        if moments:
            self._timer = self.world.call_at_us(max(now_us, min(moments)), self._look)

    def _stir(self) -> None:
        """Something may have become ready: look soon, not inside the caller."""
        if self._wait is not None and not self._look_is_planned:
            self._look_is_planned = True
            self.world.loop.call_soon(self._look_soon)

    def _look_soon(self) -> None:
        self._look_is_planned = False
        if self._wait is not None and self._timer is not None:
            self._timer.cancel()
        self._look()

    def _look(self) -> None:
        wait = self._wait
        if wait is None or self._bridge is None:
            return
        now_us = self.world.now_us - self._boot_us
        wait.now_us = max(wait.now_us, now_us)
        ready = self._collect(wait, wait.now_us)
        if not ready and not self.bench.pins.edges and not 0 <= wait.until_us <= now_us:
            self._arm(wait)
            return
        self._wait = None
        self._timer = None
        self.energy.processor("run", self._boot_us + wait.now_us)
        self._bridge.horizon_us = wait.now_us + LEAD_US
        self._bridge.answer(wait.now_us, len(ready), ready)
        self._serve()

    def _edge(self) -> None:
        """A watched pin changed: the VM hears of it with its next reply."""
        if self._bridge is not None:
            self._bridge.pending = len(self.bench.pins.edges) // 2
            self._stir()

    def _ble_event(self, edge: bytes) -> None:
        """The radio has something to tell: the VM hears of it as of a pin's edge."""
        self.bench.pins.edges += edge
        self._edge()

    def take_edges(self) -> bytes:
        edges = bytes(self.bench.pins.edges[:MAX_REPLY_BYTES])
        del self.bench.pins.edges[:MAX_REPLY_BYTES]
        if self._bridge is not None:
            self._bridge.pending = 0
        return edges
