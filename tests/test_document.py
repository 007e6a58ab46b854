"""The way back: a coverage that is made of a document has the document's tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import opcov
from opcov.document import TABLES, Table, coverage_of, document, totals
from opcov.reports.json_document import encoded, read_document

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture(scope="module")
def scan() -> opcov.Scan:
    """Models that are whole, partial and failed, with graphs that are split, unsplit and lost."""
    return opcov.scan(FIXTURES / "gm", include=["odd/*", "openai/*"])


@pytest.mark.parametrize("table", [table for table in TABLES if table.name != "models"], ids=lambda table: table.name)
def test_tables_of_a_saved_scan_are_those_of_the_scan(scan: opcov.Scan, table: Table) -> None:
    saved = read_document(encoded(document(scan.coverage)))
    assert list(table.rows(coverage_of(saved))) == list(table.rows(scan.coverage))


def test_models_of_a_saved_scan_lack_only_what_their_run_logs_told(scan: opcov.Scan) -> None:
    expected = [
        replace(entry, expected_ranks=None, exception=None, exception_frame=None)
        for entry in document(scan.coverage).models
    ]
    assert list(document(coverage_of(document(scan.coverage))).models) == expected


def test_numbers_and_problems_of_a_saved_scan_are_those_of_the_scan(scan: opcov.Scan) -> None:
    found = coverage_of(document(scan.coverage))
    assert totals(found) == totals(scan.coverage)
    assert found.problems == scan.coverage.problems
    assert found.versions == dict(scan.coverage.versions)


def test_file_that_could_not_be_read_stays_without_a_graph(tmp_path: Path) -> None:
    folder = tmp_path / "org" / "a"
    folder.mkdir(parents=True)
    (folder / "rank0_0.py").write_bytes(b"\xff\x00 no text")
    (folder / "rank0_1.py").mkdir()
    scan = opcov.scan(tmp_path)
    found = coverage_of(read_document(encoded(document(scan.coverage))))
    assert document(found).graphs == document(scan.coverage).graphs
    assert totals(found) == totals(scan.coverage)
