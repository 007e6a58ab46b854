"""The tables of the document, with what their columns are called, mean and hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from opcov.coverage import Coverage
from opcov.document.entries import GraphEntry, ModelEntry, NodeEntry, OpEntry, VariantEntry
from opcov.document.making import graph_entries, model_entries, node_entries, op_entries, variant_entries


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the document.

    Attributes:
        name: `nodes`.
        entry: the type of its rows.
        rows: makes them.
    """

    name: str
    entry: type
    rows: Callable[[Coverage], Iterable[Any]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of its rows that hold one value or several of one simple type, in order."""
        return tuple(field.name for field in fields(self.entry) if field.name not in _NESTED)

    @property
    def types(self) -> dict[str, type]:
        """What each column holds: `int`, `float`, `str`, or `tuple` for several texts. Any but a tuple may be None."""
        hints = get_type_hints(self.entry)
        return {column: _base(hints[column]) for column in self.columns}

    @property
    def descriptions(self) -> dict[str, str]:
        """What each column is, in a few words."""
        hints = get_type_hints(self.entry, include_extras=True)
        return {
            column: next(meta.description for meta in hints[column].__metadata__ if meta.description)
            for column in self.columns
        }

    @property
    def dtypes(self) -> dict[str, str]:
        """The pandas dtype of each column; those of pandas that know missing values."""
        return {column: _DTYPES.get(base, "string") for column, base in self.types.items()}


_DTYPES = {int: "Int64", float: "Float64"}


def _base(hint: Any) -> type:
    """The simple type of a field: `int` of `int | None`, `str` of an enum."""
    present = [argument for argument in get_args(hint) if argument is not type(None)]
    kind: Any = get_origin(hint)
    if kind in (Union, UnionType):
        return _base(present[0])
    kind = kind or hint
    return next(base for base in (tuple, int, float, str) if issubclass(kind, base))


_NESTED = frozenset({"sources"})
"""Fields whose values are rows themselves: a flat table leaves them out."""

TABLES = (
    Table("nodes", NodeEntry, node_entries),
    Table("graphs", GraphEntry, graph_entries),
    Table("ops", OpEntry, op_entries),
    Table("variants", VariantEntry, variant_entries),
    Table("models", ModelEntry, model_entries),
)
"""All tables, in the order in which a reader meets them in a folder listing of reports."""
