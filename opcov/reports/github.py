"""What a pull request on GitHub shows beside its lines: workflow commands that become annotations.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands tells the commands, and the runner
(src/Runner.Common/ActionCommand.cs) how their parts are read. A step shows 10 errors, 10 warnings and 10 notices; what
is beyond that is counted in the one notice and told by the job summary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from opcov.gate.changes import Style
from opcov.problems import OutputError
from opcov.reports import markdown
from opcov.reports.alerts import LONGEST_MESSAGE, Alert, Weight, alerts, readable, shortened
from opcov.reports.report import FileReport, Findings
from opcov.wording import counted, one_line

MOST = 10
"""Annotations of one level that a step shows."""
SUMMARY_LIMIT = 1 << 20
"""Bytes of all that a step adds to the summary of its job. A byte more, and GitHub shows none of them."""

_MOST_NOTES = 10


def render(findings: Findings) -> str:
    """The commands, each on one line: errors, warnings, then one notice where there is more to tell."""
    found = alerts(findings)
    errors = _by_op(alert for alert in found if alert.weight is Weight.ERROR)
    warnings = _by_op(alert for alert in found if alert.weight is Weight.WARNING)
    lines = [_annotation("error", group) for group in errors[:MOST]]
    lines += [_annotation("warning", group) for group in warnings[:MOST]]
    hidden = (len(errors[MOST:]), "error"), (len(warnings[MOST:]), "warning")
    more = [
        f"{counted(number, level)} more: the job summary and the other reports name all" for number, level in hidden
    ]
    told = [text for (number, _), text in zip(hidden, more, strict=True) if number]
    told += _notes([alert for alert in found if alert.weight is Weight.NOTE])
    if waived := [alert for alert in found if alert.weight is Weight.WAIVED]:
        told.append(f"{counted(len(waived), 'unsupported call shape')} allowed by waivers")
    if told:
        lines.append(_command("notice", {"title": "opcov"}, "\n".join(told)))
    return "".join(f"{line}\n" for line in lines)


def _by_op(found: Iterable[Alert]) -> list[list[Alert]]:
    """Alerts of one op together, in the order of the first of each; what is about no op stands alone."""
    groups: dict[tuple[str, ...], list[Alert]] = {}
    for alert in found:
        key = (alert.op,) if alert.op else (alert.slug, alert.subject)
        groups.setdefault(key, []).append(alert)
    return list(groups.values())


def _annotation(level: str, group: Sequence[Alert]) -> str:
    first = group[0]
    title = first.title if len(group) == 1 else f"{first.title} and {len(group) - 1} more of this op"
    line = max(1, first.place.line)
    properties = {"file": first.place.file, "line": str(line), "endLine": str(line), "title": f"opcov: {title}"}
    return _command(level, properties, "\n\n".join(alert.message(Style.GITHUB) for alert in group))


def _notes(found: Sequence[Alert]) -> list[str]:
    shown = [one_line(alert.message(Style.TEXT)) for alert in found[:_MOST_NOTES]]
    return [*shown, *([f"and {counted(len(found) - len(shown), 'note')} more"] if len(found) > len(shown) else [])]


def _command(level: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {told}::{_data(shortened(message, LONGEST_MESSAGE))}"


def _data(text: str) -> str:
    # An older kind of command begins with these three characters wherever they stand in a line of a log.
    text = text.replace("##[", "## [")
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    # The runner takes back these five and no others: an escaped semicolon would be shown as it is.
    return _data(readable(text)).replace(":", "%3A").replace(",", "%2C")


# --- the summary of the job -------------------------------------------------------------------------------------------


def step_summary(findings: Findings) -> str:
    """What the job's page shows: the Markdown report, with the judgement at its top."""
    return markdown.render(findings.coverage, findings.judgement)


def add_step_summary(findings: Findings, place: Path) -> bool:
    """Adds the summary to the file that `GITHUB_STEP_SUMMARY` names, after what the step has put there before.

    Args:
        findings: what a scan found.
        place: that file.

    Returns:
        Whether it was added: it is not where the file would become longer than `SUMMARY_LIMIT`.

    Raises:
        OutputError: the file cannot be written.
    """
    content = f"{step_summary(findings)}\n".encode()
    try:
        with place.open("ab") as file:
            if file.tell() + len(content) > SUMMARY_LIMIT:
                return False
            file.write(content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot add to the job summary {place}: {reason}") from error
    return True


REPORT = FileReport("github", "annotations of a pull request on GitHub, as workflow commands for the log", render)
