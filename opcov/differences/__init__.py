"""What changed from one scan to another: ops gained and lost, models and versions; compared by meaning, not by place.

Ops are compared by name and call shape. Line numbers, file names and ranks differ between two runs of one model and
mean nothing.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from opcov.coverage import Coverage
from opcov.differences.changes import Change, ChangeKind, ModelChange, NodePlace, OpChange, VersionChange
from opcov.differences.comparing import model_changes, op_changes, version_changes
from opcov.gate.changes import Style
from opcov.wording import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Change", "ChangeKind", "Differences", "ModelChange", "NodePlace", "OpChange", "VersionChange", "compare"]

_MOST_ROWS = 30


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

    def explain(self, style: Style = Style.TEXT) -> str:
        """All of it: what changed in a line, then a line for each change, each an item of a list.

        Of the nodes of a change the first ones are named; the changes themselves hold all of them.

        Args:
            style: who reads it.

        >>> import opcov
        >>> old = opcov.scan("fixtures/gm", include=["odd/*"])
        >>> new = opcov.scan("fixtures/gm", include=["odd/*"], exclude=["*/unknown-activation"])
        >>> print(old.diff(new).explain())
        no op differs; 1 model
        - gone: model odd/unknown-activation (failed)
        """
        # A list in Markdown begins after a blank line, so that no renderer takes it for part of the paragraph.
        start = [self._told, ""] if style is Style.MARKDOWN and self else [self._told]
        return "\n".join([*start, *(f"- {change.explain(style)}" for change in self)])

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


def compare(old: Coverage, new: Coverage) -> Differences:
    """What changed from one coverage to another; swapping them swaps gained and lost, new and gone.

    An op is compared in the models that have graphs on both sides, so that a model that came or went neither gains nor
    loses anything for the others. An op that none of those models has is compared over all models.

    Args:
        old: as it was.
        new: as it is.
    """
    return Differences(op_changes(old, new), model_changes(old, new), version_changes(old, new))
