"""What a baseline says, as plain values: known entries with people's notes and waivers, and how the models stood."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.form import Form
from opcov.judged import JudgedBody
from opcov.problems import OpcovError
from opcov.verdict import Status

Key: TypeAlias = tuple[str, str]
"""Op and variant."""


class BaselineError(OpcovError):
    """A baseline that cannot be used: it names the file, the line, the column and what to do."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A person's word on an entry: `#: allow until 2027-03-01, #2600` or `#: allow org/model, why`.

    Attributes:
        until: the last day on which it holds; None for one without end.
        models: names of the models for which alone it holds; empty for all.
        reason: what stands behind the comma, "" for none.
        line: 1-based line in the baseline.
    """

    until: dt.date | None
    models: tuple[str, ...]
    reason: str
    line: int

    def holds(self, today: dt.date) -> bool:
        """Whether it has not expired."""
        return self.until is None or today <= self.until


@dataclass(frozen=True, slots=True)
class Entry:
    """A known unsupported call shape.

    Attributes:
        op: canonical target.
        variant: call shape.
        reason: why, as the entry says: `MISSING_OP_SUPPORT`; "" where it does not.
        models: names of the models that had it, in the order of the entry.
        notes: people's lines (`#: ...`), as they stand.
        waivers: what those lines allow; where there is one, the entry holds only within its waivers.
        line: 1-based line of the expression.
        text: the entry as it stands, from its first comment to its expression.
        detail: why in a sentence, as the entry says.
        sources: `file:line in function`, as the entry names them.
        files: paths of the graph files, unfolded, in the order of the entry.
        expression: the call as it stands; what is no Python stands in a comment.
    """

    op: str
    variant: str
    reason: str = ""
    models: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    line: int = 0
    text: str = ""
    detail: str = ""
    sources: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    expression: str = ""

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.op, self.variant


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """How well a model was captured, told so that neither ranks nor numbering nor names matter.

    Attributes:
        model: its name.
        health: whether its graphs are all that its run has, missing ranks aside: ranks are copies.
        graphs: distinct indices among its ranked files, and distinct call sequences among the others.
        unknown: nodes of those graphs of which too little is known to ask.
        lost: those graphs on which Thunder's splitter would stop.
    """

    model: str
    health: Health
    graphs: int
    unknown: int
    lost: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an all_ops.py says.

    Attributes:
        name: the file, as messages call it.
        versions: of the judge, from its header; empty where it has none.
        models: how each model stood, by name; None for a file that does not say, such as one made by hand.
        entries: in the order of the file. Several may share a key: they hold together.
        notes: people's lines that belong to no entry, as they stand.
        fixed: people's lines at entries that are no longer unsupported, by key: kept until someone removes them.
        summary: what its header says behind the versions; "" where it has none.
    """

    name: str = "all_ops.py"
    versions: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, ModelFacts] | None = None
    entries: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    fixed: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    summary: str = ""

    @property
    def known_models(self) -> tuple[str, ...]:
        """Names of all models that it speaks of."""
        listed = (model for entry in self.entries for model in entry.models)
        return tuple(dict.fromkeys([*(self.models or ()), *listed]))


def facts_of(coverage: Coverage) -> dict[str, ModelFacts]:
    """How each model of a scan stands, by name, in natural order."""
    found = {}
    for model in coverage.ordered_models:
        groups: dict[object, list[JudgedBody]] = {}
        for file in model.files:
            body = coverage.bodies.get(file.digest)
            if body is not None:
                key = file.index if file.index is not None else _sequence(body)
                groups.setdefault(key, []).append(body)
        bodies = groups.values()
        found[model.name] = ModelFacts(
            model.name,
            model.diagnosis.regardless_of_ranks,
            len(groups),
            sum(max(body.counts.unknown for body in group) for group in bodies),
            sum(any(_is_lost(body) for body in group) for group in bodies),
        )
    return found


def _sequence(body: JudgedBody) -> tuple[str, ...]:
    return tuple(node.variant for node in body.nodes)


def _is_lost(body: JudgedBody) -> bool:
    return any(
        graph.crash if graph.form is Form.UNSPLIT else any(node.status is Status.CRASH for node in graph.nodes)
        for graph in body.graphs
    )


def resolve_models(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """The names under which a baseline knows the models of a scan.

    A scan that began in a folder of the baseline's corpus has none of its names but only ends of them:
    `Qwen/Qwen3-0.6B` is meant by `Qwen3-0.6B`. Models that are new lie there where the others do.

    >>> resolve_models(["Qwen3", "new"], ["Qwen/Qwen3", "org/other"]), resolve_models(["Qwen3"], ["Qwen3", "a/Qwen3"])
    ({'Qwen3': 'Qwen/Qwen3', 'new': 'Qwen/new'}, {'Qwen3': 'Qwen3'})
    """
    names = tuple(names)
    if not set(known).isdisjoint(names):
        return {name: name for name in names}
    meant = {name: named_alike(name, known) for name in names}
    folders = {found[0].removesuffix(name) for name, found in meant.items() if len(found) == 1}
    folder = folders.pop() if len(folders) == 1 else ""
    resolved = {}
    for name, found in meant.items():
        beside = f"{folder}{name}"
        resolved[name] = found[0] if len(found) == 1 else beside if not found or beside in found else name
    # Two that would become one are none of them meant.
    return resolved if len({*resolved.values()}) == len(names) else {name: name for name in names}


def named_alike(name: str, known: Iterable[str]) -> list[str]:
    """The known models that a model may be that was scanned by itself."""
    return [one for one in known if one.endswith(f"/{name}")]
