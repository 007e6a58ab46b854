"""Groups the nodes of all graphs by op, model and fallback region once, so that no page has to look for them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, Union

from opcov.corpus import LOG_NAME
from opcov.coverage import Coverage, FileRow, ModelRow, OpRow
from opcov.coverage.plan import fallback_sets
from opcov.judged import Counts
from opcov.problems import Problem
from opcov.registries.families import Family, describe_dtypes
from opcov.verdict import Reason, Status
from opcov.wording import fold_files


@dataclass(frozen=True, slots=True)
class Why:
    """A sentence of the registry and how many nodes it was said of."""

    status: Status
    reason: Reason | None
    detail: str
    nodes: int


@dataclass(frozen=True, slots=True)
class OpInGraph:
    """The nodes of one op in one distinct graph, with the first file that has the graph."""

    digest: str
    model: str
    file: str
    copies: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class OpInModel:
    """The nodes of one op in the distinct graphs of one model."""

    op: str
    model: str
    counts: Counts
    graphs: int

    @property
    def status(self) -> Status:
        """The gravest status that a node of it has in this model."""
        return self.counts.gravest


@dataclass(frozen=True, slots=True)
class OpFindings:
    """All that the page of an op tells.

    Attributes:
        row: its numbers over the corpus.
        variants: its call shapes.
        whys: what was said of its nodes, the commonest first; none of a supported node.
        graphs: distinct graphs that hold it, in the order of their first files.
        models: those that hold it, in natural order.
        company: other ops not supported in the same fallback regions, with the number of those, the commonest first.
    """

    row: OpRow
    variants: tuple[OpRow, ...]
    whys: tuple[Why, ...]
    graphs: tuple[OpInGraph, ...]
    models: tuple[OpInModel, ...]
    company: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GraphOfModel:
    """A distinct graph among the files of one model.

    Attributes:
        files: its rows in the table of graphs; their counts are all the same.
        names: the files' names, folded, without the model's.
        ranks: that saved it, ascending.
        indices: its numbers on those ranks, ascending.
    """

    files: tuple[FileRow, ...]
    names: tuple[str, ...]
    ranks: tuple[int, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DtypesOfFamily:
    """The dtypes that one family of ops reads and makes, each with the number of nodes, the commonest first."""

    family: Family
    nodes: int
    read: tuple[tuple[str, int], ...]
    made: tuple[tuple[str, int], ...]

    @property
    def formats(self) -> tuple[str, ...]:
        """What number formats those that it reads are: FP8, or two 4-bit numbers in each byte."""
        return describe_dtypes(self.family, [dtype for dtype, _ in self.read])


@dataclass(frozen=True, slots=True)
class ModelFindings:
    """All that the page of a model tells; its ops with those first that are not supported."""

    row: ModelRow
    ops: tuple[OpInModel, ...]
    graphs: tuple[GraphOfModel, ...]
    dtypes: tuple[DtypesOfFamily, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The findings of all pages.

    Attributes:
        ops: by name, what brings most first, then those that are supported.
        models: by name, in natural order.
        regions: how many fallback regions hold which unsupported ops, the commonest first.
        fallback_regions: of all distinct graphs.
        lost_graphs: distinct graphs on which the splitter would stop.
    """

    ops: Mapping[str, OpFindings]
    models: Mapping[str, ModelFindings]
    regions: tuple[tuple[frozenset[str], int], ...]
    fallback_regions: int
    lost_graphs: int


def group(coverage: Coverage) -> Grouping:
    """Groups all nodes of a coverage."""
    bodies = coverage.files_by_body
    regions = fallback_sets(coverage)
    graphs, whys = _occurrences(coverage)
    in_models = _in_models(coverage, graphs)
    return Grouping(
        _ops(coverage, graphs, whys, in_models, regions),
        _models(coverage, in_models),
        regions,
        sum(graph.fallback_regions for digest in bodies for graph in coverage.bodies[digest].graphs),
        sum(any(graph.crash for graph in coverage.bodies[digest].graphs) for digest in bodies),
    )


def by_impact(rows: Iterable[OpRow]) -> list[OpRow]:
    """Ops by what their support would bring, most first; those that bring nothing after those of unknown support."""
    return sorted(rows, key=lambda row: (row.status.gravity, *(-number for number in row.impact), row.op, row.variant))


_Said: TypeAlias = tuple[Status, Union[Reason, None], str]


def _occurrences(coverage: Coverage) -> tuple[dict[str, list[OpInGraph]], dict[str, Counter[_Said]]]:
    """The graphs that hold each op, and what was said of those nodes of it that are not supported."""
    graphs: dict[str, list[OpInGraph]] = {}
    whys: dict[str, Counter[_Said]] = {}
    for digest, files in coverage.files_by_body.items():
        model, file = files[0]
        statuses: dict[str, list[Status]] = {}
        for node in coverage.bodies[digest].nodes:
            statuses.setdefault(node.op, []).append(node.status)
            if node.status is not Status.SUPPORTED:
                whys.setdefault(node.op, Counter())[node.status, node.reason, node.detail] += 1
        for op, found in statuses.items():
            graphs.setdefault(op, []).append(OpInGraph(digest, model.name, file.path, len(files), Counts.of(found)))
    return graphs, whys


