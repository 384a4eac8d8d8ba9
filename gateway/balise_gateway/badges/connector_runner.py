"""The place's own software, all of it: what it is told when, and what it said last.

Promises that the desk never waits for any of it: a usage is on the disk, a tap in memory, a balance is the last one
known, with its date; that a connector which fails, or breaks, holds up no other; that nothing is lost while one is
away, and what it refused is asked again each day. A tap that could not be told within `TAP_S` is dropped and counted: a
lamp that goes on an hour later helps nobody. Leaves what is told to each kind, and the file to `connector_outbox.py`.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from balise_gateway import plugins
from balise_gateway.badges import connectors as kinds
from balise_gateway.badges.connector_outbox import Outbox
from balise_gateway.badges.connectors import Balance, Connector, ConnectorSettings, Tapped, Usage
from balise_gateway.clock import Clock
from balise_gateway.errors import BadgeError, ConfigError, ConnectorError, GatewayError
from balise_gateway.log import event

BATCH = 50  # usages told in one go
FIRST_WAIT_S, LONGEST_WAIT_S, HOST_WAIT_S = 5.0, 3_600.0, 900.0  # after failures; when the host must do something
ROUND_S = 3_600.0  # how often the balances of all members are asked, and a connector may do what is due by the calendar
DAY_S = 86_400.0  # after which what was refused is told again
FRESH_S = 600.0  # a balance younger than this is not asked again because its member taps
TAP_S, MOST_TAPS = 30.0, 50
ASK_S = 1.0  # between two balances: a program with a few hundred members has other things to do
STRIKES = 3  # a member whose balance fails so often holds up the others no more
Sleep = Callable[[float], Awaitable[object]]
Work = Callable[[], Coroutine[Any, Any, None]]


def built(
    settings: Sequence[ConnectorSettings], transport: Any = None, clock: Clock | None = None
) -> dict[str, Connector]:
    """A connector for each section of the configuration, by its label. Raises ConfigError."""
    found: dict[str, Connector] = {}
    for section in settings:
        if section.label in found:
            raise ConfigError(f"connector: two are called '{section.label}'; give each a name of its own")
        found[section.label] = plugins.load(kinds, section.kind).Connector(section, transport, clock)
    return found


class Runner:
    """All connectors of a place. Builds only; `members` are those whose balances are asked each hour."""

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        data_dir: Path,
        clock: Clock,
        members: Callable[[], Iterable[str]] = tuple,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._outbox = Outbox(data_dir)
        self._lines = [_Line(name, each, self._outbox, clock, sleep) for name, each in connectors.items()]
        self._members, self._sleep = members, sleep

    def open(self) -> None:
        """Opens the file; harmless when it is open. Raises BadgeError."""
        self._outbox.open()
        for line in self._lines:
            line.remember()

    def usage(self, usage: Usage) -> None:
        """This figure counts from now on; it is on the disk when this returns. Raises BadgeError."""
        wanting = [line for line in self._lines if "usage" in line.connector.wants]
        self._outbox.put([line.name for line in wanting], usage)
        for line in wanting:
            line.wake.set()

    def tapped(self, tap: Tapped) -> None:
        """Hands a tap over, and never waits."""
        for line in self._lines:
            if "tap" in line.connector.wants:
                line.take(tap)

    def balance_of(self, member: str) -> Balance | None:
        """The last one known, at once; the first connector that knows this member. A newer one is asked for."""
        found = None
        for line in self._lines:
            if "balance" in line.connector.wants:
                line.ask(member, first=True)
                found = found or line.balances.get(member)
        return found

    async def run(self) -> None:
        """Runs until cancelled; the file is open."""
        works: list[tuple[_Line | None, Work]] = [(line, work) for line in self._lines for work in line.works()]
        tasks = {asyncio.create_task(work()): (line, work) for line, work in [*works, (None, self._rounds)]}
        try:
            while True:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    line, work = tasks.pop(task)
                    tasks[asyncio.create_task(self._anew(work))] = (line, work)
                    _tell_broken(line, task.exception())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def close_file(self) -> None:
        """Lets go of the file alone, where nothing runs any more or has never run; may be called twice."""
        self._outbox.close()

    async def close(self) -> None:
        """Lets go of connections and of the file; may be called twice."""
        for line in self._lines:
            await line.connector.close()
        self._outbox.close()

    def status(self) -> list[dict[str, object]]:
        """For the status document: no member, no secret."""
        return [line.status() for line in self._lines]

    async def _rounds(self) -> None:
        while True:
            try:
                members = list(self._members())
            except BadgeError as error:
                members = []
                event("members not read", why=error)
            for line in self._lines:
                for member in members:
                    line.ask(member)
                line.wake.set()
            await self._sleep(ROUND_S)

    async def _anew(self, work: Work) -> None:
        await self._sleep(HOST_WAIT_S)
        await work()


class _Patience:
    """When to try again after a failure."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._failures, self._from_ms = clock, 0, 0

    @property
    def wait_s(self) -> float:
        """0 when it may be tried now."""
        return max(0.0, (self._from_ms - self._clock.boot_ms()) / 1000)

    def succeeded(self) -> None:
        self._failures = self._from_ms = 0

    def failed(self, error: GatewayError) -> None:
        self._failures += 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._failures - 1, 20))
        if isinstance(error, ConnectorError):
            wait_s = max(wait_s, error.retry_after_s) if error.retry else HOST_WAIT_S
        self._from_ms = self._clock.boot_ms() + round(wait_s * 1000)


