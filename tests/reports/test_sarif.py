"""The SARIF log: valid, within GitHub's limits, pointing at the very call, the same for the same news."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from building import graph_text
from jsonschema import Draft202012Validator
from judgements import FILE, HOSTILE, altered, every_change, facts, hostile, judged, scanned

import opcov
from opcov.coverage import Coverage
from opcov.gate.changes import NewOp, Place, Waived
from opcov.problems import Problem, Slug
from opcov.reports.report import Findings
from opcov.reports.sarif import MOST_PROBLEMS, MOST_RESULTS, render

SCHEMA = Path(__file__).resolve().parent.parent / "schemas" / "sarif-2.1.0.json"


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def run(findings: Findings) -> dict[str, Any]:
    """The one run of the log."""
    (found,) = json.loads(render(findings))["runs"]
    return found


def wrong(findings: Findings) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(json.loads(render(findings)))]


def region(findings: Findings) -> dict[str, int]:
    return run(findings)["results"][0]["locations"][0]["physicalLocation"]["region"]


def located(line: str, expression: str) -> Findings:
    """A failure in line 3 of a graph with that line there."""
    text = graph_text(line)
    place = Place(FILE, 3, expression, "", "d")
    return altered(judged([NewOp(facts(place=place))]), text_of={"d": text}.get)


# --- valid ---


def test_schema_is_one_that_refuses_what_is_no_sarif() -> None:
    Draft202012Validator.check_schema(validator().schema)
    assert not validator().is_valid({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x", "bogus": 1}}}]})


def test_log_of_every_kind_of_change_is_valid() -> None:
    found = every_change()
    assert wrong(judged(found[:6], found[6:], found)) == []


def test_log_without_a_judgement_is_valid(fixtures_scan: opcov.Scan) -> None:
    assert wrong(Findings(fixtures_scan.coverage)) == []


def test_log_of_nothing_is_valid() -> None:
    assert wrong(Findings(Coverage({}, {}))) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_log_is_valid_and_nothing_in_it_acts_on_a_terminal_whatever_a_dump_holds(text: str) -> None:
    found = hostile(text)
    assert wrong(found) == []
    assert all(character.isprintable() or character == "\n" for character in render(found))


# --- what it tells ---


def test_failures_are_errors_and_the_rest_is_not() -> None:
    found = every_change()
    results = run(judged(found[:4], found[4:]))["results"]
    assert [result["ruleId"] for result in results if result["level"] == "error"] == [
        f"opcov/{change.slug}" for change in found[:4]
    ]


def test_without_a_judgement_ops_that_are_not_supported_are_warnings_with_their_reasons_as_rules() -> None:
    results = run(Findings(scanned()))["results"]
    assert [(result["ruleId"], result["level"]) for result in results] == [
        ("opcov/missing-op-support", "warning"),
        ("opcov/crash", "warning"),
    ]


def test_result_carries_what_a_script_would_ask_for() -> None:
    (result,) = run(judged([NewOp(facts(models=("a", "b")))]))["results"]
    assert result["properties"] == {
        "op": "torch.sinc", "variant": "torch.sinc(T)", "reason": "MISSING_OP_SUPPORT", "models": ["a", "b"],
        "modelCount": 2,
    }  # fmt: skip


def test_rule_index_points_to_the_rule() -> None:
    found = run(judged(every_change()))
    rules = found["tool"]["driver"]["rules"]
    assert found["results"]
    for result in found["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_rules_are_the_same_whatever_was_found() -> None:
    assert run(judged())["tool"] == run(Findings(scanned()))["tool"]


def test_rules_have_all_that_github_requires() -> None:
    for rule in run(judged())["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
        assert len(rule["properties"]["tags"]) <= 10


def test_waiver_suppresses_its_result_and_says_why_and_until_when() -> None:
    (waived,) = (change for change in every_change() if isinstance(change, Waived))
    (result,) = run(judged(known=[waived]))["results"]
    (suppression,) = result["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert suppression["justification"] == "reason until 2027-03-01"
    assert suppression["location"]["physicalLocation"]["artifactLocation"]["uri"] == "ci/all_ops.py"
    assert suppression["location"]["physicalLocation"]["region"]["startLine"] == 16


def test_only_waived_results_are_suppressed() -> None:
    results = run(judged(every_change()[:5], every_change()[5:]))["results"]
    assert [result["ruleId"] for result in results if "suppressions" in result] == ["opcov/waived"]


def test_problems_of_files_are_notifications() -> None:
    found = run(Findings(scanned(), corpus="gm"))["invocations"][0]["toolExecutionNotifications"]
    assert [one["descriptor"]["id"] for one in found] == ["opcov/problem/syntax", "opcov/problem/unreadable"]
    place = found[0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (f"gm/{FILE}", 3)
    assert "locations" not in found[1]


def test_notifications_refer_to_what_the_tool_declares() -> None:
    declared = {one["id"] for one in run(judged())["tool"]["driver"]["notifications"]}
    assert declared >= {f"opcov/problem/{slug.value}" for slug in Slug}


# --- places ---


def test_region_is_that_of_the_call() -> None:
    # Eight blanks and `y: "f32[4]" = ` stand before it.
    assert region(located('y: "f32[4]" = torch.sinc(x);  x = None', "torch.sinc(x)")) == {
        "startLine": 3, "startColumn": 23, "endLine": 3, "endColumn": 36,
    }  # fmt: skip


def test_columns_count_utf16_code_units() -> None:
    found = region(located('y = f("\U0001f600", torch.sinc(x))', "torch.sinc(x)"))
    # Eight blanks, `y = f("`, two units of the face, `", `.
    assert (found["startColumn"], found["endColumn"]) == (21, 34)


def test_region_of_a_call_that_is_printed_otherwise_is_what_stands_in_its_line() -> None:
    found = region(located("y = torch.sinc( x )", "torch.sinc(x)"))
    assert (found["startColumn"], found["endColumn"]) == (9, 28)


def test_region_has_all_four_fields_where_there_is_no_text() -> None:
    found = region(judged([NewOp(facts())]))
    assert found == {"startLine": 5, "startColumn": 1, "endLine": 5, "endColumn": 2}


def test_line_that_the_text_does_not_have_is_no_error() -> None:
    found = altered(judged([NewOp(facts(place=Place(FILE, 99, "x", "", "d")))]), text_of=lambda _: "one line")
    assert region(found)["startLine"] == 99


@pytest.mark.parametrize("text", HOSTILE)
def test_addresses_are_relative_and_spelled(text: str) -> None:
    found = hostile(text)
    for result in run(found)["results"]:
        (location,) = result["locations"]
        place = location["physicalLocation"]["artifactLocation"]
        parts = urlsplit(place["uri"])
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert place["uri"].isascii()
        assert " " not in place["uri"]
        assert not place["uri"].startswith("/")
        assert place["uriBaseId"] == "%SRCROOT%"


def test_address_is_the_name_on_disk() -> None:
    name = "org/m/a b%c#d\u00fc.py"
    (result,) = run(judged([NewOp(facts(place=Place(name, 5, "", "", "d")))]))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "gm/org/m/a%20b%25c%23d%C3%BC.py"
    assert unquote(uri) == f"gm/{name}"


# --- messages ---


def test_text_of_a_dump_is_no_link_and_no_placeholder() -> None:
    (result,) = run(judged([NewOp(facts(detail="[here](https://evil.example) {0}"))]))["results"]
    assert "](" not in result["message"]["text"]
    assert "{{0}}" in result["message"]["text"]


def test_text_of_a_dump_is_no_link_without_a_judgement_either() -> None:
    for result in run(Findings(scanned(" [here](https://evil.example) {0}")))["results"]:
        assert "](" not in result["message"]["text"]
        assert "{{0}}" in result["message"]["text"]


# --- stability and limits ---


def test_fingerprints_do_not_depend_on_lines() -> None:
    prints = [
        run(judged([NewOp(facts(place=Place(file, line, "", "", "d")))]))["results"][0]["partialFingerprints"]
        for file, line in ((FILE, 5), ("org/m/rank7_3.py", 900))
    ]
    assert prints[0] == prints[1]


def test_checks_and_scans_are_analyses_of_their_own() -> None:
    check, scan = run(judged())["automationDetails"]["id"], run(Findings(scanned()))["automationDetails"]["id"]
    assert (check, scan) == ("opcov/check/", "opcov/scan/")


def test_results_beyond_what_github_keeps_are_counted_and_the_rest_fits_into_an_upload() -> None:
    changes = [NewOp(facts(f"op.n{place}", detail="why " * 100)) for place in range(MOST_RESULTS + 7)]
    text = render(judged(changes))
    (found,) = json.loads(text)["runs"]
    assert len(found["results"]) == MOST_RESULTS
    told = found["invocations"][0]["toolExecutionNotifications"][-1]
    assert told["message"]["text"] == "7 more results are not in this file."
    assert len(gzip.compress(text.encode())) < 10_000_000


def test_problems_beyond_a_limit_are_counted() -> None:
    problems = tuple(Problem(FILE, line, Slug.SYNTAX, "m") for line in range(MOST_PROBLEMS + 3))
    found = run(Findings(replace(scanned(), problems=problems)))["invocations"][0]["toolExecutionNotifications"]
    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1]["message"]["text"] == "3 more problems are not in this file."


def test_same_findings_give_the_same_text() -> None:
    assert render(judged(every_change())) == render(judged(every_change()))
