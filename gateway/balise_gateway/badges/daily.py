"""Once a day: the place's own software is told of half-days, and the last month's billing lines are kept.

Promises that lines are kept while the visits behind them are still there, also where nobody draws up a bill; that what
is told is told again when late visits change it; and that the desk waits for none of it longer than one envelope.
Leaves the rules to `billing/`, and delivery to the connectors' runner.
"""

import asyncio
import contextlib
import datetime
from collections.abc import Callable
from pathlib import Path

from balise_gateway import keys as gateway_keys
from balise_gateway.badges import members
from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing import settlement
from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.connectors import Usage
from balise_gateway.badges.members import Names
from balise_gateway.badges.records import Records
from balise_gateway.errors import GatewayError
from balise_gateway.log import event

LOOK_S = 3_600.0
LATE_DAYS = 10  # so long visits of a month may still come from places whose link was down
Tell = Callable[[Usage], None]


class Daily:
    """For one place. `tell` hands a usage on; None where no connector wants any."""

    def __init__(self, records: Records, data_dir: Path, tell: Tell | None) -> None:
        self._records, self._data_dir, self._tell = records, data_dir, tell
        self._done: datetime.date | None = None

    async def look(self) -> None:
        """Does what is due today; never raises for files: it is tried again in an hour."""
        now_s, path = self._records.now_utc_s(), self._records.settings.agreement
        if now_s is None or path is None:
            return
        try:
            told = agreements.load(path)
            today = Calendar(told.timezone, told.rules.day_starts_min).day_of(now_s)
            if today != self._done:
                await self._day(told, today)
                self._done = today
        except GatewayError as error:
            event("day not closed", why=error)

    async def _day(self, told: Agreement, today: datetime.date) -> None:
        month = (today.replace(day=1) - datetime.timedelta(days=1)).strftime("%Y-%m")
        due = today.day > LATE_DAYS and not self._has_lines(month)
        if not due and self._tell is None:
            return
        inputs = await self._inputs()
        if due:
            self._keep_lines(inputs, told, today, month)
        if self._tell is not None:
            names = Names(self._records.keys, self._records.register.members())
            for usage in members.usages(self._records.settings.place, names, inputs, told, today):
                self._tell(usage)
                await asyncio.sleep(0)

    async def _inputs(self) -> Inputs:
        """All visits that are here, one envelope at a time."""
        inputs = Inputs(Trust.of([gateway_keys.load(self._data_dir).public_key], self._records.table()))
        for cose in members.envelopes(self._data_dir):
            inputs.add_envelope(cose)
            await asyncio.sleep(0)
        return inputs

    def _has_lines(self, month: str) -> bool:
        with contextlib.closing(Lines(self._data_dir)) as lines:
            return bool(lines.all(month))

    def _keep_lines(self, inputs: Inputs, told: Agreement, today: datetime.date, month: str) -> None:
        found = settlement.sessions_in(inputs, told, month)
        with contextlib.closing(Lines(self._data_dir)) as lines:
            kept = lines.keep(found, told, today)
        event("billing lines kept", month=month, lines=kept)
