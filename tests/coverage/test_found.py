"""Coverage: numbers that add up, tables, and a merge that depends on no order."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from building import OK, body, coverage, graph_file, model, node
from hypothesis import given, settings
from hypothesis import strategies as st

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.graph import Compiler, Form
from opcov.judged import Counts, JudgedBody, JudgedGraph, JudgedNode, ModelScan, percentage
from opcov.problems import Problem, Slug
from opcov.registries.families import Route
from opcov.verdict import Reason, Status

LOST = Problem("", 3, Slug.UNKNOWN_STATEMENT, "the statement is left out")


# --- counts and percentages ---


def test_counts_add_up_status_by_status() -> None:
    assert Counts(1, 2, 3, 4) + Counts(10, 20, 30, 40) == Counts(11, 22, 33, 44)


def test_crash_is_not_supported_and_unknown_is_on_neither_side() -> None:
    counts = Counts(supported=5, unsupported=2, crash=1, unknown=10)
    assert (counts.supported, counts.not_supported, counts.nodes) == (5, 3, 18)


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        (Counts(1, 1, 1, 1), Status.CRASH),
        (Counts(1, 1, 0, 1), Status.UNSUPPORTED),
        (Counts(1, 0, 0, 1), Status.UNKNOWN),
        (Counts(1, 0, 0, 0), Status.SUPPORTED),
        (Counts(), Status.SUPPORTED),
    ],
)
def test_gravest_status_among_counted_nodes(counts: Counts, status: Status) -> None:
    assert counts.gravest is status


def test_unsupported_and_crash_are_one_gravity() -> None:
    assert [status.gravity for status in (Status.CRASH, Status.UNSUPPORTED, Status.UNKNOWN, Status.SUPPORTED)] == [
        0, 0, 1, 2,
    ]  # fmt: skip
    assert [status for status in Status if status.is_refused] == [Status.UNSUPPORTED, Status.CRASH]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 7, "0.0"),  # exactly none
        (7, 7, "100.0"),  # exactly all
        (1, 100_000, "0.1"),  # 0.001 % would round to 0
        (99_999, 100_000, "99.9"),  # 99.999 % would round to 100
        (1, 3, "33.3"),
        (0, 0, ""),  # a share of nothing is no number
    ],
)
def test_percentage_is_0_or_100_only_when_that_is_exact(part: int, whole: int, text: str) -> None:
    assert percentage(part, whole) == text


@given(st.integers(1, 10**9), st.data())
def test_percentage_of_a_real_part_lies_strictly_between_0_and_100(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    share = float(percentage(part, whole))
    assert (share == 0) == (part == 0)
    assert (share == 100) == (part == whole)


# --- what counts as covered ---


def test_body_of_supported_nodes_is_covered() -> None:
    assert body("d", OK).is_covered


@pytest.mark.parametrize("status", [Status.UNSUPPORTED, Status.CRASH, Status.UNKNOWN])
def test_body_with_a_node_that_is_not_supported_is_not_covered(status: Status) -> None:
    assert not body("d", OK, node("torch.bad", status)).is_covered


def test_body_that_could_not_be_read_completely_is_not_covered() -> None:
    assert not body("d", OK, problems=[LOST]).is_covered


def test_body_on_which_the_splitter_stops_is_not_covered() -> None:
    assert not body("d", OK, crash="AssertionError: no graph").is_covered


def test_body_without_a_graph_is_not_covered() -> None:
    assert not JudgedBody("d", ()).is_covered


# --- per model and total ---


def shared_by_two_models() -> Coverage:
    """Body s has 2 nodes and three files in two models; body o has 1 node in one of them."""
    return coverage(
        {"m/a": {"rank0_0.py": "s", "rank1_0.py": "s"}, "m/b": {"rank0_0.py": "s", "rank0_1.py": "o"}},
        body("s", OK, node("torch.bad")),
        body("o", OK),
    )


def test_shared_body_counts_once_in_the_total() -> None:
    assert shared_by_two_models().counts == Counts(supported=2, unsupported=1)


def test_shared_body_counts_for_each_model_that_has_it_and_once_for_its_ranks() -> None:
    rows = {row.scan.name: row for row in shared_by_two_models().model_rows()}
    assert rows["m/a"].counts == Counts(supported=1, unsupported=1)
    assert rows["m/b"].counts == Counts(supported=2, unsupported=1)
    assert (rows["m/a"].distinct, rows["m/b"].distinct) == (1, 2)
    assert (rows["m/a"].covered, rows["m/b"].covered) == (0, 1)


def test_shared_body_has_one_row_a_node_with_its_first_file_and_all_copies() -> None:
    rows = list(shared_by_two_models().node_rows())
    assert [(row.file, row.copies) for row in rows] == [
        ("m/a/rank0_0.py", 3),
        ("m/a/rank0_0.py", 3),
        ("m/b/rank0_1.py", 1),
    ]


def test_every_file_has_a_row_also_one_that_cannot_be_read() -> None:
    unread = replace(graph_file("m/rank0_2.py", ""), problem=Problem("m/rank0_2.py", 0, Slug.UNREADABLE, "denied"))
    scan = ModelScan("m", (graph_file("m/rank0_0.py", "d"), unread), Diagnosis(Health.PARTIAL, ("x",)))
    found = Coverage({"m": scan}, {"d": body("d", OK)}, problems=(Problem("m/rank0_2.py", 0, Slug.UNREADABLE, "no"),))
    assert [(row.file.path, row.counts.nodes, row.problem) for row in found.file_rows()] == [
        ("m/rank0_0.py", 1, ""),
        ("m/rank0_2.py", 0, "no"),
    ]


def test_failed_model_is_a_row() -> None:
    failed = ModelScan("m/b", (), Diagnosis(Health.FAILED, ("no graphs",)))
    found = Coverage({"m/a": model("m/a", {"rank0_0.py": "d"}), "m/b": failed}, {"d": body("d", OK)})
    assert [(row.scan.name, row.distinct, row.counts) for row in found.model_rows()] == [
        ("m/a", 1, Counts(supported=1)),
        ("m/b", 0, Counts()),
    ]


def test_models_are_in_natural_order() -> None:
    found = coverage({name: {"rank0_0.py": "d"} for name in ("m/10b", "m/9b", "a/z")}, body("d", OK))
    assert [row.scan.name for row in found.model_rows()] == ["a/z", "m/9b", "m/10b"]


# --- ops and variants ---


def test_ops_come_with_most_models_first_then_most_nodes_then_by_name() -> None:
    found = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}},
        body("1", *[node("op.fine", Status.SUPPORTED)] * 9, node("op.wide"), node("op.z"), *[node("op.deep")] * 2),
        body("2", node("op.wide"), node("op.y")),
    )
    # wide is in two models; deep has two nodes; y and z have one each; what is supported comes last.
    assert [row.op for row in found.op_rows] == ["op.wide", "op.deep", "op.y", "op.z", "op.fine"]


def test_op_counts_its_variants_and_each_variant_is_a_row() -> None:
    calls = [node("op.f", variant="op.f(T)"), node("op.f", variant="op.f(T, N)"), node("op.f", variant="op.f(T)")]
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls))
    assert [(row.op, row.variants, row.counts.unsupported) for row in found.op_rows] == [("op.f", 2, 3)]
    assert [(row.variant, row.counts.unsupported) for row in found.variant_rows] == [("op.f(T)", 2), ("op.f(T, N)", 1)]


def test_supported_and_unknown_nodes_lend_no_file_and_no_reason_to_an_unsupported_op() -> None:
    found = coverage(
        {"bad": {"rank0_0.py": "1"}, "fine": {"rank0_0.py": "2"}, "dark": {"rank0_0.py": "3"}},
        body("1", node("op.f")),
        body("2", *[node("op.f", Status.SUPPORTED)] * 5),
        body("3", *[node("op.f", Status.UNKNOWN)] * 5),
    )
    (row,) = found.op_rows
    assert row.counts == Counts(supported=5, unsupported=1, unknown=5)
    assert (row.models, row.files, row.graphs) == (("bad",), ("bad/rank0_0.py",), 1)
    assert row.reasons == (Reason.MISSING_OP_SUPPORT,)


def test_status_of_an_op_is_the_gravest_of_its_nodes() -> None:
    def status_of(*statuses: Status) -> Status:
        return coverage({"m": {"r.py": "d"}}, body("d", *[node("op.f", one) for one in statuses])).op_rows[0].status

    assert status_of(Status.SUPPORTED) is Status.SUPPORTED
    assert status_of(Status.SUPPORTED, Status.UNKNOWN) is Status.UNKNOWN
    assert status_of(Status.UNKNOWN, Status.UNSUPPORTED, Status.SUPPORTED) is Status.UNSUPPORTED
    assert status_of(Status.UNSUPPORTED, Status.CRASH) is Status.CRASH


def test_sources_of_an_op_come_with_the_commonest_first() -> None:
    calls = [node("op.f", source_line=line) for line in (3, 9, 9)]
    (row,) = coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls)).op_rows
    assert [(source.line, source.nodes) for source in row.sources] == [(9, 2), (3, 1)]


def test_lines_of_one_place_in_two_releases_are_one_source() -> None:
    calls = [node("op.f", source_code=code) for code in ("old(x)", "new(x)", "new(x)")]
    (row,) = coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls)).op_rows
    assert [(source.code, source.nodes) for source in row.sources] == [("new(x)", 3)]


# --- regions that ops cause ---


def in_region(op: str, number: int, status: Status = Status.UNSUPPORTED, **changes: Any) -> JudgedNode:
    return node(op, status, placed=Compiler.INDUCTOR, placed_region=f"inductor_{number}", **changes)


def regions(*nodes: JudgedNode, crash: str = "") -> dict[str, tuple[int, int, int, int]]:
    rows = coverage({"m": {"rank0_0.py": "d"}}, body("d", *nodes, crash=crash)).op_rows
    return {row.op: (row.fallback_regions, row.sole_regions, row.lost_graphs, row.sole_lost_graphs) for row in rows}


def test_op_sits_in_each_fallback_region_once() -> None:
    assert regions(in_region("op.f", 1), in_region("op.f", 1), in_region("op.f", 3))["op.f"] == (2, 2, 0, 0)


def test_op_causes_alone_only_regions_without_another_unsupported_op() -> None:
    nodes = [in_region("op.f", 1), in_region("op.g", 1), in_region("op.f", 3)]
    assert regions(*nodes) == {"op.f": (2, 1, 0, 0), "op.g": (1, 0, 0, 0)}


def test_supported_node_that_falls_back_with_an_op_takes_no_blame() -> None:
    nodes = [in_region("op.f", 1), in_region("operator.getitem", 1, Status.SUPPORTED)]
    assert regions(*nodes) == {"op.f": (1, 1, 0, 0), "operator.getitem": (0, 0, 0, 0)}


def test_graph_that_is_lost_is_laid_upon_the_ops_on_which_the_check_raises() -> None:
    lost = {"placed": None, "placed_region": ""}
    nodes = [node("op.f", Status.CRASH, **lost), node("op.g", **lost)]
    assert regions(*nodes, crash="boom") == {"op.f": (0, 0, 1, 1), "op.g": (0, 0, 0, 0)}


def test_equal_regions_of_several_graphs_count_apart() -> None:
    found = coverage(
        {"m": {"rank0_0.py": "1", "rank0_1.py": "2", "rank1_0.py": "1"}},
        body("1", in_region("op.f", 1)),
        body("2", in_region("op.f", 1)),
    )
    assert found.op_rows[0].fallback_regions == 2


def test_variants_of_one_op_share_the_blame_for_a_region() -> None:
    nodes = [in_region("op.f", 1, variant="op.f(T)"), in_region("op.f", 1, variant="op.f(N)")]
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", *nodes))
    assert [row.sole_regions for row in found.variant_rows] == [0, 0]
    assert [row.sole_regions for row in found.op_rows] == [1]


def test_impact_ranks_what_goes_alone_before_what_is_merely_common() -> None:
    together = [in_region(op, 1) for op in ("op.f", "op.g")]
    found = coverage(
        {"m": {"rank0_0.py": "1", "rank0_1.py": "2"}}, body("1", *together), body("2", in_region("op.g", 1))
    )
    assert [row.op for row in sorted(found.op_rows, key=lambda row: row.impact, reverse=True)] == ["op.g", "op.f"]


def test_model_counts_its_fallback_regions_and_the_changes_between_regions() -> None:
    graphs = JudgedGraph(Form.SPLIT, (OK, in_region("op.f", 1), replace(OK, placed_region="thunder_2")), 3, 3, "")
    found = coverage({"m": {"rank0_0.py": "d", "rank1_0.py": "d"}}, JudgedBody("d", (graphs,)))
    (row,) = found.model_rows()
    assert (row.placed_regions, row.fallback_regions, row.transitions) == (3, 1, 2)


# --- facts of ops ---


def test_op_with_a_registered_sibling_takes_the_route_of_an_alias() -> None:
    found = replace(coverage({"m": {"r.py": "d"}}, body("d", node("op.f"))), siblings={"op.f": ("op.F",)})
    assert (found.op_rows[0].siblings, found.op_rows[0].route) == (("op.F",), Route.ALIAS)


def test_supported_op_shows_no_siblings() -> None:
    nodes = body("d", node("op.f", Status.SUPPORTED))
    found = replace(coverage({"m": {"r.py": "d"}}, nodes), siblings={"op.f": ("op.F",)})
    assert found.op_rows[0].siblings == ()


def test_dtypes_and_kernels_of_an_op_come_with_the_commonest_first() -> None:
    calls = [
        node("op.f", input_dtypes=dtypes, kernel=kernel)
        for dtypes, kernel in ((("bf16", "i64"), ""), (("bf16",), "b"), (("f32",), "b"), ((), "a"))
    ]
    (row,) = coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls)).op_rows
    assert (row.input_dtypes, row.kernels) == (("bf16", "f32", "i64"), ("b", "a"))


# --- merge ---

statuses = st.sampled_from(list(Status))
bodies = st.builds(
    lambda digest, found: body(digest, *[node(op, status) for op, status in found]),
    st.sampled_from("xyz"),
    st.lists(st.tuples(st.sampled_from(["op.f", "op.g"]), statuses), max_size=2),
)
diagnoses = st.one_of(
    st.just(Diagnosis(Health.OK)),
    st.just(Diagnosis(Health.FAILED, ("no graphs", "it broke"))),
    st.sampled_from("ab").map(lambda reason: Diagnosis(Health.PARTIAL, (reason,))),
)
coverages = st.builds(
    lambda models, found, version, problems, siblings: Coverage(
        {name: model(name, files, diagnosis) for name, (files, diagnosis) in models.items()},
        {one.digest: one for one in found},
        {"judge": version},
        tuple(problems),
        siblings,
    ),
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.tuples(
            st.dictionaries(st.sampled_from(["rank0_0.py", "rank0_1.py"]), st.sampled_from("xyz"), max_size=2),
            diagnoses,
        ),
    ),
    st.lists(bodies, max_size=3),
    st.sampled_from(["1", "2"]),
    st.lists(st.sampled_from([LOST, replace(LOST, line=4)]), max_size=1),
    st.dictionaries(
        st.just("op.f"), st.sets(st.sampled_from("pq"), min_size=1).map(lambda names: tuple(sorted(names)))
    ),
)


@settings(max_examples=200, deadline=None)
@given(coverages, coverages, coverages)
def test_merge_is_associative(one: Coverage, two: Coverage, three: Coverage) -> None:
    assert one.merge(two).merge(three) == one.merge(two.merge(three))


@settings(max_examples=200, deadline=None)
@given(coverages, coverages)
def test_merge_is_the_same_in_either_order(one: Coverage, other: Coverage) -> None:
    assert one.merge(other) == other.merge(one)
    assert one.merge(other).op_rows == other.merge(one).op_rows


@settings(max_examples=50, deadline=None)
@given(coverages)
def test_merge_with_itself_or_nothing_changes_nothing(one: Coverage) -> None:
    assert one.merge(one) == one
    assert one.merge(Coverage({}, {})) == one


def test_merge_of_one_model_at_a_time_equals_the_whole() -> None:
    whole = shared_by_two_models()
    parts = [Coverage({name: scan}, whole.bodies, whole.versions) for name, scan in whole.models.items()]
    merged = reduce(Coverage.merge, reversed(parts))
    assert merged.counts == whole.counts
    assert list(merged.model_rows()) == list(whole.model_rows())
    assert merged.variant_rows == whole.variant_rows


def test_merge_of_a_failed_and_a_sound_part_of_a_model_is_partial() -> None:
    sound = Coverage({"m": model("m", {"rank0_0.py": "d"})}, {"d": body("d", OK)})
    failed = Coverage({"m": model("m", {}, Diagnosis(Health.FAILED, ("no graphs",)))}, {})
    assert sound.merge(failed).models["m"].diagnosis == Diagnosis(Health.PARTIAL, ("a part of it has no graphs",))


def test_merge_of_two_judges_names_both_versions() -> None:
    one, other = Coverage({}, {}, {"torch": "2.9"}), Coverage({}, {}, {"torch": "2.10"})
    assert one.merge(other).versions == {"torch": "2.10, 2.9"}
