"""Makes the document of a coverage, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import opcov
from opcov.coverage import Coverage, FileRow, ModelRow, NodeRow, OpRow
from opcov.coverage.agreement import Agreement, check_itself
from opcov.document.entries import (
    SCHEMA_VERSION,
    Document,
    GraphEntry,
    ModelEntry,
    NodeEntry,
    OpEntry,
    Totals,
    VariantEntry,
)
from opcov.judged import Compared, percentage
from opcov.verdict import Status
from opcov.wording import source_place


def document(coverage: Coverage) -> Document:
    """The whole document of a coverage."""
    return Document(
        SCHEMA_VERSION,
        opcov.__version__,
        dict(sorted(coverage.versions.items())),
        totals(coverage),
        tuple(model_entries(coverage)),
        tuple(op_entries(coverage)),
        tuple(variant_entries(coverage)),
        tuple(graph_entries(coverage)),
        tuple(node_entries(coverage)),
        coverage.problems,
    )


def totals(coverage: Coverage) -> Totals:
    """The corpus in numbers."""
    counts = coverage.counts
    graphs = len(coverage.files_by_body)
    return Totals(
        len(coverage.models),
        coverage.files,
        graphs,
        coverage.covered,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        _share(counts.supported, counts.supported + counts.not_supported),
        _share(coverage.covered, graphs),
    )


def node_entries(coverage: Coverage) -> Iterator[NodeEntry]:
    """One entry a judged node of each distinct graph, graphs in the order of their first files."""
    otherwise = {id(found.row.node): found.kind for found in check_itself(coverage).disagreements}
    for row in coverage.node_rows():
        yield _node(row, otherwise.get(id(row.node), Agreement.SAME))


def _node(row: NodeRow, agreement: Agreement) -> NodeEntry:
    node = row.node
    return NodeEntry(
        row.model,
        row.file,
        row.copies,
        node.line,
        node.name,
        node.kind,
        node.op,
        node.variant,
        node.status,
        node.reason,
        node.detail,
        node.recorded.value if node.recorded else "none",
        node.recorded_region,
        node.placed.value if node.placed else "none",
        node.placed_region,
        node.source_file,
        node.source_line or None,
        node.source_function,
        node.evidence,
        None if node.compared is Compared.NOT_RECORDED else agreement,
        node.source_code,
        node.expression,
        node.inputs,
        node.output,
        node.input_dtypes,
        node.output_dtypes,
        node.family,
        None if node.status is Status.SUPPORTED else node.route,
        node.kernel,
        row.digest,
    )


def graph_entries(coverage: Coverage) -> Iterator[GraphEntry]:
    """One entry a graph file, in natural order; also for files that could not be read."""
    return map(_graph, coverage.file_rows())


def _graph(row: FileRow) -> GraphEntry:
    counts = row.counts
    return GraphEntry(
        row.model,
        row.file.path,
        row.file.rank,
        row.file.index,
        row.file.digest,
        row.form,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        row.recorded_regions,
        row.placed_regions,
        row.problem,
        row.fallback_regions,
        row.crash,
    )


def op_entries(coverage: Coverage) -> Iterator[OpEntry]:
    """One entry an op: those not supported first, by models, nodes and name."""
    return (OpEntry(row.op, row.variants, *_spread(row)) for row in coverage.op_rows)


def variant_entries(coverage: Coverage) -> Iterator[VariantEntry]:
    """One entry a variant of an op, in the order of `op_entries`."""
    return (VariantEntry(row.op, row.variant, *_spread(row)) for row in coverage.variant_rows)


def _spread(row: OpRow) -> tuple[Any, ...]:
    counts = row.counts
    source = row.sources[0] if row.sources else None
    return (
        row.status,
        row.reasons,
        row.detail,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        row.graphs,
        len(row.files),
        len(row.models),
        row.models,
        source_place(source.file, source.line, source.function) if source else None,
        row.example,
        row.family,
        None if row.status is Status.SUPPORTED else row.route,
        row.kernels,
        row.siblings,
        row.input_dtypes,
        row.output_dtypes,
        row.fallback_regions,
        row.sole_regions,
        row.lost_graphs,
        row.sole_lost_graphs,
        row.sources,
    )


def model_entries(coverage: Coverage) -> Iterator[ModelEntry]:
    """One entry a model, failed ones included, in natural order."""
    return map(_model, coverage.model_rows())


def _model(row: ModelRow) -> ModelEntry:
    counts, log = row.counts, row.scan.run_log
    exception = log.final_exception if log else None
    return ModelEntry(
        row.scan.name,
        row.scan.diagnosis.health,
        row.scan.diagnosis.reasons,
        len(row.scan.files),
        row.distinct,
        row.ranks,
        log.expected_ranks if log else None,
        counts.nodes,
        counts.supported,
        counts.unsupported,
        counts.crash,
        counts.unknown,
        _share(counts.supported, counts.supported + counts.not_supported),
        row.covered,
        _share(row.covered, row.distinct),
        row.recorded_regions,
        row.placed_regions,
        str(exception) if exception else None,
        str(exception.frame) if exception and exception.frame else None,
        row.fallback_regions,
        row.transitions,
        row.lost_graphs,
        row.dtypes,
    )


def _share(part: int, whole: int) -> float | None:
    text = percentage(part, whole)
    return float(text) if text else None
