"""What a scan remembers and recalls: judged graphs, what a registry says beside them, files and run logs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from opcov.cache.files import SeenFiles
from opcov.cache.place import Options, folder_of
from opcov.cache.records import Kind, Records, fingerprint_of
from opcov.cache.store import Store
from opcov.cache.told import Outline, Told
from opcov.graphfile import GraphFile, digest_of_file, read_graph_file
from opcov.loaders import BUILT_IN
from opcov.problems import Problem, Slug
from opcov.registries.fingerprint import own_fingerprint
from opcov.tally import Tally

if TYPE_CHECKING:
    from opcov.corpus import Corpus, Model
    from opcov.graphfile import Seen
    from opcov.judged import JudgedBody
    from opcov.loaders.loader import Loader
    from opcov.loaders.runlog import RunLog

_ACCIDENTS = frozenset({Slug.UNREADABLE, Slug.JUDGE_FAILED, Slug.TOO_DEEP})
"""Problems that another run need not have: the disk, the memory and the depth of the stack differ."""

_NAMELESS = frozenset(loader.name for loader in BUILT_IN)
"""Loaders for which the name of a file means nothing."""

_Answer = TypeVar("_Answer")


class Memory:
    """What one scan recalls and keeps. Without a cache it recalls nothing, and keeps nothing."""

    def __init__(
        self,
        records: Records | None = None,
        formats: Sequence[Loader] = (),
        judge: str | None = None,
        options: Options | None = None,
        tally: Tally | None = None,
    ) -> None:
        """Finds out what reading depends on.

        Args:
            records: the cache; None for none.
            formats: the forms that graphs may be in.
            judge: all that the verdicts depend on; None where they cannot be remembered.
            options: those with which the cache was opened.
            tally: counts what the scan costs.
        """
        self.tally = tally or Tally()
        self._options = options or Options()
        own = None if records is None else own_fingerprint()
        self._records = records if own is not None else None
        self._reader = repr((own, [(form.name, form.version, form.suffixes, form.companions) for form in formats]))
        self._loaders = {form.name: repr((own, form.name, form.version)) for form in formats}
        self._formats = formats
        self._judge = judge
        self._whole = True
        self._files = None if self._records is None else SeenFiles(self._records, self._reader)

    @property
    def seen(self) -> Seen | None:
        """What tells which files need not be read again; None where all are read."""
        return None if self._options.paranoid else self._files

    @property
    def unread(self) -> Mapping[str, int]:
        """Sizes of the graph files that need not be read, by their paths."""
        return {} if self._files is None else self._files.recalled

    # --- graphs -------------------------------------------------------------------------------------------------------

    def body(self, file: GraphFile) -> JudgedBody | None:
        """What was judged of a graph file, None where that is not remembered."""
        key = self._key(file)
        if self._records is None or self._judge is None or key is None:
            return None
        from opcov.judged import JudgedBody

        body = self._records.get(Kind.GRAPH, (self._judge, *key), JudgedBody)
        return body if body is not None and body.digest == file.digest else None

    @property
    def keeps_parsed(self) -> bool:
        """Whether what loaders read is kept."""
        return self._records is not None

    def parsed(self, file: GraphFile) -> bytes | None:
        """What a loader has read of a graph file, encoded; None where that is not remembered."""
        key = self._key(file)
        return None if self._records is None or key is None else self._records.get(Kind.PARSED, key, bytes)

    def keep(self, root: Path, file: GraphFile, body: JudgedBody, parsed: bytes | None) -> None:
        """Remembers what was read and judged of a graph file, unless an accident of this run is in it.

        Args:
            root: of the corpus.
            file: as it was found.
            body: what was judged of it.
            parsed: what was read of it, encoded; None where that is remembered already, or cannot be.
        """
        key = self._key(file)
        if self._records is None or key is None or _is_accident(body.problems):
            return
        # The file may have been replaced between the walk and the reading of it: its digest would be another graph's.
        location = file.location or file.path
        again = read_graph_file(str(root / location), location, self._formats, must_be_graph=True)
        if again is None or (again.digest, again.left_out) != (file.digest, file.left_out):
            self._whole = False
            return
        if parsed is not None:
            self._records.put(Kind.PARSED, key, parsed)
        if self._judge is not None:
            self._records.put(Kind.GRAPH, (self._judge, *key), body)

    def _key(self, file: GraphFile) -> tuple[str, ...] | None:
        loader = self._loaders.get(file.claimed_by[0])
        if loader is None:
            return None
        # Line numbers count what the digest leaves out. A loader of another package may look at the file's name.
        return loader, file.digest, file.left_out, "" if file.claimed_by[0] in _NAMELESS else file.name

    # --- the judge ----------------------------------------------------------------------------------------------------

    def versions(self, ask: Callable[[], Mapping[str, str]]) -> dict[str, str]:
        """The versions of the judge.

        Args:
            ask: tells them where they are not remembered.
        """
        known = self._recall("versions", dict[str, str])
        if known is None:
            known = dict(ask())
            self._keep("versions", known)
        return known

    def siblings(
        self, ops: Sequence[str], ask: Callable[[Sequence[str]], Mapping[str, tuple[str, ...]]]
    ) -> dict[str, tuple[str, ...]]:
        """Other names of ops that the judge has registered.

        Args:
            ops: canonical names.
            ask: tells those that are not remembered.
        """
        known = {op: self._recall(f"siblings of {op}", tuple[str, ...]) for op in ops}
        unknown = [op for op, names in known.items() if names is None]
        told = ask(unknown) if unknown else {}
        for op, names in told.items():
            self._keep(f"siblings of {op}", names)
        return {op: told[op] if names is None else names for op, names in known.items()}

    def _recall(self, question: str, shape: type[_Answer]) -> _Answer | None:
        if self._records is None or self._judge is None:
            return None
        return self._records.get(Kind.REGISTRY, (self._judge, question), shape)

    def _keep(self, question: str, answer: object) -> None:
        if self._records is not None and self._judge is not None:
            self._records.put(Kind.REGISTRY, (self._judge, question), answer)

    # --- run logs -----------------------------------------------------------------------------------------------------

    def run_log(self, root: Path, model: Model) -> RunLog:
        """The run log of a model, read again only where it is another one.

        Args:
            root: of the corpus.
            model: one that has a run log.

        Raises:
            OSError: the file cannot be opened or read.
        """
        from opcov.loaders.runlog import RunLog, read_run_log

        path = root / str(model.log_location)
        key = (self._reader, model.log_digest)
        known = None if self._records is None else self._records.get(Kind.LOG, key, RunLog)
        if known is not None:
            return known
        log = read_run_log(path)
        if self._records is not None:
            if digest_of_file(str(path)) == model.log_digest:
                self._records.put(Kind.LOG, key, log)
            else:
                self._whole = False  # it has grown since the walk
        return log

    # --- what is told -------------------------------------------------------------------------------------------------

    def told(self, corpus: Corpus, shown: str) -> Told | None:
        """What was told of the very same corpus; None where that is not remembered.

        Args:
            corpus: what was found.
            shown: its path as reports show it.
        """
        if self._records is None or self._judge is None or _is_accident(corpus.problems):
            return None
        content = fingerprint_of((corpus.models, corpus.problems))
        folder = folder_of(self._options)
        if content is None or folder is None:
            return None
        return Told((self._judge, self._reader, content, shown), self._records, lambda: _records(folder, self._options))

    def keep_told(self, told: Told, outline: Outline) -> None:
        """Remembers what a scan found, unless an accident of this run is in it."""
        if self._whole and not _is_accident(outline.problems):
            told.keep(outline)

    def close(self) -> None:
        """Hands over what is to be written."""
        if self._files is not None:
            self._files.save()


def _is_accident(problems: Sequence[Problem]) -> bool:
    return any(problem.slug in _ACCIDENTS for problem in problems)


@contextmanager
def remembering(
    options: Options | None, formats: Sequence[Loader], judge: str | None = None, tally: Tally | None = None
) -> Iterator[Memory]:
    """The memory of one scan; what it kept is written in the end, also when the scan stops half-way.

    Args:
        options: where the cache is; None for a memory that keeps nothing.
        formats: the forms that graphs may be in.
        judge: all that the verdicts depend on; None where they cannot be remembered.
        tally: counts what the scan costs.
    """
    folder = None if options is None else folder_of(options)
    if options is None or folder is None:
        yield Memory(tally=tally)
        return
    with _records(folder, options) as records:
        memory = Memory(records, formats, judge, options, tally)
        try:
            yield memory
        finally:
            memory.close()


@contextmanager
def _records(folder: Path, options: Options) -> Iterator[Records]:
    records = Records(Store(folder, options.megabytes * 1_000_000, options.warn or _warn))
    try:
        yield records
    finally:
        records.close()


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
