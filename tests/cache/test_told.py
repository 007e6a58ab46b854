"""What was told before is told again without a table, and never of another corpus, judge, place or accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import write_corpus
from remembered import LOG, RELU, SINC, Remembered, aged, refusing

import opcov
from opcov import reports
from opcov.cache import Options, survey
from opcov.cache.records import Kind
from opcov.coverage import Coverage
from opcov.engine import work
from opcov.loaders import BUILT_IN, by_name, export, folder, graphnet, readable, scripts
from opcov.problems import Slug

TEXTS = {"m/rank0_0.py": RELU, "m/rank0_1.py": SINC, "m/log.txt": LOG}
"""Of a corpus whose `torch.sinc` nobody refuses."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """That opcov's code is edited while the tests run is no matter."""
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")


@pytest.fixture
def gm(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "gm", TEXTS)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing may be put together."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a coverage was made")

    monkeypatch.setattr(Coverage, "__init__", refuse)


@pytest.mark.parametrize("kind", ["all_ops", "text", "markdown"])
def test_report_of_what_has_not_changed_is_told_again_without_a_table(
    gm: Path, cache: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opcov.scan(gm, registry=refusing(), cache=cache)
    text, problems, agrees = first.render(kind), first.problems, first.agrees
    no_table(monkeypatch)
    again = opcov.scan(gm, registry=refusing(), cache=cache)
    assert (again.render(kind), again.problems, again.agrees) == (text, problems, agrees)


def test_tables_of_what_was_told_are_there_when_they_are_asked_for(gm: Path, cache: Path) -> None:
    first = opcov.scan(gm, registry=refusing(), cache=cache).coverage
    judge = refusing()
    assert opcov.scan(gm, registry=judge, cache=cache).coverage == first
    assert judge.judged == []


def test_what_the_cache_has_lost_meanwhile_is_judged_once_more(gm: Path, cache: Path) -> None:
    first = opcov.scan(gm, registry=refusing(), cache=cache).coverage
    judge = refusing()
    again = opcov.scan(gm, registry=judge, cache=cache)
    for path in cache.iterdir():
        path.unlink()
    assert again.coverage == first
    assert len(judge.judged) == 2


CHANGES = {
    "a graph": lambda root: (root / "m/rank0_1.py").write_text(RELU.replace("relu", "tanh")),
    "one graph more": lambda root: (root / "m/rank0_2.py").write_text(SINC),
    "one graph less": lambda root: (root / "m/rank0_1.py").unlink(),
    "the run log": lambda root: (root / "m/log.txt").write_text(LOG.replace("no way", "another way")),
    "no run log": lambda root: (root / "m/log.txt").unlink(),
    "another model": lambda root: (root / "m").rename(root / "n"),
    "another rank": lambda root: (root / "m/rank0_1.py").rename(root / "m/rank1_1.py"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_told(gm: Path, cache: Path, change: str) -> None:
    opcov.scan(gm, registry=refusing(), cache=cache).render("all_ops")
    CHANGES[change](gm)
    expected = opcov.scan(gm, registry=refusing(), cache=False)
    found = opcov.scan(gm, registry=refusing(), cache=cache)
    assert found.problems == expected.problems
    for kind in ("all_ops", "text", "json"):
        assert found.render(kind) == expected.render(kind)


def test_another_judge_tells_for_itself(gm: Path, cache: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=cache).render("all_ops")
    other = Remembered({}, fingerprint="fake 2")
    expected = opcov.scan(gm, registry=Remembered({}), cache=False).render("all_ops")
    assert opcov.scan(gm, registry=other, cache=cache).render("all_ops") == expected


def test_report_of_a_part_is_not_that_of_the_whole(gm: Path, cache: Path) -> None:
    write_corpus(gm, {"n/rank0_0.py": RELU})
    whole = opcov.scan(gm, registry=refusing(), cache=cache).render("text")
    assert opcov.scan(gm, include=["n"], registry=refusing(), cache=cache).render("text") != whole


def test_places_in_a_repository_are_told_of_where_the_corpus_lies_now(
    gm: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = refusing
    monkeypatch.chdir(gm.parent)
    write_corpus(gm, {"m/rank0_2.py": RELU.replace("relu", "tanh")})
    here = opcov.scan("gm", registry=judge(), cache=cache).render("github")
    monkeypatch.chdir(gm)
    inside = opcov.scan(gm / "m", registry=judge(), cache=cache).render("github")
    assert "file=gm/m/rank0_2.py" in str(here)
    assert "file=gm/" not in str(inside)


def test_report_that_tells_of_a_baseline_is_made_anew(gm: Path, cache: Path, tmp_path: Path) -> None:
    scan = opcov.scan(gm, registry=refusing(), cache=cache)
    plain = scan.render("markdown")
    scan = opcov.scan(gm, registry=refusing(), cache=cache)
    scan.check(fail_under=100)
    assert scan.render("markdown") != plain
    assert opcov.scan(gm, registry=refusing(), cache=cache).render("markdown") == plain


def test_accident_is_told_once(gm: Path, cache: Path) -> None:
    broken = Remembered({"torch.sinc": MemoryError("no room")})
    slugs = {problem.slug for problem in opcov.scan(gm, registry=broken, cache=cache).problems}
    assert Slug.JUDGE_FAILED in slugs
    slugs = {problem.slug for problem in opcov.scan(gm, registry=Remembered({}), cache=cache).problems}
    assert Slug.JUDGE_FAILED not in slugs


def test_file_that_cannot_be_read_is_looked_at_again(gm: Path, cache: Path) -> None:
    lost = gm / "m/rank0_2.py"
    lost.symlink_to("nowhere")
    assert Slug.UNREADABLE in {problem.slug for problem in opcov.scan(gm, registry=refusing(), cache=cache).problems}
    assert survey(cache).entries.get(Kind.TOLD) is None


def test_file_that_is_replaced_while_it_is_judged_is_not_told_again(
    gm: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replacing(task: work.Task, registry: object) -> work.Answer:
        (gm / "m" / task.saved.name).write_text(RELU.replace("relu", "cos"))
        return original(task, registry)  # type: ignore[arg-type]

    original = work.answer
    with monkeypatch.context() as patch:
        patch.setattr(work, "answer", replacing)
        opcov.scan(gm, registry=refusing(), cache=cache)
    assert survey(cache).entries.get(Kind.TOLD) is None


def test_long_report_is_made_again(gm: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.cache.told._LONGEST", 10)
    opcov.scan(gm, registry=refusing(), cache=cache).render("text")
    no_table(monkeypatch)
    with pytest.raises(AssertionError, match="a coverage was made"):
        opcov.scan(gm, registry=refusing(), cache=cache).render("text")


# --- graphs apart from verdicts ---------------------------------------------------------------------------------------


def test_another_version_of_the_judge_asks_again_and_parses_nothing(
    gm: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opcov.scan(gm, registry=refusing(), cache=cache).coverage
    monkeypatch.setattr("opcov.loaders.readable.parse", lambda *_: pytest.fail("a text was parsed"))
    judge = refusing(fingerprint="fake 2")
    assert opcov.scan(gm, registry=judge, cache=cache).coverage == first
    assert len(judge.judged) == 2


def test_parsed_graph_of_another_line_count_is_not_taken(tmp_path: Path, cache: Path) -> None:
    first = aged(write_corpus(tmp_path / "gm", {"m/rank0_0.py": f"# Rank: 0, Graph 0\n{RELU}"}))
    opcov.scan(first, registry=refusing(), cache=cache)
    (first / "m/rank0_0.py").write_text(RELU)
    lines = opcov.scan(first, registry=refusing(fingerprint="fake 2"), cache=Options(cache)).nodes.line.tolist()
    assert lines == opcov.scan(first, registry=refusing(), cache=False).nodes.line.tolist()


# --- what is known without loading a module ---------------------------------------------------------------------------


@pytest.mark.parametrize("module", [readable, graphnet, scripts, folder, export])
def test_what_finding_files_takes_to_know_of_a_loader_is_what_its_module_says(module: object) -> None:
    own, known = module.LOADER, by_name(module.LOADER.name)  # type: ignore[attr-defined]
    facts = ("name", "suffixes", "companions", "version")
    assert [getattr(known, fact) for fact in facts] == [getattr(own, fact) for fact in facts]
    assert known in BUILT_IN


@pytest.mark.parametrize("name", ["all_ops", "csv", "html", "json", "parquet", "text", "sarif"])
def test_kind_is_known_to_be_a_folder_as_its_module_has_it(name: str) -> None:
    assert reports.is_folder(name) == isinstance(reports.by_name(name), reports.FolderReport)