def _in_models(coverage: Coverage, graphs: Mapping[str, Sequence[OpInGraph]]) -> list[OpInModel]:
    """Every op in every model: those that bring most first, models in natural order."""
    owners = {
        digest: tuple(dict.fromkeys(model.name for model, _ in files))
        for digest, files in coverage.files_by_body.items()
    }
    place = {model.name: number for number, model in enumerate(coverage.ordered_models)}
    found = []
    for row in by_impact(coverage.op_rows):
        counts: dict[str, Counts] = {}
        numbers: Counter[str] = Counter()
        for graph in graphs[row.op]:
            for name in owners[graph.digest]:
                counts[name] = counts.get(name, Counts()) + graph.counts
                numbers[name] += 1
        found += [
            OpInModel(row.op, name, counts[name], numbers[name]) for name in sorted(counts, key=place.__getitem__)
        ]
    return found


def _ops(
    coverage: Coverage,
    graphs: Mapping[str, Sequence[OpInGraph]],
    whys: Mapping[str, Counter[_Said]],
    in_models: Iterable[OpInModel],
    regions: Sequence[tuple[frozenset[str], int]],
) -> dict[str, OpFindings]:
    variants: dict[str, list[OpRow]] = {}
    for row in coverage.variant_rows:
        variants.setdefault(row.op, []).append(row)
    company: dict[str, Counter[str]] = {}
    for ops, number in regions:
        for op in ops:
            company.setdefault(op, Counter()).update(dict.fromkeys(ops - {op}, number))
    models: dict[str, list[OpInModel]] = {}
    for one in in_models:
        models.setdefault(one.op, []).append(one)
    return {
        row.op: OpFindings(
            row,
            tuple(by_impact(variants[row.op])),
            tuple(Why(*why, number) for why, number in _ordered(whys.get(row.op, Counter()))),
            tuple(graphs[row.op]),
            tuple(models[row.op]),
            tuple(_ordered(company.get(row.op, Counter()))),
        )
        for row in by_impact(coverage.op_rows)
    }


def _models(coverage: Coverage, in_models: Iterable[OpInModel]) -> dict[str, ModelFindings]:
    ops: dict[str, list[OpInModel]] = {}
    for one in in_models:
        ops.setdefault(one.model, []).append(one)
    graphs: dict[str, dict[str, list[FileRow]]] = {}
    for row in coverage.file_rows():
        # A file that could not be read has no digest: each such file stays alone.
        graphs.setdefault(row.model, {}).setdefault(row.file.digest or row.file.path, []).append(row)
    problems: dict[str, list[Problem]] = {}
    for problem in coverage.problems:
        problems.setdefault(problem.file, []).append(problem)
    found = {}
    for model in coverage.model_rows():
        name = model.scan.name
        paths = [*(file.path for file in model.scan.files), f"{name}/{LOG_NAME}"]
        found[name] = ModelFindings(
            model,
            tuple(sorted(ops.get(name, ()), key=lambda one: one.status.gravity)),
            tuple(_graph(name, rows) for rows in graphs.get(name, {}).values()),
            _dtypes(coverage, model),
            tuple(problem for path in paths for problem in problems.get(path, ())),
        )
    return found


def _graph(model: str, rows: Sequence[FileRow]) -> GraphOfModel:
    files = [row.file for row in rows]
    return GraphOfModel(
        tuple(rows),
        tuple(fold_files(file.path.removeprefix(f"{model}/") for file in files)),
        tuple(sorted({file.rank for file in files if file.rank is not None})),
        tuple(sorted({file.index for file in files if file.index is not None})),
    )


def _dtypes(coverage: Coverage, model: ModelRow) -> tuple[DtypesOfFamily, ...]:
    nodes: Counter[Family] = Counter()
    read: dict[Family, Counter[str]] = {}
    made: dict[Family, Counter[str]] = {}
    for digest in dict.fromkeys(file.digest for file in model.scan.files if file.digest in coverage.bodies):
        for node in coverage.bodies[digest].nodes:
            nodes[node.family] += 1
            read.setdefault(node.family, Counter()).update(node.input_dtypes)
            made.setdefault(node.family, Counter()).update(node.output_dtypes)
    return tuple(
        DtypesOfFamily(family, nodes[family], tuple(_ordered(read[family])), tuple(_ordered(made[family])))
        for family in Family
        if nodes[family]
    )


_Key = TypeVar("_Key")


def _ordered(counter: Counter[_Key]) -> list[tuple[_Key, int]]:
    """Counted things, the commonest first, equal ones by their text."""
    return sorted(counter.items(), key=lambda item: (-item[1], str(item[0])))
