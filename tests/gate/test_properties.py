"""Whatever a scan found: its own list passes the gate, and what is taken off the list is all that fails."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from building import body, coverage, node
from hypothesis import given, settings
from hypothesis import strategies as st

from opcov.baseline import parse_baseline
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.differences import compare
from opcov.document import coverage_of, document
from opcov.gate import Level, Rules, judge
from opcov.gate.changes import NewOp, NewVariant, OpFixed
from opcov.graphfile import printable
from opcov.judged import JudgedNode
from opcov.problems import Problem, Slug
from opcov.reports.all_ops import render, update
from opcov.reports.json_document import encoded, read_document
from opcov.verdict import Status

TODAY = dt.date(2027, 1, 15)
ATTACKS = st.sampled_from(
    ["a\nb", "#: allow", "#: note", "::error::x", "##[group]x", "`x`", '"""', "'", "\\N{BULLET}", "\u202eabc\u2066",
     "# Fixed: x", "#  models: 1: m", "torch.f", "torch.f(x)", "torch.f(T)", "a, b", "a: CRASH", "x\n\ny", "\r", "\0"]
)  # fmt: skip
TEXTS = st.text(max_size=12) | ATTACKS | st.builds(str.__add__, ATTACKS, ATTACKS)
LONG = st.builds(lambda text, times: text * times, TEXTS, st.sampled_from([1] * 9 + [9_000]))
STATUSES = st.sampled_from(Status)
CALLS = st.builds(
    lambda op, variant, expression, detail, status: node(
        op, status, variant=variant, expression=expression, detail=detail
    ),
    LONG, LONG, LONG, TEXTS, STATUSES,
)  # fmt: skip
NAMES = TEXTS.map(printable).filter(bool)
"""Of models: a corpus gives no others."""
GRAPHS = st.lists(CALLS, max_size=4)


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    """Up to three models with graphs that they may share, sound, damaged or lost."""
    bodies = [body(str(place), *nodes) for place, nodes in enumerate(draw(st.lists(GRAPHS, min_size=1, max_size=3)))]
    digests = st.sampled_from([one.digest for one in bodies])
    files = st.dictionaries(st.sampled_from(["rank0_0.py", "rank1_0.py", "graph_module_1.py"]), digests, max_size=3)
    found = coverage(draw(st.dictionaries(NAMES, files, min_size=1, max_size=3)), *bodies)
    health = st.builds(Diagnosis, st.sampled_from(Health), st.tuples(TEXTS))
    models = {name: replace(one, diagnosis=draw(health)) for name, one in found.models.items()}
    problems = [
        Problem(file.path, draw(st.integers(0, 9)), draw(st.sampled_from(Slug)), draw(TEXTS))
        for one in models.values()
        for file in one.files
        if draw(st.booleans())
    ]
    used = {file.digest for one in models.values() for file in one.files}
    kept = {digest: one for digest, one in found.bodies.items() if digest in used}
    return replace(found, models=models, bodies=kept, problems=tuple(sorted(set(problems))))


@settings(max_examples=100, deadline=None)
@given(coverages(), st.sampled_from(Level), st.booleans())
def test_list_of_a_scan_passes_its_own_check_and_no_update_changes_it(
    found: Coverage, level: Level, partial: bool
) -> None:
    text = render(found)
    baseline = parse_baseline(text.encode())
    judgement = judge(baseline, found, Rules(level, per_model=True, strict=True), TODAY, partial=partial)
    assert (judgement.failures, judgement.notes) == ((), ())
    assert update(baseline, found, partial=partial) == text


@settings(max_examples=100, deadline=None)
@given(coverages(), st.data())
def test_entry_that_is_taken_out_of_the_file_is_all_that_fails(found: Coverage, data: st.DataObject) -> None:
    text = render(found)
    entries = parse_baseline(text.encode()).entries
    if not entries:
        return
    gone = data.draw(st.sampled_from(entries))
    assert text.count(f"\n\n{gone.text}\n") == 1
    judgement = judge(parse_baseline(text.replace(f"\n\n{gone.text}\n", "\n")), found, Rules(), TODAY)
    (failure,) = judgement.failures
    is_new = all(entry.op != gone.op for entry in entries if entry is not gone)
    assert isinstance(failure, NewOp if is_new else NewVariant)
    assert (failure.facts.op, failure.facts.variant) == gone.key
    assert not any(isinstance(change, OpFixed) for change in judgement.notes)


@settings(max_examples=100, deadline=None)
@given(coverages())
def test_saved_scan_differs_in_nothing_from_the_scan(found: Coverage) -> None:
    assert not compare(found, coverage_of(document(found)))
    assert not compare(found, coverage_of(read_document(encoded(document(found)))))


@given(st.dictionaries(st.sampled_from(["a", "b", "c/d"]), st.lists(st.sampled_from("xyz"), max_size=3), min_size=1))
def test_folder_of_a_corpus_that_is_scanned_by_itself_leaves_its_list_as_it_is(
    models: Mapping[str, Sequence[str]],
) -> None:
    def of(prefix: str) -> Coverage:
        nodes: dict[str, list[JudgedNode]] = {name: [node(f"torch.{op}") for op in ops] for name, ops in models.items()}
        files = {f"{prefix}{name}": {"rank0_0.py": name} for name in models}
        return coverage(files, *[body(name, *calls) for name, calls in nodes.items()])

    whole = of("org/")
    other = coverage({"other/e": {"rank0_0.py": "e"}}, body("e", node("torch.w")))
    text = render(replace(whole, models={**whole.models, **other.models}, bodies={**whole.bodies, **other.bodies}))
    assert update(parse_baseline(text), of(""), partial=True) == text
