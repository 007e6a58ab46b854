"""The tables of nodes, graphs, ops, variants and models as CSV (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

from opcov.agreement import Agreement, check_itself
from opcov.coverage import Coverage, FileRow, ModelRow, NodeRow, OpRow
from opcov.judged import Compared, percentage
from opcov.reports.wording import source_place

Cell: TypeAlias = Union[str, int, None]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell must not start with, lest a spreadsheet runs it: OWASP's list for CSV injection, the full-width signs
that some spreadsheets read alike included. Spaces before it do not help, since some spreadsheets drop them."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that reports show under its name.

    Attributes:
        name: `nodes`; the file is `nodes.csv`.
        columns: names, snake_case.
        rows: makes the rows of a coverage, cells in the order of the columns; None is an empty cell.
    """

    name: str
    columns: tuple[str, ...]
    rows: Callable[[Coverage], Iterable[Sequence[Cell]]]


def _nodes(coverage: Coverage) -> Iterator[Sequence[Cell]]:
    otherwise = {id(found.row.node): found.kind for found in check_itself(coverage).disagreements}
    for row in coverage.node_rows():
        yield _node(row, otherwise.get(id(row.node), Agreement.SAME))


def _node(row: NodeRow, agreement: Agreement) -> Sequence[Cell]:
    node = row.node
    return (
        row.model,
        row.file,
        row.copies,
        node.line,
        node.name,
        node.kind.value,
        node.op,
        node.variant,
        node.status.value,
        node.reason.value if node.reason else None,
        node.detail,
        node.recorded.value if node.recorded else "none",
        node.recorded_region,
        node.placed.value if node.placed else "none",
        node.placed_region,
        node.source_file,
        node.source_line or None,
        node.source_function,
        node.evidence.value,
        None if node.compared is Compared.NOT_RECORDED else agreement.value,
    )


def _graphs(coverage: Coverage) -> Iterator[Sequence[Cell]]:
    return map(_graph, coverage.file_rows())


def _graph(row: FileRow) -> Sequence[Cell]:
    counts = row.counts
    return (
        row.model,
        row.file.path,
        row.file.rank,
        row.file.index,
        row.file.digest,
        row.form.value if row.form else None,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        row.recorded_regions,
        row.placed_regions,
        row.problem,
    )


def _ops(coverage: Coverage) -> Iterator[Sequence[Cell]]:
    for row in coverage.op_rows:
        yield (row.op, row.variants, *_shared(row))


def _variants(coverage: Coverage) -> Iterator[Sequence[Cell]]:
    for row in coverage.variant_rows:
        yield (row.op, row.variant, *_shared(row))


def _shared(row: OpRow) -> Sequence[Cell]:
    counts = row.counts
    source = row.sources[0] if row.sources else None
    return (
        row.status.value,
        " ".join(reason.value for reason in row.reasons),
        row.detail,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        row.graphs,
        len(row.files),
        len(row.models),
        "; ".join(row.models),
        source_place(*source[:3]) if source else None,
        row.example,
    )


def _models(coverage: Coverage) -> Iterator[Sequence[Cell]]:
    return map(_model, coverage.model_rows())


def _model(row: ModelRow) -> Sequence[Cell]:
    counts, log = row.counts, row.scan.run_log
    exception = log.final_exception if log else None
    return (
        row.scan.name,
        row.scan.diagnosis.health.value,
        "; ".join(row.scan.diagnosis.reasons),
        len(row.scan.files),
        row.distinct,
        row.ranks,
        log.expected_ranks if log else None,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        percentage(counts.supported, counts.supported + counts.not_supported),
        row.covered,
        percentage(row.covered, row.distinct),
        row.recorded_regions,
        row.placed_regions,
        str(exception) if exception else None,
        str(exception.frame) if exception and exception.frame else None,
    )


_STATUSES = ("supported", "unsupported", "crash", "unknown")
_SHARED = (
    "status", "reasons", "detail", "nodes", *_STATUSES, "graphs", "files", "models", "model_names", "source", "example",
)  # fmt: skip

TABLES = (
    Table(
        "nodes",
        (
            "model", "file", "copies", "line", "node", "kind", "op", "variant", "status", "reason", "detail",
            "recorded", "recorded_region", "placed", "placed_region", "source_file", "source_line", "source_function",
            "evidence", "agreement",
        ),
        _nodes,
    ),
    Table(
        "graphs",
        (
            "model", "file", "rank", "index", "digest", "form", "nodes", *_STATUSES, "recorded_regions",
            "placed_regions", "problem",
        ),
        _graphs,
    ),
    Table("ops", ("op", "variants", *_SHARED), _ops),
    Table("variants", ("op", "variant", *_SHARED), _variants),
    Table(
        "models",
        (
            "model", "health", "health_reasons", "graphs", "distinct_graphs", "ranks", "expected_ranks", "nodes",
            *_STATUSES, "node_coverage", "covered_graphs", "graph_coverage", "recorded_regions", "placed_regions",
            "exception", "exception_frame",
        ),
        _models,
    ),
)  # fmt: skip
"""All tables, in the order in which a reader meets them in a folder listing of reports."""


def render(coverage: Coverage) -> dict[str, str]:
    """The CSV files by name: one header row each, CRLF line ends, cells that a spreadsheet would run made harmless."""
    return {f"{table.name}.csv": _csv(table, coverage) for table in TABLES}


def _csv(table: Table, coverage: Coverage) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_harmless(cell) for cell in row] for row in table.rows(coverage))
    return text.getvalue()


def _harmless(cell: Cell) -> Cell:
    """A leading apostrophe makes a spreadsheet take a cell as text."""
    if isinstance(cell, str) and (cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)):
        return f"'{cell}"
    return cell
