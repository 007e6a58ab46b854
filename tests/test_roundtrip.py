"""A graph that is rebuilt, printed by torch and loaded again is the same graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fx_graphs
import pytest
from hypothesis import given, settings
from torch import fx

from opcov.graph import Form, Graph
from opcov.loaders import load_text
from opcov.loaders.live import graph_of

PROJECT = Path(__file__).resolve().parent.parent
FIXTURES = sorted((PROJECT / "fixtures" / "gm").rglob("*.py"))


def printed_again(graph: Graph) -> Graph:
    (again,), problems = load_text(graph.to_fx().print_readable(print_output=False))
    assert (problems, again.problems) == ((), ())
    return again


def before_the_split(graph: Graph) -> Graph:
    """What is rebuilt is the graph before the split: regions are not part of it."""
    nodes = tuple(replace(node, region=None) for node in graph.nodes)
    bodies = {path: before_the_split(body) for path, body in graph.bodies.items()}
    return replace(graph, form=Form.UNSPLIT, regions=(), nodes=nodes, bodies=bodies)


def as_both_hold_it(graph: Graph, original: Graph) -> Graph:
    """A graph without what a rebuilt one adds, and without what no text holds.

    A node that had no annotation prints with one if a run on fake tensors finds its metadata. A Parameter or another
    subclass comes back as a plain tensor: example values are plain fake tensors.
    """
    nodes = []
    for node, first in zip(graph.nodes, original.nodes, strict=True):
        meta = node.meta if first.meta is not None else None
        nodes.append(replace(node, meta=replace(meta, wrapper=None) if hasattr(meta, "wrapper") else meta))
    return fx_graphs.as_text_holds_it(replace(graph, nodes=tuple(nodes), annotated=True))


def without_metadata(graph: Graph) -> Graph:
    return replace(graph, nodes=tuple(replace(node, meta=None) for node in graph.nodes), annotated=True)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_fixture_comes_back_as_it_was(path: Path) -> None:
    (graph,), _ = load_text(path.read_text(encoding="utf-8"))
    again = printed_again(graph)
    expected = fx_graphs.as_text_holds_it(before_the_split(graph))
    assert fx_graphs.differences(fx_graphs.as_text_holds_it(again), expected) == []


@settings(max_examples=200, deadline=None)
@given(fx_graphs.annotated_graphs())
def test_a_random_graph_comes_back_as_it_was(made: fx.Graph) -> None:
    graph = graph_of(fx.GraphModule(fx_graphs.root(), made))
    again = printed_again(graph)
    assert fx_graphs.differences(as_both_hold_it(again, graph), as_both_hold_it(graph, graph)) == []


WRAPPED_BY_FUNCTORCH = {"vmap", "grad", "jvp"}
"""Captures with values that functorch wraps: rebuilt, they are what Thunder's check sees of them, not what prints."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*fx_graphs.FUNCTIONS, *fx_graphs.DYNAMIC])
def test_a_captured_graph_comes_back_as_it_was(name: str) -> None:
    found = []

    def look(module: fx.GraphModule) -> None:
        graph = graph_of(module)
        again = printed_again(graph)
        if name in WRAPPED_BY_FUNCTORCH:
            graph, again = without_metadata(graph), without_metadata(again)
        found.append(fx_graphs.differences(as_both_hold_it(again, graph), as_both_hold_it(graph, graph)))

    fx_graphs.capture(name, look)
    assert found
    assert not any(found)
