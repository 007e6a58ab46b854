"""What changed between two scans: gained, lost, changed, new and gone, by op and call shape."""

from __future__ import annotations

from dataclasses import replace

import pytest
from building import body, coverage, model, node

from opcov.coverage import Coverage
from opcov.differences import ChangeKind, Differences, ModelChange, OpChange, VersionChange, compare
from opcov.health import Diagnosis, Health
from opcov.judged import Counts, JudgedNode
from opcov.verdict import Reason, Status

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
            change.graphs_before, change.models,
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
