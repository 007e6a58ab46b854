"""The Code Quality list: the fields that GitLab reads, fingerprints of its own for each issue, relative paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from judgements import FILE, HOSTILE, every_change, facts, hostile, judged, scanned

from opcov.coverage import Coverage
from opcov.gate.changes import Known, ModelLost, NewOp, Place, Waived
from opcov.reports.gitlab import render
from opcov.reports.report import Findings


def read(findings: Findings) -> list[dict[str, Any]]:
    """The issues, each held against what GitLab's documentation lists as required."""
    issues = json.loads(render(findings).encode())
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert set(issue["location"]) == {"path", "lines"}
        assert issue["location"]["lines"]["begin"] >= 1
        path = issue["location"]["path"]
        assert not path.startswith(("/", "./"))
        assert ".." not in path.split("/")
    prints = [issue["fingerprint"] for issue in issues]
    assert len(set(prints)) == len(prints)
    return issues


def test_failure_is_an_issue_at_its_line() -> None:
    (issue,) = read(judged([NewOp(facts())]))
    assert issue["check_name"] == "opcov/new-op"
    assert issue["severity"] == "major"
    assert issue["location"] == {"path": f"gm/{FILE}", "lines": {"begin": 5}}
    assert "torch.sinc" in issue["description"]


def test_lost_model_is_critical() -> None:
    (issue,) = read(judged([ModelLost("org/lost")]))
    assert (issue["severity"], issue["location"]["path"]) == ("critical", "ci/all_ops.py")


def test_waived_op_is_information_and_known_one_is_no_issue() -> None:
    waived = [change for change in every_change() if isinstance(change, Waived)]
    (issue,) = read(judged(known=[*waived, Known(facts())]))
    assert (issue["check_name"], issue["severity"]) == ("opcov/waived", "info")


def test_what_fails_is_graver_than_the_same_as_a_note() -> None:
    (failure,) = read(judged([NewOp(facts())]))
    (note,) = read(judged(notes=[NewOp(facts())]))
    assert (failure["severity"], note["severity"]) == ("major", "minor")


def test_without_a_judgement_crashes_are_graver_than_other_ops() -> None:
    assert [issue["severity"] for issue in read(Findings(scanned()))] == ["minor", "major"]


def test_every_change_has_an_issue_of_its_own() -> None:
    found = every_change()
    issues = read(judged(found))
    assert sorted(issue["check_name"] for issue in issues) == sorted(f"opcov/{change.slug}" for change in found)


def test_fingerprints_are_not_made_of_lines_or_files() -> None:
    prints = [
        read(judged([NewOp(facts(place=Place(file, line, "", "", "d")))]))[0]["fingerprint"]
        for file, line in ((FILE, 5), ("org/m/rank5_1.py", 77))
    ]
    assert prints[0] == prints[1]


def test_issues_with_equal_news_keep_fingerprints_of_their_own() -> None:
    assert len(read(judged([NewOp(facts()), NewOp(facts())]))) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_list_is_sound_whatever_a_dump_holds(text: str) -> None:
    found = hostile(text)
    assert len(read(found)) == len(read(hostile("")))
    assert all(character.isprintable() or character == "\n" for character in render(found))


def test_list_of_nothing_is_empty() -> None:
    assert read(Findings(Coverage({}, {}))) == []


def test_text_begins_with_the_list_and_no_byte_order_mark() -> None:
    assert render(judged([NewOp(facts())])).startswith("[")
