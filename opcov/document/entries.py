"""The rows of the document: what a scan says of models, ops, variants, graphs and nodes, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from opcov.corpus.health import Health
from opcov.coverage import OpSource
from opcov.coverage.agreement import Agreement
from opcov.form import Form
from opcov.graph import Kind
from opcov.problems import Problem
from opcov.registries.families import Family, Route
from opcov.verdict import Evidence, Reason, Status

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
