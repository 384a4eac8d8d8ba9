"""Sessions and settlement once more, from wire/BADGES.md and gateway/BADGES.md alone: plain, slow and independent.

Promises nothing but the same figures, for few visits of few places. Shares no line with the product: not its CBOR, not
its calendar, not its flow. Leaves envelopes, anchors and what is refused to the other tests.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from gateway.badges.billing.second_settlement import balances_of, fewest, rows, set_off, settled, subsets

Row = dict[str, Any]
Span = tuple[int, int]  # when a tap was, at the earliest and at the latest
Chain = list[tuple[int, int, date]]
MOST_DOUBTS = 6
LISTED = ("no_exit", "not_billable", "uncertain")


def cbor(what: Any) -> bytes:
    """RFC 8949 section 4.2, as far as visits need it."""
    if isinstance(what, int):
        return head(0, what)
    if isinstance(what, bytes):
        return head(2, len(what)) + what
    if isinstance(what, str):
        return head(3, len(what.encode())) + what.encode()
    if isinstance(what, list):
        return head(4, len(what)) + b"".join(map(cbor, what))
    return head(5, len(what)) + b"".join(sorted(cbor(key) + cbor(value) for key, value in what.items()))


def head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def item_of(line: Row) -> bytes:
    fields = {key: bytes.fromhex(value) if key in ("who", "was") else value for key, value in line.items()}
    return cbor([8 if "was" in line else 4, fields])


@cache
def starts_of(zone: str, day: date, day_starts: str) -> int:
    """The first minute, of all of them, whose local time is not before this day's start."""
    wanted = datetime.combine(day, time.fromisoformat(day_starts))
    first = int(wanted.replace(tzinfo=UTC).timestamp()) - 30 * 3600
    minutes = range(first, first + 60 * 3600, 60)
    return next(t for t in minutes if datetime.fromtimestamp(t, ZoneInfo(zone)).replace(tzinfo=None) >= wanted)


