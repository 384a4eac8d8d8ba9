"""A month of a federation on virtual time: real gateways and journals, cut links, wrong clocks, crashes; and the truth.

Promises that the same seed gives the same month, and that the truth is reckoned here by a few lines of its own, from
when people really came and left. The fakes stand at the edge: people, clocks, the network between places.
"""

import asyncio
import contextlib
import datetime
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from balise_gateway.badges.billing import agreement, signatures
from balise_gateway.badges.billing.settlement import Bill, settle
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.register import Member
from balise_gateway.badges.showing import Showing
from balise_gateway.clock import UNKNOWN_MS
from balise_wire import card
from balise_wire.envelope import read_envelope
from balise_wire.items import Item, Readings
from balise_wire.places import Table, sign_table
from gateway.badges.places import AGREEMENT, FEDERATION, PLACE_TERMS, PlaceAt, Roads
from gateway.badges.virtual import PatientLoop

ZONE = ZoneInfo("Europe/Paris")
MONTH, DAYS = datetime.date(2026, 3, 1), 31  # a month in which the clocks change
HOUR_S, DAY_S = 3_600, 86_400
START_S = int(datetime.datetime(2026, 2, 28, 12, tzinfo=ZONE).timestamp())
DRAIN_S = 3 * DAY_S
MOST_WRONG_S = 90  # how wrong a place's clock may be while it says that it knows the time
TWO_CARDS, UID_ONLY = 1, 2  # which member of each home has two cards, and which an old one
MARGIN_S = 600  # true lengths stay that far from where the number of half-days changes

Act = Callable[..., Awaitable[None] | None]


