"""What a merge request on GitLab shows as Code Quality: a JSON list of what is new and unsupported.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from opcov.gate import changes
from opcov.gate.changes import Style
from opcov.reports.alerts import Alert, Weight, alerts
from opcov.reports.report import FileReport, Findings
from opcov.verdict import Reason
from opcov.wording import one_line

_LOSSES = frozenset(
    change.slug for change in (changes.ModelLost, changes.GraphsLost, changes.HealthFell, changes.GraphCrashes)
)
"""Whole graphs are gone, and with them all that could be said of their ops."""


def render(findings: Findings) -> str:
    """The list, an issue for each alert; waived ones stay in it as information."""
    taken: Counter[str] = Counter()
    issues = []
    for alert in alerts(findings):
        fingerprint = alert.fingerprint
        taken[fingerprint] += 1
        if taken[fingerprint] > 1:
            # GitLab drops all but one of those that share a fingerprint.
            fingerprint = hashlib.blake2b(f"{fingerprint}{taken[fingerprint]}".encode(), digest_size=16).hexdigest()
        issues.append(_issue(alert, fingerprint))
    return json.dumps(issues, ensure_ascii=False, indent=1) + "\n"


def _issue(alert: Alert, fingerprint: str) -> dict[str, Any]:
    return {
        "description": one_line(alert.message(Style.TEXT)),
        "check_name": alert.rule,
        "fingerprint": fingerprint,
        "severity": _severity(alert),
        "location": {"path": alert.place.file, "lines": {"begin": max(1, alert.place.line)}},
    }


def _severity(alert: Alert) -> str:
    match alert.weight:
        case Weight.ERROR:
            return "critical" if alert.slug in _LOSSES else "major"
        case Weight.WARNING:
            return "major" if alert.reason == Reason.CRASH.value else "minor"
        case Weight.NOTE | Weight.WAIVED:
            return "info"


REPORT = FileReport("gitlab", "what GitLab shows in a merge request as Code Quality", render)
