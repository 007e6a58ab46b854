"""What changed from one scan to another: ops gained and lost, models and versions; compared by meaning, not by place.

Ops are compared by name and call shape. Line numbers, file names and ranks differ between two runs of one model and
mean nothing.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias, Union

from opcov.coverage import Coverage
from opcov.graphfile import natural_key
from opcov.health import Health
from opcov.judged import Counts
from opcov.verdict import Reason, Status
from opcov.wording import counted

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 30


class ChangeKind(str, Enum):
    """What became of an op or a model."""

    LOST = "lost"
    """A larger share of its nodes is not supported than before."""
    GAINED = "gained"
    """A smaller share of its nodes is not supported than before."""
    CHANGED = "changed"
    """Of an op: the same share, but other reasons, or other nodes unknown. Of a model: another health."""
    NEW = "new"
    """It was not there before."""
    GONE = "gone"
    """It is no longer there."""


@dataclass(frozen=True, slots=True)
class OpChange:
    """A change of one call shape of an op.

    Attributes:
        kind: what became of it.
        op: canonical target.
        variant: call shape.
        before: its nodes in distinct graphs by status; none where it is new.
        after: the same now; none where it is gone.
        reasons_before: why nodes of it were not supported, sorted; details with them.
        reasons_after: why they are not now.
        details_before: sentences or exceptions of Thunder, sorted.
        details_after: the same now.
        graphs_before: distinct graphs that held it, in the models named.
        graphs_after: distinct graphs that hold it now.
        models: names of the models in which it differs, in natural order.
    """

    kind: ChangeKind
    op: str
    variant: str
    before: Counts
    after: Counts
    reasons_before: tuple[Reason, ...]
    reasons_after: tuple[Reason, ...]
    details_before: tuple[str, ...]
    details_after: tuple[str, ...]
    graphs_before: int
    graphs_after: int
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A model that came, went, or whose health changed.

    Attributes:
        kind: NEW, GONE or CHANGED.
        model: its name.
        before: its health; None where it is new.
        after: its health now; None where it is gone.
    """

    kind: ChangeKind
    model: str
    before: Health | None
    after: Health | None


@dataclass(frozen=True, slots=True)
class VersionChange:
    """Another version of a package that judged.

    Attributes:
        package: `lightning-thunder`.
        before: its version; None where it did not judge.
        after: its version now; None where it does not judge.
    """

    package: str
    before: str | None
    after: str | None


Change: TypeAlias = Union[OpChange, ModelChange, VersionChange]


