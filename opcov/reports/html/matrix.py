"""Lays out the picture of ops by models: how many nodes of each op Thunder does not take in each model."""

from __future__ import annotations

from dataclasses import dataclass

from opcov.coverage import ModelRow, OpRow
from opcov.reports.html.groupings import Grouping

_STEPS = (1, 4, 12, 32, 100)
"""From how many nodes on a cell is of each of the heats."""


@dataclass(frozen=True, slots=True)
class Line:
    """One op of the picture: for each model the number of nodes and the heat, 0 for none."""

    row: OpRow
    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The picture.

    Attributes:
        models: its columns.
        lines: its rows, what brings most first.
        legend: what each heat stands for, from few nodes to many.
    """

    models: tuple[ModelRow, ...]
    lines: tuple[Line, ...]
    legend: tuple[str, ...]


def matrix(grouping: Grouping) -> Matrix:
    """The picture of all ops that are not supported, over all models."""
    lines = []
    for found in grouping.ops.values():
        if found.row.counts.not_supported:
            numbers = {one.model: one.counts.not_supported for one in found.models}
            cells = tuple((number, _heat(number)) for number in (numbers.get(name, 0) for name in grouping.models))
            lines.append(Line(found.row, cells))
    bounds = zip(_STEPS, [*(step - 1 for step in _STEPS[1:]), None], strict=True)
    legend = tuple(f"{first}+" if last is None else f"{first}\N{EN DASH}{last}" for first, last in bounds)
    return Matrix(tuple(found.row for found in grouping.models.values()), tuple(lines), legend)


def _heat(number: int) -> int:
    return sum(number >= step for step in _STEPS)
