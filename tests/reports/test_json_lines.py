"""The JSON lines: the nodes of the document, an object a line, made while they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from building import OK, body, coverage, node
from jsonschema import Draft202012Validator

import opcov
from opcov.coverage import Coverage
from opcov.document import making
from opcov.reports.json_document import SCHEMA_ID, render, schema
from opcov.reports.json_lines import REPORT
from opcov.reports.report import Findings


def lines(found: Coverage) -> list[str]:
    content = REPORT.render(Findings(found))
    assert isinstance(content, Iterator)
    return list(content)


def example(**changes: Any) -> Coverage:
    return coverage({"m": {"rank0_1.py": "d"}}, body("d", OK, node("torch.bad", **changes)))


def test_line_is_one_node() -> None:
    assert [json.loads(line)["op"] for line in lines(example())] == ["torch.relu", "torch.bad"]


def test_line_holds_the_fields_of_the_document_in_their_order(fixtures_scan: opcov.Scan) -> None:
    nodes = json.loads(render(Findings(fixtures_scan.coverage)))["nodes"]
    found = [json.loads(line) for line in lines(fixtures_scan.coverage)]
    assert found == nodes
    assert list(found[0]) == list(nodes[0])


def test_line_is_compact_and_ends_with_a_line_feed() -> None:
    for line in lines(example()):
        assert line.endswith("}\n")
        assert '": ' not in line


@pytest.mark.parametrize("text", ["\n", "\r\n", "\u2028", "\x00\x1b[2J", '"', "\udc80", "日本"], ids=repr)
def test_text_of_a_dump_never_begins_a_line(text: str) -> None:
    first, second = lines(example(detail=f"a{text}b"))
    assert second.count("\n") == 1
    assert json.loads(second)["detail"] == f"a{text}b".encode(errors="backslashreplace").decode()
    assert json.loads(first)["op"] == "torch.relu"


def test_nodes_are_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = making._node
    monkeypatch.setattr(making, "_node", lambda *arguments: made.append(1) or original(*arguments))
    content = iter(REPORT.render(Findings(example())))
    assert made == []
    next(content)
    assert made == [1]


def test_no_nodes_are_no_lines() -> None:
    assert lines(coverage({"m": {}})) == []


def test_line_keeps_the_published_schema(fixtures_scan: opcov.Scan) -> None:
    validator = Draft202012Validator({**schema(), "$id": SCHEMA_ID, "$ref": "#/$defs/NodeEntry"})
    assert [
        error.message for line in lines(fixtures_scan.coverage) for error in validator.iter_errors(json.loads(line))
    ] == []
    assert not validator.is_valid({"op": "torch.relu"})