@dataclass(frozen=True, slots=True)
class Differences:
    """What changed from one scan to another; false when nothing did.

    Iterating gives the changes of ops, then those of models, then those of versions.

    Attributes:
        ops: lost ones first, then gained, changed, new and gone ones.
        models: by kind in the same order, then in natural order.
        versions: by package.

    >>> import opcov
    >>> old = opcov.scan("fixtures/gm", include=["odd/*"])
    >>> new = opcov.scan("fixtures/gm", include=["odd/*"], exclude=["*/unknown-activation"])
    >>> for change in old.diff(new):
    ...     print(change.kind.value, change.model)
    gone odd/unknown-activation
    >>> bool(old.diff(old))
    False
    """

    ops: tuple[OpChange, ...] = ()
    models: tuple[ModelChange, ...] = ()
    versions: tuple[VersionChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ops or self.models or self.versions)

    def __iter__(self) -> Iterator[Change]:
        yield from self.ops
        yield from self.models
        yield from self.versions

    def __repr__(self) -> str:
        return f"<Differences: {self._told}>"

    @property
    def lost(self) -> tuple[OpChange, ...]:
        """The ops that lost support, and the new ones that never had it: what a gate may refuse.

        >>> import opcov
        >>> old, new = (opcov.scan("fixtures/gm", include=[f"odd/{name}"]) for name in ("un*", "st*"))
        >>> [change.op for change in old.diff(new).lost][:2]
        ['torch.Tensor.is_cpu', 'torch.cuda.Stream.wait_stream']
        """
        return tuple(
            change
            for change in self.ops
            if change.kind is ChangeKind.LOST or (change.kind is ChangeKind.NEW and change.after.not_supported)
        )

    @property
    def gained(self) -> tuple[OpChange, ...]:
        """The ops that gained support, and those gone that never had it: `lost` with the sides swapped.

        >>> import opcov
        >>> old, new = (opcov.scan("fixtures/gm", include=[f"odd/{name}"]) for name in ("st*", "un*"))
        >>> [change.op for change in old.diff(new).gained][:2]
        ['torch.Tensor.is_cpu', 'torch.cuda.Stream.wait_stream']
        """
        return tuple(
            change
            for change in self.ops
            if change.kind is ChangeKind.GAINED or (change.kind is ChangeKind.GONE and change.before.not_supported)
        )

    @property
    def frame(self) -> pd.DataFrame:
        """The changes of ops as a DataFrame: one row each, the fields of `OpChange`, numbers as `Int64`.

        `supported`, `not_supported` and `unknown` count nodes; several reasons, details and models are joined by `; `.

        >>> import opcov
        >>> old, new = (opcov.scan("fixtures/gm", include=[f"odd/{name}"]) for name in ("un*", "st*"))
        >>> row = old.diff(new).frame.set_index("op").loc["torch.cuda.set_stream"]
        >>> row["change"], int(row["not_supported_after"])
        ('new', 2)
        """
        import pandas as pd

        rows = [dict(zip(_COLUMNS, _cells(change), strict=True)) for change in self.ops]
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)

    @property
    def _told(self) -> str:
        kinds = Counter(change.kind for change in self.ops)
        parts = [f"{kinds[kind]} {kind.value}" for kind in ChangeKind if kinds[kind]]
        ops = f"call shapes of ops: {', '.join(parts)}" if parts else "no op differs"
        return "; ".join(
            [
                ops,
                *([counted(len(self.models), "model")] if self.models else []),
                *([counted(len(self.versions), "version")] if self.versions else []),
            ]
        )

    def _repr_html_(self) -> str:
        """Tables of what changed; of ops the first rows where there are many."""
        import pandas as pd

        parts = [f"<p><strong>{html.escape(self._told)}</strong></p>"]
        if self.ops:
            shown = self.frame.head(_MOST_ROWS)[[*_SHOWN]]
            more = len(self.ops) - len(shown)
            parts.append(shown.to_html(index=False, escape=True))
            parts += [f"<p>{more} more in .frame</p>"] if more else []
        for changes in (self.models, self.versions):
            if changes:
                rows = [[_plain(getattr(change, name)) for name in change.__slots__] for change in changes]
                frame = pd.DataFrame(rows, columns=list(changes[0].__slots__))
                parts.append(frame.to_html(index=False, escape=True, na_rep="-", max_rows=_MOST_ROWS))
        return f"<div>{''.join(parts)}</div>"


_COLUMNS = {
    "change": "string",
    "op": "string",
    "variant": "string",
    **{
        f"{name}_{side}": "Int64"
        for name in ("supported", "not_supported", "unknown", "graphs")
        for side in ("before", "after")
    },
    **{f"{name}_{side}": "string" for name in ("reasons", "details") for side in ("before", "after")},
    "models": "string",
}
_SHOWN = ("change", "variant", "supported_before", "supported_after", "not_supported_before", "not_supported_after")


