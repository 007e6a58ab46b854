"""The JUnit XML: what Jenkins' schema allows, with counts that are right and names that stay."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from building import OK, body, coverage, model
from judgements import HOSTILE, every_change, facts, hostile, judged, scanned

import opcov
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.gate import Judgement
from opcov.gate.changes import (
    BelowThreshold,
    GraphsLost,
    Known,
    KnownOpInNewModel,
    ModelLost,
    NewOp,
    NewVariant,
    OpFixed,
    Place,
    Waived,
)
from opcov.reports.junit import render
from opcov.reports.report import Findings

OUTCOMES = ("failure", "error", "skipped")

ALLOWED = {
    "testsuites": ({"testsuite"}, {"name", "tests", "failures", "errors"}),
    "testsuite": ({"testcase"}, {"name", "tests", "failures", "errors", "skipped"}),
    "testcase": ({*OUTCOMES, "system-out"}, {"classname", "name"}),
    "failure": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "skipped": (set(), {"type", "message"}),
    "system-out": (set(), set()),
}
"""Children and attributes, all of them among those of junit-10.xsd of Jenkins' xUnit plugin; no times among them."""


def read(findings: Findings) -> ET.Element:
    """The document, held against what is allowed."""
    root = ET.fromstring(render(findings).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        children, attributes = ALLOWED[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.attrib) <= attributes
    return root


def outcomes(findings: Findings) -> dict[tuple[str, str], str]:
    """What became of each test case, by group and name."""
    found = {}
    for case in read(findings).iter("testcase"):
        told = [child.tag for child in case if child.tag in OUTCOMES]
        assert len(told) <= 1
        found[case.attrib["classname"], case.attrib["name"]] = told[0] if told else "passed"
    return found


def test_new_op_fails_and_known_one_passes() -> None:
    found = outcomes(judged([NewOp(facts("op.new"))], known=[Known(facts("op.known"))]))
    assert found == {
        ("op.new", "op.new(T)"): "failure",
        ("op.known", "op.known(T)"): "passed",
        ("models", "org/m"): "passed",
    }


def test_waived_op_is_skipped_and_says_why() -> None:
    waived = [change for change in every_change() if isinstance(change, Waived)]
    (skipped,) = read(judged(known=waived)).iter("skipped")
    assert "reason" in skipped.attrib["message"]
    assert "2027-03-01" in skipped.attrib["message"]


def test_model_that_lost_graphs_is_an_error_and_not_a_failure() -> None:
    found = outcomes(judged([ModelLost("org/lost"), GraphsLost("org/m", 9, 7)]))
    assert found == {("models", "org/lost"): "error", ("models", "org/m"): "error"}


def test_loss_that_is_allowed_passes_and_is_told() -> None:
    findings = judged(notes=[GraphsLost("org/m", 9, 7)])
    assert outcomes(findings) == {("models", "org/m"): "passed"}
    (told,) = read(findings).iter("system-out")
    assert told.text is not None
    assert "7 graphs" in told.text


def test_fixed_entry_passes_and_is_told() -> None:
    findings = judged(notes=[OpFixed("op.f", "op.f(T)", ("m",), 3)])
    assert outcomes(findings)["op.f", "op.f(T)"] == "passed"


def test_threshold_is_a_failure_of_its_own() -> None:
    found = outcomes(judged([BelowThreshold("node coverage", "1 %", "2 %")]))
    assert found["threshold", "node coverage"] == "failure"


def test_changes_of_one_call_shape_are_one_case_and_the_gravest_decides() -> None:
    findings = judged([NewVariant(facts("op.a"))], known=[Known(facts("op.a"))])
    assert outcomes(findings)["op.a", "op.a(T)"] == "failure"
    assert [case.attrib["name"] for case in read(findings).iter("testcase")].count("op.a(T)") == 1


def test_note_about_a_call_shape_that_fails_is_told_beside_the_failure() -> None:
    findings = judged([NewVariant(facts("op.a"))], [KnownOpInNewModel(facts("op.a", models=("org/z",)))])
    assert outcomes(findings)["op.a", "op.a(T)"] == "failure"
    (told,) = read(findings).iter("system-out")
    assert told.text is not None
    assert "org/z" in told.text


def test_two_failures_of_one_call_shape_are_both_told() -> None:
    place = Place("org/m/rank0_9.py", 9, "y", "", "d")
    (failure,) = read(judged([NewVariant(facts()), NewOp(facts(detail="second", place=place))])).iter("failure")
    assert failure.text is not None
    assert "why torch.sinc" in failure.text
    assert "second" in failure.text


def test_failure_says_where() -> None:
    (failure,) = read(judged([NewOp(facts())])).iter("failure")
    assert failure.text is not None
    assert "org/m/rank0_0.py:5" in failure.text
    assert failure.attrib["type"] == "opcov/new-op"


def test_without_a_judgement_nothing_fails_and_ops_that_are_not_supported_are_shown() -> None:
    found = outcomes(Findings(scanned()))
    assert found == {("op.a", "op.a"): "skipped", ("op.b", "op.b"): "skipped", ("models", "org/m"): "passed"}


def test_without_a_judgement_a_capture_that_is_not_whole_is_shown() -> None:
    broken = model("m", {"rank0_0.py": "d"}, Diagnosis(Health.PARTIAL, ("2 tracebacks",)))
    found = Coverage({"m": broken}, {"d": body("d", OK)})
    (skipped,) = read(Findings(found)).iter("skipped")
    assert skipped.attrib["message"] == "partial: 2 tracebacks"


def test_capture_that_was_no_better_before_passes() -> None:
    broken = model("m", {"rank0_0.py": "d"}, Diagnosis(Health.PARTIAL, ("2 tracebacks",)))
    found = Findings(Coverage({"m": broken}, {"d": body("d", OK)}), judgement=Judgement("all_ops.py"))
    assert outcomes(found) == {("models", "m"): "passed"}


def test_counts_are_those_of_the_cases() -> None:
    changes = every_change()
    root = read(judged(changes[:5] + changes[8:9], changes[9:], changes[5:7]))
    for counted in (root, *root):
        cases = list(counted.iter("testcase"))
        assert int(counted.attrib["tests"]) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if attribute in counted.attrib:
                assert int(counted.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)
    assert int(root.attrib["failures"]) > 0
    assert int(root.attrib["errors"]) > 0


def test_every_call_shape_of_the_judgement_has_a_case() -> None:
    changes = every_change()
    cases = {group for group, _ in outcomes(judged(changes[:5], (), changes[5:7]))}
    assert {change.facts.op for change in changes[:7]} <= cases


@pytest.mark.parametrize("text", HOSTILE)
def test_document_is_well_formed_and_has_the_same_outcomes_whatever_a_dump_holds(text: str) -> None:
    assert sorted(outcomes(hostile(text)).values()) == sorted(outcomes(hostile("_")).values())


@pytest.mark.parametrize("text", HOSTILE)
def test_document_without_a_judgement_is_well_formed_whatever_a_dump_holds(text: str) -> None:
    assert sorted(outcomes(Findings(scanned(text))).values()) == ["passed", "skipped", "skipped"]


def test_long_names_that_differ_at_their_ends_stay_different() -> None:
    changes = [NewOp(facts(variant="f(" + "T, " * 500 + end)) for end in ("1)", "2)")]
    names = [case.attrib["name"] for case in read(judged(changes)).iter("testcase")]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 250


def test_names_that_differ_in_what_cannot_be_printed_stay_different() -> None:
    changes = [NewOp(facts(variant=f"f({end})")) for end in ("\x01", "\x02", " ")]
    assert len(outcomes(judged(changes))) == 3 + 1


def test_order_of_the_judgement_does_not_change_the_order_of_the_cases() -> None:
    changes = every_change()[:5]
    assert list(outcomes(judged(changes))) == list(outcomes(judged(changes[::-1])))


def test_document_of_a_real_corpus_has_a_case_for_each_model(fixtures_scan: opcov.Scan) -> None:
    found = outcomes(Findings(fixtures_scan.coverage))
    assert {name for group, name in found if group == "models"} == set(fixtures_scan.coverage.models)


def test_document_of_nothing_is_well_formed() -> None:
    assert read(Findings(coverage({}))).attrib["tests"] == "0"
