"""What changed between two scans: gained, lost, changed, new and gone, by op and call shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from building import body, coverage, model, node

import opcov
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.differences import ChangeKind, Differences, ModelChange, NodePlace, OpChange, VersionChange, compare
from opcov.document import coverage_of, document
from opcov.gate.changes import Style
from opcov.graph import Graph
from opcov.judged import Counts, JudgedNode
from opcov.registries import SplitterRules
from opcov.registries.thunder import ThunderRegistry
from opcov.reports.json_document import encoded, read_document
from opcov.verdict import SUPPORTED, Reason, Status, Verdict

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
OK, BAD, CRASH, UNKNOWN = Status.SUPPORTED, Status.UNSUPPORTED, Status.CRASH, Status.UNKNOWN
SWAPPED = {
    ChangeKind.GAINED: ChangeKind.LOST,
    ChangeKind.LOST: ChangeKind.GAINED,
    ChangeKind.NEW: ChangeKind.GONE,
    ChangeKind.GONE: ChangeKind.NEW,
    ChangeKind.CHANGED: ChangeKind.CHANGED,
}


def of(*nodes: JudgedNode, digest: str = "1", file: str = "rank0_0.py") -> Coverage:
    """A coverage of one model with one graph."""
    return coverage({"a": {file: digest}}, body(digest, *nodes))


def only(found: Differences) -> OpChange:
    (change,) = found.ops
    return change


def test_equal_scans_do_not_differ() -> None:
    found = compare(of(node("x"), node("y", OK)), of(node("x"), node("y", OK)))
    assert not found
    assert list(found) == []


def test_op_whose_nodes_became_supported_is_gained() -> None:
    change = only(compare(of(node("x"), node("x")), of(node("x", OK, detail=""), node("x", OK, detail=""))))
    assert (change.kind, change.op, change.variant) == (ChangeKind.GAINED, "x", "x(T)")
    assert (change.before, change.after) == (Counts(unsupported=2), Counts(supported=2))
    assert (change.reasons_before, change.reasons_after) == ((Reason.MISSING_OP_SUPPORT,), ())
    assert (change.details_before, change.details_after) == (("why x",), ())


def test_op_of_which_some_nodes_became_supported_is_gained() -> None:
    assert only(compare(of(node("x"), node("x")), of(node("x"), node("x", OK)))).kind is ChangeKind.GAINED


@pytest.mark.parametrize("status", [BAD, CRASH])
def test_op_whose_nodes_are_no_longer_supported_is_lost(status: Status) -> None:
    assert only(compare(of(node("x", OK)), of(node("x", status)))).kind is ChangeKind.LOST


def test_variants_are_compared_each_for_itself() -> None:
    old = of(node("x", OK, variant="x(T)"), node("x", BAD, variant="x(T, N)"))
    new = of(node("x", BAD, variant="x(T)"), node("x", OK, variant="x(T, N)"))
    assert {change.variant: change.kind for change in compare(old, new).ops} == {
        "x(T)": ChangeKind.LOST,
        "x(T, N)": ChangeKind.GAINED,
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (node("x", detail="one"), node("x", detail="other")),
        (node("x"), replace(node("x"), reason=Reason.AUTO_FALLBACK)),
        (node("x", BAD), node("x", CRASH)),
        (node("x", OK), node("x", UNKNOWN)),
        (node("x", UNKNOWN), node("x", BAD)),
    ],
    ids=["detail", "reason", "crash", "supported to unknown", "unknown to unsupported"],
)
def test_other_answers_without_gain_or_loss_are_a_change(before: JudgedNode, after: JudgedNode) -> None:
    assert only(compare(of(before), of(after))).kind is ChangeKind.CHANGED


def test_lines_names_and_files_of_nodes_do_not_matter() -> None:
    old = of(node("x", line=5, name="a", source_line=7))
    new = of(node("x", line=9, name="b", source_line=8, source_file="other.py"), digest="2", file="graph_module_7.py")
    assert not compare(old, new)


def test_more_graphs_of_the_same_kind_do_not_matter() -> None:
    old = of(node("x"), node("x", OK))
    new = coverage(
        {"a": {"rank0_0.py": "1", "rank0_1.py": "2"}},
        body("1", node("x"), node("x", OK)),
        body("2", node("x"), node("x", OK)),
    )
    assert not compare(old, new)


def test_ranks_that_save_the_same_graph_do_not_matter() -> None:
    new = coverage({"a": {"rank0_0.py": "1", "rank1_0.py": "1"}}, body("1", node("x")))
    assert not compare(of(node("x")), new)


def test_op_that_was_not_there_is_new_and_one_that_went_is_gone() -> None:
    found = compare(of(node("x")), of(node("y")))
    assert [(change.op, change.kind) for change in found.ops] == [("y", ChangeKind.NEW), ("x", ChangeKind.GONE)]


def test_model_that_came_gains_and_loses_nothing_for_the_others() -> None:
    old = of(node("x"), node("y", OK))
    new = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}},
        body("1", node("x"), node("y", OK)),
        body("2", node("x", OK), node("y")),
    )
    found = compare(old, new)
    assert found.ops == ()
    assert found.models == (ModelChange(ChangeKind.NEW, "b", None, Health.OK),)


def test_op_that_only_a_new_model_has_is_new() -> None:
    new = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}}, body("1", node("x")), body("2", node("z"), node("z"))
    )
    change = only(compare(of(node("x")), new))
    assert (change.kind, change.op, change.after, change.models) == (
        ChangeKind.NEW, "z", Counts(unsupported=2), ("b",),
    )  # fmt: skip


def test_models_with_other_names_are_compared_as_a_whole() -> None:
    old = coverage({"before": {"rank0_0.py": "1"}}, body("1", node("x")))
    new = coverage({"after": {"rank0_0.py": "1"}}, body("1", node("x", OK)))
    assert only(compare(old, new)).kind is ChangeKind.GAINED


def test_model_whose_graphs_are_lost_gains_nothing() -> None:
    files = {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}}
    bodies = body("1", node("x", OK)), body("2", node("x"))
    new = coverage({"a": {"rank0_0.py": "1"}}, bodies[0])
    new = replace(new, models={**new.models, "b": model("b", {}, Diagnosis(Health.FAILED, ("no graphs",)))})
    found = compare(coverage(files, *bodies), new)
    assert found.ops == ()
    assert found.models == (ModelChange(ChangeKind.CHANGED, "b", Health.OK, Health.FAILED),)


def test_change_names_the_models_and_graphs_that_it_touches() -> None:
    files = {"m10": {"rank0_0.py": "1"}, "m9": {"rank0_0.py": "2", "rank0_1.py": "3"}, "same": {"rank0_0.py": "4"}}
    old = coverage(files, *(body(digest, node("x")) for digest in "1234"))
    new = coverage(files, *(body(digest, node("x", OK)) for digest in "123"), body("4", node("x")))
    change = only(compare(old, new))
    assert change.models == ("m9", "m10")
    assert (change.graphs_before, change.graphs_after) == (3, 3)
    assert (change.before, change.after) == (Counts(unsupported=4), Counts(supported=3, unsupported=1))


def test_versions_that_changed_came_or_went_are_named() -> None:
    old = replace(of(node("x")), versions={"lightning-thunder": "0.2.5", "torch": "2.7", "gone": "1"})
    new = replace(of(node("x")), versions={"lightning-thunder": "0.2.6", "torch": "2.7", "new": "1"})
    found = compare(old, new)
    assert found.versions == (
        VersionChange("gone", "1", None),
        VersionChange("lightning-thunder", "0.2.5", "0.2.6"),
        VersionChange("new", None, "1"),
    )
    assert found


def mixed() -> tuple[Coverage, Coverage]:
    old = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}, "gone": {}},
        body("1", node("gained"), node("lost", OK), node("changed", detail="one"), node("gone"), node("same")),
        body("2", node("gained", OK), node("lost", OK)),
    )
    new = coverage(
        {"a": {"rank0_0.py": "3"}, "b": {"rank0_0.py": "2"}, "new": {}},
        body("3", node("gained", OK), node("lost", CRASH), node("changed", detail="two"), node("new"), node("same")),
        body("2", node("gained", OK), node("lost", OK)),
    )
    return old, replace(new, versions={"judge": "2.0"})


def test_changes_come_with_the_lost_ones_first() -> None:
    assert [change.op for change in compare(*mixed()).ops] == ["lost", "gained", "changed", "new", "gone"]


def test_swapping_the_sides_swaps_what_was_gained_and_lost() -> None:
    old, new = mixed()
    there, back = compare(old, new), compare(new, old)

    def swapped(change: OpChange) -> OpChange:
        return OpChange(
            SWAPPED[change.kind], change.op, change.variant, change.after, change.before, change.reasons_after,
            change.reasons_before, change.details_after, change.details_before, change.graphs_after,
            change.graphs_before, change.models, change.nodes_after, change.nodes_before,
        )  # fmt: skip

    assert {swapped(change) for change in there.ops} == set(back.ops)
    assert {ModelChange(SWAPPED[one.kind], one.model, one.after, one.before) for one in there.models} == set(
        back.models
    )
    assert {VersionChange(one.package, one.after, one.before) for one in there.versions} == set(back.versions)
    assert {change.op for change in there.lost} == {change.op for change in back.gained} == {"lost", "new"}


def test_iterating_gives_every_change() -> None:
    found = compare(*mixed())
    assert list(found) == [*found.ops, *found.models, *found.versions]
    assert (len(found.ops), len(found.models), len(found.versions)) == (5, 2, 1)


def test_comparing_does_not_depend_on_the_order_of_models_and_graphs() -> None:
    old, new = mixed()

    def reversed_order(one: Coverage) -> Coverage:
        return replace(
            one, models=dict(reversed(one.models.items())), bodies=dict(reversed(one.bodies.items()))  # type: ignore[call-overload]
        )  # fmt: skip

    assert compare(reversed_order(old), reversed_order(new)) == compare(old, new)


def test_frame_has_a_row_for_each_change_of_an_op() -> None:
    frame = compare(*mixed()).frame.set_index("op")
    assert frame.loc["lost", ["supported_before", "not_supported_before"]].tolist() == [2, 0]
    assert frame.loc["lost", ["supported_after", "not_supported_after"]].tolist() == [1, 1]
    assert frame.loc["lost", "models"] == "a"
    assert frame.loc["changed", ["details_before", "details_after"]].tolist() == ["one", "two"]
    assert {str(dtype) for dtype in frame.dtypes} == {"Int64", "string"}


def test_frame_of_no_change_has_its_columns() -> None:
    frame = Differences().frame
    assert len(frame) == 0
    assert "variant" in frame.columns


def test_foreign_text_is_escaped_in_the_html() -> None:
    hostile = "<script>alert(1)</script>"
    old = coverage({hostile: {}}, body("1"))
    new = replace(of(node(hostile, variant=hostile)), versions={hostile: "<b>"})
    text = compare(old, new)._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;b&gt;" in text
    assert "<script" not in text
    assert "<b>" not in text


def test_html_says_how_many_changes_it_leaves_out() -> None:
    new = of(*(node(f"op{number}") for number in range(100)))
    text = compare(of(), new)._repr_html_()
    assert "70 more in .frame" in text


def test_text_says_in_a_line_what_changed() -> None:
    found = compare(*mixed())
    expected = "call shapes of ops: 1 lost, 1 gained, 1 changed, 1 new, 1 gone; 2 models; 1 version"
    assert repr(found) == f"<Differences: {expected}>"
    assert repr(Differences()) == "<Differences: no op differs>"


def test_change_names_the_nodes_that_got_another_answer() -> None:
    old = of(node("x", line=5, name="a"), node("x", OK, line=6, name="b"))
    new = of(node("x", OK, line=5, name="a"), node("x", OK, line=6, name="b"))
    change = only(compare(old, new))
    assert change.nodes_before == change.nodes_after == (NodePlace("a", "a/rank0_0.py", 5, "a"),)


def test_nodes_of_a_graph_that_was_written_anew_are_told_by_their_answers() -> None:
    old = of(node("x", line=5, name="a"), node("x", OK, detail="", line=6, name="b"))
    new = of(node("x", OK, detail="", line=15, name="c"), node("x", OK, detail="", line=16, name="d"), digest="2")
    change = only(compare(old, new))
    assert [place.line for place in change.nodes_before] == [5]
    # Both are supported, as one was before: nothing tells which of them that was.
    assert [place.line for place in change.nodes_after] == [15, 16]


def test_nodes_of_a_new_op_are_named_where_they_are_and_those_of_a_gone_one_where_they_were() -> None:
    new, gone = compare(of(node("x", line=3)), of(node("y", line=4))).ops
    assert (new.nodes_before, [str(place) for place in new.nodes]) == ((), ["a/rank0_0.py:4 (a)"])
    assert (gone.nodes_after, [str(place) for place in gone.nodes]) == ((), ["a/rank0_0.py:3 (a)"])


def test_explanation_of_an_op_tells_what_it_was_where_and_why() -> None:
    text = only(compare(of(node("x")), of(node("x", OK, detail="")))).explain(Style.TEXT)
    assert text.startswith("gained: x(T): Thunder supports 1 of 1 node, and supported 0 of 1 node; in 1 model: a;")
    assert "1 node in 1 graph: a/rank0_0.py:5 (a)" in text
    assert text.endswith("was MISSING_OP_SUPPORT: why x")


def test_all_changes_are_told_each_in_a_line() -> None:
    found = compare(*mixed())
    lines = found.explain().splitlines()
    assert lines[0] in repr(found)
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "- lost", "- gained", "- changed", "- new", "- gone", "- new", "- gone", "- another version of judge",
    ]  # fmt: skip


def test_nothing_that_changed_is_told_in_one_line() -> None:
    assert Differences().explain(Style.MARKDOWN) == "no op differs"


@pytest.mark.parametrize("style", list(Style))
def test_foreign_text_breaks_no_line_of_an_explanation(style: Style) -> None:
    hostile = "x\n## @all\x1b[2J\u202e"
    new = replace(of(node(hostile, variant=hostile, detail=hostile)), versions={hostile: hostile})
    text = compare(of(), new).explain(style)
    assert not any(line.startswith("#") for line in text.splitlines())
    assert all(character.isprintable() or character == "\n" for character in text)


def test_foreign_text_stands_in_code_spans_in_markdown() -> None:
    text = compare(of(), of(node("@all", variant="@all(T)", detail="#1"))).explain(Style.MARKDOWN)
    assert "`@all(T)`" in text
    assert "`#1`" in text


# --- saved scans ------------------------------------------------------------------------------------------------------


def saved(scan: Coverage) -> Coverage:
    """The scan as it comes back from its JSON document."""
    return coverage_of(read_document(encoded(document(scan))))


def test_saved_scan_differs_in_nothing_from_itself() -> None:
    old, new = mixed()
    for one in (old, new):
        assert not compare(one, saved(one))


def test_saved_scans_are_compared_as_the_scans_themselves() -> None:
    old, new = mixed()
    expected = compare(old, new)
    assert compare(saved(old), saved(new)) == compare(old, saved(new)) == compare(saved(old), new) == expected


# --- another Thunder --------------------------------------------------------------------------------------------------


class WithSupport:
    """The installed Thunder, in which one op has gained support."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.thunder = ThunderRegistry()

    @property
    def versions(self) -> Mapping[str, str]:
        return self.thunder.versions

    @property
    def splitter(self) -> SplitterRules:
        return self.thunder.splitter

    def has_own(self, op: str) -> bool:
        return op == self.op or self.thunder.has_own(op)

    def siblings(self, op: str) -> tuple[str, ...]:
        return self.thunder.siblings(op)

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        answers, known = self.thunder.judge(graph)
        gained = {call.name: SUPPORTED for call in graph.calls if call.op == self.op}
        return {**answers, **gained}, known


def test_op_that_gained_support_is_all_that_differs() -> None:
    op = "torch.Tensor.is_cpu"
    old = opcov.scan(FIXTURES / "gm", include=["odd/*"]).coverage
    new = opcov.scan(FIXTURES / "gm", include=["odd/*"], registry=WithSupport(op)).coverage
    found = compare(saved(old), saved(new))
    assert {change.op for change in found.ops} == {op}
    assert all(change.kind is ChangeKind.GAINED for change in found.ops)
    assert (found.models, found.versions) == ((), ())
    nodes = [row for row in old.node_rows() if row.node.op == op]
    places = [place for change in found.ops for place in change.nodes_after]
    assert sorted((place.file, place.line, place.node) for place in places) == sorted(
        (row.file, row.node.line, row.node.name) for row in nodes
    )
    assert {change.models for change in found.ops} == {tuple({row.model for row in nodes})}
