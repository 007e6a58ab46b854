"""The picture of the data flow as SVG: boxes lead to lines, lines have arrow heads, nothing hostile gets through."""

from __future__ import annotations

import re
from dataclasses import replace

from building import OK, node

from opcov.graph import Compiler, Form
from opcov.judged import JudgedGraph, JudgedNode
from opcov.reports.html.dataflow import render_dataflow
from opcov.reports.html.layout import lay_out
from opcov.verdict import Status


def draw(*nodes: JudgedNode, inputs: tuple[tuple[str, str], ...] = (), results: tuple[str, ...] = ()) -> str:
    graph = JudgedGraph(Form.UNSPLIT, nodes, None, 1, "", inputs, results)
    return render_dataflow(graph, lay_out(graph), lambda one: f"#L{one.line}", "g1")


CHAIN = (replace(OK, name="a", line=3, reads=("x",)), node("torch.bmm", name="b", line=4, reads=("a",)))


def test_each_box_leads_to_its_line() -> None:
    assert re.findall(r"<a href=(#L\d+)", draw(*CHAIN)) == ["#L3", "#L4"]


def test_each_read_is_a_line_with_an_arrow_head() -> None:
    picture = draw(*CHAIN, inputs=(("x", "f32[4]"),))
    edges = re.search(r'<g class="edges" marker-end="url\(#g1a\)" data-edges="([\d ]*)">(.*?)</g>', picture)
    assert edges
    assert edges[1] == "0 1 1 2"
    assert edges[2].count("<path ") == 2
    assert 'id="g1a"' in picture


def test_a_box_tells_op_types_status_and_reason() -> None:
    picture = draw(node("torch.bmm", name="b", inputs=("f32[4]", "?"), output="f32[8]", detail="no mapping"))
    title = re.search(r"<a [^>]*><title>(.*?)</title>", picture, re.DOTALL)
    assert title
    assert title[1].startswith("b = torch.bmm(f32[4], ?): f32[8]\nunsupported, MISSING_OP_SUPPORT: no mapping")


def test_boxes_show_region_status_and_result_as_classes() -> None:
    carried = replace(OK, name="c", placed=Compiler.INDUCTOR, reads=("b",))
    refused = node("torch.bmm", Status.CRASH, name="b", placed=None)
    picture = draw(refused, carried, results=("c",))
    assert re.findall(r'<a href=\S+ class="([^"]*)"', picture) == ["nowhere crash", "fallback result"]


def test_inputs_are_quiet_boxes_without_links() -> None:
    assert '<g class="input"><title>x: input f32[4]</title>' in draw(*CHAIN, inputs=(("x", "f32[4]"),))


def test_a_name_that_nothing_defines_is_marked() -> None:
    assert '<g class="input missing">' in draw(replace(OK, reads=("ghost",)))


def test_the_picture_says_what_it_is_to_those_who_cannot_see_it() -> None:
    picture = draw(*CHAIN, inputs=(("x", "f32[4]"),))
    assert 'role="group" aria-labelledby="g1t g1d"' in picture
    assert "2 nodes, 1 of them not supported, 1 input and 2 reads" in picture


def test_hostile_names_are_escaped_and_nothing_has_inline_style() -> None:
    evil = "</title><script>\"'\x1b[31m\u202e"
    picture = draw(
        node(evil, name=evil, detail=evil, output=evil, inputs=(evil,), reads=("y", evil)), inputs=((evil, evil),)
    )
    assert "<script" not in picture
    assert "\x1b" not in picture
    assert "\u202e" not in picture
    assert "style=" not in picture
    assert picture.count("<title") == picture.count("</title>")


def test_a_graph_without_nodes_has_no_picture() -> None:
    assert draw() == ""
