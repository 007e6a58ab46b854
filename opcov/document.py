"""The result of a scan as a document: typed rows of models, ops, variants, graphs and nodes.

Every tabular output is made from these types: the columns of CSV files, DataFrames and Parquet files are their fields,
and the JSON Schema is generated from them. So numbers agree across all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Meta

import opcov
from opcov.agreement import Agreement, check_itself
from opcov.coverage import Coverage, FileRow, ModelRow, NodeRow, OpRow, OpSource
from opcov.graph import Compiler, Form, Kind
from opcov.graphfile import GraphFile
from opcov.health import Diagnosis, Health
from opcov.judged import Compared, JudgedBody, JudgedGraph, JudgedNode, ModelScan, percentage
from opcov.problems import Problem, Slug
from opcov.registries.families import Family, Route
from opcov.verdict import Evidence, Reason, Status
from opcov.wording import source_place

SCHEMA_VERSION = "1.0"
"""Major.minor: a minor version adds fields, a major one changes or removes some."""

LARGEST_NUMBER = (1 << 63) - 1
"""Of a column of a DataFrame or a Parquet file. A file name can state a larger rank, which is then told as this one."""


def _is(description: str) -> Any:
    return Meta(description=description)


Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=100)]


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A judged call of a distinct graph, with the first file that has the graph."""

    model: Annotated[str, _is("name of the model: its path from the corpus root")]
    file: Annotated[str, _is("path of the first file that has the graph, from the corpus root")]
    copies: Annotated[Count, _is("number of files that have the graph")]
    line: Annotated[Count, _is("1-based line in that file; 0 where the form has no lines")]
    node: Annotated[str, _is("name of the node, as printed")]
    kind: Annotated[Kind, _is("what torch.fx calls op")]
    op: Annotated[str, _is("canonical target")]
    variant: Annotated[str, _is("call shape: names and numbers erased, constants kept")]
    status: Annotated[Status, _is("what Thunder's own check answers")]
    reason: Annotated[Reason | None, _is("why it is not supported; none for a supported node")]
    detail: Annotated[str, _is("Thunder's sentence or exception, on one line")]
    recorded: Annotated[str, _is("who got the node when the file was saved: thunder, inductor or none")]
    recorded_region: Annotated[str, _is("the region of the file that it is in")]
    placed: Annotated[str, _is("who would get it now: thunder, inductor or none")]
    placed_region: Annotated[str, _is("the region that it would be in now")]
    source_file: Annotated[str, _is("file of the model's code that it comes from, as recorded")]
    source_line: Annotated[Count | None, _is("1-based line in that file")]
    source_function: Annotated[str, _is("function in that file")]
    evidence: Annotated[Evidence, _is("what the verdict rests on")]
    agreement: Annotated[Agreement | None, _is("how the placement relates to the recorded one, where one is")]
    source_code: Annotated[str, _is("the line of the model's code")]
    expression: Annotated[str, _is("the call as printed")]
    inputs: Annotated[tuple[str, ...], _is("what is known of each value that it reads: dtype, shape, stride, device")]
    output: Annotated[str, _is("what is known of its own value; ? where nothing is")]
    input_dtypes: Annotated[tuple[str, ...], _is("dtypes of the tensors that it reads, each once")]
    output_dtypes: Annotated[tuple[str, ...], _is("dtypes of the tensors that it makes, each once")]
    family: Annotated[Family, _is("what kind of op it is")]
    route: Annotated[Route | None, _is("what usually leads to support; none for a supported node")]
    kernel: Annotated[str, _is("name of the Triton kernel that it launches, where that is known")]
    digest: Annotated[str, _is("of the graph's text without the comment that names its rank")]


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """A graph file with the counts of its graph."""

    model: Annotated[str, _is("name of the model")]
    file: Annotated[str, _is("path from the corpus root")]
    rank: Annotated[Count | None, _is("tensor-parallel rank that saved it, where the name tells")]
    index: Annotated[Count | None, _is("number of the graph in its rank, where the name tells")]
    digest: Annotated[str, _is("of the text without the comment that names the rank; equal graphs share it")]
    form: Annotated[Form | None, _is("split by Thunder's splitter, or unsplit")]
    nodes: Annotated[Count, _is("judged calls")]
    supported: Annotated[Count, _is("nodes that Thunder takes")]
    unsupported: Annotated[Count, _is("nodes that Thunder does not take")]
    crash: Annotated[Count, _is("nodes on which Thunder's check raises")]
    unknown: Annotated[Count, _is("nodes of which too little is known to ask")]
    recorded_regions: Annotated[Count | None, _is("regions in the file; none for an unsplit graph")]
    placed_regions: Annotated[Count, _is("regions that Thunder would make now; 0 where its splitter would stop")]
    problem: Annotated[str, _is("what could not be read or judged of it")]
    fallback_regions: Annotated[Count, _is("those of placed_regions that fall back to Inductor")]
    exception: Annotated[str, _is("with which Thunder's splitter would stop now")]


