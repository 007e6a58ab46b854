"""The tables of nodes, graphs, ops, variants and models as CSV (RFC 4180)."""

from __future__ import annotations

import csv
import io
from enum import Enum
from operator import attrgetter
from typing import Any, TypeAlias, Union

from opcov.coverage import Coverage
from opcov.document import TABLES, Table
from opcov.reports.report import FolderReport

Cell: TypeAlias = Union[str, int, None]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell must not start with, lest a spreadsheet runs it: OWASP's list for CSV injection, the full-width signs
that some spreadsheets read alike included. Spaces before it do not help, since some spreadsheets drop them."""


def render(coverage: Coverage) -> dict[str, str]:
    """The CSV files by name: one header row each, CRLF line ends, cells that a spreadsheet would run made harmless.

    Several values in one cell are joined by "; ".
    """
    return {f"{table.name}.csv": _csv(table, coverage) for table in TABLES}


def _csv(table: Table, coverage: Coverage) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = table.columns
    writer.writerow(columns)
    cells = attrgetter(*columns)
    writer.writerows([_harmless(_cell(value)) for value in cells(entry)] for entry in table.rows(coverage))
    return text.getvalue()


def _cell(value: Any) -> Cell:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "; ".join([item.value if isinstance(item, Enum) else item for item in value])
    if isinstance(value, float):
        return f"{value:.1f}"
    cell: Cell = value
    return cell


def _harmless(cell: Cell) -> Cell:
    """A leading apostrophe makes a spreadsheet take a cell as text."""
    if isinstance(cell, str) and (cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)):
        return f"'{cell}"
    return cell


REPORT = FolderReport(
    "csv",
    "nodes, graphs, ops, variants and models as CSV tables",
    lambda findings: render(findings.coverage),
    tuple(f"{table.name}.csv" for table in TABLES),
)
