"""Graphs of which is known, from the process that made them, what nodes they have and who got each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opcov.capturing.records import FILE, Capture, read
from opcov.graph import Graph, Kind
from opcov.loaders import readable

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
CAPTURES = sorted((FIXTURES / "gm").rglob(FILE))


def load(path: Path) -> Graph:
    (graph,), problems = readable.load(path.read_text())
    assert (problems, graph.problems) == ((), ())
    return graph


def partitions(graph: Graph) -> list[tuple[str, str | None]]:
    return [(node.name, node.region and node.region.name) for node in graph.calls]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.parent.name)
def test_our_own_captures_have_the_nodes_and_regions_that_thunder_made(path):
    for part in read(path, Capture).parts:
        for recorded in part.graphs:
            graph = load(path.parent / recorded.file)
            assert partitions(graph) == [(node.name, node.partition) for node in recorded.verdicts]


def oracle(shared: Path):
    for truth in sorted((shared / "oracle" / "truth").glob("*.json")):
        yield from json.loads(truth.read_text())["graphs"]


def test_split_captures_have_the_nodes_and_regions_that_thunder_made(shared):
    for entry in oracle(shared):
        if entry.get("file") and not entry.get("crash"):
            graph = load(shared / "oracle" / entry["file"])
            assert partitions(graph) == [(node["name"], node["partition"]) for node in entry["nodes"]], entry["file"]


def test_unsplit_captures_have_the_nodes_that_dynamo_made(shared):
    for entry in oracle(shared):
        if entry.get("unsplit_file"):
            names = [node.name for node in load(shared / "oracle" / entry["unsplit_file"]).calls]
            expected = [node["name"] for node in entry["nodes"]]
            if "autocast-regions" in entry["unsplit_file"]:
                # Thunder removes an empty pair of enter and exit before it splits, and the truth is from after that.
                names = [name for name in names if name in expected]
            assert names == expected, entry["unsplit_file"]


def test_captures_have_torch_s_own_kinds_and_methods(shared):
    for entry in oracle(shared):
        if entry.get("unsplit_file"):
            nodes = {node.name: node for node in load(shared / "oracle" / entry["unsplit_file"]).calls}
            for recorded in entry["nodes"]:
                node = nodes[recorded["name"]]
                assert node.kind.value == recorded["op"]
                if node.kind is Kind.CALL_METHOD:
                    assert node.target == recorded["target"]


def test_every_file_of_the_large_corpus_is_read_without_a_problem(shared):
    files = [path for path in (shared / "gm").rglob("*.py") if path.name != "all_ops.py"]
    assert len(files) == 1536
    for path in files:
        graph = load(path)
        assert graph.calls
        assert all(node.op != "unreadable" for node in graph.calls)
