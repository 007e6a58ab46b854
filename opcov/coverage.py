"""Everything that a scan found, and the tables of ops, variants, models, graphs and nodes that are made of it.

A body is counted once however many ranks saved it; a body that several models share counts for each of them in the
models' table and once in every total. `merge` is associative and does not depend on order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, TypeVar

from opcov.bodies import copy_of, part_of
from opcov.corpus import LOG_NAME
from opcov.form import Form
from opcov.graph import Compiler
from opcov.graphfile import GraphFile, natural_key
from opcov.health import Diagnosis, Health
from opcov.judged import Counts, JudgedBody, JudgedGraph, JudgedNode, ModelScan
from opcov.problems import Problem
from opcov.registries.families import Family, Route
from opcov.verdict import Reason, Status

# --- rows of the tables -----------------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Coverage:
    """All that a scan found; every report is made from this.

    Attributes:
        models: by name.
        bodies: by digest.
        versions: of the registry: `{"lightning-thunder": "0.2.6", "torch": "2.13.0"}`.
        problems: all problems with their files, sorted.
        siblings: for ops that are not supported, names of close relatives that the registry supports.

    >>> import opcov
    >>> coverage = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).coverage
    >>> coverage.counts
    Counts(supported=14, unsupported=6, crash=2, unknown=0)
    """

    models: Mapping[str, ModelScan]
    bodies: Mapping[str, JudgedBody]
    versions: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    siblings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def merge(self, other: Coverage) -> Coverage:
        """The coverage of both corpora. A model that both have is taken with the files of both.

        Associative, and the same in either order, also where the two contradict each other.

        Args:
            other: the coverage of another corpus, or of another part of this one.

        >>> import opcov
        >>> one, other = (opcov.scan("fixtures/gm", include=[f"odd/{name}"]) for name in ("st*", "un*"))
        >>> opcov.Scan(one.coverage.merge(other.coverage))
        <Scan of 2 models: 14 of 22 nodes supported>
        """
        models = dict(self.models)
        for name, model in other.models.items():
            models[name] = _joined(models[name], model) if name in models else model
        bodies = copy_of(self.bodies)
        for digest, body in other.bodies.items():
            if digest not in bodies or bodies[digest] != body:
                bodies.add(_first(bodies[digest], body) if digest in bodies else body)
        versions = dict(self.versions)
        for name, version in other.versions.items():
            versions[name] = ", ".join(sorted({*versions.get(name, version).split(", "), *version.split(", ")}))
        problems = tuple(sorted({*self.problems, *other.problems}))
        siblings = dict(self.siblings)
        for op, names in other.siblings.items():
            siblings[op] = tuple(dict.fromkeys(sorted({*siblings.get(op, ()), *names})))
        return Coverage(models, bodies, dict(sorted(versions.items())), problems, dict(sorted(siblings.items())))

    def of_model(self, name: str) -> Coverage:
        """The part of it that one model has.

        Args:
            name: of the model.

        Raises:
            KeyError: there is no such model.

        >>> import opcov
        >>> coverage = opcov.scan("fixtures/gm", include=["odd/*"]).coverage
        >>> sorted(coverage.of_model("odd/stream-overlap").models)
        ['odd/stream-overlap']
        """
        model = self.models[name]
        bodies = part_of(self.bodies, (file.digest for file in model.files))
        ops = {node.op for body in bodies.values() for node in body.nodes}
        paths = {file.path for file in model.files}
        # A model that is the corpus root itself has its files and its run log directly there.
        folder = "" if any("/" not in path for path in paths) else f"{name}/"
        paths.add(f"{folder}{LOG_NAME}")
        problems = tuple(problem for problem in self.problems if problem.file in paths or len(self.models) == 1)
        siblings = {op: names for op, names in self.siblings.items() if op in ops}
        return Coverage({name: model}, bodies, self.versions, problems, siblings)

    @cached_property
    def ordered_models(self) -> tuple[ModelScan, ...]:
        """The models in natural order of their names."""
        return tuple(self.models[name] for name in sorted(self.models, key=natural_key))

    @cached_property
    def files_by_body(self) -> Mapping[str, tuple[tuple[ModelScan, GraphFile], ...]]:
        """The files of each body in natural order, with their models."""
        found: dict[str, list[tuple[ModelScan, GraphFile]]] = {}
        for model in self.ordered_models:
            for file in model.files:
                if file.digest in self.bodies:
                    found.setdefault(file.digest, []).append((model, file))
        return {digest: tuple(files) for digest, files in found.items()}

    @cached_property
    def _facts(self) -> Mapping[str, _Facts]:
        """What the tables need of each body beside its nodes, in the order of `files_by_body`."""
        return {digest: _Facts.of(self.bodies[digest]) for digest in self.files_by_body}

    @cached_property
    def counts(self) -> Counts:
        """Nodes of all distinct bodies by status."""
        return sum((facts.counts for facts in self._facts.values()), Counts())

    @property
    def files(self) -> int:
        """Number of graph files."""
        return sum(len(model.files) for model in self.models.values())

    @property
    def covered(self) -> int:
        """Number of distinct bodies that Thunder takes whole."""
        return sum(facts.is_covered for facts in self._facts.values())

    def node_rows(self) -> Iterator[NodeRow]:
        """One row a node of each distinct body, bodies in the order of their first files."""
        for digest, files in self.files_by_body.items():
            model, file = files[0]
            for node in self.bodies[digest].nodes:
                yield NodeRow(model.name, file.path, len(files), node, digest)

    def file_rows(self) -> Iterator[FileRow]:
        """One row a graph file, in natural order; also for files that could not be read."""
        problems: dict[str, list[str]] = {}
        for problem in self.problems:
            where = f"line {problem.line}: " if problem.line else ""
            problems.setdefault(problem.file, []).append(f"{where}{problem.message}")
        for model in self.ordered_models:
            for file in model.files:
                facts = self._facts.get(file.digest, _NO_FACTS)
                yield FileRow(
                    model.name,
                    file,
                    file.form if facts.form is None else facts.form,
                    facts.counts,
                    facts.recorded_regions,
                    facts.placed_regions,
                    "; ".join(problems.get(file.path, [])),
                    facts.fallback_regions,
                    "; ".join(facts.crashes),
                )

    def model_rows(self) -> Iterator[ModelRow]:
        """One row a model, failed ones included, in natural order."""
        for model in self.ordered_models:
            digests = dict.fromkeys(file.digest for file in model.files)
            bodies = [self._facts[digest] for digest in digests if digest in self._facts]
            dtypes: Counter[str] = Counter()
            for facts in bodies:
                dtypes.update(facts.dtypes)
            yield ModelRow(
                model,
                len(bodies),
                sum((facts.counts for facts in bodies), Counts()),
                sum(facts.is_covered for facts in bodies),
                sum(facts.recorded_regions or 0 for facts in bodies),
                sum(facts.placed_regions for facts in bodies),
                len({file.rank for file in model.files if file.rank is not None}),
                sum(facts.fallback_regions for facts in bodies),
                sum(facts.transitions for facts in bodies),
                sum(bool(facts.crashes) for facts in bodies),
                tuple(_commonest(dtypes)),
            )

    @cached_property
    def op_rows(self) -> tuple[OpRow, ...]:
        """One row an op: those not supported first, by models, nodes and name."""
        return self._grouped(by_variant=False)

    @cached_property
    def variant_rows(self) -> tuple[OpRow, ...]:
        """One row a variant of an op, in the order of `op_rows`."""
        return self._grouped(by_variant=True)

    def _grouped(self, *, by_variant: bool) -> tuple[OpRow, ...]:
        groups: dict[_Key, _Group] = {}
        for digest in self.files_by_body:
            for graph in self.bodies[digest].graphs:
                blamed: dict[str, set[_Key]] = {}
                for node in graph.nodes:
                    key = (node.op, node.variant if by_variant else "")
                    group = groups.get(key)
                    if group is None:
                        group = groups[key] = _Group()
                    group.add(digest, node)
                    if node.status is Status.CRASH:
                        blamed.setdefault(_LOST, set()).add(key)
                    if node.status.is_refused and node.placed is Compiler.INDUCTOR:
                        blamed.setdefault(node.placed_region, set()).add(key)
                for region, keys in blamed.items():
                    for key in keys:
                        groups[key].blame(alone=len(keys) == 1, lost=region is _LOST)
        rows = [group.row(op, variant, self) for (op, variant), group in groups.items()]
        return tuple(sorted(rows, key=_impact))


_Key: TypeAlias = tuple[str, str]
_LOST = ""
"""Stands for the whole graph among the names of its regions."""


@dataclass(frozen=True, slots=True)
class _Facts:
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
    def of(cls, body: JudgedBody) -> _Facts:
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


_NO_FACTS = _Facts(None, Counts(), False, None, 0, 0, 0, (), {})


class _Group:
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
        files_by_body = coverage.files_by_body
        files = [pair for digest in self.digests for pair in files_by_body[digest]]
        kinds = self.kinds.items()
        reasons = _commonest(_summed((kind[0], number) for kind, number in kinds if kind[0] is not None))
        details = _commonest(_summed((kind[1], number) for kind, number in kinds if reasons and kind[0] is reasons[0]))
        siblings = coverage.siblings.get(op, ()) if self.gravity == 0 else ()
        routes = _commonest(_summed((kind[3], number) for kind, number in kinds))
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
            _commonest(_summed((kind[2], number) for kind, number in kinds))[0],
            Route.ALIAS if siblings else routes[0],
            tuple(_commonest(_summed((kind[4], number) for kind, number in kinds if kind[4]))),
            siblings,
            tuple(_commonest(_summed((dtype, number) for kind, number in kinds for dtype in kind[5]))),
            tuple(_commonest(_summed((dtype, number) for kind, number in kinds for dtype in kind[6]))),
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
    return tuple(OpSource(*place, _commonest(codes)[0], codes.total()) for place, codes in ordered)


_Value = TypeVar("_Value")


def _commonest(values: Iterable[_Value]) -> list[_Value]:
    """Distinct values, the commonest first, equal ones by their text."""
    found = Counter(values)
    return sorted(found, key=lambda value: (-found[value], str(value)))


def _summed(numbers: Iterable[tuple[_Value, int]]) -> Counter[_Value]:
    found: Counter[_Value] = Counter()
    for value, number in numbers:
        found[value] += number
    return found


def _dtypes(graph: JudgedGraph) -> Iterator[str]:
    for node in graph.nodes:
        yield from node.input_dtypes
        yield from node.output_dtypes


def _impact(row: OpRow) -> tuple[object, ...]:
    return (
        row.status.gravity,
        -len(row.models),
        -(row.counts.not_supported or row.counts.unknown or row.counts.nodes),
        row.op,
        row.variant,
    )


def _first(one: _Value, other: _Value) -> _Value:
    """One of two values, the same in either order."""
    return one if one == other else min(one, other, key=repr)


def _joined(one: ModelScan, other: ModelScan) -> ModelScan:
    if one == other:
        return one
    files = {file.path: file for file in one.files}
    for file in other.files:
        files[file.path] = _first(files[file.path], file) if file.path in files else file
    ordered = tuple(files[path] for path in sorted(files, key=natural_key))
    run_logs = [scan.run_log for scan in (one, other) if scan.run_log is not None]
    run_log = _first(run_logs[0], run_logs[-1]) if run_logs else None
    return ModelScan(one.name, ordered, _joined_diagnosis(one.diagnosis, other.diagnosis), run_log)


def _joined_diagnosis(one: Diagnosis, other: Diagnosis) -> Diagnosis:
    """Two parts of a model are as healthy as both are; where only one of them has graphs, the whole is partial."""
    if one == other:
        return one
    health = one.health if one.health is other.health else Health.PARTIAL
    reasons = {*one.reasons, *other.reasons}
    if health is not Health.FAILED and _NO_GRAPHS in reasons:
        reasons = reasons - {_NO_GRAPHS} | {_NO_GRAPHS_IN_A_PART}
    return Diagnosis(health, tuple(sorted(reasons)))


_NO_GRAPHS = "no graphs"
"""What `health.diagnose` says of a model without graphs."""
_NO_GRAPHS_IN_A_PART = "a part of it has no graphs"
