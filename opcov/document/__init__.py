"""The result of a scan as a document: typed rows of models, ops, variants, graphs and nodes.

Every tabular output is made from these types: the columns of CSV files, DataFrames and Parquet files are their fields,
and the JSON Schema is generated from them. So numbers agree across all of them.
"""

from __future__ import annotations

from opcov.document.entries import (
    LARGEST_NUMBER,
    SCHEMA_VERSION,
    Document,
    GraphEntry,
    ModelEntry,
    NodeEntry,
    OpEntry,
    Totals,
    VariantEntry,
)
from opcov.document.making import (
    document,
    graph_entries,
    model_entries,
    node_entries,
    op_entries,
    totals,
    variant_entries,
)
from opcov.document.reading import coverage_of
from opcov.document.tables import TABLES, Table

__all__ = [
    "LARGEST_NUMBER",
    "SCHEMA_VERSION",
    "TABLES",
    "Document",
    "GraphEntry",
    "ModelEntry",
    "NodeEntry",
    "OpEntry",
    "Table",
    "Totals",
    "VariantEntry",
    "coverage_of",
    "document",
    "graph_entries",
    "model_entries",
    "node_entries",
    "op_entries",
    "totals",
    "variant_entries",
]
