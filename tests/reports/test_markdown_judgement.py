"""The judgement at the top of the Markdown: failures, what to do about them, notes; never more than a comment holds."""

from __future__ import annotations

import pytest
from building import body, coverage, node
from judgements import HOSTILE, every_change, facts, hostile, judged
from markdown_it import MarkdownIt
from rendered_tables import outside_code

from opcov.gate import Judgement
from opcov.gate.changes import Known, NewOp, OpFixed, Waived
from opcov.problems import Problem, Slug
from opcov.reports import by_name
from opcov.reports.markdown import LIMIT, render
from opcov.reports.report import FileReport, Findings

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def text_of(findings: Findings) -> str:
    return render(findings.coverage, findings.judgement)


def test_failed_check_stands_before_all_else() -> None:
    text = text_of(judged([NewOp(facts())]))
    assert text.startswith("## The check failed: 1 change against `ci/all_ops.py`\n\n### Failures: 1\n\n- new-op: ")
    assert text.index("## The check") < text.index("## Thunder supports")


def test_passed_check_says_so_and_counts_what_is_listed() -> None:
    waived = [change for change in every_change() if isinstance(change, Waived)]
    text = text_of(judged(known=[Known(facts()), *waived]))
    assert text.startswith("## The check passed against `ci/all_ops.py`\n")
    assert "As listed: 2 call shapes; waived: 1." in text
    assert "### Failures" not in text


def test_advice_is_given_once_however_many_changes_need_it() -> None:
    changes = [NewOp(facts("op.a")), NewOp(facts("op.b"))]
    assert text_of(judged(changes)).count(changes[0].what_to_do) == 1


def test_entries_that_are_fixed_come_with_the_advice_to_take_them_off() -> None:
    fixed = OpFixed("op.f", "op.f(T)", ("m",), 3)
    text = text_of(judged(notes=[fixed]))
    assert "### Notes: 1" in text
    assert f"- {fixed.what_to_do}" in text


def test_report_without_a_judgement_is_as_it_was() -> None:
    findings = judged()
    report = by_name("markdown")
    assert isinstance(report, FileReport)
    assert report.render(Findings(findings.coverage)) == render(findings.coverage)
    assert "The check" not in render(findings.coverage)


def test_report_of_findings_with_a_judgement_shows_it() -> None:
    report = by_name("markdown")
    assert isinstance(report, FileReport)
    assert str(report.render(judged([NewOp(facts())]))).startswith("## The check failed")


def test_many_failures_are_counted_where_there_is_no_room_for_them() -> None:
    text = text_of(judged([NewOp(facts(f"op.n{place}")) for place in range(500)]))
    assert "### Failures: 500" in text
    assert "- and 480 more" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_comment_is_never_longer_than_github_takes(text: str) -> None:
    found = hostile(text)
    judgement = found.judgement
    assert judgement is not None
    many = Judgement(judgement.baseline, judgement.failures * 5, judgement.notes * 5, judgement.known)
    assert len(render(found.coverage, many).encode("utf-16-le")) // 2 < LIMIT - 7_000


def test_comment_is_never_longer_than_github_takes_however_many_ops_there_are() -> None:
    name = "\U0001f600" * 1_000
    nodes = [node(f"op{place}{name}", source_file=name, source_function=name) for place in range(120)]
    models = {f"m{place}{name}": {"rank0_0.py": "d"} for place in range(120)}
    problems = [Problem(f"f{place}{name}", 1, Slug.SYNTAX, f"m{place}{name}") for place in range(120)]
    found = hostile("x" * 300).judgement
    assert found is not None
    many = Judgement(found.baseline, found.failures * 5, found.notes * 5, found.known)
    text = render(coverage(models, body("d", *nodes), problems=problems), many)
    # 58,000 for all sections, as the module promises: a bot may add the rest.
    assert len(text.encode("utf-16-le")) // 2 <= 58_000


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_dump_stands_in_code_only(text: str) -> None:
    marked = f"zqx{text}zqx"
    rendered = MARKDOWN.render(text_of(hostile(marked)))
    assert "zqx" not in outside_code(rendered)
    assert "zqx" in rendered
