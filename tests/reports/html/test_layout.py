"""The layout of the data flow: all nodes, all reads, downwards, apart from one another, the same every time."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from building import OK, node
from hypothesis import given, settings
from hypothesis import strategies as st

import opcov
from opcov.graph import Form
from opcov.judged import JudgedGraph, JudgedNode
from opcov.reports.html.layout import MOST_BOXES, Picture, lay_out, short_name
from opcov.verdict import Status


def graph(*nodes: JudgedNode, inputs: tuple[str, ...] = (), results: tuple[str, ...] = ()) -> JudgedGraph:
    return JudgedGraph(Form.UNSPLIT, nodes, None, 1, "", tuple((name, "f32[4]") for name in inputs), results)


def call(name: str, *reads: str) -> JudgedNode:
    return replace(OK, name=name, reads=reads)


def named_edges(picture: Picture) -> set[tuple[str, str]]:
    return {(picture.boxes[edge.source].name, picture.boxes[edge.target].name) for edge in picture.edges}


@st.composite
def graphs(draw: st.DrawFn) -> JudgedGraph:
    """Acyclic graphs whose nodes stand in any order, some read inputs, some nothing."""
    count = draw(st.integers(1, 14))
    nodes = []
    for number in range(count):
        sources = [f"n{other}" for other in range(number)] + ["x", "y"]
        nodes.append(call(f"n{number}", *draw(st.lists(st.sampled_from(sources), max_size=4, unique=True))))
    return graph(*draw(st.permutations(nodes)), inputs=("x", "y"))


@given(graphs())
@settings(deadline=None)
def test_every_edge_of_an_acyclic_graph_leads_downwards(one: JudgedGraph) -> None:
    picture = lay_out(one)
    for edge in picture.edges:
        source, target = picture.boxes[edge.source], picture.boxes[edge.target]
        assert not edge.is_back
        assert source.layer < target.layer
        assert source.y + source.height < target.y
        heights = [y for _, y in edge.points]
        assert heights == sorted(heights)


@given(graphs())
@settings(deadline=None)
def test_every_node_and_input_is_a_box_and_every_read_an_edge(one: JudgedGraph) -> None:
    picture = lay_out(one)
    assert [box.name for box in picture.boxes] == ["x", "y", *[node.name for node in one.nodes]]
    assert named_edges(picture) == {(name, node.name) for node in one.nodes for name in node.reads}


@given(graphs())
@settings(deadline=None)
def test_boxes_of_a_layer_do_not_touch_and_all_lie_within_the_picture(one: JudgedGraph) -> None:
    picture = lay_out(one)
    by_layer: dict[int, list[tuple[int, int]]] = {}
    for box in picture.boxes:
        by_layer.setdefault(box.layer, []).append((box.x - box.width // 2, box.x + box.width // 2))
        assert box.x - box.width // 2 >= 0
        assert box.x + box.width // 2 <= picture.width
        assert box.y + box.height <= picture.height
    for spans in by_layer.values():
        spans.sort()
        assert all(one[1] < other[0] for one, other in pairwise(spans))


@given(graphs())
@settings(deadline=None)
def test_the_same_graph_gives_the_same_picture(one: JudgedGraph) -> None:
    assert lay_out(one) == lay_out(one)


def test_boxes_of_the_fixtures_are_their_nodes_and_edges_their_reads(fixtures_scan: opcov.Scan) -> None:
    for body in fixtures_scan.coverage.bodies.values():
        for one in body.graphs:
            picture = lay_out(one)
            assert [box.node for box in picture.boxes if box.node] == list(one.nodes)
            assert len(picture.edges) == sum(len(set(node.reads)) for node in one.nodes)


def test_a_cycle_has_one_edge_that_leads_back() -> None:
    picture = lay_out(graph(call("a", "c"), call("b", "a"), call("c", "b")))
    assert named_edges(picture) == {("c", "a"), ("a", "b"), ("b", "c")}
    assert [picture.boxes[edge.source].name for edge in picture.edges if edge.is_back] == ["c"]


def test_a_node_that_reads_itself_does_no_harm() -> None:
    (edge,) = lay_out(graph(call("a", "a"))).edges
    assert edge.is_back


def test_a_name_that_is_given_twice_is_read_from_the_last_one_before_the_reader() -> None:
    picture = lay_out(graph(call("a"), call("a"), call("b", "a"), call("a")))
    assert [(edge.source, edge.target) for edge in picture.edges] == [(1, 2)]


def test_a_name_that_nothing_defines_is_a_box_of_its_own() -> None:
    picture = lay_out(graph(call("a", "ghost")))
    assert named_edges(picture) == {("ghost", "a")}
    assert [box.is_known for box in picture.boxes] == [False, True]


def test_results_are_known_as_such() -> None:
    picture = lay_out(graph(call("a", "x"), call("b", "a"), inputs=("x",), results=("b",)))
    assert [box.name for box in picture.boxes if box.is_result] == ["b"]


def test_an_input_stands_right_above_its_first_reader() -> None:
    chain = [call("n0", "x"), *[call(f"n{n}", f"n{n - 1}") for n in range(1, 8)], call("last", "n7", "w")]
    boxes = {box.name: box for box in lay_out(graph(*chain, inputs=("x", "w"))).boxes}
    assert boxes["w"].layer == boxes["last"].layer - 1


def test_a_node_without_links_stands_where_the_program_has_it() -> None:
    chain = [call("a", "x"), call("b", "a"), call("alone"), call("c", "b"), call("d", "c")]
    boxes = {box.name: box for box in lay_out(graph(*chain, inputs=("x",))).boxes}
    assert boxes["alone"].layer == boxes["b"].layer + 1


def test_of_a_very_large_graph_only_what_is_not_supported_and_its_neighbours_are_drawn() -> None:
    nodes = [call(f"n{n}", f"n{n - 1}" if n else "x") for n in range(5_000)]
    nodes[3_000] = node("torch.bmm", name="n3000", reads=("n2999",))
    picture = lay_out(graph(*nodes, inputs=("x",)))
    assert [box.name for box in picture.boxes] == ["n2999", "n3000", "n3001"]
    assert picture.left_out == 4_997


@pytest.mark.parametrize("reads", [1, 8])
def test_five_thousand_nodes_that_are_not_supported_are_laid_out_in_time(reads: int) -> None:
    nodes = [
        node(
            "torch.bmm",
            Status.UNSUPPORTED,
            name=f"n{n}",
            reads=tuple(f"n{(n * 7 + k * 131) % max(n, 1)}" for k in range(reads)),
        )
        for n in range(5_000)
    ]
    started = time.process_time()
    picture = lay_out(graph(*nodes))
    assert len([box for box in picture.boxes if box.node]) == MOST_BOXES
    assert time.process_time() - started < 5


def test_a_graph_without_nodes_has_an_empty_picture() -> None:
    assert lay_out(graph()).boxes == ()


@pytest.mark.parametrize(
    ("op", "name"),
    [("torch.Tensor.view", "view"), ("torch.ops.aten.add.Tensor", "add.Tensor"), ("torch.ops.a.b", "b"), ("f", "f")],
)
def test_a_box_bears_the_end_of_the_name_of_its_op(op: str, name: str) -> None:
    assert short_name(op) == name
