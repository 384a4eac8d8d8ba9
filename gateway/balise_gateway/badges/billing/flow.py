"""Flows of whole cents between places: the cheapest one, and of several as cheap always the same one.

Promises exact integers and a result that depends on the edges alone. Leaves to `setoff.py` what an edge is.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

Edge = tuple[str, str]


@dataclass
class _Arc:
    """One direction of an edge in the residual network: `left` may still flow; `back` is the other direction."""

    to: str
    left: int
    cost: int
    back: "_Arc" = field(init=False, repr=False)


class Network:
    """Edges with capacities, each unit on each edge costing 1, and a flow on them."""

    def __init__(self, capacities: Mapping[Edge, int]) -> None:
        self._arcs: dict[str, list[_Arc]] = {}
        self._edges: dict[Edge, _Arc] = {}
        for (start, end), capacity in sorted(capacities.items()):
            self._edges[start, end] = self._add(start, end, capacity, 1)

    def send_cheapest(self, supplies: Mapping[str, int]) -> None:
        """Sends what places have too much of (above 0) to those that lack it (below 0), over as few edges as can be.

        Successive shortest paths, all of one length at once (primal-dual; Ford and Fulkerson 1962). The edges must
        be wide enough.
        """
        source, sink = "\0source", "\0sink"  # no place is called so
        for place, supply in sorted(supplies.items()):
            if supply > 0:
                self._add(source, place, supply, 0)
            elif supply < 0:
                self._add(place, sink, -supply, 0)
        while sink in (distance := self._distances([source])):
            self._fill(source, sink, distance, sum(arc.left for arc in self._arcs[source]))
        for end in (source, sink):
            for arc in self._arcs.pop(end, []):
                self._arcs[arc.to].remove(arc.back)

    def settled(self) -> dict[Edge, int]:
        """What flows on each edge, those without any left out.

        Of all flows as cheap it is the one with the least on the first edge, then on the second, and so on. Ends the
        network: each edge is taken out of it in turn, after all that finds another way of the same cost has left it.
        """
        distance = self._distances(list(self._arcs))
        flows: dict[Edge, int] = {}
        for (start, end), arc in self._edges.items():
            on_edge, arc.left, arc.back.left = arc.back.left, 0, 0
            if on_edge and distance[end] == distance[start] + arc.cost:
                on_edge -= self._fill(start, end, distance, on_edge)
            if on_edge:
                flows[start, end] = on_edge
        return flows

    def _add(self, start: str, end: str, capacity: int, cost: int) -> _Arc:
        there, back = _Arc(end, capacity, cost), _Arc(start, 0, -cost)
        there.back, back.back = back, there
        self._arcs.setdefault(start, []).append(there)
        self._arcs.setdefault(end, []).append(back)
        return there

    def _distances(self, starts: list[str]) -> dict[str, int]:
        """The least cost from any of the starts (Bellman and Ford with a queue); no circle is cheaper than nothing."""
        distance = dict.fromkeys(starts, 0)
        queue, queued = deque(starts), set(starts)
        while queue:
            here = queue.popleft()
            queued.discard(here)
            for arc in self._arcs.get(here, []):
                cost = distance[here] + arc.cost
                if not arc.left or cost >= distance.get(arc.to, cost + 1):
                    continue
                distance[arc.to] = cost
                if arc.to not in queued:
                    queue.append(arc.to)
                    queued.add(arc.to)
        return distance

    def _fill(self, source: str, sink: str, distance: Mapping[str, int], most: int) -> int:
        """Sends as much as it can, `most` at the most, over arcs that lie on cheapest ways; tells how much."""
        sent = 0
        while sent < most and (path := self._path(source, sink, distance)):
            amount = min(most - sent, *(arc.left for arc in path))
            for arc in path:
                arc.left -= amount
                arc.back.left += amount
            sent += amount
        return sent

    def _path(self, source: str, sink: str, distance: Mapping[str, int]) -> list[_Arc]:
        """One way with the fewest arcs (Edmonds and Karp 1972), empty when there is none."""
        came: dict[str, _Arc] = {}
        queue = deque([source])
        while queue and sink not in came:
            here = queue.popleft()
            for arc in self._arcs.get(here, []):
                cheapest = arc.left and distance.get(arc.to) == distance[here] + arc.cost
                if cheapest and arc.to != source and arc.to not in came:
                    came[arc.to] = arc
                    queue.append(arc.to)
        path: list[_Arc] = []
        while sink in came and (not path or path[-1].back.to != source):
            path.append(came[path[-1].back.to if path else sink])
        return path[::-1]
