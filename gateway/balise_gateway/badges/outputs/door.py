"""A door's lock by a relay: it opens for some seconds for who is known, and shuts again; by hand it is held.

Promises that it opens on "accepted" alone, and on "desk" and "no_credit" where the settings say so: never for a card
that nobody knows, never while the reader is unplugged; that somebody on the spot can hold it open or shut
(`balise badge door`, which goes before cards and hours); and that the relay is without power when the gateway has
ended in order. After kill -9 the kernel may keep the pin as it was (gateway/BADGES.md says what helps); the next start
shuts the door. Leaves the decision by hand to `_override.py`.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from balise_gateway.badges import needs
from balise_gateway.badges.outputs import _hours, _pins
from balise_gateway.badges.outputs._override import Decision, Override
from balise_gateway.badges.outputs._worker import Pause, Worker
from balise_gateway.badges.showing import Showing
from balise_gateway.log import event
from balise_gateway.settings import Key

NEEDS = dataclasses.replace(needs.PINS, notice="door")

LOOK_S = 1.0  # between two looks at what was decided by hand


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[output]] kind = "door" """

    kind: Annotated[str, Key("what shows, sounds or opens")]
    pin: Annotated[int, Key("the GPIO number of the relay's pin", least=0, most=27)]
    lock: Annotated[
        Literal["fail-secure", "fail-safe"],
        Key("fail-secure: opens with power (strike); fail-safe: opens without power (magnet), as ways out need it"),
    ]
    active_high: Annotated[bool, Key("false: the relay is on when the pin is low")] = True
    open_s: Annotated[float, Key("how long it stays open", least=0.5, most=60)] = 5.0
    open_on_desk: Annotated[bool, Key("opens for who is noted with something to tell")] = False
    open_on_no_credit: Annotated[bool, Key("opens for a member without credit")] = True
    hours: Annotated[
        tuple[str, ...], Key('when cards open it, such as "mon-fri 08:00-20:00"; empty: at all hours')
    ] = ()
    time_zone: Annotated[str, Key("of these hours; empty: as [gateway] says")] = ""
    data_dir: Annotated[Path | None, Key("where its state by hand lies; unset: as [gateway] says")] = None

    def problem(self) -> str | None:
        return _hours.problem(self.hours, "hours")


class Output:
    """The lock. `pins` is gpiozero's pin factory, `now` the clock on the wall, `ticks_s` one that only goes on."""

    def __init__(
        self,
        settings: Settings,
        pins: Any = None,
        now: Callable[[], datetime] | None = None,
        ticks_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = _Lock(settings, pins, ticks_s)
        self._settings = settings
        self._now = now or (lambda: datetime.now(ZoneInfo(settings.time_zone) if settings.time_zone else UTC))
        self._worker = Worker("door", self._lock)

    def show(self, showing: Showing) -> None:
        if self.opens(showing):
            self._lock.let_in()
        self._worker.show(showing)

    def opens(self, showing: Showing) -> bool:
        """Whether a card with this verdict opens now."""
        told = self._settings
        allowed = {"accepted": True, "desk": told.open_on_desk, "no_credit": told.open_on_no_credit}
        return allowed.get(showing.state, False) and (not told.hours or _hours.inside(told.hours, self._now()))

    def status(self) -> dict[str, object]:
        decision = self._lock.decision
        told = {"kind": "door", "state": self._worker.state, "door": self._lock.door, "by_hand": decision.mode}
        return {**told, "problem": decision.problem} if decision.problem else dict(told)

    def close(self) -> None:
        self._worker.close()


class _Lock:
    def __init__(self, settings: Settings, pins: Any, ticks_s: Callable[[], float]) -> None:
        self._settings, self._factory, self._ticks_s = settings, pins, ticks_s
        self._override = None if settings.data_dir is None else Override(settings.data_dir)
        self._opens_with_power = settings.lock == "fail-secure"
        self._until_s = -1.0
        self._relay: Any = None
        self.decision = Decision()
        self.door = "without power"
        self.faults: tuple[type[Exception], ...] = ()

    def let_in(self) -> None:
        """From now on for `open_s`."""
        self._until_s = self._ticks_s() + self._settings.open_s

    def open(self) -> None:
        self.faults = _pins.faults()
        told = self._settings
        shut = not self._opens_with_power  # whether the relay has power while the door is shut
        with _pins.opening("a door") as zero:
            self._relay = zero.DigitalOutputDevice(
                told.pin, active_high=told.active_high, initial_value=shut, pin_factory=self._factory
            )

    def play(self, showing: Showing, pause: Pause) -> None:
        """Until a newer showing comes: the door looks after itself meanwhile."""
        go_on = True
        while go_on:
            left_s = self._set()
            go_on = pause(min(LOOK_S, left_s) if left_s > 0 else LOOK_S)

    def shut(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.off()
            relay.close()
        self.door = "without power"

    def _set(self) -> float:
        """Opens or shuts as it should be now; returns how long a card keeps it open still."""
        decision = Decision() if self._override is None else self._override.read()
        if decision != self.decision:
            self.decision = decision
            event("door by hand", mode=decision.mode, problem=decision.problem or "none")
        left_s = self._until_s - self._ticks_s()
        is_open = decision.mode == "open" or (decision.mode == "auto" and left_s > 0)
        self._relay.value = is_open == self._opens_with_power
        self.door = "open" if is_open else "shut"
        return left_s
