"""Whose visits they are after all: mapping items, applied in any order with the same result.

A mapping of one tap goes before one of all taps. Mappings that contradict each other are not applied and are told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from balise_wire.visits import MappingRecord, VisitRecord

_Place = tuple[str, str]  # host, home


@dataclass
class _Said:
    """What is said about one pseudonym, or about one tap of it."""

    whos: dict[bytes, set[bytes]] = field(default_factory=dict)  # who: the items that say so
    grades: dict[int, set[bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Meant:
    """What a visit becomes: pseudonym, grade, and the mapping items that say so."""

    who: bytes
    grade: int
    by: frozenset[bytes]


class Mappings:
    """All mappings that were found. They hold within one host and one home."""

    def __init__(self, found: Iterable[tuple[MappingRecord, bytes]]) -> None:
        self._said: dict[tuple[_Place, bytes, int | None], _Said] = {}
        self.conflicts: set[tuple[str, str, bytes]] = set()  # host, home, was
        for record, item in found:
            said = self._said.setdefault(((record.host, record.home), record.was, record.tap), _Said())
            if record.who != record.was:
                said.whos.setdefault(record.who, set()).add(item)
            if record.grade is not None:
                said.grades.setdefault(record.grade, set()).add(item)

    def meant(self, visit: VisitRecord) -> Meant:
        """Follows mappings from the pseudonym of a visit to the last one."""
        place, who = (visit.host, visit.home), visit.who
        seen: list[bytes] = [who]
        by: set[bytes] = set()
        while (step := self._step(place, who, visit.tap)) is not None:
            who, items = step
            if who in seen:  # they lead in a circle: nothing is believed
                self.conflicts.add((*place, visit.who))
                return self._graded(visit, visit.who, [visit.who], set())
            seen.append(who)
            by |= items
        return self._graded(visit, who, seen, by)

    def _step(self, place: _Place, who: bytes, tap: int) -> tuple[bytes, set[bytes]] | None:
        for key in ((place, who, tap), (place, who, None)):
            said = self._said.get(key)
            if said is None or not said.whos:
                continue
            if len(said.whos) > 1:
                self.conflicts.add((*place, who))
                return None
            return next(iter(said.whos.items()))
        return None

    def _graded(self, visit: VisitRecord, who: bytes, seen: list[bytes], by: set[bytes]) -> Meant:
        grades: dict[int, set[bytes]] = {}
        for name in seen:
            said = self._said.get(((visit.host, visit.home), name, visit.tap))
            for grade, items in (said.grades if said else {}).items():
                grades.setdefault(grade, set()).update(items)
        if len(grades) > 1:
            self.conflicts.add((visit.host, visit.home, visit.who))
            grades = {}
        grade, items = next(iter(grades.items()), (visit.grade, set()))
        return Meant(who, grade, frozenset(by | items))