class SecondOpinion:
    def __init__(self, agreement: bytes, lines: Iterable[Row]) -> None:
        self.sha256 = hashlib.sha256(agreement).hexdigest()
        self.agreement = tomllib.loads(agreement.decode())
        self.exact = tomllib.loads(agreement.decode(), parse_float=Fraction)
        self.places = {place["id"]: place for place in self.exact["place"]}
        self.debounce = self.agreement["rules"]["debounce_s"]
        items = {item_of(line): line for line in lines}
        self.mappings = {item: line for item, line in items.items() if "was" in line}
        self.conflicts: set[tuple[str, str, str]] = set()
        visits = [line | {"item": item} for item, line in items.items() if "was" not in line]
        visits = [visit for visit in map(self.resolved, visits) if not visit["gone"]]
        self.undated = [visit for visit in visits if isinstance(visit["t"], list)]
        self.visits = [visit for visit in visits if not isinstance(visit["t"], list)]

    def resolved(self, visit: Row) -> Row:
        """The visit with the pseudonym and the grade that mappings give it."""
        place, names, applied = (visit["host"], visit["home"]), [visit["who"]], []
        here = [m for m in self.mappings.values() if (m["host"], m["home"]) == place]
        here = [m for m in here if m.get("tap", visit["tap"]) == visit["tap"]]
        while True:
            said = [m for m in here if m["was"] == names[-1] != m["who"]]
            said = [m for m in said if "tap" in m] or said
            if len({m["who"] for m in said}) > 1:
                self.conflicts.add((*place, names[-1]))
            elif said and said[0]["who"] in names:
                self.conflicts.add((*place, visit["who"]))
                names, applied = names[:1], []
            elif said:
                names.append(said[0]["who"])
                applied += said
                continue
            break
        graded = [m for m in here if "grade" in m and m["was"] in names]
        if len({m["grade"] for m in graded}) > 1:
            self.conflicts.add((*place, visit["who"]))
            graded = []
        grade = graded[0]["grade"] if graded else visit["grade"]
        mapped = [item_of(m) for m in applied + graded]
        gone = names[-1] == "00" * 16 != visit["who"]
        return visit | {"who": names[-1], "grade": grade, "mapped": mapped, "gone": gone}

    # sessions

    def day_of(self, t: int) -> date:
        about = datetime.fromtimestamp(t, UTC).date()
        return max(day for day in (about + timedelta(n) for n in range(-2, 3)) if self.start(day) <= t)

    def start(self, day: date) -> int:
        return starts_of(self.agreement["timezone"], day, self.agreement["rules"]["day_starts"])

    def sessions(self) -> list[Row]:
        """All lines, each with the visits that it rests on."""
        people: dict[tuple[str, str, str], list[Row]] = {}
        for visit in self.visits:
            if visit["host"] in self.places:
                people.setdefault((visit["host"], visit["home"], visit["who"]), []).append(visit)
        return [line for key in sorted(people) for line in self.sessions_of(key, people[key])]

    def printed(self, period: str | None = None) -> list[Row]:
        """As the command prints them."""
        lines = [line for line in self.sessions() if period is None or line["day"].startswith(period)]
        return [{key: value for key, value in line.items() if key != "used"} for line in lines]

    def sessions_of(self, key: tuple[str, str, str], visits: list[Row]) -> Iterator[Row]:
        visits.sort(key=lambda visit: (visit["t"], visit["tap"], visit["item"]))
        good = [visit for visit in visits if visit["grade"] in self.agreement["rules"]["billable_grades"]]
        days: dict[date, dict[str, list[Row]]] = {}
        kept: Row | None = None
        for visit in good:
            if kept is None or visit["t"] - kept["t"] >= self.debounce:
                kept = visit
                days.setdefault(self.day_of(visit["t"]), {}).setdefault("kept", []).append(visit)
            days[self.day_of(kept["t"])].setdefault("used", []).append(visit)
        for visit in visits:
            if visit not in good:
                day = days.setdefault(self.day_of(visit["t"]), {})
                day.setdefault("apart", []).append(visit)
                day.setdefault("used", []).append(visit)
        lines = {day: self.line(key, day, found) for day, found in sorted(days.items())}
        for group in self.groups([(visit["t"] - visit["u"], visit["t"] + visit["u"]) for visit in good]):
            self.flag_uncertain(lines, group)
        yield from lines.values()

    def line(self, key: tuple[str, str, str], day: date, found: dict[str, list[Row]]) -> Row:
        kept = [visit["t"] for visit in found.get("kept", [])]
        half_days = self.half_days(key[0], sum(kept[1::2]) - sum(kept[: len(kept) // 2 * 2 : 2]), len(kept))
        times = kept or [visit["t"] for visit in found["apart"]]
        flags = ["unverified"]
        if len(kept) % 2:
            flags.append("no_exit")
        if "apart" in found:
            flags.append("not_billable")
        out = dict(zip(("host", "home", "who"), key, strict=True)) | {"day": day.isoformat(), "arrive_utc": times[0]}
        leave = None if len(kept) % 2 or not kept else kept[-1]
        return out | {"leave_utc": leave, "half_days": half_days, "flags": sorted(flags), "used": found["used"]}

    def half_days(self, host: str, seconds: Fraction | int, taps: int) -> int:
        rule = self.places[host]["half_day"]
        n = 0
        if taps >= 2:
            n = max(1, math.ceil(Fraction(seconds - 60 * rule["grace_min"]) / (3600 * Fraction(rule["hours"]))))
        if taps % 2:
            n = max(n, self.places[host]["no_exit"])
        return min(n, rule["per_day_max"])

    # what else the count could have been

    def groups(self, spans: list[Span]) -> list[list[Span]]:
        groups: list[list[Span]] = []
        for span in sorted(spans):
            latest = max((high for _, high in groups[-1]), default=0) if groups else 0
            if not groups or (span[0] - latest >= self.debounce and self.day_of(latest) < self.day_of(span[0])):
                groups.append([])
            groups[-1].append(span)
        return groups

    def flag_uncertain(self, lines: dict[date, Row], group: list[Span]) -> None:
        """Flags the lines to which another shift of this group's taps gives another number of half-days."""
        days = [self.day_of(t) for t in (min(group)[0], max(high for _, high in group))]
        near = {day for day in lines if days[0] <= day <= days[1]}
        other = set(near) if self.doubts(group) > MOST_DOUBTS else set()
        for chain in [] if other else self.chains(group, []):
            for day in near | {day for _, _, day in chain}:
                taps = [n for n, (_, _, there) in enumerate(chain) if there == day]
                ends = (self.longest(chain, taps, -1), self.longest(chain, taps, 1)) if len(taps) > 1 else (0, 0)
                host = next(iter(lines.values()))["host"]
                if {self.half_days(host, end, len(taps)) for end in ends} != {
                    lines[day]["half_days"] if day in lines else 0
                }:
                    other.add(day)
        for day in other if other <= near else near:
            lines[day]["flags"] = sorted({*lines[day]["flags"], "uncertain"})

    def doubts(self, group: list[Span]) -> int:
        days = sum((self.day_of(high) - self.day_of(low)).days for low, high in group)
        pairs = [(b[0] - a[1], b[1] - a[0]) for a, b in combinations(group, 2)]
        first = [least < 0 < most for least, most in pairs]
        nearest = [max(least, -most, 0) for least, most in pairs]
        same = [near < self.debounce <= max(-pair[0], pair[1]) for near, pair in zip(nearest, pairs, strict=True)]
        return days + sum(a or b for a, b in zip(first, same, strict=True))

    def chains(self, left: list[Span], chain: Chain) -> Iterator[Chain]:
        """Every list of taps kept (earliest, latest, day) that these spans allow: all others repeat one of them."""
        if not left:
            yield chain
        for n, (low, high) in enumerate(left):
            others = left[:n] + left[n + 1 :]
            low = max(low, chain[-1][0] + self.debounce) if chain else low
            close = [i for i, other in enumerate(others) if self.debounce and other[0] - self.debounce < high]
            for taken in ([close[i] for i in chosen] for chosen in subsets(len(close))):
                repeats = [others[i] for i in taken]
                least = max([low, *(repeat[0] - self.debounce + 1 for repeat in repeats)])
                most = min([high, *(repeat[1] for repeat in repeats)])
                rest = [span for i, span in enumerate(others) if i not in taken]
                possible = least <= most and all(span[1] >= least for span in rest)
                for step in self.over_days(least, most) if possible else ():
                    yield from self.chains(rest, [*chain, step])

    def over_days(self, low: int, high: int) -> Iterator[tuple[int, int, date]]:
        day = self.day_of(low)
        while self.start(day) <= high:
            begins, ends = self.start(day), self.start(day + timedelta(1)) - 1
            if max(low, begins) <= min(high, ends):
                yield max(low, begins), min(high, ends), day
            day += timedelta(1)

    def longest(self, chain: Chain, taps: list[int], sign: int) -> int:
        """The longest time (sign 1) or the shortest (-1) between arrivals and exits of these taps of the chain."""
        weights = {tap: sign * (1 if n % 2 else -1) for n, tap in enumerate(taps[: len(taps) // 2 * 2])}
        slack = [(low - n * self.debounce, high - n * self.debounce) for n, (low, high, _) in enumerate(chain)]
        ends = sorted({end for span in slack for end in span})
        best = dict.fromkeys(ends, 0)
        for n, (low, high) in enumerate(slack):
            weight = weights.get(n, 0)
            reached = {
                end: max((best[e] for e in best if e <= end), default=None) for end in ends if low <= end <= high
            }
            best = {end: v + weight * (end + n * self.debounce) for end, v in reached.items() if v is not None}
        return sign * max(best.values())

    # settlement

    def bill(self, period: str | None = None) -> Row:
        lines = [line for line in self.sessions() if period is None or line["day"].startswith(period)]
        months = sorted({line["day"][:7] for line in lines})
        gross: dict[tuple[str, str], int] = {}
        outside: dict[str, int] = {}
        for line in lines:
            if line["home"] not in self.places:
                outside[line["home"]] = outside.get(line["home"], 0) + line["half_days"]
            elif line["home"] != line["host"]:
                pair = (line["home"], line["host"])
                gross[pair] = gross.get(pair, 0) + line["half_days"]
        gross = {pair: n for pair, n in gross.items() if n}
        debts = {pair: n * self.places[pair[1]]["price_cents"] for pair, n in gross.items()}
        left, optimal = set_off(debts), True
        paid = left
        if self.agreement["mode"] == "net":
            balances = balances_of(debts)
            optimal = len(balances) <= 16
            paid = fewest(balances) if optimal else settled(balances)
        used = {visit["item"]: visit for line in lines for visit in line["used"]}
        items = set(used) | {mapping for visit in used.values() for mapping in visit["mapped"]}
        keys = ("host", "home", "who", "day", "half_days")
        flags: Row = {flag: [{k: x[k] for k in keys} for x in lines if flag in x["flags"]] for flag in LISTED}
        return {
            "agreement": self.agreement["id"],
            "period": period or "/".join(sorted({months[0], months[-1]}) if months else ""),
            "inputs_sha256": hashlib.sha256(b"".join(sorted(items))).hexdigest(),
            "verified": not used,
            "gross": [
                {"from": a, "to": b, "half_days": n, "cents": debts[a, b]} for (a, b), n in sorted(gross.items())
            ],
            "bilateral": rows({(a, b): cents - debts.get((b, a), 0) for (a, b), cents in debts.items()}),
            "set_off": rows(left),
            "transfers": rows(paid),
            "optimal": optimal,
            "flags": flags | self.other_flags(len(used), {home: n for home, n in outside.items() if n}, period),
        }

    def other_flags(self, used: int, outside: dict[str, int], period: str | None) -> Row:
        abroad = [visit for visit in self.visits if visit["host"] not in self.places]
        months = [(visit["host"], self.day_of(visit["t"]).isoformat()[:7]) for visit in abroad]
        elsewhere = [host for host, month in months if period in (None, month)]
        undated = sorted(self.undated, key=lambda v: (v["host"], v["home"], v["who"], v["tap"], v["item"]))
        names = ("host", "home", "who", "tap")
        return {
            "undated": [{k: visit[k] for k in names} for visit in undated],
            "conflicting_mappings": [dict(zip(names, key, strict=False)) for key in sorted(self.conflicts)],
            "refused": {},
            "unverified": used,
            "double_names": 0,
            "without_agreement": outside,
            "without_price": {host: elsewhere.count(host) for host in elsewhere},
            "unsigned": sorted(self.places),
            "transfers_need_signatures": self.agreement["mode"] == "net",
            "agreement_sha256": self.sha256,
        }


def read_lines(text: str) -> list[Row]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
