"""The CSV tables: headers that scripts rely on, RFC 4180, numbers that agree with all other reports."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import Any

import pytest
from building import body, coverage, node

import opcov
from opcov.coverage import Coverage
from opcov.judged import Counts
from opcov.problems import Problem, Slug
from opcov.reports.tables import render
from opcov.reports.terminal import headline, plain_summary
from opcov.verdict import Status

Rows = list[dict[str, str]]


def read(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def one(**changes: Any) -> Coverage:
    return coverage({"m": {"rank0_1.py": "d", "rank1_1.py": "d"}}, body("d", node("torch.bad", **changes)))


def test_nodes_have_the_promised_columns() -> None:
    assert render(one())["nodes.csv"].split("\r\n")[0] == (
        "model,file,copies,line,node,kind,op,variant,status,reason,detail,recorded,recorded_region,placed,"
        "placed_region,source_file,source_line,source_function,evidence,agreement,source_code,expression,inputs,"
        "output,input_dtypes,output_dtypes,family,route,kernel,digest"
    )


def test_graphs_have_the_promised_columns() -> None:
    assert render(one())["graphs.csv"].split("\r\n")[0] == (
        "model,file,rank,index,digest,form,nodes,supported,unsupported,crash,unknown,recorded_regions,placed_regions,"
        "problem,fallback_regions,exception"
    )


def test_there_are_five_tables() -> None:
    assert list(render(one())) == ["nodes.csv", "graphs.csv", "ops.csv", "variants.csv", "models.csv"]


def test_node_row_says_what_was_judged() -> None:
    changes = {"recorded": None, "recorded_region": "", "inputs": ("f32[4]", "?"), "input_dtypes": ("f32",)}
    (row,) = read(render(one(**changes))["nodes.csv"])
    assert row == {
        "model": "m", "file": "m/rank0_1.py", "copies": "2", "line": "5", "node": "a", "kind": "call_function",
        "op": "torch.bad", "variant": "torch.bad(T)", "status": "unsupported", "reason": "MISSING_OP_SUPPORT",
        "detail": "why torch.bad", "recorded": "none", "recorded_region": "", "placed": "thunder",
        "placed_region": "thunder_0", "source_file": "/lib/site-packages/zoo/net.py", "source_line": "7",
        "source_function": "forward", "evidence": "meta", "agreement": "", "source_code": "relu(x)",
        "expression": "torch.bad(x)", "inputs": "f32[4]; ?", "output": "?", "input_dtypes": "f32",
        "output_dtypes": "", "family": "other", "route": "fix upstream", "kernel": "", "digest": "d",
    }  # fmt: skip


def test_graphs_have_one_row_a_file() -> None:
    rows = read(render(one())["graphs.csv"])
    assert [(row["file"], row["digest"], row["nodes"]) for row in rows] == [
        ("m/rank0_1.py", "d", "1"),
        ("m/rank1_1.py", "d", "1"),
    ]


def test_file_row_tells_all_its_problems() -> None:
    problems = [Problem("m/rank0_1.py", line, Slug.SYNTAX, "odd") for line in (0, 3)]
    found = coverage({"m": {"rank0_1.py": "d"}}, body("d"), problems=problems)
    (row,) = read(render(found)["graphs.csv"])
    assert row["problem"] == "odd; line 3: odd"


@pytest.mark.parametrize(
    "text",
    [
        'comma, "quote"',
        "line\nend",
        "carriage\rreturn",
        "both\r\nends",
        "ünï 日本",
        "tab\tin",
        "semi;colon",
        "'quoted'",
    ],
    ids=repr,
)
def test_cell_comes_back_as_it_was(text: str) -> None:
    (row,) = read(render(one(detail=text))["nodes.csv"])
    assert row["detail"] == text


def test_lines_end_with_crlf() -> None:
    for text in render(one()).values():
        assert text.endswith("\r\n")
        assert not re.search(r"[^\r]\n", text)


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d", "\uff0b", "\uff0d", "\uff20"], ids=repr
)
def test_cell_that_a_spreadsheet_would_run_becomes_text(start: str) -> None:
    (row,) = read(render(one(detail=f"{start}HYPERLINK(1)"))["nodes.csv"])
    assert row["detail"] == f"'{start}HYPERLINK(1)"


def test_numbers_are_left_alone() -> None:
    (row,) = read(render(one(line=-1))["nodes.csv"])
    assert row["line"] == "-1"


def test_shares_are_of_judged_nodes_only() -> None:
    calls = [node("op.f", status) for status in (Status.SUPPORTED, Status.UNSUPPORTED, Status.UNKNOWN, Status.UNKNOWN)]
    (row,) = read(render(coverage({"m": {"r.py": "d"}}, body("d", *calls)))["models.csv"])
    # One of the two that could be judged; the unknown ones are on neither side.
    assert row["node_coverage"] == "50.0"


# --- all reports of one scan tell the same numbers ---

STATUSES = ("supported", "unsupported", "crash", "unknown")


@pytest.fixture(scope="module")
def written(fixtures_scan: opcov.Scan) -> dict[str, Rows]:
    return {name.partition(".")[0]: read(text) for name, text in render(fixtures_scan.coverage).items()}


def sums(rows: Rows) -> Counts:
    return Counts(*[sum(int(row[status]) for row in rows) for status in STATUSES])


def test_ops_variants_and_nodes_add_up_to_the_total(fixtures_scan: opcov.Scan, written: dict[str, Rows]) -> None:
    total = fixtures_scan.coverage.counts
    assert total.nodes == len(written["nodes"])
    assert sums(written["ops"]) == sums(written["variants"]) == total
    by_status = Counter(row["status"] for row in written["nodes"])
    assert Counts(*[by_status[status] for status in STATUSES]) == total


def test_models_add_up_to_the_total_where_no_body_is_shared(
    fixtures_scan: opcov.Scan, written: dict[str, Rows]
) -> None:
    assert sums(written["models"]) == fixtures_scan.coverage.counts
    assert sum(int(row["graphs"]) for row in written["models"]) == len(written["graphs"])


def test_files_of_distinct_bodies_add_up_to_the_total(fixtures_scan: opcov.Scan, written: dict[str, Rows]) -> None:
    distinct = {row["digest"]: row for row in written["graphs"]}
    assert sums(list(distinct.values())) == fixtures_scan.coverage.counts


def test_copies_of_a_node_are_the_files_with_its_body(written: dict[str, Rows]) -> None:
    copies = Counter(row["digest"] for row in written["graphs"])
    digests = {row["file"]: row["digest"] for row in written["graphs"]}
    assert {int(row["copies"]) - copies[digests[row["file"]]] for row in written["nodes"]} == {0}


@pytest.mark.parametrize("name", ["nodes", "graphs", "ops", "variants", "models"])
def test_data_frame_holds_what_its_csv_holds(fixtures_scan: opcov.Scan, written: dict[str, Rows], name: str) -> None:
    frame = getattr(fixtures_scan, name)
    rows = written[name]
    assert list(frame.columns) == list(rows[0])
    assert len(frame) == len(rows)
    for column in {*STATUSES, "nodes"}.intersection(frame.columns):
        assert frame[column].tolist() == [int(row[column]) for row in rows]


def test_summary_and_headline_tell_the_numbers_of_the_tables(
    fixtures_scan: opcov.Scan, written: dict[str, Rows]
) -> None:
    total = sums(written["ops"])
    text = plain_summary(fixtures_scan.coverage)
    assert text.startswith(headline(fixtures_scan.coverage))
    assert f"{total.supported} of {total.supported + total.not_supported} nodes supported" in text
    assert f"{len(written['graphs'])} files of {len(written['models'])} models" in text
    unsupported = [row for row in written["ops"] if int(row["unsupported"]) + int(row["crash"])]
    assert f"Unsupported ops: {len(unsupported)}" in text
    for row in written["models"]:
        if row["node_coverage"]:
            assert re.search(rf"  {re.escape(row['model'])} .*  {row['node_coverage']} %", text)
