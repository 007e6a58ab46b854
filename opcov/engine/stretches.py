"""Shares work among workers by stretches of neighbours, which ask alike questions, so that few are asked twice."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from itertools import accumulate

LEAST_BYTES = 32_000
"""Small bodies go together until they have so many bytes, which take about ten milliseconds to judge,"""
MOST_BYTES = 256_000
"""or so many while much is left."""
MOST_BODIES = 64
"""So many go together at most: they are done again one by one when their worker dies."""
_PART = 8
"""A batch is such a part of what is left of a stretch, so that all are done at about the same time."""


class Stretches:
    """What is left to do, by workers. One who has nothing left gets the rear half of the longest stretch."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Leaves all to whoever comes first.

        Args:
            sizes: of the bodies.
        """
        self._ends = list(accumulate((max(1, size) for size in sizes), initial=0))
        self._left: dict[Hashable, tuple[int, int]] = {}
        self._unowned = [(0, len(sizes))] if sizes else []

    def take(self, worker: Hashable) -> range:
        """The places of the next bodies for a worker; none where nothing is left.

        Args:
            worker: any one; a new one is welcome.
        """
        start, stop = self._left.get(worker) or self._share()
        if start == stop:
            return range(0)
        size = min(max(self._bytes((start, stop)) // _PART, LEAST_BYTES), MOST_BYTES)
        until = bisect_left(self._ends, self._ends[start] + size, start + 1, min(stop, start + MOST_BODIES))
        self._left[worker] = (until, stop)
        if until == stop:
            del self._left[worker]
        return range(start, until)

    def leave(self, worker: Hashable) -> None:
        """Gives the rest of a worker's stretch to the next one who has nothing.

        Args:
            worker: that is gone.
        """
        left = self._left.pop(worker, None)
        if left is not None:
            self._unowned.append(left)

    def _share(self) -> tuple[int, int]:
        if self._unowned:
            return self._unowned.pop()
        if not self._left:
            return 0, 0
        owner = max(self._left, key=lambda one: self._bytes(self._left[one]))
        start, stop = self._left[owner]
        half = bisect_left(self._ends, (self._ends[start] + self._ends[stop]) / 2, start, stop - 1)
        self._left[owner] = (start, half)
        if start == half:
            del self._left[owner]
        return half, stop

    def _bytes(self, stretch: tuple[int, int]) -> int:
        start, stop = stretch
        return self._ends[stop] - self._ends[start]