def _cells(change: OpChange) -> tuple[str | int, ...]:
    before, after = change.before, change.after
    return (
        change.kind.value,
        change.op,
        change.variant,
        *(before.supported, after.supported, before.not_supported, after.not_supported, before.unknown, after.unknown),
        *(change.graphs_before, change.graphs_after),
        *("; ".join(reason.value for reason in reasons) for reasons in (change.reasons_before, change.reasons_after)),
        *("; ".join(details) for details in (change.details_before, change.details_after)),
        "; ".join(change.models),
    )


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else "-" if value is None else value


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(old: Coverage, new: Coverage) -> Differences:
    """What changed from one coverage to another; swapping them swaps gained and lost, new and gone.

    An op is compared in the models that have graphs on both sides, so that a model that came or went neither gains nor
    loses anything for the others. An op that none of those models has is compared over all models.

    Args:
        old: as it was.
        new: as it is.
    """
    shared = _with_graphs(old) & _with_graphs(new)
    before, after = _facts(old), _facts(new)
    found = []
    for key in sorted({*before, *after}):
        one, other = before.get(key, _Facts()), after.get(key, _Facts())
        if shared & (one.by_model.keys() | other.by_model.keys()):
            one, other = one.within(shared), other.within(shared)
        change = _op_change(key, one, other)
        found += [change] if change else []
    order = list(ChangeKind)
    ops = sorted(found, key=lambda change: order.index(change.kind))
    return Differences(tuple(ops), _model_changes(old, new), _version_changes(old, new))


_Key: TypeAlias = tuple[str, str]
_Answer: TypeAlias = tuple[Status, Reason | None, str]


@dataclass(slots=True)
class _Facts:
    """What is known of one call shape of an op: for each distinct graph the answers that its nodes got."""

    by_graph: dict[str, Counter[_Answer]] = field(default_factory=dict)
    by_model: dict[str, set[str]] = field(default_factory=dict)

    def within(self, models: Collection[str]) -> _Facts:
        """The part that some models have."""
        by_model = {model: digests for model, digests in self.by_model.items() if model in models}
        kept = {digest for digests in by_model.values() for digest in digests}
        return _Facts({digest: self.by_graph[digest] for digest in self.by_graph if digest in kept}, by_model)

    @property
    def answers(self) -> Counter[_Answer]:
        """How many nodes got each answer."""
        found: Counter[_Answer] = Counter()
        for answers in self.by_graph.values():
            found.update(answers)
        return found


def _facts(coverage: Coverage) -> dict[_Key, _Facts]:
    found: dict[_Key, _Facts] = {}
    for digest, files in coverage.files_by_body.items():
        models = {model.name for model, _ in files}
        for node in coverage.bodies[digest].nodes:
            facts = found.setdefault((node.op, node.variant), _Facts())
            facts.by_graph.setdefault(digest, Counter())[node.status, node.reason, node.detail] += 1
            for name in models:
                facts.by_model.setdefault(name, set()).add(digest)
    return found


def _with_graphs(coverage: Coverage) -> set[str]:
    return {model.name for files in coverage.files_by_body.values() for model, _ in files}


def _op_change(key: _Key, before: _Facts, after: _Facts) -> OpChange | None:
    one, other = before.answers, after.answers
    kind = _kind(one, other)
    if kind is None:
        return None
    both = {*before.by_model, *after.by_model}
    # Most models have an op as they had it before; where all have, the change lies in which of them share a graph.
    touched = {name for name in both if _answers_in(before, name) != _answers_in(after, name)} or both
    return OpChange(
        kind,
        *key,
        _counts(one),
        _counts(other),
        _reasons(one),
        _reasons(other),
        _details(one),
        _details(other),
        len(before.within(touched).by_graph),
        len(after.within(touched).by_graph),
        tuple(sorted(touched, key=natural_key)),
    )


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


def _model_changes(old: Coverage, new: Coverage) -> tuple[ModelChange, ...]:
    found = []
    for name in sorted({*old.models, *new.models}, key=natural_key):
        before = old.models[name].diagnosis.health if name in old.models else None
        after = new.models[name].diagnosis.health if name in new.models else None
        if before is not after:
            kind = ChangeKind.NEW if before is None else ChangeKind.GONE if after is None else ChangeKind.CHANGED
            found.append(ModelChange(kind, name, before, after))
    order = list(ChangeKind)
    return tuple(sorted(found, key=lambda change: order.index(change.kind)))


def _version_changes(old: Coverage, new: Coverage) -> tuple[VersionChange, ...]:
    return tuple(
        VersionChange(package, old.versions.get(package), new.versions.get(package))
        for package in sorted({*old.versions, *new.versions})
        if old.versions.get(package) != new.versions.get(package)
    )