@dataclass(frozen=True)
class _Spread:
    """How far an op or a variant of one is spread, and why it is not supported."""

    status: Annotated[Status, _is("the gravest one that a node of it has")]
    reasons: Annotated[tuple[Reason, ...], _is("of the nodes of that status, the commonest first")]
    detail: Annotated[str, _is("Thunder's sentence or exception for the commonest reason")]
    nodes: Annotated[Count, _is("nodes of it in distinct graphs")]
    supported: Annotated[Count, _is("nodes that Thunder takes")]
    unsupported: Annotated[Count, _is("nodes that Thunder does not take")]
    crash: Annotated[Count, _is("nodes on which Thunder's check raises")]
    unknown: Annotated[Count, _is("nodes of which too little is known to ask")]
    graphs: Annotated[Count, _is("distinct graphs with a node of that status; the following are of those too")]
    files: Annotated[Count, _is("graph files")]
    models: Annotated[Count, _is("models")]
    model_names: Annotated[tuple[str, ...], _is("names of those models")]
    source: Annotated[str | None, _is("the line of the models' code that most of them come from")]
    example: Annotated[str, _is("the first such call as printed")]
    family: Annotated[Family, _is("what kind of op it is")]
    route: Annotated[Route | None, _is("what usually leads to support; none where it is supported")]
    kernels: Annotated[tuple[str, ...], _is("names of the Triton kernels that such nodes launch")]
    siblings: Annotated[tuple[str, ...], _is("other spellings and near relatives that Thunder has registered")]
    input_dtypes: Annotated[tuple[str, ...], _is("dtypes of the tensors that such nodes read")]
    output_dtypes: Annotated[tuple[str, ...], _is("dtypes of the tensors that they make")]
    fallback_regions: Annotated[Count, _is("predicted fallback regions that hold such a node")]
    sole_regions: Annotated[Count, _is("those of them in which nothing else is unsupported")]
    lost_graphs: Annotated[Count, _is("distinct graphs that are lost since Thunder's check raises on such a node")]
    sole_lost_graphs: Annotated[Count, _is("those of them in which it raises on nothing else")]
    sources: Annotated[tuple[OpSource, ...], _is("all lines of the models' code that such nodes come from")]


@dataclass(frozen=True)
class _OpName:
    op: Annotated[str, _is("canonical target")]
    variants: Annotated[Count, _is("number of call shapes")]


@dataclass(frozen=True)
class OpEntry(_Spread, _OpName):
    """An op over the whole corpus."""


@dataclass(frozen=True)
class _VariantName:
    op: Annotated[str, _is("canonical target")]
    variant: Annotated[str, _is("call shape: names and numbers erased, constants kept")]


@dataclass(frozen=True)
class VariantEntry(_Spread, _VariantName):
    """A call shape of an op over the whole corpus."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model, failed ones included."""

    model: Annotated[str, _is("name: the path from the corpus root")]
    health: Annotated[Health, _is("whether its graphs are all that its run has")]
    health_reasons: Annotated[tuple[str, ...], _is("what speaks against it, the gravest first")]
    graphs: Annotated[Count, _is("graph files")]
    distinct_graphs: Annotated[Count, _is("distinct graphs among them")]
    ranks: Annotated[Count, _is("ranks that have files")]
    expected_ranks: Annotated[Count | None, _is("ranks that its run had, where the log tells")]
    nodes: Annotated[Count, _is("judged calls of its distinct graphs")]
    supported: Annotated[Count, _is("nodes that Thunder takes")]
    unsupported: Annotated[Count, _is("nodes that Thunder does not take")]
    crash: Annotated[Count, _is("nodes on which Thunder's check raises")]
    unknown: Annotated[Count, _is("nodes of which too little is known to ask")]
    node_coverage: Annotated[Share | None, _is("percentage of its judged nodes that are supported")]
    covered_graphs: Annotated[Count, _is("distinct graphs that Thunder takes whole")]
    graph_coverage: Annotated[Share | None, _is("percentage of its distinct graphs that Thunder takes whole")]
    recorded_regions: Annotated[Count, _is("regions in the files of distinct graphs")]
    placed_regions: Annotated[Count, _is("regions that Thunder would make now")]
    exception: Annotated[str | None, _is("the last one in its run log")]
    exception_frame: Annotated[str | None, _is("where that was raised")]
    fallback_regions: Annotated[Count, _is("those of placed_regions that fall back to Inductor")]
    transitions: Annotated[Count, _is("changes from one region to the next in distinct graphs")]
    lost_graphs: Annotated[Count, _is("distinct graphs on which Thunder's splitter would stop now")]
    dtypes: Annotated[tuple[str, ...], _is("dtypes of the tensors in its graphs, the commonest first")]


