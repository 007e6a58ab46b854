"""The strip of regions: its segments are the placements, and what is hostile in names stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from building import OK, node
from hypothesis import given
from hypothesis import strategies as st

from opcov.graph import Compiler, Form
from opcov.judged import JudgedBody, JudgedGraph, JudgedNode
from opcov.problems import Problem, Slug
from opcov.reports.html.strip import (
    Part,
    fold_ops,
    predicted_segments,
    recorded_segments,
    render_strip,
    same_runs,
    stopping_place,
)
from opcov.verdict import Status

THUNDER = replace(OK, placed=Compiler.THUNDER, placed_region="thunder_0")
INDUCTOR = node("torch.bmm", placed=Compiler.INDUCTOR, placed_region="inductor_1")
LOST = replace(OK, placed=None, placed_region="")


def graph(*nodes: JudgedNode, recorded: int | None = 1, crash: str = "", placed: int = 1) -> JudgedGraph:
    return JudgedGraph(Form.SPLIT, nodes, recorded, placed, crash)


def link(one: JudgedNode) -> str:
    return f"#L{one.line}"


@given(st.lists(st.tuples(st.sampled_from([Compiler.THUNDER, Compiler.INDUCTOR]), st.integers(0, 2))))
def test_segments_hold_the_nodes_in_order_each_in_its_predicted_region(placements: list[tuple[Compiler, int]]) -> None:
    nodes = [replace(OK, placed=placed, placed_region=f"{placed.value}_{number}") for placed, number in placements]
    segments = predicted_segments(graph(*nodes))
    regions = [segment.name for segment in segments for _ in segment.nodes]
    assert regions == [one.placed_region for one in nodes]
    assert all(one.name != other.name for one, other in pairwise(segments))
    assert [segment.first for segment in segments] == [
        sum(len(one.nodes) for one in segments[:place]) for place in range(len(segments))
    ]


def test_a_region_of_inductor_is_one_that_falls_back() -> None:
    assert [segment.part for segment in predicted_segments(graph(THUNDER, INDUCTOR))] == [Part.THUNDER, Part.FALLBACK]


def test_a_lost_graph_is_one_segment_that_is_lost() -> None:
    (segment,) = predicted_segments(graph(LOST, LOST, crash="E", placed=0))
    assert segment.part is Part.LOST


def test_an_erased_node_of_a_graph_that_is_not_lost_is_in_no_region() -> None:
    assert [segment.part for segment in predicted_segments(graph(THUNDER, LOST))] == [Part.THUNDER, Part.NOWHERE]


def test_a_file_that_records_nothing_has_no_recorded_segments() -> None:
    assert recorded_segments(graph(THUNDER, recorded=None)) == ()


def test_strips_with_other_names_of_regions_are_the_same() -> None:
    one = predicted_segments(graph(THUNDER, INDUCTOR))
    other = predicted_segments(graph(replace(THUNDER, placed_region="thunder_7"), INDUCTOR))
    assert same_runs(one, other)


def test_strips_that_change_at_another_node_are_not_the_same() -> None:
    one, other = graph(THUNDER, THUNDER, INDUCTOR), graph(THUNDER, INDUCTOR, INDUCTOR)
    assert not same_runs(predicted_segments(one), predicted_segments(other))


def test_a_segment_names_its_ops_that_are_not_supported_and_links_to_its_first_line() -> None:
    refused = node("torch.bmm", line=9, placed=Compiler.INDUCTOR, placed_region="inductor_1")
    carried = replace(OK, op="operator.getitem", placed=Compiler.INDUCTOR, placed_region="inductor_1")
    strip = render_strip(predicted_segments(graph(THUNDER, refused, carried)), link, "regions")
    assert "<a href=#L9 class=fallback>" in strip
    assert "not supported: torch.bmm<" in strip
    assert "getitem" not in strip


def test_segments_fill_the_whole_strip() -> None:
    strip = render_strip(predicted_segments(graph(*[THUNDER] * 97, INDUCTOR)), link, "regions")
    left, right = re.findall(r"<rect x=([\d.]+)% width=([\d.]+)%", strip)
    assert left[0] == "0"
    assert float(left[1]) + float(right[1]) == 100
    assert float(right[0]) == float(left[1])
    assert float(right[1]) > 2  # a hundredth of the nodes is still wide enough to be hit


def test_the_splitter_stops_at_the_first_node_on_which_the_check_raises() -> None:
    crash = node("wait", Status.CRASH)
    one = graph(LOST, crash, crash, crash="E", placed=0)
    assert stopping_place(JudgedBody("d", (one,)), one) == 1


def test_the_splitter_stops_at_the_line_of_the_problem_where_no_check_raises() -> None:
    one = graph(replace(LOST, line=3), replace(LOST, line=4), crash="E", placed=0)
    assert stopping_place(JudgedBody("d", (one,), (Problem("", 4, Slug.CRASH, "crash: E"),)), one) == 1


def test_a_graph_without_crash_has_no_stop_even_where_a_check_would_raise() -> None:
    one = graph(node("wait", Status.CRASH))
    assert stopping_place(JudgedBody("d", (one,)), one) is None


def test_the_stop_is_marked_in_the_strip() -> None:
    one = graph(LOST, node("wait", Status.CRASH, line=8, placed=None), crash="E", placed=0)
    assert '<a href="#L8" class="stop">' in render_strip(predicted_segments(one), link, "regions", 1)


def test_hostile_names_of_ops_and_regions_are_escaped() -> None:
    evil = node("<script>\x1b[31m", placed=Compiler.INDUCTOR, placed_region="<b>'\"\u202e")
    strip = render_strip(predicted_segments(graph(evil)), link, "regions")
    assert "<script" not in strip
    assert "<b>" not in strip
    assert "\x1b" not in strip
    assert "\u202e" not in strip
    assert "&lt;script&gt;\\x1b[31m" in strip


def test_many_ops_are_folded_into_a_short_text() -> None:
    assert fold_ops([(f"op{n}", 1 + n) for n in range(8)]).endswith("op5 (6 times) and 2 more ops")


def test_a_graph_without_nodes_has_no_strip() -> None:
    assert render_strip(predicted_segments(graph()), link, "regions") == ""
