"""The plan: what to support first, and that nothing is left when all of it is done."""

from __future__ import annotations

from building import body, coverage, node
from hypothesis import given
from hypothesis import strategies as st

from opcov.coverage import Coverage
from opcov.coverage.plan import Step, plan
from opcov.graph import Compiler
from opcov.judged import JudgedBody
from opcov.verdict import Status


def graph(digest: str, *regions: str, crash: str = "") -> JudgedBody:
    """A graph with a fallback region for each word, whose letters are the ops in it that are not supported."""
    nodes = [
        node(op, placed=Compiler.INDUCTOR, placed_region=f"inductor_{number}")
        for number, ops in enumerate(regions)
        for op in ops
    ]
    return body(digest, *nodes, *[node(op, Status.CRASH, placed=None) for op in crash], crash=crash)


def corpus(*graphs: JudgedBody) -> Coverage:
    return coverage({"m": {f"rank0_{number}.py": one.digest for number, one in enumerate(graphs)}}, *graphs)


def test_op_that_frees_most_regions_alone_comes_first() -> None:
    assert plan(corpus(graph("1", "a", "b", "b"))) == (Step(("b",), 2, 0, 2), Step(("a",), 1, 0, 3))


def test_ops_whose_regions_go_only_together_are_one_step() -> None:
    assert plan(corpus(graph("1", "ab", "ab"))) == (Step(("a", "b"), 2, 0, 2),)


def test_gain_is_weighed_for_each_op_of_a_set() -> None:
    # Three regions for two ops are fewer for each than two for one.
    assert [step.ops for step in plan(corpus(graph("1", "ab", "ab", "ab", "c", "c")))] == [("c",), ("a", "b")]


def test_step_counts_on_those_before_it() -> None:
    steps = plan(corpus(graph("1", "a", "a", "ab", "ab")))
    assert steps == (Step(("a",), 2, 0, 2), Step(("b",), 2, 0, 4))


def test_graph_that_is_lost_comes_back_when_the_check_raises_on_none_of_its_ops() -> None:
    assert plan(corpus(graph("1", crash="ab"), graph("2", crash="a"))) == (
        Step(("a",), 0, 1, 0),
        Step(("b",), 0, 1, 0),
    )


def test_unknown_and_supported_nodes_that_fall_back_are_nobodys_task() -> None:
    nodes = [
        node("a", status, placed=Compiler.INDUCTOR, placed_region="inductor_1")
        for status in (Status.UNKNOWN, Status.SUPPORTED)
    ]
    assert plan(corpus(body("1", *nodes))) == ()


regions = st.lists(st.sets(st.sampled_from("abcd"), min_size=1).map(lambda ops: "".join(sorted(ops))), max_size=8)


@given(regions, st.sampled_from(["", "a", "bc"]))
def test_plan_frees_every_region_and_brings_every_graph_back(found: list[str], crash: str) -> None:
    steps = plan(corpus(graph("1", *found, crash=crash)))
    assert sum(step.regions for step in steps) == len(found)
    assert sum(step.graphs for step in steps) == bool(crash)
    assert sorted(op for step in steps for op in step.ops) == sorted({*"".join(found), *crash})
