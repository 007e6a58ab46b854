"""Tells which files of a corpus are worth fetching: those that may be graphs, run logs, and what belongs to a graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opcov.corpus.model import LOG_NAME, RESULT_NAME
from opcov.corpus.remote.address import fits_a_folder
from opcov.graphfile import is_graph_name

if TYPE_CHECKING:
    from opcov.graphfile import Format

_HEAD = 1 << 20


class Candidates:
    """Chooses by name, as the walk over a local tree does."""

    def __init__(self, formats: Sequence[Format]) -> None:
        """Keeps what the forms of graphs are called.

        Args:
            formats: the forms that graphs may be in.
        """
        self._formats = formats
        self._suffixes = tuple(sorted({suffix for form in formats for suffix in form.suffixes}))
        self._companions = frozenset(name for form in formats for name in form.companions)

    @property
    def rule(self) -> str:
        """What the choice depends on, as text."""
        return repr((self._suffixes, sorted(self._companions)))

    def may_be_graph(self, location: str) -> bool:
        """Whether the file at a location is a graph or a run log by its name, or may be a graph by its content."""
        name = _visible_name(location)
        if name is None or name == RESULT_NAME:
            return False
        return name == LOG_NAME or is_graph_name(name) or (name.endswith(self._suffixes) and not name.startswith("."))

    def may_belong(self, location: str) -> bool:
        """Whether the file at a location may belong to a graph beside it."""
        return _visible_name(location) in self._companions

    def companions_of(self, file: Path) -> tuple[str, ...] | None:
        """Names of the files that belong to the graph in a local file; None where it holds no graph or run log."""
        if file.name == LOG_NAME or is_graph_name(file.name):
            return ()
        try:
            with file.open("rb") as stream:
                head = stream.read(_HEAD)
        except OSError:
            return None
        for form in self._formats:
            if file.name.endswith(form.suffixes) and form.detect(file.name, head):
                return form.companions
        return None


def _visible_name(location: str) -> str | None:
    """The last part of a location; None where a folder above it is one that no walk enters."""
    *above, name = location.split("/")
    hidden = any((part.startswith(".") and part not in (".", "..")) or part == "__pycache__" for part in above)
    return None if hidden else name


def fault_of(location: str) -> str | None:
    """Why nothing can lie at a location below a folder; None where it can.

    Names come from whoever made the archive or filled the bucket, so they are checked before any of them is a path.
    """
    parts = location.split("/")
    if location.startswith("/"):
        return "its path is absolute"
    if ".." in parts:
        return "its path leads out of the corpus"
    if len(location) > 2000 or not all(map(fits_a_folder, parts)):
        return "no file can have this name here"
    return None
