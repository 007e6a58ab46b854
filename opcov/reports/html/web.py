"""Orders the boxes of a layered picture so that few lines cross, and places them so that most lines are straight."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from opcov.reports.html.layers import Link

_GAP = 18
_LANE = 12
"""Width that a line takes where it passes a layer."""
_MOST_STAND_INS = 6_000
_SHORT_SPAN = 3
"""Layers up to which a line keeps its stand-ins in a picture that would have too many of them."""
_SWEEPS = 6


class Web:
    """Boxes, and a stand-in wherever a line passes a layer, in their layers.

    Attributes:
        widths: of each vertex, boxes first; in pixels.
        layer_of: the layer of each vertex.
        above: vertices of the layer above that each one is joined with.
        below: those of the layer below.
        trunks: the stand-ins of a box, downwards and with the box itself first: one chain for all that read it.
        rows: the vertices of each layer, from left to right.
    """

    def __init__(self, widths: Sequence[int], layers: Sequence[int], links: Sequence[Link]) -> None:
        self.widths = list(widths)
        self.layer_of = list(layers)
        self.above: list[list[int]] = [[] for _ in widths]
        self.below: list[list[int]] = [[] for _ in widths]
        self.trunks: dict[int, list[int]] = {}
        targets: dict[int, list[int]] = {}
        for source, target in links:
            targets.setdefault(source, []).append(target)
        longest = {
            source: max(layers[target] for target in found) - layers[source] for source, found in targets.items()
        }
        crowded = sum(longest.values()) > _MOST_STAND_INS
        for source, found in targets.items():
            trunk = self.trunks[source] = [source]
            for layer in range(layers[source] + 1, layers[source] + longest[source]):
                if crowded and longest[source] > _SHORT_SPAN:
                    break
                self._join(trunk[-1], self._stand_in(layer))
                trunk.append(len(self.widths) - 1)
            for target in found:
                self._join(trunk[min(len(trunk), layers[target] - layers[source]) - 1], target)
        self.place: dict[int, int] = {}
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer_of, default=-1) + 1)]
        for vertex, layer in enumerate(self.layer_of):
            self.rows[layer].append(vertex)

    def _stand_in(self, layer: int) -> int:
        self.widths.append(_LANE)
        self.layer_of.append(layer)
        self.above.append([])
        self.below.append([])
        return len(self.widths) - 1

    def _join(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)

    def order(self) -> None:
        """Sweeps down and up, each layer in the order of its neighbours' mean places."""
        place = [0.0] * len(self.widths)
        for row in self.rows:
            for position, vertex in enumerate(row):
                place[vertex] = position
        for sweep in range(_SWEEPS):
            rows, near = (self.rows, self.above) if sweep % 2 == 0 else (self.rows[::-1], self.below)
            for row in rows:
                keys = {
                    vertex: sum([place[other] for other in near[vertex]]) / len(near[vertex])
                    if near[vertex]
                    else place[vertex]
                    for vertex in row
                }
                row[:] = [vertex for _, _, vertex in sorted((keys[vertex], place[vertex], vertex) for vertex in row)]
                for position, vertex in enumerate(row):
                    place[vertex] = position

    def coordinates(self) -> list[float]:
        """The middle of each vertex: near its neighbours, apart from the others of its layer."""
        x = [0.0] * len(self.widths)
        for row in self.rows:
            edge = 0.0
            for vertex in row:
                x[vertex] = edge + self.widths[vertex] / 2
                edge += self.widths[vertex] + _GAP
            for vertex in row:
                x[vertex] -= edge / 2
        self.place = {vertex: place for row in self.rows for place, vertex in enumerate(row)}
        for sweep in range(_SWEEPS):
            rows, near = (self.rows, self.above) if sweep % 2 == 0 else (self.rows[::-1], self.below)
            for row in rows:
                self._spread(row, [self._wish(vertex, near[vertex], x) for vertex in row], x)
        for trunk in self.trunks.values():
            self._straighten(trunk, x)
        self._gather(x)
        return x

    def _gather(self, x: list[float]) -> None:
        """Moves parts that have no link to the largest one as near to the middle as there is room."""
        parts = self._parts()
        for part in parts[1:]:
            members = set(part)
            is_left = sum([x[vertex] for vertex in part]) < len(part) * sum(x) / len(x)
            rooms = []
            for vertex in part:
                row, place = self.rows[self.layer_of[vertex]], self.place[vertex]
                beside = place + 1 if is_left else place - 1
                if 0 <= beside < len(row) and row[beside] not in members:
                    rooms.append(abs(x[row[beside]] - x[vertex]) - self._apart(vertex, row[beside]))
            shift = max(0.0, min(rooms, default=0.0))
            for vertex in part:
                x[vertex] += shift if is_left else -shift

    def _parts(self) -> list[list[int]]:
        """Vertices by what they are linked with, the largest part first."""
        seen: set[int] = set()
        parts = []
        for start in range(len(self.widths)):
            if start not in seen:
                seen.add(start)
                part = [start]
                for vertex in part:
                    found = [other for other in (*self.above[vertex], *self.below[vertex]) if other not in seen]
                    seen.update(found)
                    part += dict.fromkeys(found)
                parts.append(part)
        return sorted(parts, key=len, reverse=True)

    @staticmethod
    def _wish(vertex: int, near: Sequence[int], x: Sequence[float]) -> float:
        if not near:
            return x[vertex]
        if len(near) == 1:
            return x[near[0]]
        return sum([x[other] for other in near]) / len(near)

    def _apart(self, one: int, other: int) -> float:
        return (self.widths[one] + self.widths[other]) / 2 + _GAP

    def _spread(self, row: Sequence[int], wishes: Sequence[float], x: list[float]) -> None:
        """Wishes as far as they can be had: the mean of pushing all to the right and of pushing all to the left."""
        right = list(wishes)
        left = list(wishes)
        for place in range(1, len(row)):
            right[place] = max(right[place], right[place - 1] + self._apart(row[place - 1], row[place]))
        for place in range(len(row) - 2, -1, -1):
            left[place] = min(left[place], left[place + 1] - self._apart(row[place], row[place + 1]))
        for place, vertex in enumerate(row):
            x[vertex] = (left[place] + right[place]) / 2

    def _straighten(self, trunk: Sequence[int], x: list[float]) -> None:
        """Moves stand-ins below one another as far as their layers leave room."""
        run: list[int] = []
        low, high = float("-inf"), float("inf")
        for vertex in trunk[1:]:
            least, most = self._room(vertex, x)
            if run and max(low, least) > min(high, most):
                self._align(run, low, high, x)
                run, low, high = [], float("-inf"), float("inf")
                least, most = self._room(vertex, x)
            run.append(vertex)
            low, high = max(low, least), min(high, most)
        self._align(run, low, high, x)

    def _room(self, vertex: int, x: Sequence[float]) -> tuple[float, float]:
        row, place = self.rows[self.layer_of[vertex]], self.place[vertex]
        least = x[row[place - 1]] + self._apart(row[place - 1], vertex) if place else float("-inf")
        most = x[row[place + 1]] - self._apart(vertex, row[place + 1]) if place + 1 < len(row) else float("inf")
        return least, most

    @staticmethod
    def _align(run: Sequence[int], low: float, high: float, x: list[float]) -> None:
        if run:
            wish = median_low([x[vertex] for vertex in run])
            for vertex in run:
                x[vertex] = min(max(wish, low), high)
