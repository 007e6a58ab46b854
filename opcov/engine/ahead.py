"""Reads bodies ahead while workers are not ready: they import torch for seconds, in which this process has no work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from opcov.cache.graphs import encoded
from opcov.collector import collector_paused
from opcov.engine.judging import load
from opcov.engine.work import Answer, Task, Work
from opcov.loaders import by_name

_MOST = 64 << 20
"""Bytes of bodies that are held parsed at most."""


class Ahead:
    """The tasks of some work, those of them parsed for which there was time."""

    def __init__(self, work: Work) -> None:
        """Reads nothing yet.

        Args:
            work: what is to be done.
        """
        self._work = work
        self._made: dict[int, Task | None] = {}
        self._parsed: dict[str, bytes] = {}
        self._next = self._places()

    def take(self, places: Sequence[int]) -> tuple[Task, ...]:
        """The tasks of bodies that could be read.

        Args:
            places: of the bodies.
        """
        tasks = [self._made.pop(place) if place in self._made else self._work.read(place) for place in places]
        return tuple(task for task in tasks if task is not None)

    def parse_one(self) -> bool:
        """Parses one more body, in their order; whether there was one. None may have been taken before."""
        place = next(self._next, None)
        if place is not None:
            self._make(place)
        return place is not None

    def with_parsed(self, answer: Answer) -> Answer:
        """An answer with what was parsed here, where that is to be kept."""
        content = self._parsed.pop(answer.body.digest, None)
        return answer if content is None else replace(answer, parsed=content)

    def _places(self) -> Iterator[int]:
        held = 0
        for place, size in enumerate(self._work.sizes):
            held += size
            if held > _MOST:
                return
            yield place

    def _make(self, place: int) -> None:
        task = self._work.read(place)
        if task is not None and task.parsed is None:
            with collector_paused():
                content = encoded(load(task.saved, by_name(task.loader)))
            if content is not None:
                if task.keeps_parsed:
                    self._parsed[task.digest] = content
                task = replace(task, parsed=content)
        self._made[place] = task
