"""What went wrong, as data (`Problem`) and as the few exceptions a user can meet (`OpcovError`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum


class Slug(str, Enum):
    """The stable name of a kind of problem: what a script may match on and the documentation explains."""

    UNREADABLE = "unreadable"
    """A file or folder could not be opened or read."""
    NOT_TEXT = "not-text"
    """A graph file is binary or not UTF-8."""
    EMPTY = "empty"
    """A graph file holds no module, or the module holds no node."""
    SYNTAX = "syntax"
    """A line does not parse as Python: that line is left out."""
    TOO_DEEP = "too-deep"
    """A file nests deeper than the parser follows."""
    UNKNOWN_STATEMENT = "unknown-statement"
    """A statement that no rule of the loader knows: that statement is left out."""
    UNKNOWN_ANNOTATION = "unknown-annotation"
    """A type annotation that could not be read: the node keeps no metadata."""
    NO_SHAPES = "no-shapes"
    """The file that states shapes and dtypes is absent: what depends on them is unknown."""
    BODIES_MISSING = "bodies-missing"
    """A split graph calls regions whose bodies were not saved."""
    CONTESTED = "contested"
    """Two loaders claim one file: the first one reads it."""
    LINK_LOOP = "link-loop"
    """A symbolic link leads back to a folder that contains it."""
    CRASH = "crash"
    """Thunder's splitter raises on the graph, so the whole graph is lost."""
    JUDGE_FAILED = "judge-failed"
    """The registry itself failed on a graph: its nodes are unknown."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that could not be read or judged; the rest of the work goes on.

    Attributes:
        file: path relative to the corpus root, with forward slashes ("" where there is no file).
        line: 1-based line in that file, 0 where no line applies.
        slug: the kind of problem.
        message: one sentence: what, and what to do where that is known. No memory addresses, no absolute paths.

    >>> import opcov
    >>> print(opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).problems[0])
    odd/stream-overlap/graph_module_0_1.py: crash recorded: ...: Failed to find method wait_stream [crash]
    """

    file: str
    line: int
    slug: Slug
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.message} [{self.slug.value}]"


class OpcovError(Exception):
    """Base of every error that opcov raises on purpose; the command line prints it and exits with 2.

    >>> import opcov
    >>> try:
    ...     opcov.load("fixtures/gm")
    ... except opcov.OpcovError as error:
    ...     print(error)
    fixtures/gm is a folder; name one graph file, or use opcov.scan
    """


class UsageError(OpcovError):
    """The request itself cannot be carried out: a wrong path, an option that makes no sense, an empty corpus.

    >>> import opcov
    >>> opcov.columns("rows")
    Traceback (most recent call last):
    opcov.problems.UsageError: no table is called 'rows'; there are: nodes, graphs, ops, variants, models
    """


class OutputError(OpcovError):
    """A result could not be written; nothing half-written is left behind.

    >>> import opcov
    >>> opcov.scan("fixtures/gm", include=["odd/*"]).write(out="fixtures")
    Traceback (most recent call last):
    opcov.problems.OutputError: ...fixtures...folder...
    """


class RegistryError(OpcovError):
    """A registry cannot judge at all, for example because lightning-thunder cannot be imported.

    >>> import opcov
    >>> try:
    ...     found = opcov.scan("fixtures/gm", include=["odd/*"])
    ... except opcov.RegistryError as error:
    ...     print(f"install lightning-thunder first: {error}")
    ... else:
    ...     print("judged")
    judged
    """


def unknown_name(noun: str, name: str, known: Collection[str]) -> UsageError:
    """The error for a name that is not there, with those that come nearest to it as a whole or in their last part."""
    import difflib

    if not known:
        return UsageError(f"no {noun} is called {name!r}; the scan has none")
    by_end: dict[str, list[str]] = {}
    for one in known:
        by_end.setdefault(one.replace("/", ".").rpartition(".")[2], []).append(one)
    ends = difflib.get_close_matches(name.replace("/", ".").rpartition(".")[2], by_end, n=_NEAREST)
    # Without a limit on how near, so that there is always something to go on with.
    near = [
        *(one for end in ends for one in by_end[end]),
        *difflib.get_close_matches(name, known, n=_NEAREST, cutoff=0),
    ]
    nearest = list(dict.fromkeys(near))[:_NEAREST]
    return UsageError(f"no {noun} is called {name!r}; the nearest: {', '.join(map(repr, nearest))}")


_NEAREST = 3
