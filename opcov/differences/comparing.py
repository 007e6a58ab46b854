"""Comparing two coverages: which call shapes got other answers, in which models, graphs and nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from opcov.coverage import Coverage
from opcov.differences.changes import ChangeKind, ModelChange, NodePlace, OpChange, VersionChange
from opcov.graphfile import natural_key
from opcov.judged import Counts, JudgedNode
from opcov.verdict import Reason, Status


def op_changes(old: Coverage, new: Coverage) -> tuple[OpChange, ...]:
    """What became of each call shape of an op, lost ones first."""
    shared = _with_graphs(old) & _with_graphs(new)
    before, after = _facts(old), _facts(new)
    found = []
    for key in sorted({*before, *after}):
        one, other = before.get(key, _Facts()), after.get(key, _Facts())
        if shared & (one.by_model.keys() | other.by_model.keys()):
            one, other = one.within(shared), other.within(shared)
        change = _op_change(key, one, other, old, new)
        found += [change] if change else []
    order = list(ChangeKind)
    return tuple(sorted(found, key=lambda change: order.index(change.kind)))


_Key: TypeAlias = tuple[str, str]
_Answer: TypeAlias = tuple[Status, Reason | None, str]


@dataclass(slots=True)
class _Facts:
    """What is known of one call shape of an op: its nodes in each distinct graph, and the graphs of each model."""

    by_graph: dict[str, list[JudgedNode]] = field(default_factory=dict)
    by_model: dict[str, set[str]] = field(default_factory=dict)

    def within(self, models: Collection[str]) -> _Facts:
        """The part that some models have."""
        by_model = {model: digests for model, digests in self.by_model.items() if model in models}
        kept = {digest for digests in by_model.values() for digest in digests}
        return _Facts({digest: self.by_graph[digest] for digest in self.by_graph if digest in kept}, by_model)

    @property
    def answers(self) -> Counter[_Answer]:
        """How many nodes got each answer."""
        return Counter(_answer(node) for nodes in self.by_graph.values() for node in nodes)


def _answer(node: JudgedNode) -> _Answer:
    return node.status, node.reason, node.detail


def _facts(coverage: Coverage) -> dict[_Key, _Facts]:
    found: dict[_Key, _Facts] = {}
    for digest, files in coverage.files_by_body.items():
        models = {model.name for model, _ in files}
        for node in coverage.bodies[digest].nodes:
            facts = found.setdefault((node.op, node.variant), _Facts())
            facts.by_graph.setdefault(digest, []).append(node)
            for name in models:
                facts.by_model.setdefault(name, set()).add(digest)
    return found


def _with_graphs(coverage: Coverage) -> set[str]:
    return {model.name for files in coverage.files_by_body.values() for model, _ in files}


def _op_change(key: _Key, before: _Facts, after: _Facts, old: Coverage, new: Coverage) -> OpChange | None:
    one, other = before.answers, after.answers
    kind = _kind(one, other)
    if kind is None:
        return None
    both = {*before.by_model, *after.by_model}
    # Most models have an op as they had it before; where all have, the change lies in which of them share a graph.
    touched = {name for name in both if _answers_in(before, name) != _answers_in(after, name)} or both
    there, here = before.within(touched), after.within(touched)
    return OpChange(
        kind,
        *key,
        _counts(one),
        _counts(other),
        _reasons(one),
        _reasons(other),
        _details(one),
        _details(other),
        len(there.by_graph),
        len(here.by_graph),
        tuple(sorted(touched, key=natural_key)),
        _otherwise(there, here, touched, old),
        _otherwise(here, there, touched, new),
    )


def _otherwise(mine: _Facts, others: _Facts, models: Collection[str], coverage: Coverage) -> tuple[NodePlace, ...]:
    """The nodes of one side that got another answer than on the other one.

    In a graph that both sides have, node is held against node. Those of another graph are told by their answers: if the
    other side knows them all, it is the mixture that changed, and each node has its part in that.
    """
    found, mixture = [], []
    known = others.answers
    for digest, nodes in mine.by_graph.items():
        model, file = next((model, file) for model, file in coverage.files_by_body[digest] if model.name in models)
        same = others.by_graph.get(digest, [])
        for place, node in enumerate(nodes):
            at = NodePlace(model.name, file.path, node.line, node.name)
            mixture.append(at)
            if (_answer(node) != _answer(same[place])) if len(same) == len(nodes) else _answer(node) not in known:
                found.append(at)
    return tuple(found or mixture)


def _answers_in(facts: _Facts, model: str) -> Counter[_Answer]:
    return facts.within((model,)).answers


def _kind(before: Mapping[_Answer, int], after: Mapping[_Answer, int]) -> ChangeKind | None:
    """What became of a call shape, from the answers that its nodes got; None where it is as it was."""
    if not before or not after:
        return ChangeKind.NEW if after else ChangeKind.GONE if before else None
    old, new = _counts(before), _counts(after)
    old_judged, new_judged = old.supported + old.not_supported, new.supported + new.not_supported
    # Whole numbers: shares of a corpus that has only grown are exactly equal.
    worse = new.not_supported * old_judged - old.not_supported * new_judged
    if worse:
        return ChangeKind.LOST if worse > 0 else ChangeKind.GAINED
    same_mix = all(
        getattr(old, status.value) * new.nodes == getattr(new, status.value) * old.nodes for status in Status
    )
    return None if same_mix and set(before) == set(after) else ChangeKind.CHANGED


def _counts(answers: Mapping[_Answer, int]) -> Counts:
    found: Counter[Status] = Counter()
    for (status, _, _), number in answers.items():
        found[status] += number
    return Counts(*(found[status] for status in (Status.SUPPORTED, Status.UNSUPPORTED, Status.CRASH, Status.UNKNOWN)))


def _reasons(answers: Mapping[_Answer, int]) -> tuple[Reason, ...]:
    return tuple(sorted({reason for _, reason, _ in answers if reason is not None}, key=lambda reason: reason.value))


def _details(answers: Mapping[_Answer, int]) -> tuple[str, ...]:
    return tuple(sorted({detail for _, _, detail in answers if detail}))


def model_changes(old: Coverage, new: Coverage) -> tuple[ModelChange, ...]:
    """Models that came, went, or whose health changed."""
    found = []
    for name in sorted({*old.models, *new.models}, key=natural_key):
        before = old.models[name].diagnosis.health if name in old.models else None
        after = new.models[name].diagnosis.health if name in new.models else None
        if before is not after:
            kind = ChangeKind.NEW if before is None else ChangeKind.GONE if after is None else ChangeKind.CHANGED
            found.append(ModelChange(kind, name, before, after))
    order = list(ChangeKind)
    return tuple(sorted(found, key=lambda change: order.index(change.kind)))


def version_changes(old: Coverage, new: Coverage) -> tuple[VersionChange, ...]:
    """Packages that judged in another version."""
    return tuple(
        VersionChange(package, old.versions.get(package), new.versions.get(package))
        for package in sorted({*old.versions, *new.versions})
        if old.versions.get(package) != new.versions.get(package)
    )
