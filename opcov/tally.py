"""Counts what a scan costs: the time of its phases, what was recalled and what had to be done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FILES = "files"
"""Graph files that were found,"""
KNOWN_FILES = "known files"
"""and those of them that need not be read, by their status."""
BYTES = "bytes"
"""Bytes of graph files that were read, to tell them apart and to judge them."""
FETCHED = "fetched bytes"
"""Bytes that came from elsewhere: of a remote corpus, or out of an archive."""
GRAPHS = "graphs"
"""Distinct graphs that were looked up or judged,"""
RECALLED = "recalled graphs"
"""those of them whose verdicts are remembered,"""
PARSED = "parsed graphs"
"""and those that have to be judged, and need not be parsed for it."""
QUESTIONS = "questions"
"""Questions that the judge was asked."""

FETCH, FIND, RECALL, JUDGE, TABLES, REPORTS, WRITE = "fetch", "find", "recall", "judge", "tables", "reports", "write"
"""The phases."""


@dataclass(slots=True)
class Tally:
    """What one scan costs so far.

    Attributes:
        seconds: of wall time, by phase.
        numbers: of what was counted, by name.
        told: kinds of reports that were told before.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    _inner: list[float] = field(default_factory=lambda: [0.0], repr=False)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Adds the time of what is done inside to a phase, less that of phases inside it."""
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + whole - self._inner.pop()
            self._inner[-1] += whole

    def count(self, name: str, number: int = 1) -> None:
        """Adds to a number."""
        self.numbers[name] = self.numbers.get(name, 0) + number

    def lines(self) -> list[str]:
        """What it cost, one line a phase, for people."""
        number = self.numbers.get
        files, known, graphs, recalled = (number(name, 0) for name in (FILES, KNOWN_FILES, GRAPHS, RECALLED))
        judged = graphs - recalled
        size = _size(number(BYTES, 0))
        told = f"; told before: {', '.join(self.told)}" if self.told else ""
        details = {
            FETCH: f"{_size(number(FETCHED, 0))} from elsewhere",
            FIND: f"{files:,} graph files, {known:,} of them unchanged by their status; {size} read in all",
            RECALL: f"the verdicts of {recalled:,} of {graphs:,} distinct graphs are remembered",
            JUDGE: f"{judged:,} graphs, {number(PARSED, 0):,} parsed before; {number(QUESTIONS, 0):,} questions asked",
            TABLES: "models, problems, totals",
            REPORTS: f"tables and texts{told}",
            WRITE: "files",
        }
        return [f"{name}: {self.seconds[name]:.3f} s; {details[name]}" for name in details if name in self.seconds]


def _size(number: int) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 100_000 else f"{number:,} bytes"
