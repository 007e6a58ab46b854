"""What a corpus is: models with their graph files and run logs; equal bodies are found by digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from opcov.graphfile import GraphFile, read_body
from opcov.problems import Problem

LOG_NAME = "log.txt"
"""The file name of a run log."""
RESULT_NAME = "all_ops.py"
"""The file name of an earlier result: valid Python about graphs, and no graph."""


@dataclass(frozen=True, slots=True)
class Model:
    """A folder with graphs or a run log.

    Attributes:
        name: path of the folder from the corpus root, with forward slashes. Where the corpus root itself is the model,
            the root's own name (`.` if another model has that name already).
        files: its graph files, in natural order.
        run_log: path of its run log from the corpus root; None where there is none that can be opened.
        whole: whether the folder was looked at, False where only one file of it was asked for.
        log_location: the real path of the run log, for opening it.
        log_digest: of the run log.
    """

    name: str
    files: tuple[GraphFile, ...]
    run_log: str | None = None
    whole: bool = True
    log_location: str | None = field(default=None, repr=False)
    log_digest: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class Corpus:
    """All models below a folder.

    Attributes:
        root: the folder; for reading only, it belongs in no output.
        models: in natural order of their names.
        problems: what could not be read, sorted. The problems of graph files are among them.
    """

    root: Path = field(compare=False)
    models: tuple[Model, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def files(self) -> Iterator[GraphFile]:
        """The graph files of all models, in the order of the models."""
        for model in self.models:
            yield from model.files

    def bodies(self) -> Mapping[str, tuple[GraphFile, ...]]:
        """The files of each distinct body, by digest, in the order of `files`: the first one stands for all.

        Bodies are told apart over the whole corpus, so the files of one may belong to several models. Files that cannot
        be read have no body.
        """
        found: dict[str, list[GraphFile]] = {}
        for file in self.files:
            if file.problem is None:
                found.setdefault(file.digest, []).append(file)
        return {digest: tuple(files) for digest, files in found.items()}

    @cached_property
    def _by_digest(self) -> Mapping[str, tuple[GraphFile, ...]]:
        return self.bodies()

    def text_of(self, digest: str) -> str | None:
        """The text of a distinct body as its first file has it, read anew.

        Returns:
            None for a body that is no text, that is not here, that cannot be read or whose size has changed since.
        """
        for file in self._by_digest.get(digest, ()):
            with suppress(OSError, UnicodeDecodeError):
                content = read_body(self.root, file)
                return content.decode("utf-8-sig") if len(content) == file.size else None
        return None
