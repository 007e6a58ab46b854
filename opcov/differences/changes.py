"""What can change from one scan to another, as typed values that explain themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, Union, cast

from opcov.corpus.health import Health
from opcov.gate.changes import Show, Style, Telling, named, named_some, show_in
from opcov.judged import Counts
from opcov.verdict import Reason
from opcov.wording import counted


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
class NodePlace:
    """A node of a distinct graph.

    Attributes:
        model: the first of those concerned that have the graph.
        file: its first graph file with it, from the corpus root.
        line: 1-based, 0 where it has none.
        node: its name, as printed.
    """

    model: str
    file: str
    line: int
    node: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where} ({self.node})"


class _Explained:
    """What every change can do: explain itself."""

    __slots__ = ()

    def explain(self, style: Style) -> str:
        """What changed, in which models and where, safe to be shown whatever a dump holds.

        Args:
            style: who reads it. One line in `TEXT` and `MARKDOWN`.
        """
        return _telling(cast("Change", self), show_in(style)).joined(style)


@dataclass(frozen=True, slots=True)
class OpChange(_Explained):
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
        nodes_before: the nodes that got another answer, as they were, in the order of their files.
        nodes_after: the same as they are.
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
    nodes_before: tuple[NodePlace, ...] = ()
    nodes_after: tuple[NodePlace, ...] = ()

    @property
    def nodes(self) -> tuple[NodePlace, ...]:
        """Where it shows: as it is now, or as it was where it is no more."""
        return self.nodes_after or self.nodes_before


@dataclass(frozen=True, slots=True)
class ModelChange(_Explained):
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
class VersionChange(_Explained):
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


def _telling(change: Change, show: Show) -> Telling:
    match change:
        case OpChange(kind=kind, models=models, before=before, after=after):
            now, then = (f"{counts.supported} of {counted(counts.nodes, 'node')}" for counts in (after, before))
            match kind:
                case ChangeKind.NEW:
                    share = f"Thunder supports {now}"
                case ChangeKind.GONE:
                    share = f"Thunder supported {then}"
                case ChangeKind.LOST | ChangeKind.GAINED | ChangeKind.CHANGED:
                    share = f"Thunder supports {now}, and supported {then}"
            news = f"{kind.value}: {show(change.variant)}: {share}; in {named(models, show)}"
            return Telling(news, _places(change.nodes, show), why=_why(change, show))
        case ModelChange(kind=kind, model=model, before=health_before, after=health_after):
            healths = [health.value for health in (health_before, health_after) if health is not None]
            return Telling(f"{kind.value}: model {show(model)} ({' -> '.join(healths)})")
        case VersionChange(package, version_before, version_after):
            then, now = (show(version) if version else "none" for version in (version_before, version_after))
            return Telling(f"another version of {show(package)}: {then} -> {now}")


def _why(change: OpChange, show: Show) -> str:
    """The reasons on the side that has some: those of today, else those that went."""
    reasons, details = change.reasons_after, change.details_after
    if not reasons:
        reasons, details = change.reasons_before, change.details_before
    told = [", ".join(reason.value for reason in reasons), named_some(details, show)]
    why = ": ".join(filter(None, told))
    return f"was {why}" if why and not change.reasons_after else why


def _places(nodes: Sequence[NodePlace], show: Show) -> str:
    """How many nodes in how many graphs, and the first of them."""
    if not nodes:
        return ""
    graphs = len({node.file for node in nodes})
    return f"{counted(len(nodes), 'node')} in {counted(graphs, 'graph')}: {named_some(list(map(str, nodes)), show)}"
