"""Once a day: the place's own software is told of half-days, and the billing lines of past months are kept.

Promises that lines are kept while the visits behind them are still there, also where nobody draws up a bill; that what
is told is told again when late visits change it; and that the desk waits for none of it: the figures are made in a
thread of their own, with files that it opens itself. Leaves the rules to `billing/`, and delivery to the connectors'
runner.
"""

import asyncio
import contextlib
import datetime
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from balise_gateway import keys as gateway_keys
from balise_gateway.badges import members
from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import settlement
from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.billing.sessions import Session, sessions
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.connectors import Usage
from balise_gateway.badges.members import Names
from balise_gateway.badges.records import Records
from balise_gateway.errors import GatewayError
from balise_gateway.log import event
from balise_wire.cose import kid_of
from balise_wire.errors import WireError
from balise_wire.places import Table

LOOK_S = 3_600.0
LATE_DAYS = 10  # so long visits of a month may still come from places whose link was down
Tell = Callable[[Usage], None]


class Daily:
    """For one place. `tell` hands a usage on; None where no connector wants any."""

    def __init__(self, records: Records, data_dir: Path, tell: Tell | None) -> None:
        self._records, self._data_dir, self._tell = records, data_dir, tell
        self._done: datetime.date | None = None
        self._told: Agreement | None = None
        self._kept = set[str]()  # months whose lines were kept, also when there were none

    async def look(self) -> None:
        """Does what is due today; never raises for files: it is tried again in an hour."""
        now_s, path = self._records.now_utc_s(), self._records.settings.agreement
        if now_s is None or path is None:
            return
        try:
            told = self._told = agreements.load(path, self._told)
            today = Calendar(told.timezone, told.rules.day_starts_min).day_of(now_s)
            if today != self._done:
                await self._day(told, today)
                self._done = today
        except (GatewayError, WireError, sqlite3.Error) as error:  # also what is damaged in a file that was opened
            event("day not closed", why=error)

    async def _day(self, told: Agreement, today: datetime.date) -> None:
        months = [month for month in closed_months(today) if month not in self._kept and not self._has_lines(month)]
        if not months and self._tell is None:
            return
        records, stop = self._records, threading.Event()
        names = Names(records.keys, records.register.members() if self._tell is not None else [])
        work = _Work(self._data_dir, records.table(), told, stop)
        try:
            usages = await asyncio.to_thread(work.done, _Day(records.settings.place, names, today, months))
        finally:
            stop.set()
        self._kept.update(months)
        for usage in usages:
            if self._tell is not None:
                self._tell(usage)
                await asyncio.sleep(0)

    def _has_lines(self, month: str) -> bool:
        with contextlib.closing(Lines(self._data_dir)) as lines:
            return bool(lines.all(month))


@dataclass(frozen=True)
class _Day:
    """What is to be done: usages of days before `today` for `home`, and the lines of `months`."""

    home: str
    names: Names
    today: datetime.date
    months: Sequence[str]


@dataclass(frozen=True)
class _Work:
    """A thread's: nothing here touches what the loop uses. It ends early when `stop` is set: the gateway is ending."""

    data_dir: Path
    table: Table | None
    told: Agreement
    stop: threading.Event

    def done(self, day: _Day) -> list[Usage]:
        """Keeps the months' lines, and returns the usages. Raises GatewayError, WireError or sqlite3.Error."""
        own, usages = gateway_keys.load(self.data_dir).public_key, list[Usage]()
        billed: dict[str, list[Session]] = {month: [] for month in day.months}
        trust = Trust.of([own], self.table)
        for kids in signers(self.table, kid_of(own)):
            inputs = self._inputs(trust, kids, kid_of(own) in kids)
            for found in self._sessions(inputs, day):
                usages += members.usages(day.home, day.names, found, day.today)
                for month, lines in billed.items():
                    lines += settlement.in_month(found, month)
        if self.stop.is_set():
            return []
        self._keep_lines(billed, day.today)
        return usages

    def _inputs(self, trust: Trust, kids: Set[bytes], is_own: bool) -> Inputs:
        """What these keys have signed: all visits at once would not fit into a small computer's memory."""
        inputs = Inputs(trust)
        for cose in members.envelopes(self.data_dir, kids, own=is_own):
            if self.stop.is_set():
                break
            inputs.add_envelope(cose)
        return inputs

    def _sessions(self, inputs: Inputs, day: _Day) -> Iterator[list[Session]]:
        for host in inputs.hosts():
            if not self.stop.is_set():
                taps = [tap for tap in inputs.taps(host)[0] if day.months or tap.home == day.home]
                yield sessions(taps, self.told)

    def _keep_lines(self, billed: Mapping[str, list[Session]], today: datetime.date) -> None:
        for month, found in billed.items():
            with contextlib.closing(Lines(self.data_dir)) as lines:
                kept = lines.keep(found, self.told, today)
            event("billing lines kept", month=month, lines=kept)


def closed_months(today: datetime.date) -> list[str]:
    """The two newest months of which no late visits are waited for any more, the newest first.

    Two, since a place that was shut for the summer would else lose the lines of July; of three months ago the first
    visits are forgotten.
    """
    first = today.replace(day=1)
    ended = [first - datetime.timedelta(days=1)]
    while len(ended) < 3:
        ended.append(ended[-1].replace(day=1) - datetime.timedelta(days=1))
    return [f"{last:%Y-%m}" for last in ended if (today - last).days > LATE_DAYS][:2]


def signers(table: Table | None, own: bytes) -> list[Set[bytes]]:
    """Key ids of gateways: those of one place stand together, and places that share one too; ours (`own`) is in one."""
    found: list[Set[bytes]] = [{own}]
    for place in table.places if table is not None else ():
        kids = {kid_of(key) for key in place.gateways}
        touching = [group for group in found if group & kids]
        found = [group for group in found if not group & kids] + [kids.union(*touching)]
    return found