@dataclass(frozen=True, slots=True)
class Totals:
    """The corpus in numbers; graphs and nodes are those of distinct graphs."""

    models: Annotated[Count, _is("models, failed ones included")]
    files: Annotated[Count, _is("graph files")]
    graphs: Annotated[Count, _is("distinct graphs")]
    covered_graphs: Annotated[Count, _is("distinct graphs that Thunder takes whole")]
    nodes: Annotated[Count, _is("judged calls")]
    supported: Annotated[Count, _is("nodes that Thunder takes")]
    unsupported: Annotated[Count, _is("nodes that Thunder does not take")]
    crash: Annotated[Count, _is("nodes on which Thunder's check raises")]
    unknown: Annotated[Count, _is("nodes of which too little is known to ask; on neither side")]
    node_coverage: Annotated[Share | None, _is("percentage of judged nodes that are supported; 0 or 100 only if exact")]
    graph_coverage: Annotated[Share | None, _is("percentage of distinct graphs that Thunder takes whole")]


@dataclass(frozen=True, slots=True)
class Document:
    """All that a scan found."""

    schema_version: Annotated[str, _is("of this schema: major.minor"), Meta(pattern=r"^1\.\d+$")]
    opcov: Annotated[str, _is("version of opcov")]
    versions: Annotated[dict[str, str], _is("what the verdicts hold for: packages and their versions")]
    totals: Annotated[Totals, _is("the corpus in numbers")]
    models: Annotated[tuple[ModelEntry, ...], _is("in natural order of their names")]
    ops: Annotated[tuple[OpEntry, ...], _is("those not supported first, by models, nodes and name")]
    variants: Annotated[tuple[VariantEntry, ...], _is("in the order of ops")]
    graphs: Annotated[tuple[GraphEntry, ...], _is("one a file, in natural order")]
    nodes: Annotated[tuple[NodeEntry, ...], _is("of distinct graphs, in the order of their first files")]
    problems: Annotated[tuple[Problem, ...], _is("what could not be read or judged")]


def document(coverage: Coverage) -> Document:
    """The whole document of a coverage."""
    return Document(
        SCHEMA_VERSION,
        opcov.__version__,
        dict(sorted(coverage.versions.items())),
        totals(coverage),
        tuple(model_entries(coverage)),
        tuple(op_entries(coverage)),
        tuple(variant_entries(coverage)),
        tuple(graph_entries(coverage)),
        tuple(node_entries(coverage)),
        coverage.problems,
    )


def coverage_of(found: Document) -> Coverage:
    """The coverage that a document was made of, so that a saved scan can be compared like any other.

    What a document does not hold is not in it: sizes of files, run logs, which nodes read which. The graphs of a file
    that held several are one.

    Args:
        found: a document, such as `opcov.reports.json_document.read_document` gives.
    """
    nodes: dict[str, list[NodeEntry]] = {}
    for node in found.nodes:
        nodes.setdefault(node.digest, []).append(node)
    problems: dict[str, list[Problem]] = {}
    for problem in found.problems:
        problems.setdefault(problem.file, []).append(problem)
    bodies: dict[str, JudgedBody] = {}
    files: dict[str, list[GraphFile]] = {}
    for graph in found.graphs:
        unreadable = None if graph.digest else next(iter(problems.get(graph.file, ())), None)
        file = GraphFile(graph.file, graph.rank, graph.index, graph.form, graph.digest, 0, unreadable, graph.file)
        files.setdefault(graph.model, []).append(file)
        if graph.digest and graph.digest not in bodies:
            # A crash may be that of the run that saved this file: other files with the same body know nothing of it.
            own = (problem for problem in problems.get(graph.file, ()) if problem.slug is not Slug.CRASH)
            told = tuple(replace(problem, file="") for problem in own)
            bodies[graph.digest] = JudgedBody(graph.digest, _saved_graphs(graph, nodes.get(graph.digest, ())), told)
    models = {
        entry.model: ModelScan(
            entry.model, tuple(files.get(entry.model, ())), Diagnosis(entry.health, entry.health_reasons)
        )
        for entry in found.models
    }
    siblings = {entry.op: entry.siblings for entry in found.ops if entry.siblings}
    return Coverage(models, bodies, dict(found.versions), found.problems, siblings)


