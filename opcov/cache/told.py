"""Remembers what was told of a corpus, so that a scan in which nothing has changed makes no table again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from opcov.cache.records import Kind, Records
from opcov.problems import Problem

_LONGEST = 1 << 18
"""Characters of a report that is remembered; longer ones are for machines, and are made again."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is told of a scan.

    Attributes:
        problems: what could not be read or judged, sorted.
        agrees: whether every node is placed as its file records it.
        texts: of reports, by their kind.
    """

    problems: tuple[Problem, ...]
    agrees: bool
    texts: dict[str, str] = field(default_factory=dict)


class Told:
    """What was told of the very same graphs, run logs and verdicts before."""

    def __init__(self, key: tuple[str, ...], records: Records, reopen: Callable[[], AbstractContextManager[Records]]):
        """Looks it up.

        Args:
            key: all that it depends on.
            records: the cache.
            reopen: opens it once more, for what is told after the scan.
        """
        self._key = key
        self._records = records
        self._reopen = reopen
        self.outline = records.get(Kind.TOLD, key, Outline)

    def keep(self, outline: Outline) -> None:
        """Remembers what a scan found, while its cache is open."""
        self.outline = outline
        self._records.put(Kind.TOLD, self._key, outline)

    def text(self, kind: str) -> str | None:
        """A report as it was told before; None where that is not remembered."""
        return None if self.outline is None else self.outline.texts.get(kind)

    def keep_text(self, kind: str, content: object) -> None:
        """Remembers a report that is one short text."""
        if self.outline is None or not isinstance(content, str) or len(content) > _LONGEST:
            return
        self.outline = replace(self.outline, texts={**self.outline.texts, kind: content})
        with self._reopen() as records:
            records.put(Kind.TOLD, self._key, self.outline)
