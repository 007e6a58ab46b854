"""The gate's judgement: what fails, what is a note and what is as expected, for each kind of change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from building import body, coverage, model, node

from opcov.baseline import Baseline, Entry, ModelFacts, Waiver, facts_of
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.gate import Judgement, Level, Rules, judge, judge_numbers
from opcov.gate.changes import (
    BelowThreshold,
    Change,
    GraphCrashes,
    GraphsLost,
    HealthFell,
    Known,
    KnownOpInNewModel,
    ModelLost,
    NewModel,
    NewOp,
    NewVariant,
    NoModelFacts,
    NotAllowed,
    OpFixed,
    UnknownRose,
    VersionChanged,
    Waived,
    WaiverExpired,
)
from opcov.graph import Form
from opcov.judged import JudgedNode, percentage
from opcov.problems import Problem, Slug
from opcov.verdict import Status

TODAY = dt.date(2027, 1, 15)
OK, BAD, CRASH, UNKNOWN = Status.SUPPORTED, Status.UNSUPPORTED, Status.CRASH, Status.UNKNOWN
A, B = "org/a", "org/b"


def of(models: Mapping[str, Sequence[JudgedNode]]) -> Coverage:
    """A coverage of models with one graph each."""
    bodies = {name: body(f"of {name}", *nodes) for name, nodes in models.items()}
    return coverage({name: {"rank0_1.py": one.digest} for name, one in bodies.items()}, *bodies.values())


def listing(found: Coverage, *more: Entry, without: Iterable[str] = ()) -> Baseline:
    """The baseline that a scan would be, but for the entries of some ops."""
    rows = [row for row in found.variant_rows if row.counts.not_supported and row.op not in without]
    entries = [Entry(row.op, row.variant, "", row.models, line=10 + place) for place, row in enumerate(rows)]
    return Baseline("all_ops.py", dict(found.versions), facts_of(found), (*entries, *more))


def held(
    baseline: Baseline, found: Coverage, *, today: dt.date = TODAY, partial: bool = False, **rules: object
) -> Judgement:
    return judge(baseline, found, replace(Rules(), **rules), today, partial=partial)  # type: ignore[arg-type]


def kinds(changes: Iterable[Change]) -> list[type]:
    return [type(change) for change in changes]


def of_kind(found: Judgement, kind: type) -> list[Change]:
    return [change for change in (*found.failures, *found.notes, *found.known) if isinstance(change, kind)]


def entry(op: str, *models: str, waivers: Sequence[Waiver] = (), variant: str = "", line: int = 7) -> Entry:
    return Entry(op, variant or f"{op}(T)", "", models, waivers=tuple(waivers), line=line)


def waiver(*models: str, until: dt.date | None = None, reason: str = "#2600", line: int = 6) -> Waiver:
    return Waiver(until, models, reason, line)


BOTH = of({A: [node("x"), node("y", OK)], B: [node("x"), node("x", line=9)]})

# --- new and known ----------------------------------------------------------------------------------------------------


def test_scan_that_made_the_baseline_passes_and_has_no_notes() -> None:
    found = held(listing(BOTH), BOTH)
    assert found.passes
    assert (found.baseline, found.notes, kinds(found.known)) == ("all_ops.py", (), [Known])


def test_op_that_no_entry_has_fails_and_says_where_it_is() -> None:
    found = held(listing(BOTH, without=["x"]), BOTH)
    (new,) = found.failures
    assert isinstance(new, NewOp)
    facts = new.facts
    assert (facts.op, facts.variant, facts.models, facts.nodes) == ("x", "x(T)", (A, B), 3)
    assert (facts.reason, facts.detail) == ("MISSING_OP_SUPPORT", "why x")
    assert (facts.place.file, facts.place.line) == ("org/a/rank0_1.py", 5)
    assert facts.place.source == "zoo/net.py:7 in forward"


def test_call_shape_that_no_entry_has_of_a_listed_op_is_a_new_variant() -> None:
    now = of({A: [node("x"), node("x", variant="x(T, N)")]})
    found = held(listing(of({A: [node("x")]})), now)
    (new,) = found.failures
    assert isinstance(new, NewVariant)
    assert new.facts.variant == "x(T, N)"


def test_call_shape_of_a_listed_op_passes_where_ops_are_compared() -> None:
    now = of({A: [node("x"), node("x", variant="x(T, N)")]})
    found = held(listing(of({A: [node("x")]})), now, level=Level.OP)
    assert found.passes
    (known,) = found.known
    assert isinstance(known, Known)
    assert (known.facts.op, known.facts.variant, known.facts.nodes) == ("x", "", 2)


def test_new_op_fails_where_ops_are_compared_once_for_all_its_call_shapes() -> None:
    now = of({A: [node("x"), node("x", variant="x(T, N)")]})
    found = held(listing(now, without=["x"]), now, level=Level.OP)
    (new,) = found.failures
    assert isinstance(new, NewOp)
    assert (new.facts.variant, new.facts.nodes) == ("", 2)


def test_op_on_which_the_check_raises_is_new_like_an_unsupported_one() -> None:
    now = of({A: [node("x", CRASH)]})
    before = replace(listing(now, without=["x"]))
    (new,) = held(before, now).failures
    assert isinstance(new, NewOp)
    assert new.facts.reason == "CRASH"


def test_unknown_nodes_are_neither_new_nor_known() -> None:
    now = of({A: [node("x", UNKNOWN)]})
    found = held(listing(now), now)
    assert (found.failures, found.notes, found.known) == ((), (), ())


def test_graph_that_several_ranks_saved_counts_once() -> None:
    now = coverage({A: {"rank0_1.py": "1", "rank1_1.py": "1"}}, body("1", node("x")))
    (new,) = held(listing(now, without=["x"]), now).failures
    assert isinstance(new, NewOp)
    assert new.facts.nodes == 1


def test_listed_op_in_a_model_that_its_entry_does_not_name_is_a_note() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A),))
    found = held(before, BOTH)
    assert found.passes
    (note,) = found.notes
    assert isinstance(note, KnownOpInNewModel)
    assert (note.facts.models, note.facts.nodes, note.facts.place.file) == ((B,), 2, "org/b/rank0_1.py")


def test_listed_op_in_another_model_fails_per_model() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A),))
    assert kinds(held(before, BOTH, per_model=True).failures) == [KnownOpInNewModel]


def test_entry_that_names_no_models_cannot_tell_in_which_it_is_new() -> None:
    before = replace(listing(BOTH), entries=(entry("x"),))
    found = held(before, BOTH, per_model=True)
    assert found.passes
    assert kinds(found.known) == [Known]


def test_entries_of_one_call_shape_hold_together() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A), entry("x", B)))
    assert held(before, BOTH, per_model=True).passes


def test_commonest_reason_and_detail_speak_for_an_op() -> None:
    now = of({A: [node("x", detail="rare"), node("x", detail="often"), node("x", detail="often")]})
    (new,) = held(listing(now, without=["x"]), now).failures
    assert isinstance(new, NewOp)
    assert new.facts.detail == "often"


def test_graph_that_two_models_share_counts_for_each_of_them() -> None:
    now = coverage({A: {"rank0_1.py": "1"}, B: {"rank0_1.py": "1"}}, body("1", node("x")))
    (note,) = held(replace(listing(now), entries=(entry("x", A),)), now).notes
    assert isinstance(note, KnownOpInNewModel)
    assert (note.facts.models, note.facts.nodes, note.facts.place.file) == ((B,), 1, "org/b/rank0_1.py")


def test_models_of_all_entries_of_an_op_count_where_ops_are_compared() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A), entry("x", B, variant="x(N)")))
    assert held(before, BOTH, level=Level.OP, per_model=True).passes
    assert not held(before, BOTH, per_model=True).passes


def test_one_entry_of_an_op_without_models_leaves_open_where_the_op_is_new() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A), entry("x", variant="x(N)")))
    assert held(before, BOTH, level=Level.OP, per_model=True).passes


# --- waivers ----------------------------------------------------------------------------------------------------------


def waived(*waivers: Waiver) -> Baseline:
    return replace(listing(BOTH), entries=(entry("x", A, B, waivers=waivers),))


def test_waiver_without_models_allows_in_all_models_until_its_last_day() -> None:
    found = held(waived(waiver(until=TODAY)), BOTH)
    assert found.passes
    (note,) = found.notes
    assert isinstance(note, Waived)
    assert (note.facts.models, note.until, note.why, note.line) == ((A, B), TODAY, "#2600", 6)


def test_waiver_that_has_expired_fails_with_its_day_and_reason() -> None:
    yesterday = TODAY - dt.timedelta(days=1)
    (failure,) = held(waived(waiver(until=yesterday)), BOTH).failures
    assert isinstance(failure, WaiverExpired)
    assert (failure.until, failure.why, failure.facts.models) == (yesterday, "#2600", (A, B))


def test_waiver_for_some_models_does_not_extend_to_others() -> None:
    found = held(waived(waiver(A)), BOTH)
    (failure,) = found.failures
    assert isinstance(failure, NotAllowed)
    assert (failure.facts.models, failure.allowed, failure.line) == ((B,), (A,), 6)
    (note,) = found.notes
    assert isinstance(note, Waived)
    assert note.facts.models == (A,)


def test_waiver_may_name_models_by_a_pattern() -> None:
    assert held(waived(waiver("org/*")), BOTH).passes
    assert kinds(held(waived(waiver("other/*")), BOTH).failures) == [NotAllowed]


def test_waiver_may_name_several_models() -> None:
    assert held(waived(waiver(A, B)), BOTH).passes


def test_model_whose_name_looks_like_a_pattern_is_named_by_itself() -> None:
    odd = of({"org/[a]": [node("x")]})
    before = replace(listing(odd), entries=(entry("x", waivers=[waiver("org/[a]")]),))
    assert held(before, odd).passes


def test_waivers_of_one_entry_hold_together() -> None:
    assert held(waived(waiver(A), waiver(B)), BOTH).passes


def test_waivers_of_several_entries_of_a_call_shape_hold_together() -> None:
    entries = (entry("x", A, waivers=[waiver(A)]), entry("x", B, waivers=[waiver(B)]))
    assert held(replace(listing(BOTH), entries=entries), BOTH).passes


def test_waiver_that_holds_outlasts_one_that_has_expired() -> None:
    found = held(waived(waiver(until=dt.date(2026, 1, 1)), waiver(A, until=dt.date(2028, 1, 1))), BOTH)
    (failure,) = found.failures
    assert isinstance(failure, WaiverExpired)
    assert failure.facts.models == (B,)
    assert kinds(found.notes) == [Waived]


def test_waiver_without_end_lasts_longest() -> None:
    (note,) = held(waived(waiver(until=dt.date(2026, 1, 1)), waiver(until=None)), BOTH).notes
    assert isinstance(note, Waived)
    assert note.until is None


def test_waiver_of_a_call_shape_that_is_gone_fails_nothing() -> None:
    gone = of({A: [node("y", OK)], B: [node("y", OK)]})
    assert held(waived(waiver(until=dt.date(2020, 1, 1))), gone).passes


def test_expired_waiver_fails_also_where_ops_are_compared() -> None:
    entries = (entry("x", waivers=[waiver(until=dt.date(2020, 1, 1))]), entry("x", variant="x(N)"))
    before = replace(listing(BOTH), entries=entries)
    assert kinds(held(before, BOTH, level=Level.OP).failures) == [WaiverExpired]


def test_call_shape_without_entry_of_an_op_that_is_nowhere_allowed_fails_where_ops_are_compared() -> None:
    before = replace(listing(BOTH), entries=(entry("x", variant="x(N)", waivers=[waiver(A)]),))
    (failure,) = held(before, BOTH, level=Level.OP).failures
    assert isinstance(failure, NotAllowed)
    assert failure.facts.models == (B,)


def test_call_shape_without_entry_passes_where_one_entry_of_its_op_allows_it_and_ops_are_compared() -> None:
    entries = (entry("x", variant="x(N)", waivers=[waiver(A)]), entry("x", variant="x(N, N)"))
    assert held(replace(listing(BOTH), entries=entries), BOTH, level=Level.OP).passes


# --- fixed ------------------------------------------------------------------------------------------------------------

FIXED = of({A: [node("x", OK), node("y", OK)], B: [node("x", OK), node("x", OK, line=9)]})


def test_entry_that_is_supported_in_all_models_is_fixed() -> None:
    found = held(listing(BOTH), FIXED)
    assert found.passes
    assert found.notes == (OpFixed("x", "x(T)", (A, B), 10),)


def test_fixed_entry_fails_when_the_list_has_to_be_kept_short() -> None:
    assert kinds(held(listing(BOTH), FIXED, strict=True).failures) == [OpFixed]


def test_entry_that_is_still_unsupported_in_one_model_is_not_fixed() -> None:
    now = of({A: [node("x", OK)], B: [node("x")]})
    assert of_kind(held(listing(BOTH), now, strict=True), OpFixed) == []


def test_entry_whose_op_the_models_have_no_more_is_fixed() -> None:
    now = of({A: [node("y", OK)], B: [node("y", OK)]})
    assert kinds(held(listing(BOTH), now).notes) == [OpFixed]


def test_entry_whose_nodes_became_unknown_is_not_fixed() -> None:
    now = of({A: [node("x", UNKNOWN)], B: [node("x", OK)]})
    assert of_kind(held(listing(BOTH), now), OpFixed) == []


def test_entry_of_a_model_that_is_lost_is_not_fixed() -> None:
    now = of({A: [node("x", OK)]})
    for allow_lost in (False, True):
        assert of_kind(held(listing(BOTH), now, allow_lost=allow_lost), OpFixed) == []


def test_entry_of_a_model_that_lost_graphs_is_not_fixed() -> None:
    # Files of the builder have one index, whatever their names.
    before = replace(listing(ONLY_A), models={A: ModelFacts(A, Health.OK, 2, 0, 0)})
    found = held(before, of({A: [node("y", OK)]}), allow_lost=True)
    assert found.notes == (GraphsLost(A, 2, 1),)


def test_entry_of_a_model_whose_capture_got_worse_is_not_fixed() -> None:
    now = with_health(FIXED, A, Health.PARTIAL)
    assert of_kind(held(listing(BOTH), now, allow_lost=True), OpFixed) == []


def test_entry_of_a_model_of_which_a_line_could_not_be_read_is_not_fixed() -> None:
    now = replace(FIXED, problems=(Problem("org/a/rank0_1.py", 3, Slug.SYNTAX, "the line does not parse"),))
    assert of_kind(held(listing(BOTH), now), OpFixed) == []


def test_entry_of_a_model_that_was_partial_and_is_so_still_may_be_fixed() -> None:
    before, now = (with_health(one, A, Health.PARTIAL) for one in (BOTH, FIXED))
    assert kinds(held(listing(before), now).notes) == [OpFixed]


def test_partial_scan_that_saw_all_models_of_an_entry_tells_that_it_is_fixed() -> None:
    before = listing(of({A: [node("x")], B: [node("y")]}))
    (note,) = held(before, of({A: [node("x", OK)]}), partial=True).notes
    assert note == OpFixed("x", "x(T)", (A,), 10)


def test_partial_scan_that_saw_some_models_of_an_entry_does_not() -> None:
    assert held(listing(BOTH), of({A: [node("x", OK)]}), partial=True).notes == ()


def test_entry_without_models_is_fixed_only_after_a_look_at_all_models() -> None:
    before = replace(listing(BOTH), entries=(entry("x"),))
    assert held(before, FIXED).notes == (OpFixed("x", "x(T)", (), 7),)
    assert held(before, FIXED, partial=True).notes == ()


def test_call_shape_that_went_is_not_fixed_where_ops_are_compared_and_another_is_there() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A, B), entry("x", A, B, variant="x(N)")))
    assert kinds(held(before, BOTH).notes) == [OpFixed]
    assert held(before, BOTH, level=Level.OP).notes == ()


def test_op_is_fixed_once_where_ops_are_compared_and_named_with_its_first_entry() -> None:
    entries = (entry("x", A, line=7), entry("x", B, variant="x(N)", line=9))
    before = replace(listing(BOTH), entries=entries)
    assert held(before, FIXED, level=Level.OP).notes == (OpFixed("x", "", (A, B), 7),)


def test_op_of_which_one_entry_names_no_models_is_not_fixed_in_a_partial_scan() -> None:
    before = replace(listing(BOTH), entries=(entry("x", A), entry("x", variant="x(N)")))
    now = of({A: [node("x", OK)]})
    assert held(before, now, partial=True, level=Level.OP).notes == ()


def test_entry_is_fixed_by_a_list_without_facts_only_where_all_captures_are_whole() -> None:
    before = replace(listing(BOTH), models=None, entries=(entry("x"),))
    assert OpFixed("x", "x(T)", (), 7) in held(before, FIXED).notes
    assert of_kind(held(before, with_health(FIXED, B, Health.PARTIAL)), OpFixed) == []


def test_model_that_never_had_graphs_keeps_no_entry_from_being_fixed_but_one_that_names_it() -> None:
    failed = model(B, {}, Diagnosis(Health.FAILED, ("no graphs",)))
    now = of({A: [node("x", OK)]})
    now = replace(now, models={**now.models, B: failed})
    before = Baseline(models={A: ModelFacts(A, Health.OK, 1, 0, 0), B: ModelFacts(B, Health.FAILED, 0, 0, 0)})
    assert kinds(held(replace(before, entries=(entry("x"),)), now).notes) == [OpFixed]
    assert held(replace(before, entries=(entry("x", A, B),)), now).notes == ()


@pytest.mark.parametrize(
    "problem",
    [Problem("org/a/rank0_1.py", 3, Slug.CRASH, "lost"), Problem("org/c/rank0_1.py", 3, Slug.SYNTAX, "no Python")],
    ids=["leaves nothing out", "of another model"],
)
def test_problem_that_hides_no_op_of_a_model_does_not_keep_its_entries(problem: Problem) -> None:
    assert kinds(held(listing(BOTH), replace(FIXED, problems=(problem,))).notes) == [OpFixed]


# --- models -----------------------------------------------------------------------------------------------------------


def with_health(found: Coverage, name: str, health: Health, *reasons: str, only_ranks: bool = False) -> Coverage:
    changed = replace(found.models[name], diagnosis=Diagnosis(health, reasons or ("why",), only_ranks))
    return replace(found, models={**found.models, name: changed})


ONLY_A = of({A: [node("x"), node("y", OK)]})


def test_model_that_is_gone_fails() -> None:
    found = held(listing(BOTH), ONLY_A)
    assert found.failures == (ModelLost(B),)


def test_model_that_may_be_lost_is_a_note() -> None:
    found = held(listing(BOTH), ONLY_A, allow_lost=True)
    assert (found.failures, found.notes) == ((), (ModelLost(B),))


def test_model_without_unsupported_ops_that_is_gone_fails_too() -> None:
    before = listing(of({A: [node("x"), node("y", OK)], B: [node("y", OK)]}))
    assert held(before, ONLY_A).failures == (ModelLost(B),)


def test_model_that_only_entries_name_fails_when_it_is_gone() -> None:
    before = replace(listing(BOTH), models=None)
    assert held(before, ONLY_A).failures == (ModelLost(B),)


def test_partial_scan_says_nothing_of_models_that_it_did_not_see() -> None:
    found = held(listing(BOTH), ONLY_A, partial=True)
    assert (found.failures, found.notes) == ((), ())


def test_model_that_the_baseline_does_not_know_is_a_note() -> None:
    now = of({A: [node("x"), node("y", OK)], B: [node("y", OK)]})
    found = held(listing(ONLY_A), now)
    assert (found.failures, found.notes) == ((), (NewModel(B),))


def test_model_with_fewer_graphs_fails() -> None:
    before = replace(listing(ONLY_A), models={A: ModelFacts(A, Health.OK, 2, 0, 0)})
    assert held(before, ONLY_A).failures == (GraphsLost(A, 2, 1),)


def test_model_with_fewer_ranks_passes() -> None:
    before = coverage({A: {"rank0_1.py": "1", "rank1_1.py": "2"}}, body("1", node("x")), body("2", node("x")))
    now = with_health(
        coverage({A: {"rank0_1.py": "1"}}, body("1", node("x"))),
        A,
        Health.PARTIAL,
        "no graphs of rank 1",
        only_ranks=True,
    )
    found = held(listing(before), now)
    assert (found.failures, found.notes) == ((), ())


def test_model_whose_capture_got_worse_fails_and_says_why() -> None:
    found = held(listing(BOTH), with_health(BOTH, B, Health.PARTIAL, "the run did not finish"))
    assert found.failures == (HealthFell(B, Health.OK, Health.PARTIAL, "the run did not finish"),)


def test_model_that_has_no_graphs_any_more_is_told_once() -> None:
    now = replace(BOTH, models={**BOTH.models, B: model(B, {}, Diagnosis(Health.FAILED, ("no graphs",)))})
    assert held(listing(BOTH), now).failures == (HealthFell(B, Health.OK, Health.FAILED, "no graphs"),)


def test_model_whose_capture_got_better_passes() -> None:
    found = held(listing(with_health(BOTH, B, Health.PARTIAL)), BOTH)
    assert (found.failures, found.notes) == ((), ())


def test_losses_of_graphs_and_health_may_be_allowed() -> None:
    found = held(listing(BOTH), with_health(BOTH, B, Health.PARTIAL), allow_lost=True)
    assert (found.passes, kinds(found.notes)) == (True, [HealthFell])


@pytest.mark.parametrize("allow_lost", [False, True])
def test_nodes_that_became_unknown_fail_even_when_graphs_may_be_lost(allow_lost: bool) -> None:
    now = of({A: [node("x"), node("y", UNKNOWN)], B: BOTH.bodies[f"of {B}"].graphs[0].nodes})
    assert held(listing(BOTH), now, allow_lost=allow_lost).failures == (UnknownRose(A, 0, 1),)


def test_graph_that_thunder_loses_now_fails_and_says_where() -> None:
    before = of({A: [node("x", CRASH, line=9), node("y", OK)]})
    baseline = replace(listing(before), models={A: ModelFacts(A, Health.OK, 1, 0, 0)})
    (failure,) = held(baseline, before).failures
    assert isinstance(failure, GraphCrashes)
    assert (failure.before, failure.after, failure.why) == (0, 1, "why x")
    assert (failure.place.file, failure.place.line) == ("org/a/rank0_1.py", 9)


def test_graph_that_is_lost_without_a_node_to_blame_is_shown_by_its_file() -> None:
    now = coverage(
        {A: {"rank0_1.py": "1", "rank0_2.py": "2"}},
        body("1", node("y", OK), crash="first"),
        body("2", node("y", OK), crash="second"),
    )
    unsplit = {
        digest: replace(one, graphs=tuple(replace(graph, form=Form.UNSPLIT) for graph in one.graphs))
        for digest, one in now.bodies.items()
    }
    now = replace(now, bodies=unsplit)
    baseline = replace(listing(now), models={A: ModelFacts(A, Health.OK, 1, 0, 0)})
    (failure,) = held(baseline, now).failures
    assert isinstance(failure, GraphCrashes)
    assert (failure.why, failure.place.file, failure.place.line) == ("first", "org/a/rank0_1.py", 0)


def test_baseline_without_facts_of_models_gets_one_note_and_no_news_of_them() -> None:
    before = replace(listing(BOTH), models=None)
    found = held(before, with_health(BOTH, B, Health.PARTIAL))
    assert (found.failures, found.notes) == ((), (NoModelFacts("all_ops.py"),))


def test_model_that_is_scanned_by_itself_is_known_by_the_end_of_its_name() -> None:
    alone = of({"b": [node("x"), node("x", line=9)]})
    for partial in (False, True):
        found = held(listing(BOTH), alone, partial=partial, per_model=True)
        assert (found.failures, found.notes, kinds(found.known)) == ((), (), [Known])


def test_waiver_for_a_model_holds_when_it_is_scanned_by_itself() -> None:
    alone = of({"b": [node("x"), node("x", line=9)]})
    assert held(waived(waiver(B)), alone, partial=True).passes


def test_loss_in_a_model_that_is_scanned_by_itself_fails_under_the_name_of_the_scan() -> None:
    alone = with_health(of({"b": [node("x")]}), "b", Health.PARTIAL)
    (failure,) = held(listing(BOTH), alone, partial=True).failures
    assert isinstance(failure, HealthFell)
    assert failure.model == "b"


def test_new_model_with_the_last_part_of_a_lost_ones_name_is_not_taken_for_it() -> None:
    now = of({A: [node("x"), node("y", OK)], "b": [node("y", OK)]})
    found = held(listing(BOTH), now)
    assert (found.failures, found.notes) == ((ModelLost(B),), (NewModel("b"),))


def test_folder_that_is_scanned_by_itself_may_have_new_models() -> None:
    now = of({"b": [node("x"), node("x", line=9)], "new": [node("y", OK)]})
    found = held(listing(BOTH), now)
    assert (found.failures, found.notes) == ((), (NewModel("new"),))


# --- versions ---------------------------------------------------------------------------------------------------------


def test_other_version_is_a_note_with_what_may_come_from_it() -> None:
    now = of({A: [node("x", OK), node("z")], "org/new": [node("w"), node("z", line=9)]})
    now = replace(now, versions={"judge": "2.0"})
    found = held(listing(ONLY_A), now)
    (note,) = of_kind(found, VersionChanged)
    # What only a new model has, no version can have changed.
    assert note == VersionChanged("judge", "1.0", "2.0", ("z(T)", "x(T)"))
    assert note in found.notes


def test_entry_whose_op_is_gone_is_not_fixed_by_another_version() -> None:
    now = replace(of({A: [node("y", OK)]}), versions={"judge": "2.0"})
    (note,) = of_kind(held(listing(ONLY_A), now), VersionChanged)
    assert isinstance(note, VersionChanged)
    assert note.moved == ()


def test_baseline_without_versions_says_nothing_of_them() -> None:
    assert held(replace(listing(BOTH), versions={}), BOTH).notes == ()


# --- numbers ----------------------------------------------------------------------------------------------------------


def of_counts(supported: int, unsupported: int) -> Coverage:
    nodes = [node("x", OK)] * supported + [node("y")] * unsupported
    return of({A: nodes})


def test_full_coverage_means_every_node() -> None:
    almost = of_counts(9999, 1)
    assert kinds(held(listing(almost), almost, fail_under=100).failures) == [BelowThreshold]
    assert held(listing(of_counts(3, 0)), of_counts(3, 0), fail_under=100).passes


def test_threshold_is_met_exactly_as_it_is_written() -> None:
    # As a binary fraction, 99.9 is a little more than 999 of 1000.
    assert held(listing(of_counts(999, 1)), of_counts(999, 1), fail_under=99.9).passes
    assert not held(listing(of_counts(998, 2)), of_counts(998, 2), fail_under=99.9).passes


def test_share_below_the_threshold_is_never_rounded_up_to_it() -> None:
    almost = of_counts(8996, 1004)
    (failure,) = judge_numbers(almost, Rules(fail_under=90)).failures
    assert isinstance(failure, BelowThreshold)
    assert (failure.is_now, failure.asked) == ("89.96 % (8996 of 10000 nodes)", "90 %")


def test_share_below_the_threshold_is_told_as_in_the_summary_where_that_is_less() -> None:
    (failure,) = judge_numbers(of_counts(8996, 1004), Rules(fail_under=95)).failures
    assert isinstance(failure, BelowThreshold)
    assert failure.is_now.startswith(f"{percentage(8996, 10000)} % ")


def test_number_of_unsupported_ops_is_bounded() -> None:
    now = of({A: [node("x"), node("x", variant="x(N)"), node("y"), node("z", UNKNOWN)]})
    assert judge_numbers(now, Rules(max_unsupported=2)).passes
    assert kinds(judge_numbers(now, Rules(max_unsupported=1)).failures) == [BelowThreshold]


@pytest.mark.parametrize("rules", [Rules(fail_under=0), Rules(max_unsupported=100)])
@pytest.mark.parametrize("found", [of({A: []}), of({A: [node("x", UNKNOWN)]})], ids=["no node", "unknown"])
def test_nothing_judged_meets_no_threshold(found: Coverage, rules: Rules) -> None:
    assert kinds(judge_numbers(found, rules).failures) == [BelowThreshold]


def test_numbers_alone_need_no_baseline() -> None:
    assert judge_numbers(BOTH, Rules()) == Judgement("")


# --- order and noise --------------------------------------------------------------------------------------------------


def test_judgement_shows_itself_in_one_line() -> None:
    found = held(listing(BOTH, without=["x"]), BOTH)
    assert repr(found) == "<Judgement against 'all_ops.py': fails, 1 failure, 0 notes, 0 known>"
    assert repr(judge_numbers(BOTH, Rules())) == "<Judgement: passes, 0 failures, 0 notes, 0 known>"


def test_failures_come_with_the_gravest_first() -> None:
    now = of(
        {
            A: [
                node("listed", variant="listed(N)"),
                node("rare"),
                node("often"),
                node("often", line=8),
                node("u", UNKNOWN),
            ],
            "org/c": [node("often", line=9)],
        }
    )
    now = with_health(now, A, Health.PARTIAL)
    before = Baseline(
        models={name: ModelFacts(name, Health.OK, 1, 0, 0) for name in (A, B, "org/c")}, entries=(entry("listed", A),)
    )
    found = held(before, now, fail_under=50)
    assert kinds(found.failures) == [ModelLost, HealthFell, UnknownRose, NewOp, NewOp, NewVariant, BelowThreshold]
    assert [one.facts.op for one in found.failures if isinstance(one, NewOp)] == ["often", "rare"]


def test_judgement_does_not_depend_on_the_order_of_models_graphs_and_entries() -> None:
    now = of({A: [node("x"), node("z")], B: [node("x"), node("w")], "org/c": [node("v")]})
    turned = replace(
        now, models=dict(reversed(now.models.items())), bodies=dict(reversed(now.bodies.items()))  # type: ignore[call-overload]
    )  # fmt: skip
    before = listing(BOTH, entry("gone", A), entry("gone too", A))
    other = replace(before, entries=before.entries[::-1])
    assert held(before, now) == held(other, turned)


def test_lines_names_sources_details_and_files_are_no_news() -> None:
    now = coverage(
        {A: {"rank3_1.py": "1"}, B: {"rank0_1.py": "2"}},
        body(
            "1",
            node("x", line=50, name="q", expression="x(q)", detail="at 0x7f", source_line=99, source_file="other.py"),
            node("y", OK),
        ),
        body("2", node("x", line=3), node("x", line=4)),
    )
    found = held(listing(BOTH), now, strict=True, per_model=True)
    assert (found.failures, found.notes) == ((), ())
