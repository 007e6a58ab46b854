"""What code scanning shows as alerts: the result as SARIF 2.1.0, a result for each alert.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/ is the standard;
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
tells what GitHub takes of it.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import opcov
from opcov import explanations
from opcov.gate import changes
from opcov.gate.changes import Place, Style
from opcov.problems import Problem, Slug
from opcov.reports.alerts import Alert, Rule, Weight, alerts, baseline_file, in_corpus, readable, rules, shortened
from opcov.reports.report import FileReport, Findings
from opcov.wording import one_line

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 5_000
"""Results that GitHub keeps of an upload; the gravest come first."""
MOST_PROBLEMS = 1_000

_ROOT = "%SRCROOT%"
"""By convention the root of the repository: the folder in which opcov ran."""
_LONGEST = 1_000
"""Characters of a description or a property."""
_MOST_MODELS = 100
_CACHED_TEXTS = 16
_LEVELS = {Weight.ERROR: "error", Weight.WARNING: "warning", Weight.NOTE: "note", Weight.WAIVED: "note"}
_SEVERITIES = {"error": "error", "warning": "warning", "note": "recommendation"}
_BREAKS = re.compile(r"\r\n|\r|\n")

_Json = dict[str, Any]


def render(findings: Findings) -> str:
    """The log: one run with the rules, the results, and what could not be read."""
    found = alerts(findings)
    known = rules()
    numbers = {rule.id: number for number, rule in enumerate(known)}
    lines = _Lines(findings)
    run = {
        "tool": {"driver": _driver(known)},
        "automationDetails": {"id": "opcov/scan/" if findings.judgement is None else "opcov/check/"},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The folder in which opcov ran."}}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notifications(findings, found)}],
        "results": [_result(alert, numbers[alert.rule], findings, lines) for alert in found[:MOST_RESULTS]],
        "properties": {"versions": dict(sorted(findings.coverage.versions.items()))},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=1) + "\n"


# --- the tool ---------------------------------------------------------------------------------------------------------


def _driver(known: tuple[Rule, ...]) -> _Json:
    return {
        "name": "opcov",
        "version": opcov.__version__,
        "shortDescription": {"text": "Tells which ops in saved torch FX graphs lightning-thunder does not support."},
        "rules": [_rule(rule) for rule in known],
        "notifications": [*map(_kind_of_problem, Slug), _CUT],
    }


def _rule(rule: Rule) -> _Json:
    level = _LEVELS[rule.weight]
    return {
        **_described(rule.id, rule.name, rule.summary, rule.text),
        "defaultConfiguration": {"level": level},
        "properties": {"precision": "very-high", "problem.severity": _SEVERITIES[level], "tags": ["thunder"]},
    }


def _described(identifier: str, name: str, summary: str, text: str) -> _Json:
    """What GitHub requires of everything that has a description."""
    description = _message(shortened(summary, _LONGEST))
    return {
        "id": identifier,
        "name": name,
        "shortDescription": description,
        "fullDescription": description,
        "help": {**_message(explanations.plain(text)), "markdown": _doubled(text)},
    }


# --- the results ------------------------------------------------------------------------------------------------------


def _result(alert: Alert, number: int, findings: Findings, lines: _Lines) -> _Json:
    result: _Json = {
        "ruleId": alert.rule,
        "ruleIndex": number,
        "level": _LEVELS[alert.weight],
        "message": _message(one_line(alert.message(Style.SARIF))),
        "locations": [{"physicalLocation": _physical(alert.on_disk, lines.region(alert.place))}],
        # GitHub goes by the first of them; without it, by the text of the line, which a renamed local changes.
        "partialFingerprints": {
            "primaryLocationLineHash": f"{alert.fingerprint}:1",
            "opcovChange/v1": alert.fingerprint,
        },
    }
    if isinstance(alert.change, changes.Waived):
        result["suppressions"] = [_suppression(alert.change, baseline_file(findings))]
    told = {"op": alert.op, "variant": alert.variant, "reason": alert.reason}
    properties: _Json = {name: shortened(readable(text), _LONGEST) for name, text in told.items() if text}
    if alert.models:
        properties["models"] = [shortened(readable(model), _LONGEST) for model in alert.models[:_MOST_MODELS]]
        properties["modelCount"] = len(alert.models)
    return {**result, "properties": properties}


def _suppression(change: changes.Waived, baseline: str) -> _Json:
    end = f"until {change.until.isoformat()}" if change.until is not None else ""
    why = one_line(change.why) or "allowed by a waiver"
    return {
        "kind": "external",
        "status": "accepted",
        "justification": shortened(" ".join(filter(None, (why, end))), _LONGEST),
        "location": {"physicalLocation": _physical(baseline, _region(change.line, 1, 2))},
    }


class _Lines:
    """The lines of graphs, so that alerts can point to the call in its line."""

    def __init__(self, findings: Findings) -> None:
        self._text_of = findings.text_of
        # Most alerts of one graph follow each other.
        self._lines = lru_cache(_CACHED_TEXTS)(self._split)

    def _split(self, digest: str) -> list[str]:
        return _BREAKS.split(self._text_of(digest) or "")

    def region(self, place: Place) -> _Json:
        """The call in its line, else what stands in the line, else the start of the line."""
        lines = self._lines(place.digest) if place.digest else []
        line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
        wanted = place.expression if place.expression and place.expression in line else line.strip()
        if not wanted:
            return _region(place.line, 1, 2)
        before = line[: line.index(wanted)]
        return _region(place.line, 1 + _units(before), 1 + _units(before + wanted))


def _region(line: int, start: int, end: int) -> _Json:
    line = max(1, line)
    return {"startLine": line, "startColumn": start, "endLine": line, "endColumn": end}


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _physical(path: str, region: _Json | None = None) -> _Json:
    try:
        name = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        name = path.encode("utf-8", "surrogatepass")
    # The colon too is spelled: a relative reference whose first part had one would be a scheme.
    place: _Json = {"artifactLocation": {"uri": quote(name, safe="/"), "uriBaseId": _ROOT}}
    return place if region is None else {**place, "region": region}


# --- messages ---------------------------------------------------------------------------------------------------------


def _message(text: str) -> _Json:
    """A message that is shown as it is: no part of it is a link or a placeholder (2.1.0, 3.11.5 and 3.11.6)."""
    return {"text": _doubled(text.replace("](", "] (")) or "?"}


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# --- what could not be told -------------------------------------------------------------------------------------------

_CUT = _described(
    "opcov/problem/cut",
    "Cut",
    "There is more than this file holds.",
    "GitHub takes a limited number of results. The other kinds of reports hold all of them.",
)


def _kind_of_problem(slug: Slug) -> _Json:
    (found,) = (one for one in explanations.explain(slug.value) if one.kind == "Problem")
    name = slug.value.replace("-", " ").title().replace(" ", "")
    return _described(_notification_id(slug), name, found.summary, found.text)


def _notification_id(slug: Slug) -> str:
    return f"opcov/problem/{slug.value}"


def _notifications(findings: Findings, found: tuple[Alert, ...]) -> list[_Json]:
    problems = findings.coverage.problems
    told = [_notification(problem, findings) for problem in problems[:MOST_PROBLEMS]]
    left_out = {"results": len(found) - MOST_RESULTS, "problems": len(problems) - MOST_PROBLEMS}
    told += [
        {
            "descriptor": {"id": _CUT["id"]},
            "level": "warning",
            "message": {"text": f"{number} more {noun} are not in this file."},
        }
        for noun, number in left_out.items()
        if number > 0
    ]
    return told


def _notification(problem: Problem, findings: Findings) -> _Json:
    told: _Json = {
        "descriptor": {"id": _notification_id(problem.slug)},
        "level": "warning",
        "message": _message(shortened(one_line(problem.message), _LONGEST)),
    }
    if problem.file:
        place, on_disk = in_corpus(Place(problem.file, problem.line, "", ""), findings)
        region = _region(place.line, 1, 2) if place.line else None
        told["locations"] = [{"physicalLocation": _physical(on_disk, region)}]
    return told


REPORT = FileReport("sarif", "what code scanning shows as alerts, as SARIF 2.1.0", render)
