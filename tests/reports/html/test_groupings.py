from __future__ import annotations

import pytest
from building import body, coverage, node

from opcov.coverage.plan import Step
from opcov.graph import Compiler
from opcov.registries.families import Family
from opcov.reports.html.groupings import by_impact, group
from opcov.reports.html.matrix import matrix
from opcov.reports.html.sentences import brings, gains
from opcov.verdict import Status

PLACED = {"placed": Compiler.INDUCTOR, "placed_region": "inductor_0"}


def test_regions_by_their_ops_add_up_to_what_the_rows_of_ops_count(fixtures_findings) -> None:
    grouping = group(fixtures_findings.coverage)
    for row in fixtures_findings.coverage.op_rows:
        assert sum(number for ops, number in grouping.regions if row.op in ops) == row.fallback_regions
        assert sum(number for ops, number in grouping.regions if ops == {row.op}) == row.sole_regions


def test_nodes_of_an_op_add_up_over_its_graphs(fixtures_findings) -> None:
    for found in group(fixtures_findings.coverage).ops.values():
        assert sum(graph.counts.nodes for graph in found.graphs) == found.row.counts.nodes
        assert sum(why.nodes for why in found.whys) == found.row.counts.nodes - found.row.counts.supported


def test_nodes_of_a_model_add_up_over_its_ops(fixtures_findings) -> None:
    for found in group(fixtures_findings.coverage).models.values():
        assert sum(one.counts.nodes for one in found.ops) == found.row.counts.nodes


def test_graphs_of_an_op_are_counted_once_in_each_model_that_has_them() -> None:
    models = {"m": {"rank0_0.py": "d", "rank1_0.py": "d", "rank0_1.py": "e"}, "n": {"rank0_0.py": "d"}}
    found = coverage(models, body("d", node("torch.a"), node("torch.a")), body("e", node("torch.a")))
    in_models = group(found).ops["torch.a"].models
    assert [(one.model, one.graphs, one.counts.nodes) for one in in_models] == [("m", 2, 3), ("n", 1, 2)]


def test_supported_ops_come_after_those_that_are_not(fixtures_findings) -> None:
    statuses = [row.status for row in by_impact(fixtures_findings.coverage.op_rows)]
    first_supported = statuses.index(Status.SUPPORTED)
    assert set(statuses[first_supported:]) == {Status.SUPPORTED}


@pytest.mark.parametrize(
    ("nodes", "clauses"),
    [
        ([node("torch.a", **PLACED)], ["1 model", "1 fallback region vanishes with it alone"]),
        (
            [node("torch.a", **PLACED), node("torch.b", **PLACED)],
            ["1 model", "in 1 fallback region, none of which vanishes with it alone"],
        ),
        (
            [node("torch.a", Status.CRASH, placed=None)],
            ["1 model", "1 lost graph comes back with it alone"],
        ),
    ],
)
def test_gains_tell_what_goes_with_an_op_alone(nodes, clauses) -> None:
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", *nodes))
    (row,) = [row for row in found.op_rows if row.op == "torch.a"]
    assert list(gains(row)) == clauses


@pytest.mark.parametrize(
    ("step", "clauses"),
    [
        (Step(("torch.a",), 1, 0, 1), ["1 model", "1 more fallback region goes"]),
        (Step(("torch.a",), 3, 2, 5), ["1 model", "2 lost graphs come back", "3 more fallback regions go"]),
        (Step(("torch.a",), 0, 1, 0), ["1 model", "1 lost graph comes back"]),
    ],
)
def test_step_tells_what_it_brings(step, clauses) -> None:
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", node("torch.a")))
    assert list(brings(step, found.op_rows, first=False)) == clauses


def test_first_step_brings_regions_not_more_regions() -> None:
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", node("torch.a")))
    assert list(brings(Step(("torch.a",), 2, 0, 2), found.op_rows, first=True))[1] == "2 fallback regions go"


@pytest.mark.parametrize(("nodes", "heat"), [(1, 1), (3, 1), (4, 2), (99, 4), (100, 5), (5000, 5)])
def test_heat_grows_with_the_number_of_nodes(nodes, heat) -> None:
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", *[node("torch.a")] * nodes))
    (line,) = matrix(group(found)).lines
    assert line.cells == ((nodes, heat),)


def test_number_formats_of_a_family_are_those_that_it_reads() -> None:
    calls = [node("torch.a", family=Family.MOE, input_dtypes=("u8", "bf16"), output_dtypes=("f8e4m3fn",))]
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls))
    (dtypes,) = group(found).models["m"].dtypes
    assert set(dtypes.formats) == {"4-bit packed", "bf16"}
