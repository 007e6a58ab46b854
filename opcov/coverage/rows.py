"""The rows of the tables of nodes, files, ops and models."""

from __future__ import annotations

from dataclasses import dataclass

from opcov.form import Form
from opcov.graphfile import GraphFile
from opcov.judged import Counts, JudgedNode, ModelScan
from opcov.registries.families import Family, Route
from opcov.verdict import Reason, Status


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node of a distinct body, with the first file that has the body."""

    model: str
    file: str
    copies: int
    node: JudgedNode
    digest: str


@dataclass(frozen=True, slots=True)
class FileRow:
    """A graph file with the counts of its body."""

    model: str
    file: GraphFile
    form: Form | None
    counts: Counts
    recorded_regions: int | None
    placed_regions: int
    problem: str
    fallback_regions: int
    crash: str


@dataclass(frozen=True, slots=True)
class OpSource:
    """A line of the model's code that an op comes from.

    Attributes:
        file: as recorded.
        line: 1-based, 0 where not known.
        function: "" where not known.
        code: the line itself, "" where not known.
        nodes: how many come from it.
    """

    file: str
    line: int
    function: str
    code: str
    nodes: int


@dataclass(frozen=True, slots=True)
class OpRow:
    """An op, or a variant of one, over the whole corpus.

    Attributes:
        op: canonical target.
        variant: call shape; "" in the table of ops.
        counts: nodes by status.
        reasons: of the nodes of the gravest status, the commonest first; none where all are supported.
        detail: why, of the commonest reason; "" where all nodes are supported.
        graphs: distinct bodies that hold a node of the gravest status; `files`, `models`, `sources` and `example` are
            of those too. Unsupported and crash are one gravity.
        files: paths of the graph files, in natural order.
        models: names of the models, in natural order.
        variants: how many call shapes it has.
        sources: where such nodes come from, the commonest first.
        example: the expression of the first such node.
        family: what kind of op it is; the commonest of such nodes.
        route: what usually leads to its support: an alias where Thunder knows the op under another name.
        kernels: names of the Triton kernels that such nodes launch, the commonest first.
        siblings: other names of the op, or near relatives of it, that Thunder has registered.
        input_dtypes: of the tensors that such nodes read, the commonest first.
        output_dtypes: of the tensors that they make.
        fallback_regions: predicted fallback regions that hold such a node, over distinct bodies.
        sole_regions: those of them in which no other op is unsupported: they go once this one is supported.
        lost_graphs: distinct bodies that are lost because Thunder's check raises on such a node.
        sole_lost_graphs: those of them in which it raises on no other op.
    """

    op: str
    variant: str
    counts: Counts
    reasons: tuple[Reason, ...]
    detail: str
    graphs: int
    files: tuple[str, ...]
    models: tuple[str, ...]
    variants: int
    sources: tuple[OpSource, ...]
    example: str
    family: Family = Family.OTHER
    route: Route = Route.UPSTREAM
    kernels: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    input_dtypes: tuple[str, ...] = ()
    output_dtypes: tuple[str, ...] = ()
    fallback_regions: int = 0
    sole_regions: int = 0
    lost_graphs: int = 0
    sole_lost_graphs: int = 0

    @property
    def impact(self) -> tuple[int, int, int, int]:
        """What its support would bring, to be compared: what goes with it alone first, then how far it spreads."""
        alone = self.sole_regions + self.sole_lost_graphs
        return alone, self.fallback_regions + self.lost_graphs, len(self.models), self.counts.not_supported

    @property
    def status(self) -> Status:
        """The gravest status that a node of it has."""
        return self.counts.gravest


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in numbers.

    Attributes:
        scan: the model.
        distinct: number of distinct bodies.
        counts: nodes of its distinct bodies.
        covered: distinct bodies that Thunder takes whole.
        recorded_regions: over distinct bodies.
        placed_regions: over distinct bodies.
        ranks: that have files.
        fallback_regions: those of `placed_regions` that fall back.
        transitions: changes from one predicted region to the next.
        lost_graphs: distinct bodies on which the splitter would stop.
        dtypes: of the tensors in its graphs, the commonest first.
    """

    scan: ModelScan
    distinct: int
    counts: Counts
    covered: int
    recorded_regions: int
    placed_regions: int
    ranks: int
    fallback_regions: int
    transitions: int
    lost_graphs: int
    dtypes: tuple[str, ...]