class WrongClock:
    """A place's clock: off by some seconds, says so honestly, and may not know the time at all for a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop, off_s: int) -> None:
        self._loop, self._off_ms = loop, off_s * 1_000
        self._boot_s, self.is_known = loop.time(), True

    def boot(self) -> None:
        self._boot_s = self._loop.time()

    def utc_ms(self) -> int:
        return START_S * 1_000 + round(self._loop.time() * 1_000) + self._off_ms

    def boot_ms(self) -> int:
        return round((self._loop.time() - self._boot_s) * 1_000)

    def uncertainty_ms(self) -> int:
        return (MOST_WRONG_S + 5) * 1_000 if self.is_known else UNKNOWN_MS


@dataclass(frozen=True)
class Stay:
    """Somebody was at a place. `leave_s` is None where they forgot to show the card when they left."""

    home: str
    member: str
    host: str
    arrive_s: int
    leave_s: int | None
    is_doubled: bool  # the card was held twice within some seconds

    def taps_s(self) -> list[int]:
        """When the card was held before the reader."""
        ends = [self.arrive_s] if self.leave_s is None else [self.arrive_s, self.leave_s]
        return [at_s + more_s for at_s in ends for more_s in ((0, 17) if self.is_doubled else (0,))]

    @property
    def day(self) -> datetime.date:
        return datetime.datetime.fromtimestamp(self.arrive_s - 4 * HOUR_S, ZONE).date()


@dataclass(frozen=True)
class Card:
    """What somebody holds before the reader. `record` is empty on a card that signs nothing."""

    home: str
    number: str
    uid: bytes = b""
    record: bytes = b""

    def shown_at(self, place: PlaceAt) -> Showing:
        records = ((card.RECORD_TYPE, self.record),) if self.record else ()
        return place.show(self.number, home=self.home, uid=self.uid, records=records)


@dataclass
class Plan:
    """What will happen. Times are seconds of the month."""

    stays: list[Stay] = field(default_factory=list)
    cuts: list[tuple[str, int, int]] = field(default_factory=list)  # place, from, to
    crashes: list[tuple[str, int, int | None]] = field(default_factory=list)  # place, when, until when without a clock
    timeless: list[tuple[str, int, int, int]] = field(default_factory=list)  # place, two crashes, when it knows again
    new_cards: list[tuple[int, str, str, str]] = field(default_factory=list)  # when, home, whose, first host


def planned(names: list[str], members: int, seed: int) -> Plan:
    """A month: people come to their home place, and one in five goes elsewhere; links and power fail."""
    dice, plan = random.Random(seed), Plan()
    plan.cuts.append((names[0], 9 * DAY_S, 12 * DAY_S))  # a cable that nobody mends for three days
    for home in names:
        for number in range(members):
            roams = number < members // 5
            for day in dice.sample(range(3 * (number == UID_ONLY), DAYS), 6):
                host = dice.choice([n for n in names if n != home]) if roams and dice.random() < 0.7 else home
                plan.stays.append(_stay(dice, home, f"member {number}", host, MONTH + datetime.timedelta(days=day)))
        for most_s in (8 * HOUR_S, 3 * HOUR_S):
            begin = dice.randrange(DAYS * DAY_S)
            plan.cuts.append((home, begin, begin + dice.randrange(HOUR_S, most_s)))
        crash = dice.randrange(DAYS * DAY_S)
        plan.crashes.append((home, crash, crash + dice.randrange(6 * HOUR_S) if dice.random() < 0.5 else None))
    _plan_new_cards(plan, names)
    _plan_timeless(plan, names)
    return plan


def _plan_new_cards(plan: Plan, names: list[str]) -> None:
    """A card that is lost and replaced while its home is cut off, and a member who joins in an outage.

    No host has heard of either card when it is shown.
    """
    plan.cuts.append((names[3], 15 * DAY_S, 16 * DAY_S + 12 * HOUR_S))
    for home, member, day, host in ((names[0], "member 0", 10, names[4]), (names[3], "newcomer", 15, names[5])):
        plan.new_cards.append((day * DAY_S + 8 * HOUR_S, home, member, host))
        _visit(plan, home, member, host, day)
    _visit(plan, names[3], "newcomer", names[6], 22)


def _plan_timeless(plan: Plan, names: list[str]) -> None:
    """The power fails before anybody comes, and again in the evening; in between the place never knows the time."""
    for place, day in ((names[1], 6), (names[2], 20)):
        morning_s = day * DAY_S + 6 * HOUR_S
        plan.timeless.append((place, morning_s, morning_s + 14 * HOUR_S, morning_s + 15 * HOUR_S))
        plan.cuts.append((place, morning_s - HOUR_S, morning_s + 16 * HOUR_S))  # or partners would say what time it is
        plan.crashes = [each for each in plan.crashes if each[0] != place]
        plan.stays = [stay for stay in plan.stays if (stay.host, stay.day) != (place, _day(day))]
        _visit(plan, names[7], "member 3", place, day)


def _visit(plan: Plan, home: str, member: str, host: str, day: int) -> None:
    """From noon to two, and nothing else on that day."""
    kept = [stay for stay in plan.stays if (stay.home, stay.member, stay.day) != (home, member, _day(day))]
    noon_s = int(datetime.datetime.combine(_day(day), datetime.time(12), ZONE).timestamp())
    plan.stays = [*kept, Stay(home, member, host, noon_s, noon_s + 2 * HOUR_S, False)]


def _day(number: int) -> datetime.date:
    return MONTH + datetime.timedelta(days=number)


def _stay(dice: random.Random, home: str, member: str, host: str, day: datetime.date) -> Stay:
    begins = datetime.datetime.combine(day, datetime.time(8), ZONE) + datetime.timedelta(minutes=dice.randrange(300))
    arrive_s = int(begins.timestamp())
    half_day_s = hours_of(host) * HOUR_S
    lengths = [s for s in range(HOUR_S, 10 * HOUR_S, 300) if _is_clear(s, half_day_s)]
    leave_s = None if dice.random() < 0.08 else arrive_s + dice.choice(lengths)
    return Stay(home, member, host, arrive_s, leave_s, dice.random() < 0.2)


def _is_clear(length_s: int, half_day_s: int) -> bool:
    """Far enough from where one half-day becomes two that no clock within its bounds matters."""
    edge_s = half_day_s + 15 * 60
    return all(abs(length_s - n * half_day_s - 15 * 60) > MARGIN_S for n in (1, 2)) and length_s < 2 * edge_s


def hours_of(name: str) -> int:
    """A half-day is not the same everywhere."""
    return 4 + int(name.partition(".")[0][-2:]) % 2


def cents_of(name: str) -> int:
    return 600 + 100 * (int(name.partition(".")[0][-2:]) % 6)


def truth(plan: Plan) -> dict[tuple[str, str], int]:
    """Half-days by (home, host), from when people really came and left; nothing of the product is used."""
    days: dict[tuple[str, str, str, datetime.date], list[Stay]] = {}
    for stay in plan.stays:
        days.setdefault((stay.home, stay.member, stay.host, stay.day), []).append(stay)
    found: Counter[tuple[str, str]] = Counter()
    for (home, _, host, _), stays in days.items():
        if home == host:
            continue
        (stay,) = stays  # nobody goes to one place twice a day here
        if stay.leave_s is None:
            found[home, host] += 1
            continue
        over_min = (stay.leave_s - stay.arrive_s) / 60 - 15
        found[home, host] += min(2, max(1, -int(-over_min // (60 * hours_of(host)))))
    return dict(found)


class Federation:
    """The places of a plan, played."""

    def __init__(self, folder: Path, count: int, members: int, seed: int) -> None:
        self.folder, self.members, self.loop = folder, members, PatientLoop()
        self.names = [f"lieu{number:02}.example" for number in range(count)]
        self.plan, self.roads = planned(self.names, members, seed), Roads()
        self.clocks: dict[str, WrongClock] = {}
        self.places: dict[str, PlaceAt] = {}
        self.cards: dict[tuple[str, str], list[Card]] = {}  # of each member, by home
        self._dice = random.Random(seed + 1)
        terms = "".join(PLACE_TERMS.format(name=n, cents=cents_of(n), hours=hours_of(n)) for n in self.names)
        (folder / "agreement.toml").write_text(AGREEMENT + terms, encoding="utf-8")

    def play(self) -> None:
        """The whole month, and some days more in which all links hold."""
        self.loop.run_until_complete(self._play())
        self.loop.close()

    async def _play(self) -> None:
        await self._open()
        for at_s, _, act, args in self._acts():
            await asyncio.sleep(max(0.0, at_s - START_S - self.loop.time()))
            done = act(*args)
            if done is not None:
                await done
        self.roads.cut.clear()
        for clock in self.clocks.values():
            clock.is_known = True
        await asyncio.sleep(DRAIN_S)
        for place in self.places.values():
            await place.stop()

    async def _open(self) -> None:
        for name in self.names:
            clock = self.clocks[name] = WrongClock(self.loop, self._dice.randrange(-MOST_WRONG_S, MOST_WRONG_S))
            self.places[name] = PlaceAt(self.folder, name, [], self.roads, clock)  # type: ignore[arg-type]
        table = Table(1, START_S, tuple(place.entry() for place in self.places.values()))
        for place in self.places.values():
            (place.folder / "places.cose").write_bytes(sign_table(FEDERATION, table))
            await self._start(place)
            for number in range(self.members):
                self._give_first_cards(place, number)

    def _give_first_cards(self, place: PlaceAt, number: int) -> None:
        """Most have one with a number on it, one has two, one has an old card that has a UID and nothing else."""
        member, uid = f"member {number}", hashlib.sha256(f"{place.name} {number}".encode()).digest()[:7]
        held = Card(place.name, place.member(member, uid=uid))
        self.cards[place.name, member] = [Card(place.name, "", uid) if number == UID_ONLY else held]
        if number == TWO_CARDS:
            second = card.make_number(b"second")
            place.office.records.register.issue(second, member, place.clock.utc_ms() // 86_400_000)
            self.cards[place.name, member].append(Card(place.name, second))

    def _give_new_card(self, home: str, member: str) -> None:
        """To a new member, or in place of one that is lost: a signed one, as all new cards are."""
        place, uid = self.places[home], hashlib.sha256(f"{home} {member} new".encode()).digest()[:7]
        register, today = place.office.records.register, place.clock.utc_ms() // 86_400_000
        for lost in self.cards.get((home, member), []):
            register.revoke(lost.number, "lost", today)
        if register.member(member) is None:
            register.put_member(Member(member))
        number = card.make_number(uid[:6])
        register.issue(number, member, today, grade=1, last_day=today + 365, uid=uid)
        record = card.sign_record(place.keys.signer, home, number, today + 365, uid)
        self.cards[home, member] = [Card(home, number, uid, record)]

    async def _start(self, place: PlaceAt) -> None:
        partners = {n: p.keys.signer.public_key for n, p in self.places.items() if n != place.name}
        await place.start(place.config(partners, batch_s=DAY_S, home_batch_s=DAY_S, badge=f"ask_s = {DAY_S}"))

    def _acts(self) -> list[tuple[int, int, Act, tuple[object, ...]]]:
        """(when, number, what, with what) of all that happens, in order."""
        month_s = int(datetime.datetime.combine(MONTH, datetime.time(), ZONE).timestamp())
        acts: list[tuple[int, Act, tuple[object, ...]]] = [
            (at_s, self._show, (stay, tap)) for stay in self.plan.stays for tap, at_s in enumerate(stay.taps_s())
        ]
        for name, begin_s, end_s in self.plan.cuts:
            acts += [(month_s + begin_s, self.roads.cut.add, (name,))]
            acts += [(month_s + end_s, self.roads.cut.discard, (name,))]
        for name, at_s, known_s in self.plan.crashes:
            acts += [(month_s + at_s, self._crash, (name, known_s is None))]
            acts += [] if known_s is None else [(month_s + known_s, self._set_clock, (name,))]
        for name, first_s, second_s, known_s in self.plan.timeless:
            acts += [(month_s + at_s, self._crash, (name, False)) for at_s in (first_s, second_s)]
            acts += [(month_s + known_s, self._set_clock, (name,))]
        acts += [(month_s + at_s, self._give_new_card, (home, who)) for at_s, home, who, _ in self.plan.new_cards]
        return sorted((at_s, number, act, args) for number, (at_s, act, args) in enumerate(acts))

    def _show(self, stay: Stay, tap: int) -> None:
        held = self.cards[stay.home, stay.member]
        shown = held[tap % len(held)].shown_at(self.places[stay.host])
        assert shown.state in ("accepted", "desk"), (stay, shown)

    async def _crash(self, name: str, is_known: bool) -> None:
        place, clock = self.places[name], self.clocks[name]
        await place.crash()
        clock.boot()
        clock.is_known = is_known
        await self._start(place)

    def _set_clock(self, name: str) -> None:
        self.clocks[name].is_known = True

    def said_by(self, name: str) -> list[Item | Readings]:
        """All that this place has signed."""
        return [item for cose in own_visits(self.folder / name) for item in read_envelope(cose).items]

    def bill_of(self, name: str) -> Bill:
        """The bill as this place computes it, from its own copy of all visits."""
        folder = self.folder / name
        table = Table(1, START_S, tuple(place.entry() for place in self.places.values()))
        inputs = Inputs(Trust.of([], table))
        for cose in own_visits(folder):
            inputs.add_envelope(cose)
        from balise_gateway.badges.federation.exchange import Exchange

        with contextlib.closing(Exchange(folder, lambda: table)) as exchange:
            for cose in exchange.envelopes():
                inputs.add_envelope(cose)
        told = agreement.load(self.folder / "agreement.toml")
        signed = signatures.check(told.path, told.raw, told.places, {})
        return settle(inputs, told, signed, MONTH.strftime("%Y-%m"))