class _Line:
    """One connector: what it is told, one thing after the other; taps beside that."""

    def __init__(self, name: str, connector: Connector, outbox: Outbox, clock: Clock, sleep: Sleep) -> None:
        self.name, self.connector, self.wake = name, connector, asyncio.Event()
        self.balances: dict[str, Balance] = {}
        self.broken = ""
        self._outbox, self._clock, self._sleep = outbox, clock, sleep
        self._usages, self._asking = _Patience(clock), _Patience(clock)
        self._wanted: OrderedDict[str, None] = OrderedDict()  # members whose balance is to be asked, in order
        self._asked_ms: dict[str, int] = {}
        self._strikes: Counter[str] = Counter()
        self._taps: deque[tuple[Tapped, int]] = deque()
        self._tap_came = asyncio.Event()
        self._dropped = 0
        self._again_ms = 0
        self._why = ""  # the last error that was logged

    def remember(self) -> None:
        """What was known before the restart."""
        if "balance" in self.connector.wants:
            self.balances = self._outbox.balances(self.name)

    def works(self) -> list[Work]:
        """What runs for this connector."""
        return ([self._bring] if self.connector.wants & {"balance", "usage"} else []) + (
            [self._tell_taps] if "tap" in self.connector.wants else []
        )

    def take(self, tap: Tapped) -> None:
        """Of too many the oldest is dropped."""
        if len(self._taps) >= MOST_TAPS:
            self._taps.popleft()
            self._dropped += 1
        self._taps.append((tap, self._clock.boot_ms()))
        self._tap_came.set()

    def ask(self, member: str, *, first: bool = False) -> None:
        """Asks for this member's balance soon, or before all others, unless that was done just now."""
        if "balance" not in self.connector.wants:
            return
        before_ms = self._asked_ms.get(member)
        if before_ms is None or self._clock.boot_ms() - before_ms >= FRESH_S * 1000:
            self._wanted[member] = None
            if first:
                self._wanted.move_to_end(member, last=False)
            self.wake.set()

    def status(self) -> dict[str, object]:
        told: dict[str, object] = {**self.connector.status(), "name": self.name}
        try:
            told["waiting"], told["refused"] = self._outbox.count(self.name)
        except BadgeError as error:
            told["state"] = str(error)
        told |= {"state": self.broken} if self.broken else {}
        return told | ({"taps_not_told": self._dropped} if "tap" in self.connector.wants else {})

    async def _bring(self) -> None:
        self.broken = ""
        while True:
            self.wake.clear()
            waits = []
            for patience, work in ((self._usages, self._record), (self._asking, self._ask_all)):
                if patience.wait_s <= 0:
                    await self._tried(patience, work)
                waits += [patience.wait_s] if patience.wait_s > 0 else []
            if waits:
                await self._pause(min(waits), len(waits) < 2)
            else:
                await self._pause(None, True)

    async def _tried(self, patience: _Patience, work: Work) -> None:
        try:
            await work()
        except GatewayError as error:
            patience.failed(error)
            if str(error) != self._why:
                self._why = str(error)
                event("connector away", connector=self.name, why=error, again_in_s=round(patience.wait_s))
        else:
            patience.succeeded()

    async def _record(self) -> None:
        if "usage" not in self.connector.wants:
            return
        if self._clock.boot_ms() >= self._again_ms:
            self._outbox.again(self.name)
            self._again_ms = self._clock.boot_ms() + round(DAY_S * 1000)
        told = self._outbox.waiting(self.name, BATCH)
        await self._settled(told)  # with nothing as well: something may be due by the calendar
        while told := self._outbox.waiting(self.name, BATCH):
            await self._settled(told)

    async def _settled(self, told: Sequence[Usage]) -> None:
        refused = await self.connector.record(told)
        self._why = ""
        if not told:
            return
        self._outbox.settle(self.name, told, refused)
        event("usages recorded", connector=self.name, usages=len(told) - len(refused), refused=len(refused))
        for usage in told:
            self._asked_ms.pop(usage.member, None)  # there is less left now
            self.ask(usage.member)

    async def _ask_all(self) -> None:
        while self._wanted:
            member = next(iter(self._wanted))
            balance = await self._asked(member)
            self._asked_ms[member] = self._clock.boot_ms()
            if balance != self.balances.get(member):
                self._outbox.keep(self.name, member, balance)
            if balance is None:
                self.balances.pop(member, None)
            else:
                self.balances[member] = balance
            if self._wanted:
                await self._sleep(ASK_S)
            if self.wake.is_set():
                return  # usages first, and whoever taps now

    async def _asked(self, member: str) -> Balance | None:
        """One who cannot be asked goes to the end, and after `STRIKES` waits for the next tap or round."""
        self._strikes[member] += 1
        try:
            found = await self.connector.balance(member)
        except ConnectorError:
            self._wanted.pop(member, None)
            if self._strikes[member] < STRIKES:
                self._wanted[member] = None
            else:
                del self._strikes[member]
            raise
        self._wanted.pop(member, None)
        del self._strikes[member]
        return found

    async def _tell_taps(self) -> None:
        self.broken = ""
        while True:
            await self._tap_came.wait()
            while self._taps:
                tap, came_ms = self._taps.popleft()
                if self._clock.boot_ms() - came_ms > TAP_S * 1000:
                    self._dropped += 1
                    continue
                await self._tell(tap)
            self._tap_came.clear()

    async def _tell(self, tap: Tapped) -> None:
        try:
            await self.connector.tapped(tap)
        except GatewayError as error:
            self._dropped += 1
            if str(error) != self._why:
                self._why = str(error)
                event("taps not told", connector=self.name, why=error)
        else:
            self._why = ""

    async def _pause(self, longest_s: float | None, may_wake: bool) -> None:
        """Waits so long, or until something new came."""
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self.wake.wait())] if may_wake else []
        waits += [asyncio.ensure_future(self._sleep(longest_s))] if longest_s is not None else []
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _tell_broken(line: _Line | None, error: BaseException | None) -> None:
    """A fault of the program: named by its place in the code, because its text may hold anything."""
    where = _place(error.__traceback__) if error is not None else "ended"
    what = f"broken: {type(error).__name__} at {where}; please report it"
    event("connector broke", connector=line.name if line else "rounds", why=what)
    if line is not None:
        line.broken = what


def _place(trace: TracebackType | None) -> str:
    if trace is None:
        return "nowhere"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