def _saved_graphs(graph: GraphEntry, nodes: Sequence[NodeEntry]) -> tuple[JudgedGraph, ...]:
    if graph.problem and not nodes and not graph.exception:
        return ()
    judged = tuple(map(_saved_node, nodes))
    form = graph.form or Form.UNSPLIT
    return (JudgedGraph(form, judged, graph.recorded_regions, graph.placed_regions, graph.exception),)


_COMPARED = {
    None: Compared.NOT_RECORDED,
    Agreement.SAME: Compared.SAME,
    Agreement.PINNED: Compared.PINNED,
    Agreement.CONTEXT: Compared.CONTEXT,
    Agreement.DRIFT: Compared.VERDICT,
    Agreement.UNEXPLAINED: Compared.VERDICT,
}


def _saved_node(node: NodeEntry) -> JudgedNode:
    return JudgedNode(
        line=node.line,
        name=node.node,
        kind=node.kind,
        op=node.op,
        variant=node.variant,
        expression=node.expression,
        status=node.status,
        reason=node.reason,
        detail=node.detail,
        evidence=node.evidence,
        recorded=_COMPILERS.get(node.recorded),
        recorded_region=node.recorded_region,
        placed=_COMPILERS.get(node.placed),
        placed_region=node.placed_region,
        source_file=node.source_file,
        source_line=node.source_line or 0,
        source_function=node.source_function,
        source_code=node.source_code,
        compared=_COMPARED[node.agreement],
        inputs=node.inputs,
        output=node.output,
        input_dtypes=node.input_dtypes,
        output_dtypes=node.output_dtypes,
        family=node.family,
        route=node.route or Route.UPSTREAM,
        kernel=node.kernel,
    )


_COMPILERS = {compiler.value: compiler for compiler in Compiler}


def totals(coverage: Coverage) -> Totals:
    """The corpus in numbers."""
    counts = coverage.counts
    graphs = len(coverage.files_by_body)
    return Totals(
        len(coverage.models),
        coverage.files,
        graphs,
        coverage.covered,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        _share(counts.supported, counts.supported + counts.not_supported),
        _share(coverage.covered, graphs),
    )


def node_entries(coverage: Coverage) -> Iterator[NodeEntry]:
    """One entry a judged node of each distinct graph, graphs in the order of their first files."""
    otherwise = {id(found.row.node): found.kind for found in check_itself(coverage).disagreements}
    for row in coverage.node_rows():
        yield _node(row, otherwise.get(id(row.node), Agreement.SAME))


def _node(row: NodeRow, agreement: Agreement) -> NodeEntry:
    node = row.node
    return NodeEntry(
        row.model,
        row.file,
        row.copies,
        node.line,
        node.name,
        node.kind,
        node.op,
        node.variant,
        node.status,
        node.reason,
        node.detail,
        node.recorded.value if node.recorded else "none",
        node.recorded_region,
        node.placed.value if node.placed else "none",
        node.placed_region,
        node.source_file,
        node.source_line or None,
        node.source_function,
        node.evidence,
        None if node.compared is Compared.NOT_RECORDED else agreement,
        node.source_code,
        node.expression,
        node.inputs,
        node.output,
        node.input_dtypes,
        node.output_dtypes,
        node.family,
        None if node.status is Status.SUPPORTED else node.route,
        node.kernel,
        row.digest,
    )


def graph_entries(coverage: Coverage) -> Iterator[GraphEntry]:
    """One entry a graph file, in natural order; also for files that could not be read."""
    return map(_graph, coverage.file_rows())


