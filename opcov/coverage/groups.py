"""Gathers the nodes of an op, or of a variant of one, into its row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from opcov.coverage.rows import OpRow, OpSource
from opcov.form import Form
from opcov.graphfile import natural_key
from opcov.judged import Counts, JudgedBody, JudgedGraph, JudgedNode
from opcov.registries.families import Family, Route
from opcov.verdict import Reason, Status

if TYPE_CHECKING:
    from opcov.coverage.found import Coverage

Key: TypeAlias = tuple[str, str]
LOST = ""
"""Stands for the whole graph among the names of its regions."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables tell of one body; the attributes are those of the rows."""

    form: Form | None
    counts: Counts
    is_covered: bool
    recorded_regions: int | None
    placed_regions: int
    fallback_regions: int
    transitions: int
    crashes: tuple[str, ...]
    dtypes: Mapping[str, int]

    @classmethod
    def of(cls, body: JudgedBody) -> Facts:
        """Those of a body."""
        graphs = body.graphs
        recorded = [graph.recorded_regions for graph in graphs if graph.recorded_regions is not None]
        counts = body.counts
        return cls(
            graphs[0].form if graphs else None,
            counts,
            body.is_covered,
            sum(recorded) if recorded else None,
            sum(graph.placed_regions for graph in graphs),
            sum(graph.fallback_regions for graph in graphs),
            sum(max(0, graph.placed_regions - 1) for graph in graphs),
            tuple(dict.fromkeys(graph.crash for graph in graphs if graph.crash)),
            Counter(dtype for graph in graphs for dtype in _dtypes(graph)),
        )


NO_FACTS = Facts(None, Counts(), False, None, 0, 0, 0, (), {})


class Group:
    """Counts the nodes of one op or variant; it holds none, since there may be any number of them."""

    __slots__ = (
        "digests", "example", "fallback", "gravity", "kinds", "lost", "sole_fallback", "sole_lost", "sources",
        "statuses", "variants",
    )  # fmt: skip

    def __init__(self) -> None:
        self.statuses: Counter[Status] = Counter()
        self.variants: set[str] = set()
        self.fallback = self.sole_fallback = self.lost = self.sole_lost = 0
        self._begin(_NO_GRAVITY, "")

    def _begin(self, gravity: int, example: str) -> None:
        self.gravity = gravity
        self.example = example
        self.digests: dict[str, None] = {}
        self.kinds: Counter[_NodeKind] = Counter()
        self.sources: Counter[tuple[str, int, str, str]] = Counter()

    def add(self, digest: str, node: JudgedNode) -> None:
        """Counts a node of a body."""
        status = node.status
        self.statuses[status] += 1
        self.variants.add(node.variant)
        # Unknown nodes are on neither side: they must not make an unsupported op look wider spread than it is.
        gravity = status.gravity
        if gravity > self.gravity:
            return
        if gravity < self.gravity:
            self._begin(gravity, node.expression)
        self.digests[digest] = None
        kind = node.reason, node.detail, node.family, node.route, node.kernel, node.input_dtypes, node.output_dtypes
        self.kinds[kind] += 1
        if node.source_file:
            self.sources[node.source_file, node.source_line, node.source_function, node.source_code] += 1

    def blame(self, *, alone: bool, lost: bool) -> None:
        """Counts a region that falls back, or a graph that is lost, because of these nodes."""
        if lost:
            self.lost += 1
            self.sole_lost += alone
        else:
            self.fallback += 1
            self.sole_fallback += alone

    def row(self, op: str, variant: str, coverage: Coverage) -> OpRow:
        """The row, with the files and models of the bodies that were counted."""
        files_by_body = coverage.files_by_body
        files = [pair for digest in self.digests for pair in files_by_body[digest]]
        kinds = self.kinds.items()
        reasons = commonest(summed((kind[0], number) for kind, number in kinds if kind[0] is not None))
        details = commonest(summed((kind[1], number) for kind, number in kinds if reasons and kind[0] is reasons[0]))
        siblings = coverage.siblings.get(op, ()) if self.gravity == 0 else ()
        routes = commonest(summed((kind[3], number) for kind, number in kinds))
        return OpRow(
            op,
            variant,
            Counts.of(self.statuses),
            tuple(reasons),
            details[0] if details else "",
            len(self.digests),
            tuple(sorted({file.path for _, file in files}, key=natural_key)),
            tuple(sorted({model.name for model, _ in files}, key=natural_key)),
            len(self.variants),
            _sources(self.sources),
            self.example,
            commonest(summed((kind[2], number) for kind, number in kinds))[0],
            Route.ALIAS if siblings else routes[0],
            tuple(commonest(summed((kind[4], number) for kind, number in kinds if kind[4]))),
            siblings,
            tuple(commonest(summed((dtype, number) for kind, number in kinds for dtype in kind[5]))),
            tuple(commonest(summed((dtype, number) for kind, number in kinds for dtype in kind[6]))),
            self.fallback,
            self.sole_fallback,
            self.lost,
            self.sole_lost,
        )


_NodeKind: TypeAlias = tuple["Reason | None", str, Family, Route, str, tuple[str, ...], tuple[str, ...]]
_NO_GRAVITY = 3
"""Less grave than any status."""


def _sources(found: Mapping[tuple[str, int, str, str], int]) -> tuple[OpSource, ...]:
    places: dict[tuple[str, int, str], Counter[str]] = {}
    for (file, line, function, code), number in found.items():
        places.setdefault((file, line, function), Counter())[code] += number
    ordered = sorted(places.items(), key=lambda item: (-item[1].total(), item[0]))
    # Two releases of a library may have other code in one line of one file.
    return tuple(OpSource(*place, commonest(codes)[0], codes.total()) for place, codes in ordered)


_Value = TypeVar("_Value")


def commonest(values: Iterable[_Value]) -> list[_Value]:
    """Distinct values, the commonest first, equal ones by their text."""
    found = Counter(values)
    return sorted(found, key=lambda value: (-found[value], str(value)))


def summed(numbers: Iterable[tuple[_Value, int]]) -> Counter[_Value]:
    """Numbers of equal values, added up."""
    found: Counter[_Value] = Counter()
    for value, number in numbers:
        found[value] += number
    return found


def _dtypes(graph: JudgedGraph) -> Iterator[str]:
    for node in graph.nodes:
        yield from node.input_dtypes
        yield from node.output_dtypes


def impact_of(row: OpRow) -> tuple[object, ...]:
    """A sort key: what is not supported first, by models, nodes and name."""
    return (
        row.status.gravity,
        -len(row.models),
        -(row.counts.not_supported or row.counts.unknown or row.counts.nodes),
        row.op,
        row.variant,
    )
