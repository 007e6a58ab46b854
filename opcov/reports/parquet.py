"""The tables of the document as Parquet files, typed and described, for tools that read more than a spreadsheet can."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import opcov
from opcov.coverage import Coverage
from opcov.document import LARGEST_NUMBER, SCHEMA_VERSION, TABLES, Table
from opcov.problems import UsageError
from opcov.reports.report import FolderReport


def render(coverage: Coverage) -> dict[str, bytes]:
    """The Parquet files by name, one a table, with the columns of the CSV files; several texts are a list.

    Each column carries its description, and each file the versions of what made it.

    Raises:
        UsageError: pyarrow is not installed.
    """
    check()
    return {f"{table.name}.parquet": _parquet(table, coverage) for table in TABLES}


def check() -> None:
    """Says whether pyarrow is there.

    Raises:
        UsageError: it is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError("Parquet files take pyarrow: pip install opcov[parquet]") from error


def _parquet(table: Table, coverage: Coverage) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    of = {int: pa.int64(), float: pa.float64(), str: pa.string(), tuple: pa.list_(pa.string())}
    types, descriptions = table.types, table.descriptions
    schema = pa.schema(
        [
            pa.field(column, of[types[column]], metadata={"description": descriptions[column]})
            for column in table.columns
        ],
        metadata={
            "opcov": opcov.__version__,
            "schema_version": SCHEMA_VERSION,
            "versions": json.dumps(dict(coverage.versions), sort_keys=True),
        },
    )
    entries = list(table.rows(coverage))
    columns = [[_plain(getattr(entry, column)) for entry in entries] for column in table.columns]
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _plain(value: Any) -> Any:
    """A cell without enums, and without what Arrow cannot hold: half of a surrogate pair, a number of over 64 bits."""
    match value:
        case Enum():
            return value.value
        case str():
            return value.encode("utf-8", errors="backslashreplace").decode()
        case tuple():
            return [_plain(item) for item in value]
        case int():
            return max(-LARGEST_NUMBER, min(value, LARGEST_NUMBER))
        case _:
            return value


REPORT = FolderReport(
    "parquet",
    "nodes, graphs, ops, variants and models as Parquet files",
    lambda findings: render(findings.coverage),
    tuple(f"{table.name}.parquet" for table in TABLES),
    check,
)
