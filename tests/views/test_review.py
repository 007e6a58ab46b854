"""Scans held against a baseline in Python: which part of a corpus they tell of, and what they refuse."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from building import FakeRegistry, body, coverage, graph_text, node, verdict, write_corpus

import opcov
from opcov.baseline import Baseline, BaselineError, Entry, ModelFacts, Waiver, read_baseline
from opcov.corpus import Scope
from opcov.corpus.health import Health
from opcov.gate import Judgement
from opcov.gate.changes import BelowThreshold, WaiverExpired
from opcov.problems import UsageError
from opcov.verdict import Status

BAD = body("d", node("torch.bad"))
SCAN = opcov.Scan(coverage({"org/a": {"rank0_0.py": "d"}}, BAD))
KNOWN = Entry("torch.bad", "torch.bad(T)", models=("org/a",), line=3)
REGISTRY = FakeRegistry({"torch.bad": verdict(Status.UNSUPPORTED)})


def known(*models: str) -> Baseline:
    return Baseline(models={name: ModelFacts(name, Health.OK, 1, 0, 0) for name in models})


# --- scopes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    text = graph_text('a: "f32[4]" = torch.bad(x)')
    return write_corpus(tmp_path / "gm", {"org/a/rank0_0.py": text, "org/b/rank0_0.py": text})


@pytest.mark.parametrize(
    ("below", "chosen", "partial"),
    [
        ("", {}, False),
        ("", {"include": ["org/*"]}, True),
        ("", {"exclude": ["org/a"]}, True),
        ("org", {}, False),
        ("org/a", {}, True),
        ("org/a/rank0_0.py", {}, True),
    ],
)
def test_scan_knows_whether_it_is_of_a_part(
    corpus: Path, below: str, chosen: dict[str, list[str]], partial: bool
) -> None:
    assert opcov.scan(corpus / below, registry=REGISTRY, **chosen).partial is partial


def test_corpus_of_one_model_is_no_part(corpus: Path) -> None:
    (corpus / "org/b/rank0_0.py").unlink()
    (corpus / "org/b").rmdir()
    assert not opcov.scan(corpus, registry=REGISTRY).partial


def test_folder_with_graphs_that_holds_other_models_is_no_part(corpus: Path) -> None:
    write_corpus(corpus / "org", {"rank0_0.py": graph_text('a: "f32[4]" = torch.relu(x)')})
    assert not opcov.scan(corpus / "org", registry=REGISTRY).partial


def test_one_model_of_a_scan_is_a_part(corpus: Path) -> None:
    assert opcov.scan(corpus, registry=REGISTRY).model("org/a").partial


@pytest.mark.parametrize(
    ("scope", "baseline", "partial"),
    [
        (Scope(), known("a/x", "b/x"), False),
        (Scope(include=("a/*",)), known("a/x", "b/x"), True),
        (Scope(include=("a/*",)), known("a/x", "a/y"), False),
        (Scope(exclude=("b/*",)), known("a/x"), False),
        (Scope(exclude=("b/*",)), Baseline(models=None), True),
        (Scope(one_model=True), known("a/x"), True),
        (Scope(include=("a/*",), one_file=True), known("a/x"), True),
    ],
)
def test_scope_is_partial_to_a_baseline_with_models_outside_of_it(
    scope: Scope, baseline: Baseline, partial: bool
) -> None:
    assert scope.is_partial_to(baseline.models) is partial


# --- checking ---------------------------------------------------------------------------------------------------------


def test_scan_is_held_against_a_baseline_that_was_read_before() -> None:
    assert SCAN.check(Baseline(models=known("org/a").models, entries=(KNOWN,))).passes
    assert not SCAN.check(known("org/a")).passes


def test_scan_is_held_against_numbers_alone() -> None:
    (failure,) = SCAN.check(max_unsupported=0).failures
    assert isinstance(failure, BelowThreshold)


def test_day_decides_on_waivers() -> None:
    waiver = Waiver(dt.date(2027, 3, 1), (), "#2600", 2)
    baseline = Baseline(
        models=known("org/a").models,
        entries=(Entry("torch.bad", "torch.bad(T)", models=("org/a",), waivers=(waiver,), line=3),),
    )
    assert SCAN.check(baseline, today=dt.date(2027, 3, 1)).passes
    (failure,) = SCAN.check(baseline, today=dt.date(2027, 3, 2)).failures
    assert isinstance(failure, WaiverExpired)


def test_reports_made_after_a_check_tell_of_it() -> None:
    scan = opcov.Scan(SCAN.coverage)
    assert scan._findings.judgement is None
    found = scan.check(max_unsupported=0)
    assert isinstance(found, Judgement)
    assert scan._findings.judgement is found


@pytest.mark.parametrize(
    "rule", [{"level": "model"}, {"fail_under": 101}, {"fail_under": float("nan")}, {"max_unsupported": -1}], ids=str
)
def test_rule_that_means_nothing_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SCAN.check(**rule)


def test_missing_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no baseline"):
        SCAN.check(tmp_path / "missing.py")


# --- updating ---------------------------------------------------------------------------------------------------------


def test_update_names_what_it_added_removed_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "all_ops.py"
    first = SCAN.update(path)
    assert (first.created, first.added, first.kept) == (True, (("torch.bad", "torch.bad(T)"),), ())
    worse = opcov.Scan(coverage({"org/a": {"rank0_0.py": "e"}}, body("e", node("torch.worse"))))
    second = worse.update(path)
    assert (second.created, second.path) == (False, path)
    assert (second.added, second.removed) == ((("torch.worse", "torch.worse(T)"),), (("torch.bad", "torch.bad(T)"),))


def test_update_names_the_models_that_it_forgets_and_those_that_stand_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "all_ops.py"
    bodies = [BAD, body("e", node("torch.bad"))]
    both = {"org/a": {"rank0_0.py": "d", "rank0_1.py": "e"}, "org/b": {"rank0_0.py": "e"}}
    files = coverage(both, *bodies).models
    indexed = {
        name: replace(one, files=tuple(replace(file, index=place) for place, file in enumerate(one.files)))
        for name, one in files.items()
    }
    opcov.Scan(replace(coverage(both, *bodies), models=indexed)).update(path)
    update = SCAN.update(path)
    assert (update.lost_models, update.other_models) == (("org/b",), ("org/a",))
    assert SCAN.update(path).other_models == ()


def test_update_from_a_folder_of_the_corpus_keeps_the_rest_and_the_full_names(tmp_path: Path) -> None:
    path = tmp_path / "all_ops.py"
    whole = {"org/a": {"rank0_0.py": "d"}, "org/b": {"rank0_0.py": "d"}, "other/c": {"rank0_0.py": "e"}}
    opcov.Scan(coverage(whole, BAD, body("e", node("torch.worse")))).update(path)
    before = path.read_text()
    deeper = opcov.Scan(coverage({"a": {"rank0_0.py": "d"}, "b": {"rank0_0.py": "d"}}, BAD))
    assert deeper.update(path).removed == ()
    assert path.read_text() == before
    added = opcov.Scan(
        coverage({"a": {"rank0_0.py": "d"}, "new": {"rank0_0.py": "f"}}, BAD, body("f", node("torch.n")))
    )
    added.update(path)
    (entry,) = (entry for entry in read_baseline(path).entries if entry.op == "torch.n")
    assert (entry.models, entry.files) == (("org/new",), ("org/new/rank0_0.py",))


@pytest.mark.parametrize(("name", "told"), [("m", "one/m or two/m"), ("new", "no model that it knows")])
def test_update_from_a_model_of_which_nobody_knows_where_it_lies_is_refused(
    tmp_path: Path, name: str, told: str
) -> None:
    path = tmp_path / "all_ops.py"
    files = {"rank0_0.py": "d"}
    opcov.Scan(coverage({"one/m": files, "two/m": files}, BAD)).update(path)
    before = path.read_text()
    with pytest.raises(UsageError, match=told):
        opcov.Scan(coverage({name: files}, BAD), scope=Scope(one_model=True)).update(path)
    assert path.read_text() == before


def test_update_from_a_folder_with_a_model_that_may_be_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "all_ops.py"
    files = {"rank0_0.py": "d"}
    opcov.Scan(coverage({"one/a": files, "two/a": files, "three/b": files}, BAD)).update(path)
    with pytest.raises(UsageError, match="one/a or two/a"):
        opcov.Scan(coverage({"a": files, "b": files}, BAD)).update(path)


def test_damaged_baseline_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "all_ops.py"
    path.write_text("torch.bad(")
    with pytest.raises(BaselineError):
        SCAN.update(path)
    assert path.read_text() == "torch.bad("


# --- saved scans ------------------------------------------------------------------------------------------------------


def test_saved_scan_equals_the_one_that_was_saved(tmp_path: Path) -> None:
    from opcov import api

    SCAN.write(json=tmp_path / "saved.json")
    assert not SCAN.diff(api.saved_scan(tmp_path / "saved.json"))


@pytest.mark.parametrize("content", [b"{}", b"\xff", b"[" * 100_000, b" "], ids=["other", "binary", "deep", "empty"])
def test_saved_scan_that_is_none_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    from opcov import api

    (tmp_path / "saved.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"saved\.json"):
        api.saved_scan(tmp_path / "saved.json")
