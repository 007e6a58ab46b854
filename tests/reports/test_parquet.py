"""The Parquet files: typed columns with descriptions, the values of the document, the same bytes each time."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from enum import Enum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import OK, body, coverage, graph_file, model, node

import opcov
from opcov.coverage import Coverage
from opcov.document import TABLES, Table
from opcov.problems import UsageError
from opcov.reports import by_name
from opcov.reports.parquet import REPORT, render
from opcov.verdict import Status


def table(found: Coverage, name: str) -> pa.Table:
    return pq.read_table(io.BytesIO(render(found)[f"{name}.parquet"]))


def example(**changes: Any) -> Coverage:
    return coverage({"m": {"rank0_1.py": "d"}}, body("d", OK, node("torch.bad", **changes)))


def test_files_are_those_that_the_report_names() -> None:
    assert tuple(render(example())) == REPORT.names
    assert len(REPORT.names) == len(TABLES)


def test_columns_are_those_of_the_csv_files_typed() -> None:
    schema = table(example(), "models").schema
    assert schema.names == list(next(one for one in TABLES if one.name == "models").columns)
    types = {name: str(schema.field(name).type) for name in ("model", "graphs", "node_coverage", "dtypes")}
    assert types == {"model": "string", "graphs": "int64", "node_coverage": "double", "dtypes": "list<element: string>"}
    assert all(field.nullable for field in schema)


@pytest.mark.parametrize("of", TABLES, ids=lambda of: of.name)
def test_columns_have_the_same_types_where_there_are_no_rows(of: Table) -> None:
    assert table(coverage({}), of.name).schema == table(example(), of.name).schema


@pytest.mark.parametrize("of", TABLES, ids=lambda of: of.name)
def test_columns_say_what_they_are(of: Table) -> None:
    schema = table(example(), of.name).schema
    described = {name: schema.field(name).metadata[b"description"].decode() for name in schema.names}
    assert described == of.descriptions
    assert all(described.values())


def test_file_says_what_made_it() -> None:
    metadata = table(example(), "ops").schema.metadata
    assert metadata[b"schema_version"] == b"1.0"
    assert json.loads(metadata[b"versions"]) == {"judge": "1.0"}


def plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


@pytest.mark.parametrize("of", TABLES, ids=lambda of: of.name)
def test_rows_are_those_of_the_document(fixtures_scan: opcov.Scan, of: Table) -> None:
    expected = [
        {column: plain(getattr(entry, column)) for column in of.columns} for entry in of.rows(fixtures_scan.coverage)
    ]
    assert expected
    assert table(fixtures_scan.coverage, of.name).to_pylist() == expected


def test_what_is_not_known_is_null() -> None:
    (row,) = table(coverage({"m": {}}), "models").to_pylist()
    assert row["node_coverage"] is None
    assert row["expected_ranks"] is None


def test_hostile_text_comes_back_as_it_was() -> None:
    text = "a\x00\n\x1b[31m\u202e日本"
    rows = table(example(detail=text), "nodes").to_pylist()
    assert rows[1]["detail"] == text


def test_half_of_a_surrogate_pair_is_spelled_out() -> None:
    rows = table(example(detail="\udc80", inputs=("\udc81",)), "nodes").to_pylist()
    assert (rows[1]["detail"], rows[1]["inputs"]) == ("\\udc80", ["\\udc81"])


def test_number_of_more_than_64_bits_is_told_as_the_largest() -> None:
    scan = replace(model("m", {}), files=(replace(graph_file("m/rank9.py", "d"), rank=10**30),))
    (row,) = table(Coverage({"m": scan}, {"d": body("d", OK)}), "graphs").to_pylist()
    assert row["rank"] == 2**63 - 1


def test_same_coverage_gives_the_same_bytes() -> None:
    assert render(example()) == render(example())


def test_missing_pyarrow_is_told_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    by_name.cache_clear()
    with pytest.raises(UsageError, match=r"pip install opcov\[parquet\]"):
        by_name("parquet")
    with pytest.raises(UsageError, match=r"pip install opcov\[parquet\]"):
        render(example(status=Status.UNKNOWN))
