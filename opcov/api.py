"""What a notebook or a script uses: scan a corpus, look at the tables, write the reports. Never prints or exits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from opcov.agreement import SelfCheck, check_itself
from opcov.corpus import LOG_NAME, Corpus, discover
from opcov.coverage import Coverage
from opcov.document import TABLES
from opcov.engine import judge_body, scan_corpus, siblings_of
from opcov.graph import Graph
from opcov.graphfile import GraphFile, printable, read_body, read_companions
from opcov.health import Diagnosis, Health
from opcov.judged import JudgedBody, ModelScan
from opcov.loaders import available, by_name
from opcov.loaders.captured import Captured, captured
from opcov.loaders.loader import Loader, SavedFile
from opcov.problems import Problem, UsageError
from opcov.registries import Registry
from opcov.reports import by_name as by_name_of_report
from opcov.reports.files import check_writable, write_files
from opcov.reports.report import Content, FileReport, Findings, FolderReport, no_text
from opcov.wording import counted

if TYPE_CHECKING:
    import pandas as pd


StrPath: TypeAlias = Union[str, "os.PathLike[str]"]


class Scan:
    """The result of a scan.

    Attributes:
        coverage: everything that was found, as plain values.
    """

    def __init__(self, coverage: Coverage, text_of: Callable[[str], str | None] = no_text) -> None:
        """Keeps the result.

        Args:
            coverage: everything that was found.
            text_of: the text of the graph with a digest, for reports that show it.
        """
        self.coverage = coverage
        self._findings = Findings(coverage, text_of)

    def __repr__(self) -> str:
        counts = self.coverage.counts
        models = counted(len(self.coverage.models), "model")
        return f"<Scan of {models}: {counts.supported} of {counted(counts.nodes, 'node')} supported>"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read or judged, sorted."""
        return self.coverage.problems

    @cached_property
    def self_check(self) -> SelfCheck:
        """How far the predicted placements agree with those that split graphs record."""
        return check_itself(self.coverage)

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row a judged node of each distinct body; columns as in nodes.csv."""
        return self._frame("nodes")

    @cached_property
    def graphs(self) -> pd.DataFrame:
        """One row a graph file; columns as in graphs.csv."""
        return self._frame("graphs")

    @cached_property
    def ops(self) -> pd.DataFrame:
        """One row an op, those to look at first on top; columns as in ops.csv."""
        return self._frame("ops")

    @cached_property
    def variants(self) -> pd.DataFrame:
        """One row a variant of an op; columns as in variants.csv."""
        return self._frame("variants")

    @cached_property
    def models(self) -> pd.DataFrame:
        """One row a model, failed ones included; columns as in models.csv."""
        return self._frame("models")

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        table = next(table for table in TABLES if table.name == name)
        rows = [[_plain(getattr(entry, column)) for column in table.columns] for entry in table.rows(self.coverage)]
        return pd.DataFrame(rows, columns=list(table.columns)).astype(dict(table.dtypes))

    def write(self, *, out: StrPath | None = None, **reports: StrPath) -> list[Path]:
        """Writes reports, all or none.

        Args:
            out: where the list of unsupported ops goes (`all_ops.py`).
            reports: a file, or a folder, by the kind of report: `csv="coverage/"`, `json="opcov.json"`.

        Returns:
            The files written.

        Raises:
            UsageError: a kind of report is not known.
            OutputError: something cannot be written; then nothing is.
        """
        chosen = [] if out is None else [("all_ops", out)]
        return self.write_all([*chosen, *reports.items()])

    def write_all(self, destinations: Iterable[tuple[str, StrPath]]) -> list[Path]:
        """Writes reports, all or none, where one kind may go to several places.

        Args:
            destinations: kinds of reports, each with a file or a folder.

        Returns:
            The files written.

        Raises:
            UsageError: a kind of report is not known.
            OutputError: something cannot be written; then nothing is.
        """
        destinations = list(destinations)
        check_outputs(destinations)
        files: dict[Path, Content] = {}
        for kind, path in destinations:
            match by_name_of_report(kind):
                case FileReport() as report:
                    files[Path(path)] = report.render(self._findings)
                case FolderReport() as report:
                    files.update({Path(path, name): content for name, content in report.render(self._findings).items()})
        write_files(files)
        return list(files)

    def render(self, kind: str) -> Content:
        """A report that is one file, as text, bytes or pieces of text.

        Args:
            kind: of report: `markdown`.

        Raises:
            UsageError: the kind is not known, or is no single file.
        """
        report = by_name_of_report(kind)
        if isinstance(report, FolderReport):
            raise UsageError(f"a report of kind {kind} is a folder of files; write it to a folder")
        return report.render(self._findings)


def _plain(value: object) -> object:
    """A cell of a DataFrame: the text of an enum, several values joined as in the CSV files."""
    if isinstance(value, Enum):
        return value.value
    return "; ".join(map(str, map(_plain, value))) if isinstance(value, tuple) else value


def check_outputs(destinations: Iterable[tuple[str, StrPath]]) -> None:
    """Says before a scan whether its reports could be written, and writes nothing.

    Args:
        destinations: as for `Scan.write_all`.

    Raises:
        UsageError: a kind of report is not known.
        OutputError: a report could not be written.
    """
    files: list[Path] = []
    folders: list[Path] = []
    for kind, path in destinations:
        match by_name_of_report(kind):
            case FolderReport(names=names):
                files += [Path(path, name) for name in names]
                folders.append(Path(path))
            case FileReport():
                files.append(Path(path))
    check_writable(files, folders)


def scan(
    path: StrPath,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    requires_grad: bool = False,
    registry: Registry | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Judges every graph below a folder with the installed lightning-thunder.

    Args:
        path: a corpus (`gm/`), one model of it, or one graph file.
        include: patterns of model names (`Qwen/*`); only models that match one are scanned. All where there is none.
        exclude: patterns of model names to leave out.
        requires_grad: whether Parameters require grad, which the text does not tell: False is inference.
        registry: another judge than the installed lightning-thunder.
        progress: called with the number of distinct graphs done and of all, after each.

    Raises:
        UsageError: the path does not exist, or holds no graph and no run log.
        RegistryError: lightning-thunder cannot be imported.

    >>> import opcov
    >>> scan = opcov.scan("fixtures/gm")  # doctest: +SKIP
    >>> scan.ops.query("status != 'supported'")  # doctest: +SKIP
    """
    corpus = _selected(discover(path, available()), include, exclude)
    registry = _thunder(requires_grad=requires_grad) if registry is None else registry
    return Scan(scan_corpus(corpus, registry, progress), corpus.text_of)


