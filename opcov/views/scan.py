"""The result of a scan as its user holds it: data frames, views of one model or one op, reports, comparisons."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from opcov import reports
from opcov.corpus import Scope
from opcov.problems import Problem, UsageError, unknown_name
from opcov.reports.files import check_outputs, files_left, remove_files, write_files
from opcov.reports.report import Content, Findings, no_text
from opcov.tally import REPORTS, WRITE, Tally

if TYPE_CHECKING:
    # A scan of what is remembered tells its reports without tables, so each method loads what it alone needs.
    import datetime as dt

    import pandas as pd

    from opcov.baseline import Baseline
    from opcov.cache import Outline, Told
    from opcov.corpus.health import Health
    from opcov.coverage import Coverage
    from opcov.coverage.agreement import SelfCheck
    from opcov.differences import Differences
    from opcov.gate import Judgement
    from opcov.views.matrix import Matrix
    from opcov.views.op import OpView
    from opcov.views.review import BaselineUpdate


StrPath: TypeAlias = Union[str, "os.PathLike[str]"]


class Scan:
    """The result of a scan; as the last line of a notebook's cell it shows itself as tables.

    Its tables are DataFrames whose columns `opcov.columns` explains.

    Attributes:
        partial: whether there may be models in the corpus that were not looked at.
        tally: what the scan, and the reports that were made of it, cost so far.

    >>> import opcov
    >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"])
    <Scan of 1 model: 14 of 22 nodes supported>
    """

    def __init__(
        self,
        coverage: Coverage | Callable[[], Coverage],
        text_of: Callable[[str], str | None] = no_text,
        *,
        corpus: str = "",
        scope: Scope = Scope(),  # noqa: B008 - a plain value
        told: Told | None = None,
        tally: Tally | None = None,
    ) -> None:
        """Keeps the result.

        Args:
            coverage: everything that was found, or what puts it together when it is first asked for.
            text_of: the text of the graph with a digest, for reports that show it.
            corpus: path of the corpus from the working directory, "" where it lies elsewhere.
            scope: which part of the corpus was looked at.
            told: what was told of the very same before; None where nothing is remembered.
            tally: counts what the scan costs.
        """
        self.tally = tally or Tally()
        self.partial = scope.partial
        self._scope = scope
        self._findings = Findings(coverage, text_of, corpus=corpus)
        self._told = told

    @property
    def coverage(self) -> Coverage:
        """Everything that was found, as plain values.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).coverage.counts.nodes
        22
        """
        return self._findings.coverage

    def __repr__(self) -> str:
        from opcov.wording import counted

        counts = self.coverage.counts
        models = counted(len(self.coverage.models), "model")
        return f"<Scan of {models}: {counts.supported} of {counted(counts.nodes, 'node')} supported>"

    def _repr_html_(self) -> str:
        from opcov.views.notebook import scan_html

        matrix = self.matrix() if len(self.coverage.models) > 1 else None
        return scan_html(self.coverage, matrix._repr_html_() if matrix and matrix.ops else "")

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read or judged, sorted.

        >>> import opcov
        >>> for problem in opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).problems:
        ...     print(problem.slug.value, problem.line)
        crash 0
        crash 14
        """
        return self.coverage.problems if self._outline is None else self._outline.problems

    @property
    def agrees(self) -> bool:
        """Whether every node is placed as its file records it, and nothing is left to explain.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).agrees
        True
        """
        return not self.self_check.disagreements if self._outline is None else self._outline.agrees

    @property
    def _outline(self) -> Outline | None:
        return None if self._told is None else self._told.outline

    @cached_property
    def self_check(self) -> SelfCheck:
        """How far the predicted placements agree with those that split graphs record.

        >>> import opcov
        >>> check = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).self_check
        >>> check.graphs, check.nodes  # of its two graphs one is split, and holds 12 calls
        (1, 12)
        """
        from opcov.coverage.agreement import check_itself

        return check_itself(self.coverage)

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row a judged node of each distinct graph; `opcov.columns("nodes")` says what the columns hold.

        >>> import opcov
        >>> nodes = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).nodes
        >>> nodes.query("status == 'crash'")[["file", "line", "node"]].to_dict("split", index=False)["data"]
        [['odd/stream-overlap/graph_module_0_1.py', 14, 'wait_stream'],
         ['odd/stream-overlap/graph_module_0_1.py', 30, 'wait_stream_1']]
        """
        return self._frame("nodes")

    @cached_property
    def graphs(self) -> pd.DataFrame:
        """One row a graph file; `opcov.columns("graphs")` says what the columns hold.

        >>> import opcov
        >>> graphs = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).graphs
        >>> graphs[["file", "form", "nodes"]].to_dict("split", index=False)["data"]
        [['odd/stream-overlap/graph_module_0_1.py', 'unsplit', 10], ['odd/stream-overlap/rank0_0.py', 'split', 12]]
        """
        return self._frame("graphs")

    @cached_property
    def ops(self) -> pd.DataFrame:
        """One row an op, those to look at first on top; `opcov.columns("ops")` says what the columns hold.

        >>> import opcov
        >>> ops = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).ops
        >>> ops.query("unsupported > 1").op.tolist()
        ['torch.cuda.set_stream']
        """
        return self._frame("ops")

    @cached_property
    def variants(self) -> pd.DataFrame:
        """One row a variant of an op; `opcov.columns("variants")` says what the columns hold.

        >>> import opcov
        >>> variants = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).variants
        >>> variants.query("op == 'torch.ops.fixture.inplace_all_reduce'").variant.tolist()
        ["torch.ops.fixture.inplace_all_reduce(T, group_name='tp:0')"]
        """
        return self._frame("variants")

    @cached_property
    def models(self) -> pd.DataFrame:
        """One row a model, failed ones included; `opcov.columns("models")` says what the columns hold.

        >>> import opcov
        >>> models = opcov.scan("fixtures/gm", include=["odd/*"]).models
        >>> models.set_index("model").health.to_dict()
        {'odd/serving-blocks': 'ok', 'odd/stream-overlap': 'partial', 'odd/unknown-activation': 'failed'}
        """
        return self._frame("models")

    def _frame(self, table: str) -> pd.DataFrame:
        from opcov.views.frames import frame_of

        return frame_of(self.coverage, table)

    def model(self, name: str) -> ModelView:
        """The scan of one model only.

        Args:
            name: of the model: its path from the corpus root.

        Raises:
            UsageError: there is no such model; the message names the nearest ones.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/*"]).model("odd/stream-overlap")
        <ModelView of 'odd/stream-overlap': partial, 14 of 22 nodes supported>
        """
        if name not in self.coverage.models:
            raise unknown_name("model", name, self.coverage.models)
        found = self._findings
        one = replace(self._scope, one_model=True)
        return ModelView(self.coverage.of_model(name), found.text_of, corpus=found.corpus, scope=one)

    def op(self, name: str) -> OpView:
        """One op: its variants, and where it is.

        Args:
            name: canonical name of the op, or the end of it that only one op has: `torch.Tensor.is_cpu`, `is_cpu`.

        Raises:
            UsageError: there is no such op, or there are several; the message names the nearest ones.

        >>> import opcov
        >>> scan = opcov.scan("fixtures/gm", include=["odd/stream-overlap"])
        >>> scan.op("is_cpu").nodes.file.tolist()
        ['odd/stream-overlap/rank0_0.py']
        """
        from opcov.views.op import OpView

        rows = {row.op: row for row in self.coverage.op_rows}
        if name in rows:
            return OpView(self, rows[name])
        ending = [op for op in rows if op.endswith(f".{name}")]
        if len(ending) > 1:
            raise UsageError(f"several ops end in {name!r}: {', '.join(map(repr, ending))}")
        if not ending:
            raise unknown_name("op", name, rows)
        return OpView(self, rows[ending[0]])

    def matrix(self, value: str = "nodes") -> Matrix:
        """The ops that are not supported against the models.

        Args:
            value: what is counted: `nodes` that are not supported, distinct `graphs` with such a node, `regions` that
                fall back (or whole graphs that are lost) with such a node, or `sole`: those of them that the op alone
                keeps from Thunder.

        Raises:
            UsageError: the value is not known.

        >>> import opcov
        >>> matrix = opcov.scan("fixtures/gm", include=["odd/*"]).matrix("graphs")
        >>> int(matrix.frame.loc["torch.cuda.set_stream", "odd/stream-overlap"])
        1
        """
        from opcov.views.matrix import matrix_of

        return matrix_of(self.coverage, value)

    def diff(self, other: Scan) -> Differences:
        """What another scan found otherwise: this one is taken as the old one, the other as the new one.

        Args:
            other: the newer scan.

        >>> import opcov
        >>> scan = opcov.scan("fixtures/gm", include=["odd/*"])
        >>> [change.model for change in scan.model("odd/stream-overlap").diff(scan).models]
        ['odd/serving-blocks', 'odd/unknown-activation']
        """
        from opcov.differences import compare

        return compare(self.coverage, other.coverage)

    def check(
        self, baseline: StrPath | Baseline | None = None, *, today: dt.date | None = None, **rules: Any
    ) -> Judgement:
        """Holds the scan against a committed `all_ops.py`, as `--check` does. Reports made afterwards tell of it.

        Args:
            baseline: the file, or what was read from it; None for a scan that is held against numbers alone.
            today: the day on which waivers are judged; that of SOURCE_DATE_EPOCH, else of the clock, where None.
            rules: what may pass, under the names of the long options: `level` ("variant" or "op"), `per_model`,
                `allow_lost`, `strict`, `fail_under` (a percentage), `max_unsupported` (a number of ops).

        Returns:
            What fails (`.failures`), what is worth a note (`.notes`), and whether nothing fails (`.passes`).

        Raises:
            OpcovError: the file is no baseline.
            UsageError: there is no such file, or a rule means nothing.

        >>> import opcov, tempfile
        >>> scan = opcov.scan("fixtures/gm", include=["odd/*"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     update = scan.update(f"{folder}/all_ops.py")
        ...     judgement = scan.check(f"{folder}/all_ops.py", level="op")
        >>> judgement.passes, scan.check(fail_under=99.5).passes
        (True, False)
        """
        from opcov.views import review

        known = review.read(Path(baseline)) if isinstance(baseline, (str, os.PathLike)) else baseline
        asked = review.rules_from(**rules)
        judgement = review.review(self.coverage, known, asked, self._scope, today or review.day_of_judgement())
        self._findings = self._findings.held_against(judgement)
        return judgement

    def update(self, path: StrPath) -> BaselineUpdate:
        """Rewrites a committed `all_ops.py` to what the scan found, as `--update` does; makes it where there is none.

        People's lines (`#: ...`) stay at their entries. A scan of a part of the corpus changes only that part.

        Args:
            path: of the file.

        Returns:
            What it lists more, less, and still.

        Raises:
            OpcovError: what is there is no baseline; it stays as it is.
            UsageError: one graph file was scanned, which tells too little of its model.
            OutputError: the file cannot be written; it stays as it is.

        >>> import opcov, tempfile
        >>> scan = opcov.scan("fixtures/gm", include=["odd/*"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, again = (scan.update(f"{folder}/all_ops.py") for _ in range(2))
        >>> first.created, len(first.added) == len(again.kept), again.added, again.removed
        (True, True, (), ())
        """
        from opcov.views.review import accept

        return accept(self.coverage, Path(path), self._scope)

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

        >>> import opcov, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = opcov.scan("fixtures/gm", include=["odd/*"]).write(csv=folder)
        >>> [path.name for path in written]
        ['nodes.csv', 'graphs.csv', 'ops.csv', 'variants.csv', 'models.csv']
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

        >>> import opcov, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     places = [("all_ops", f"{folder}/a.py"), ("all_ops", f"{folder}/b.py")]
        ...     written = opcov.scan("fixtures/gm", include=["odd/*"]).write_all(places)
        >>> [path.name for path in written]
        ['a.py', 'b.py']
        """
        destinations = list(destinations)
        check_outputs(destinations)
        files: dict[Path, Content] = {}
        left: list[Path] = []
        for kind, path in destinations:
            if not reports.is_folder(kind):
                files[Path(path)] = self._text(kind)
                continue
            report = reports.folder(kind)
            with self.tally.phase(REPORTS):
                files.update({Path(path, name): content for name, content in report.render(self._findings).items()})
            left += files_left(Path(path), report)
        if files:
            with self.tally.phase(WRITE):
                write_files(files)
                remove_files(set(left).difference(files))
        return list(files)

    def render(self, kind: str) -> Content:
        """A report that is one file, as text, bytes or pieces of text.

        Args:
            kind: of report: `markdown`.

        Raises:
            UsageError: the kind is not known, or is no single file.

        >>> import opcov
        >>> summary = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).render("text")
        >>> print(summary.splitlines()[0])
        14 of 22 nodes supported (63.6 %); 0 of 2 distinct graphs whole; 2 files of 1 model; lightning-thunder ...
        """
        if reports.is_folder(kind):
            raise UsageError(f"a report of kind {kind} is a folder of files; write it to a folder")
        return self._text(kind)

    def _text(self, kind: str) -> Content:
        """A report that is one file, as it was told before where that is remembered."""
        told = self._told if self._findings.judgement is None else None
        with self.tally.phase(REPORTS):
            known = None if told is None else told.text(kind)
            if known is not None:
                self.tally.told.append(kind)
                return known
            content = reports.file(kind).render(self._findings)
            if told is not None:
                told.keep_text(kind, content)
            return content


class ModelView(Scan):
    """A scan narrowed to one model: what a `Scan` has, and what is to be said of the model itself.

    >>> import opcov
    >>> model = opcov.scan("fixtures/gm", include=["odd/*"]).model("odd/stream-overlap")
    >>> model.health.value, int(model.row.crash), len(model.problems)
    ('partial', 2, 2)
    """

    def __repr__(self) -> str:
        from opcov.wording import counted

        counts = self.coverage.counts
        nodes = f"{counts.supported} of {counted(counts.nodes, 'node')} supported"
        return f"<ModelView of {self.name!r}: {self.health.value}, {nodes}>"

    @property
    def name(self) -> str:
        """The name of the model.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/*"]).model("odd/stream-overlap").name
        'odd/stream-overlap'
        """
        (name,) = self.coverage.models
        return name

    @property
    def row(self) -> pd.Series[Any]:
        """Its row of `Scan.models`.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/*"]).model("odd/stream-overlap").row.exception
        'AssertionError: Failed to find method wait_stream'
        """
        return self.models.iloc[0]

    @property
    def health(self) -> Health:
        """Whether its graphs are all that its run has.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/*"]).model("odd/unknown-activation").health.value
        'failed'
        """
        return self.coverage.models[self.name].diagnosis.health

    @property
    def health_reasons(self) -> tuple[str, ...]:
        """What speaks against it, the gravest first.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/*"]).model("odd/unknown-activation").health_reasons
        ('no graphs', "1 traceback in the run log, the last: KeyError: 'swiglu_oai'")
        """
        return self.coverage.models[self.name].diagnosis.reasons
