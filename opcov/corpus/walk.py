"""Walks a tree and finds its models, graph files and run logs.

The result depends on names and contents only: not on the order in which the file system lists them, nor on where the
tree lies. Nothing in a graph file is looked at beyond its bytes; reading it is the loaders' work.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from opcov.corpus.model import LOG_NAME, RESULT_NAME, Corpus, Model
from opcov.graphfile import (
    GraphFile,
    digest_of_file,
    is_graph_name,
    natural_key,
    printable,
    read_graph_file,
    reason_of,
)
from opcov.problems import Problem, Slug, UsageError

if TYPE_CHECKING:
    from opcov.graphfile import Format, Seen


def discover(path: str | os.PathLike[str], formats: Sequence[Format], seen: Seen | None = None) -> Corpus:
    """Finds the models in a folder, or the one graph in a file.

    A `rank{r}_{i}.py` or `graph_module_<id>.py` is a graph whatever it holds, another file is one if a form claims it.
    Links are followed. A linked folder that contains the link or that is part of the corpus anyway is left out with a
    problem, and so is whatever cannot be opened. Hidden folders and `__pycache__` are not entered.

    Args:
        path: of the folder or file.
        formats: the forms that graphs may be in.
        seen: remembers files that were read before, for these forms; None to read every one.

    Raises:
        UsageError: the path does not exist or cannot be read, or there is neither a graph nor a run log.
    """
    root = Path(path)
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except (OSError, ValueError) as error:
        raise UsageError(f"{printable(str(root))}: {reason_of(error)}; give a folder of models, such as gm/") from None
    return _walk(root, formats, seen) if is_folder else _single(root, formats, seen)


def _single(path: Path, formats: Sequence[Format], seen: Seen | None) -> Corpus:
    if path.name == RESULT_NAME:
        raise UsageError(f"{printable(str(path))} is a result, not a graph; give a folder of models, such as gm/")
    root = path.parent
    own_name = _own_name(root)
    if path.name == LOG_NAME:
        log, digest = printable(path.name), ""
        with suppress(OSError):  # whoever reads it finds out what is wrong
            digest = digest_of_file(str(path), seen)
        model = Model(own_name, (), run_log=log, whole=False, log_location=path.name, log_digest=digest)
        return Corpus(root, (model,))
    # A file that was asked for by name is a graph: whoever reads it finds out whether it holds one.
    file = read_graph_file(str(path), path.name, formats, must_be_graph=True, seen=seen)
    assert file is not None
    problems = (file.problem,) if file.problem else contested(file)
    return Corpus(root, (Model(own_name, (file,), whole=False),), problems)


def contested(file: GraphFile) -> tuple[Problem, ...]:
    """The problem of a file that two forms claim."""
    if len(file.claimed_by) < 2:
        return ()
    names = " and ".join(file.claimed_by)
    message = f"the loaders {names} both claim the file; {file.claimed_by[0]} reads it"
    return (Problem(file.path, 0, Slug.CONTESTED, message),)


def _walk(root: Path, formats: Sequence[Format], seen: Seen | None) -> Corpus:
    walk = _Walk(root, formats, seen)
    walk.run()
    if not walk.models:
        unread = f"; {len(walk.problems)} could not be read, the first: {walk.problems[0]}" if walk.problems else ""
        raise UsageError(
            f"no graphs and no run logs below {printable(str(root))}; expected gm/<org>/<model>/rank0_0.py{unread}"
        )
    models = walk.models
    names = {model.name for model in models}
    if "" in names:
        own_name = _own_name(root)
        name = "." if own_name in names else own_name
        models = [replace(model, name=name) if model.name == "" else model for model in models]
    models.sort(key=lambda model: natural_key(model.name))
    return Corpus(root, tuple(models), tuple(sorted(set(walk.problems))))


class _Walk:
    """One pass over a tree: a folder at a time, no recursion, every real folder once."""

    def __init__(self, root: Path, formats: Sequence[Format], seen: Seen | None) -> None:
        self.root = root
        self.formats = formats
        self.seen_before = seen
        self.suffixes = tuple({suffix for form in formats for suffix in form.suffixes})
        self.models: list[Model] = []
        self.problems: list[Problem] = []
        self.links: list[str] = []
        # By identity rather than by name: two paths may lead to one folder.
        self.above = _identities_above(root)
        self.seen: set[tuple[int, int]] = set()

    def run(self) -> None:
        # Links come after all real folders, so that a folder keeps its own name when a link leads to it as well.
        self._enter_all("")
        while self.links:
            links, self.links = sorted(self.links, key=natural_key), []
            for link in links:
                try:
                    if not self._leads_back(link):
                        self._enter_all(link)
                except OSError as error:
                    self._report(link, Slug.UNREADABLE, f"the link cannot be followed: {reason_of(error)}")

    def _full(self, location: str) -> str:
        return f"{self.root}{os.sep}{location}" if location else str(self.root)

    def _leads_back(self, link: str) -> bool:
        full = Path(self._full(link))
        status = full.stat()
        identity = (status.st_dev, status.st_ino)
        # Links in foreign trees have folders above them that the root has not.
        if identity in self.above or identity in _identities_above(full.parent):
            self._report(link, Slug.LINK_LOOP, "the link leads back to a folder that contains it: not followed")
            return True
        if identity in self.seen:
            self._report(link, Slug.LINK_LOOP, "the link leads to a folder that is read already: not followed")
            return True
        return False

    def _enter_all(self, start: str) -> None:
        waiting = [start]
        while waiting:
            waiting += self._enter(waiting.pop())

    def _enter(self, location: str) -> list[str]:
        """Reads one folder; its real subfolders are returned, its linked ones noted for later."""
        try:
            status = Path(self._full(location)).stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self.seen:
                # Links to different folders of one foreign tree meet here.
                self._report(location, Slug.LINK_LOOP, "the folder is read already under another name")
                return []
            self.seen.add(identity)
            with os.scandir(self._full(location)) as listing:
                entries = sorted(listing, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if not location:
                raise UsageError(
                    f"{printable(str(self.root))}: {reason_of(error)}; give a folder of models, such as gm/"
                ) from None
            self._report(location, Slug.UNREADABLE, f"the folder cannot be read: {reason_of(error)}")
            return []
        folders: list[str] = []
        files: list[GraphFile] = []
        log: str | None = None
        log_digest = ""
        has_log = False
        for entry in entries:
            below = f"{location}/{entry.name}" if location else entry.name
            if entry.name == LOG_NAME:
                has_log = True
                try:
                    log_digest = digest_of_file(entry.path, self.seen_before)
                    log = below
                except OSError as error:
                    self._report(below, Slug.UNREADABLE, f"the run log cannot be read: {reason_of(error)}")
            elif entry.name == RESULT_NAME:
                continue
            elif is_graph_name(entry.name):
                file = read_graph_file(entry.path, below, self.formats, must_be_graph=True, seen=self.seen_before)
                assert file is not None
                files.append(file)
                if file.problem is not None:
                    self.problems.append(file.problem)
            elif _is_folder(entry):
                if not entry.name.startswith(".") and entry.name != "__pycache__":
                    (self.links if entry.is_symlink() else folders).append(below)
            elif entry.name.endswith(self.suffixes) and not entry.name.startswith("."):
                file = read_graph_file(entry.path, below, self.formats, must_be_graph=False, seen=self.seen_before)
                if file is not None:
                    if file.problem is not None:
                        self.problems.append(file.problem)
                    else:
                        files.append(file)
                        self.problems += contested(file)
            elif entry.is_symlink():
                self._report_broken(entry, below)
        if files or has_log:
            printable_log = None if log is None else printable(log)
            model = Model(printable(location), tuple(files), printable_log, log_location=log, log_digest=log_digest)
            self.models.append(model)
        return folders

    def _report_broken(self, entry: os.DirEntry[str], location: str) -> None:
        """A link that leads nowhere may have been a folder of graphs; one to some other file is no matter."""
        try:
            entry.stat()
        except OSError as error:
            slug = Slug.LINK_LOOP if error.errno == errno.ELOOP else Slug.UNREADABLE
            self._report(location, slug, f"the link cannot be followed: {reason_of(error)}")

    def _report(self, location: str, slug: Slug, message: str) -> None:
        self.problems.append(Problem(printable(location), 0, slug, message))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself, for one: opening it says what is wrong.
        return False


def _identities_above(root: Path) -> set[tuple[int, int]]:
    """The root and every folder that contains it: a link to one of them would never end."""
    identities = set()
    resolved = root.resolve()
    for folder in (resolved, *resolved.parents):
        try:
            status = folder.stat()
        except OSError:
            continue
        identities.add((status.st_dev, status.st_ino))
    return identities


def _own_name(root: Path) -> str:
    return printable(Path(os.path.abspath(root)).name) or "."  # noqa: PTH100 - a link keeps the name it was given by