def check(function: Any, /, *inputs: Any, registry: Registry | None = None, **kwargs: Any) -> Scan:
    """Judges the graphs of a live module or callable with the installed lightning-thunder.

    A `torch.fx.GraphModule` or `torch.export.ExportedProgram` is judged as it is. Any other callable runs once, in this
    process and as it is called here (devices, grad mode), under a torch.compile that keeps the graphs and compiles
    nothing; graph breaks give several graphs. Dynamo's caches are empty afterwards: what was compiled before is
    compiled again when it is next called.

    Args:
        function: a function, an nn.Module, a GraphModule or an ExportedProgram.
        inputs: example inputs of a callable.
        registry: another judge than the installed lightning-thunder.
        kwargs: more example inputs. One that is named `registry` itself has to go through functools.partial.

    Returns:
        A scan of one model, named after the callable, each of its graphs as if it had been saved before any split.

    Raises:
        UsageError: it is no callable, it raises, or torch.compile finds no graph in it.
        RegistryError: lightning-thunder cannot be imported.

    >>> import opcov, torch
    >>> opcov.check(torch.nn.Linear(4, 4), torch.ones(2, 4)).ops  # doctest: +SKIP
    """
    registry = _thunder(requires_grad=False) if registry is None else registry
    name, graphs = captured(function, inputs, kwargs)
    files: list[GraphFile] = []
    bodies: dict[str, JudgedBody] = {}
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for index, live in enumerate(graphs):
        file, body = _judged_live(f"{printable(name)}/graph_{index}", index, live, registry)
        files.append(file)
        body = bodies.setdefault(body.digest, body)
        texts[body.digest] = live.text
        problems += [replace(problem, file=file.path) for problem in body.problems]
    model = ModelScan(printable(name), tuple(files), Diagnosis(Health.OK))
    problems = sorted(set(problems))
    siblings = siblings_of(bodies.values(), registry)
    return Scan(Coverage({model.name: model}, bodies, dict(registry.versions), tuple(problems), siblings), texts.get)


def _judged_live(path: str, index: int, live: Captured, registry: Registry) -> tuple[GraphFile, JudgedBody]:
    """A live graph judged as the file would be that holds its text."""
    content = live.text.encode()
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    loader = Loader("live", detect=lambda _name, _head: False, load=lambda _file: ((live.graph,), ()))
    body = judge_body(digest, SavedFile(path, content), loader, registry)
    return GraphFile(path, None, index, live.graph.form, digest, len(content), claimed_by=("live",)), body


def load(path: StrPath) -> tuple[Graph, ...]:
    """Reads the graphs of one file, without judging them and without importing torch.

    Args:
        path: a saved graph in any form that a loader reads.

    Raises:
        UsageError: the file cannot be read, or holds no graph.

    >>> import opcov
    >>> graph = opcov.load("fixtures/gm/Qwen/Qwen3-tiny/rank0_0.py")[0]  # doctest: +SKIP
    >>> graph.to_fx().print_readable()  # doctest: +SKIP
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; name one graph file, or use opcov.scan")
    try:
        Path(path).stat()
        corpus = discover(path, available())
        (file,) = corpus.files
        saved = SavedFile(file.name, read_body(corpus.root, file), read_companions(corpus.root, file))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    graphs, problems = by_name(file.claimed_by[0]).load(saved)
    if not graphs:
        raise UsageError(f"{path} holds no graph: {problems[0].message if problems else 'no GraphModule class in it'}")
    return graphs


def _selected(corpus: Corpus, include: Sequence[str], exclude: Sequence[str]) -> Corpus:
    if not include and not exclude:
        return corpus
    models = tuple(
        model
        for model in corpus.models
        if (not include or _matches(model.name, include)) and not _matches(model.name, exclude)
    )
    if not models:
        names = ", ".join(model.name for model in corpus.models[:_MOST_NAMED])
        more = f" and {len(corpus.models) - _MOST_NAMED} more" if len(corpus.models) > _MOST_NAMED else ""
        raise UsageError(f"no model is left by what to include and exclude; there are: {names}{more}")
    kept = {model.name for model in models}
    dropped = [model for model in corpus.models if model.name not in kept]
    lost = {file.path for model in dropped for file in model.files}
    # Not only the graphs of a model can have problems: a run log that cannot be opened has no path here.
    logs = {f"{model.name}/{LOG_NAME}" for model in dropped}
    problems = tuple(problem for problem in corpus.problems if problem.file not in lost | logs)
    return replace(corpus, models=models, problems=problems)


_MOST_NAMED = 5


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _thunder(*, requires_grad: bool) -> Registry:
    from opcov.registries.thunder import ThunderRegistry

    return ThunderRegistry(requires_grad=requires_grad)
