"""All that a scan found, and its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from opcov.corpus import LOG_NAME
from opcov.coverage.bodies import copy_of, part_of
from opcov.coverage.groups import LOST, NO_FACTS, Facts, Group, Key, commonest, impact_of
from opcov.coverage.merging import first, joined
from opcov.coverage.rows import FileRow, ModelRow, NodeRow, OpRow
from opcov.graph import Compiler
from opcov.graphfile import GraphFile, natural_key
from opcov.judged import Counts, JudgedBody, ModelScan
from opcov.problems import Problem
from opcov.verdict import Status


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
            models[name] = joined(models[name], model) if name in models else model
        bodies = copy_of(self.bodies)
        for digest, body in other.bodies.items():
            if digest not in bodies or bodies[digest] != body:
                bodies.add(first(bodies[digest], body) if digest in bodies else body)
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
    def _facts(self) -> Mapping[str, Facts]:
        """What the tables need of each body beside its nodes, in the order of `files_by_body`."""
        return {digest: Facts.of(self.bodies[digest]) for digest in self.files_by_body}

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
                facts = self._facts.get(file.digest, NO_FACTS)
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
                tuple(commonest(dtypes)),
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
        groups: dict[Key, Group] = {}
        for digest in self.files_by_body:
            for graph in self.bodies[digest].graphs:
                blamed: dict[str, set[Key]] = {}
                for node in graph.nodes:
                    key = (node.op, node.variant if by_variant else "")
                    group = groups.get(key)
                    if group is None:
                        group = groups[key] = Group()
                    group.add(digest, node)
                    if node.status is Status.CRASH:
                        blamed.setdefault(LOST, set()).add(key)
                    if node.status.is_refused and node.placed is Compiler.INDUCTOR:
                        blamed.setdefault(node.placed_region, set()).add(key)
                for region, keys in blamed.items():
                    for key in keys:
                        groups[key].blame(alone=len(keys) == 1, lost=region is LOST)
        rows = [group.row(op, variant, self) for (op, variant), group in groups.items()]
        return tuple(sorted(rows, key=impact_of))
