"""What a report is: the seam behind which every kind of output is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    from opcov.coverage import Coverage
    from opcov.gate import Judgement

Content: TypeAlias = Union[str, bytes, Iterable[str]]
"""What goes into one file: all of it, or pieces that are written as they come."""


def no_text(_digest: str) -> str | None:
    """The texts of graphs that are nowhere to be had."""
    return None


def is_ready() -> None:
    """Nothing else has to be installed."""


class Findings:
    """What reports are made from.

    Attributes:
        text_of: the text of the graph with a digest; None where it is no text, has changed since or cannot be read.
        judgement: what the gate found; None where the scan was held against no baseline.
        corpus: path of the corpus from the working directory, with forward slashes, for systems that show files of a
            repository; "" where it lies elsewhere.
    """

    def __init__(
        self,
        coverage: Coverage | Callable[[], Coverage],
        text_of: Callable[[str], str | None] = no_text,
        judgement: Judgement | None = None,
        corpus: str = "",
    ) -> None:
        """Keeps them; a coverage that has to be put together is, when it is first asked for."""
        self._coverage = coverage
        self.text_of = text_of
        self.judgement = judgement
        self.corpus = corpus

    @cached_property
    def coverage(self) -> Coverage:
        """All that a scan found."""
        return self._coverage() if callable(self._coverage) else self._coverage

    def held_against(self, judgement: Judgement) -> Findings:
        """The same findings with what a gate says of them."""
        return Findings(lambda: self.coverage, self.text_of, judgement, self.corpus)


@dataclass(frozen=True, slots=True)
class FileReport:
    """A kind of report that is one file.

    Attributes:
        name: under which it is asked for: `json`.
        meaning: what it is, in a few words.
        render: makes it; the same findings give the same bytes.
        check: raises a `UsageError` where what it needs is not installed; asked before a scan.
    """

    name: str
    meaning: str
    render: Callable[[Findings], Content]
    check: Callable[[], None] = is_ready


@dataclass(frozen=True, slots=True)
class FolderReport:
    """A kind of report that is several files in one folder.

    Attributes:
        name: under which it is asked for: `html`.
        meaning: what it is, in a few words.
        render: makes it: contents by path in the folder, with forward slashes.
        names: those paths that are known beforehand.
        check: raises a `UsageError` where what it needs is not installed; asked before a scan.
        places: where its files lie, as patterns of paths in the folder (`op/*.html`), and
        mark: what stands in the first KiB of each of them. Those that an earlier report left and that the new one does
            not write are removed: they would tell of another scan.
    """

    name: str
    meaning: str
    render: Callable[[Findings], Mapping[str, Content]]
    names: tuple[str, ...] = ()
    check: Callable[[], None] = is_ready
    places: tuple[str, ...] = ()
    mark: bytes = b""


Report: TypeAlias = Union[FileReport, FolderReport]
