"""What a loader is: the seam behind which every form of a saved graph is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from opcov.problems import Problem, Slug

if TYPE_CHECKING:
    from opcov.graph import Graph

Loaded: TypeAlias = "tuple[tuple[Graph, ...], tuple[Problem, ...]]"
"""The graphs of a file in order, and the problems that belong to no graph; neither names the file."""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file as a loader gets it.

    Attributes:
        name: without folders.
        content: all of it.
        companions: contents of the files beside it that the loader asked for and that are there, by name.
    """

    name: str
    content: bytes
    companions: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loader:
    """One form of saved graphs.

    Attributes:
        name: `readable`; what a problem calls it.
        detect: whether a file is of this form, from its name and its first MiB. It must be cheap, and must not raise.
        load: reads a file; no content may make it raise, and nothing in it may be imported, evaluated or unpickled.
        suffixes: ends of the names of files that may be of this form.
        companions: names of files beside it that belong to the graph.
        version: raised whenever it reads the same file differently.
    """

    name: str
    detect: Callable[[str, bytes], bool]
    load: Callable[[SavedFile], Loaded]
    suffixes: tuple[str, ...] = (".py",)
    companions: tuple[str, ...] = ()
    version: int = 1


def text_of(file: SavedFile) -> str | Problem:
    """The file as text, or the problem with it."""
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the file is no UTF-8 text (byte {error.start}), so it is not a printed GraphModule"
        return Problem("", 0, Slug.NOT_TEXT, message)