def _graph(row: FileRow) -> GraphEntry:
    counts = row.counts
    return GraphEntry(
        row.model,
        row.file.path,
        row.file.rank,
        row.file.index,
        row.file.digest,
        row.form,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        row.recorded_regions,
        row.placed_regions,
        row.problem,
        row.fallback_regions,
        row.crash,
    )


def op_entries(coverage: Coverage) -> Iterator[OpEntry]:
    """One entry an op: those not supported first, by models, nodes and name."""
    return (OpEntry(row.op, row.variants, *_spread(row)) for row in coverage.op_rows)


def variant_entries(coverage: Coverage) -> Iterator[VariantEntry]:
    """One entry a variant of an op, in the order of `op_entries`."""
    return (VariantEntry(row.op, row.variant, *_spread(row)) for row in coverage.variant_rows)


def _spread(row: OpRow) -> tuple[Any, ...]:
    counts = row.counts
    source = row.sources[0] if row.sources else None
    return (
        row.status,
        row.reasons,
        row.detail,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        row.graphs,
        len(row.files),
        len(row.models),
        row.models,
        source_place(source.file, source.line, source.function) if source else None,
        row.example,
        row.family,
        None if row.status is Status.SUPPORTED else row.route,
        row.kernels,
        row.siblings,
        row.input_dtypes,
        row.output_dtypes,
        row.fallback_regions,
        row.sole_regions,
        row.lost_graphs,
        row.sole_lost_graphs,
        row.sources,
    )


def model_entries(coverage: Coverage) -> Iterator[ModelEntry]:
    """One entry a model, failed ones included, in natural order."""
    return map(_model, coverage.model_rows())


def _model(row: ModelRow) -> ModelEntry:
    counts, log = row.counts, row.scan.run_log
    exception = log.final_exception if log else None
    return ModelEntry(
        row.scan.name,
        row.scan.diagnosis.health,
        row.scan.diagnosis.reasons,
        len(row.scan.files),
        row.distinct,
        row.ranks,
        log.expected_ranks if log else None,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        _share(counts.supported, counts.supported + counts.not_supported),
        row.covered,
        _share(row.covered, row.distinct),
        row.recorded_regions,
        row.placed_regions,
        str(exception) if exception else None,
        str(exception.frame) if exception and exception.frame else None,
        row.fallback_regions,
        row.transitions,
        row.lost_graphs,
        row.dtypes,
    )


def _share(part: int, whole: int) -> float | None:
    text = percentage(part, whole)
    return float(text) if text else None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the document.

    Attributes:
        name: `nodes`.
        entry: the type of its rows.
        rows: makes them.
    """

    name: str
    entry: type
    rows: Callable[[Coverage], Iterable[Any]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of its rows that hold one value or several of one simple type, in order."""
        return tuple(field.name for field in fields(self.entry) if field.name not in _NESTED)

    @property
    def types(self) -> dict[str, type]:
        """What each column holds: `int`, `float`, `str`, or `tuple` for several texts. Any but a tuple may be None."""
        hints = get_type_hints(self.entry)
        return {column: _base(hints[column]) for column in self.columns}

    @property
    def descriptions(self) -> dict[str, str]:
        """What each column is, in a few words."""
        hints = get_type_hints(self.entry, include_extras=True)
        return {
            column: next(meta.description for meta in hints[column].__metadata__ if meta.description)
            for column in self.columns
        }

    @property
    def dtypes(self) -> dict[str, str]:
        """The pandas dtype of each column; those of pandas that know missing values."""
        return {column: _DTYPES.get(base, "string") for column, base in self.types.items()}


_DTYPES = {int: "Int64", float: "Float64"}


def _base(hint: Any) -> type:
    """The simple type of a field: `int` of `int | None`, `str` of an enum."""
    present = [argument for argument in get_args(hint) if argument is not type(None)]
    kind: Any = get_origin(hint)
    if kind in (Union, UnionType):
        return _base(present[0])
    kind = kind or hint
    return next(base for base in (tuple, int, float, str) if issubclass(kind, base))


_NESTED = frozenset({"sources"})
"""Fields whose values are rows themselves: a flat table leaves them out."""

TABLES = (
    Table("nodes", NodeEntry, node_entries),
    Table("graphs", GraphEntry, graph_entries),
    Table("ops", OpEntry, op_entries),
    Table("variants", VariantEntry, variant_entries),
    Table("models", ModelEntry, model_entries),
)
"""All tables, in the order in which a reader meets them in a folder listing of reports."""
