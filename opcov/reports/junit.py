"""What CI systems show as test results: a test case for each call shape and each model, as JUnit XML.

There is no published standard. What is written here is what the schema of Jenkins' xUnit plugin allows and what GitLab
reads: https://docs.gitlab.com/ci/testing/unit_test_reports/. Nothing is measured, so nothing has a time.
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from opcov.corpus.health import Health
from opcov.gate import changes
from opcov.gate.changes import Style
from opcov.graphfile import natural_key
from opcov.reports.alerts import LONGEST_MESSAGE, LONGEST_NAME, Alert, Weight, alerts, shortened
from opcov.reports.report import FileReport, Findings
from opcov.wording import one_line


class _Outcome(str, Enum):
    """What became of a test case, the gravest first: as the element that tells it is called."""

    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"
    PASSED = "system-out"


_ORDER = list(_Outcome)
_CAPTURE = frozenset(
    change.slug
    for change in (
        changes.ModelLost, changes.GraphsLost, changes.HealthFell, changes.UnknownRose, changes.GraphCrashes,
    )
)  # fmt: skip
"""They say that a capture failed, and not that an op is not supported: an error, not a failure."""


@dataclass(slots=True)
class _Case:
    """A test case with all that is said of it: outcome, kind, one line, all lines."""

    group: str
    name: str
    said: list[tuple[_Outcome, str, str, str]] = field(default_factory=list)

    @property
    def outcome(self) -> _Outcome:
        """The gravest one."""
        return min((outcome for outcome, *_ in self.said), key=_ORDER.index, default=_Outcome.PASSED)


def render(findings: Findings) -> str:
    """The document: a suite of call shapes, one of models, and one of what belongs to neither where there is any."""
    judgement = findings.judgement
    shapes: dict[tuple[str, str], _Case] = {}
    models: dict[str, _Case] = {}
    others: dict[tuple[str, str], _Case] = {}
    for known in judgement.known if judgement is not None else ():
        if isinstance(known, changes.Known):
            _shape(shapes, known.facts.op, known.facts.variant)
    for model in findings.coverage.ordered_models:
        case = models[model.name] = _Case("models", model.name)
        health = model.diagnosis.health
        if health is not Health.OK:
            # With a judgement it says itself what is worse than it was; else a capture that is not whole is shown.
            outcome = _Outcome.SKIPPED if judgement is None else _Outcome.PASSED
            line = one_line(f"{health.value}: {'; '.join(model.diagnosis.reasons)}")
            case.said.append((outcome, health.value, line, line))
    for alert in alerts(findings):
        if alert.op:
            case = _shape(shapes, alert.op, alert.variant)
        elif alert.models:
            case = models.setdefault(alert.subject, _Case("models", alert.subject))
        else:
            case = others.setdefault((alert.slug, alert.subject), _Case(alert.slug, alert.subject))
        line = one_line(alert.message(Style.TEXT))
        case.said.append((_outcome(alert), alert.slug, line, alert.message(Style.GITHUB)))
    suites = {
        "unsupported ops": [shapes[key] for key in sorted(shapes)],
        "models": [models[name] for name in sorted(models, key=natural_key)],
        "rules": [others[key] for key in sorted(others)],
    }
    return _document(suites)


def _shape(shapes: dict[tuple[str, str], _Case], op: str, variant: str) -> _Case:
    return shapes.setdefault((op, variant), _Case(op, variant or op))


def _outcome(alert: Alert) -> _Outcome:
    if alert.change is None or alert.weight is Weight.WAIVED:
        return _Outcome.SKIPPED
    if alert.weight is Weight.ERROR:
        return _Outcome.ERROR if alert.slug in _CAPTURE else _Outcome.FAILURE
    return _Outcome.PASSED


def _document(suites: dict[str, list[_Case]]) -> str:
    root = ET.Element("testsuites", {"name": "opcov", **_counts(case for cases in suites.values() for case in cases)})
    for name, cases in suites.items():
        if not cases:
            continue
        # Jenkins' schema knows no count of skipped cases on top.
        skipped = sum(case.outcome is _Outcome.SKIPPED for case in cases)
        suite = ET.SubElement(root, "testsuite", {"name": name, **_counts(cases), "skipped": str(skipped)})
        for case in cases:
            _write(case, suite)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(cases: Iterable[_Case]) -> dict[str, str]:
    found = Counter(case.outcome for case in cases)
    return {
        "tests": str(sum(found.values())),
        "failures": str(found[_Outcome.FAILURE]),
        "errors": str(found[_Outcome.ERROR]),
    }


def _write(case: _Case, suite: ET.Element) -> None:
    """A case has one element of its outcome: those who read it take the first one and leave the others out."""
    element = ET.SubElement(suite, "testcase", {"classname": _name(case.group), "name": _name(case.name)})
    outcome = case.outcome
    decisive = [said for said in case.said if said[0] is outcome]
    if outcome is not _Outcome.PASSED:
        _, kind, line, _ = decisive[0]
        attributes = {"type": f"opcov/{kind}", "message": shortened(line, LONGEST_MESSAGE)}
        told = ET.SubElement(element, outcome.value, attributes)
        told.text = _text([text for *_, text in decisive])
    rest = [text for said in case.said if said[0] is not outcome or outcome is _Outcome.PASSED for text in said[3:]]
    if rest:
        ET.SubElement(element, "system-out").text = _text(rest)


def _text(texts: list[str]) -> str:
    return shortened("\n\n".join(texts), LONGEST_MESSAGE)


def _name(text: str) -> str:
    """A name on one line. What is cut or made printable keeps a digest: names that differed still differ."""
    line = one_line(text)
    if line == text and 0 < len(line) <= LONGEST_NAME:
        return line
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{shortened(line, LONGEST_NAME)} {digest}".lstrip()


REPORT = FileReport("junit", "what CI systems show as test results, as JUnit XML", render)
