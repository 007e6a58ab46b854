"""The result as GitHub Flavored Markdown, short enough for a comment on a pull request or the summary of a CI job.

All that comes from a dump stands in code spans: GitHub looks for mentions, references, links and emoji outside of code
only, and turns to text neither HTML nor entities in it. https://github.github.com/gfm/#code-spans
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from opcov.corpus.health import Health
from opcov.coverage import Coverage, ModelRow, OpRow
from opcov.coverage.plan import Step, plan
from opcov.gate import Judgement
from opcov.gate.changes import Change, Style, Waived
from opcov.judged import percentage
from opcov.reports.report import FileReport
from opcov.reports.terminal import grouped, self_check_line
from opcov.wording import code, counted, source_place

LIMIT = 65_536
"""Characters of a comment on GitHub. All sections together take at most 58,000 of them; a bot may add the rest."""

_OPS_ROOM = 26_000
_JUDGED_ROOM = 14_000
"""Of the judgement, taken from the room of the ops where there is one."""
_FAILURES_ROOM = 8_000
_NOTES_ROOM = 4_000
_MODELS_ROOM = 14_000
_HEALTH_ROOM = 7_000
_PROBLEMS_ROOM = 7_000
_MOST_OPS = 50
_MOST_MODELS = 100
_MOST_LINES = 20
_MOST_FIRST = 5
_LONGEST_SENTENCE = 400


def render(coverage: Coverage, judgement: Judgement | None = None) -> str:
    """The text: numbers, what to do first, the ops that are not supported, the models and what went wrong.

    Where there is a judgement, it comes before all of that.
    """
    ops = sorted(
        (row for row in coverage.op_rows if row.counts.not_supported), key=lambda row: row.impact, reverse=True
    )
    judged = _judged(judgement) if judgement is not None else ""
    sections = (
        judged,
        _headline(coverage),
        _first(coverage),
        _ops(ops, _OPS_ROOM - (_JUDGED_ROOM if judged else 0)),
        _models(coverage),
        _unhealthy(coverage),
        _problems(coverage),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


# --- the sections -----------------------------------------------------------------------------------------------------


def _judged(judgement: Judgement) -> str:
    """What the gate says: failures, what to do about them, notes, and what passed."""
    failures, notes = judgement.failures, judgement.notes
    against = f" against {code(judgement.baseline)}" if judgement.baseline else ""
    verdict = f"failed: {counted(len(failures), 'change')}" if failures else "passed"
    waived = sum(isinstance(change, Waived) for change in (*notes, *judgement.known))
    told = [change for change in notes if not isinstance(change, Waived)]
    advice = dict.fromkeys(change.what_to_do for change in (*failures, *told) if change.what_to_do)
    parts = [
        f"## The check {verdict}{against}",
        _list(f"### Failures: {len(failures)}", [_change(change) for change in failures], _FAILURES_ROOM),
        _list(f"### Notes: {len(told)}", [_change(change) for change in told], _NOTES_ROOM),
        _list("### What to do about the check", [f"- {line}" for line in advice], _JUDGED_ROOM),
        f"As listed: {counted(len(judgement.known), 'call shape')}; waived: {waived}." if judgement.baseline else "",
    ]
    return "\n\n".join(filter(None, parts))


def _change(change: Change) -> str:
    return f"- {change.slug}: {change.explain(Style.MARKDOWN)}"


def _headline(coverage: Coverage) -> str:
    counts = coverage.counts
    judged = counts.supported + counts.not_supported
    graphs = len(coverage.files_by_body)
    share = percentage(counts.supported, judged)
    rows = [
        ("nodes supported", str(counts.supported), str(judged), _percent(counts.supported, judged)),
        (
            "distinct graphs that Thunder takes whole",
            str(coverage.covered),
            str(graphs),
            _percent(coverage.covered, graphs),
        ),
    ]
    versions = ", ".join(code(f"{name} {version}") for name, version in sorted(coverage.versions.items()))
    corpus = f"{counted(coverage.files, 'file')} of {counted(len(coverage.models), 'model')}"
    lines = [
        f"## Thunder supports {share} % of nodes" if share else "## Thunder was asked about no node",
        "",
        *_table(("", "> number", "> of", "> share"), rows),
        "",
        f"{corpus}; {counts.unsupported} unsupported, {counts.crash} crash, {counts.unknown} unknown"
        + (f"; {versions}" if versions else ""),
    ]
    if line := self_check_line(coverage):
        lines += ["", line]
    return "\n".join(lines)


def _first(coverage: Coverage) -> str:
    """What to do first: the ops whose support makes most fallback regions go."""
    routes = {row.op: row.route.value for row in coverage.op_rows}
    lines = []
    for place, step in enumerate(plan(coverage)[:_MOST_FIRST], 1):
        tasks = " and ".join(f"{code(op)} ({routes[op]})" for op in step.ops)
        gains = [counted(number, noun) for number, noun in _freed(step) if number]
        lines.append(f"{place}. {tasks}: {' and '.join(gains)} less.")
    return "\n".join(["### What to do first", "", *lines]) if lines else ""


def _freed(step: Step) -> tuple[tuple[int, str], ...]:
    return (step.regions, "fallback region"), (step.graphs, "lost graph")


_OP_COLUMNS = (
    "op", "reason", "route", "commonest source", "> models", "> graphs", "> nodes", "> regions", "> of its own",
)  # fmt: skip


def _ops(ops: Sequence[OpRow], room: int) -> str:
    if not ops:
        return ""
    columns: tuple[str, ...] = _OP_COLUMNS
    rows: list[tuple[str, ...]] = [_op_cells(row) for row in ops]
    # Nearly always no graph is lost, and columns of zeros hide what matters.
    if any(row.lost_graphs for row in ops):
        columns += ("> graphs lost", "> to it alone")
        lost = [(str(row.lost_graphs), str(row.sole_lost_graphs)) for row in ops]
        rows = [(*cells, *numbers) for cells, numbers in zip(rows, lost, strict=True)]
    table = _table(columns, rows, _MOST_OPS, room)
    return "\n".join([f"### Ops that are not supported: {len(ops)}", "", *table])


def _op_cells(row: OpRow) -> tuple[str, ...]:
    source = row.sources[0] if row.sources else None
    return (
        code(row.op),
        row.reasons[0].value if row.reasons else "",
        row.route.value,
        code(source_place(source.file, source.line, source.function)) if source else "",
        str(len(row.models)),
        str(row.graphs),
        str(row.counts.not_supported),
        str(row.fallback_regions),
        str(row.sole_regions),
    )


_MODEL_COLUMNS = (
    "model", "health", "> files", "> distinct graphs", "> whole", "> nodes", "> supported", "> unsupported", "> crash",
    "> unknown", "> share",
)  # fmt: skip


def _models(coverage: Coverage) -> str:
    number = len(coverage.models)
    if not number:
        return ""
    rows = [_model_cells(row) for row in coverage.model_rows()]
    table = _table(_MODEL_COLUMNS, rows, _MOST_MODELS, _MODELS_ROOM)
    # Markdown begins anew after a blank line within HTML.
    return "\n".join([f"<details><summary>Models: {number}</summary>", "", *table, "", "</details>"])


def _model_cells(row: ModelRow) -> tuple[str, ...]:
    counts = row.counts
    return (
        code(row.scan.name),
        row.scan.diagnosis.health.value,
        str(len(row.scan.files)),
        str(row.distinct),
        str(row.covered),
        str(counts.nodes),
        str(counts.supported),
        str(counts.unsupported),
        str(counts.crash),
        str(counts.unknown),
        _percent(counts.supported, counts.supported + counts.not_supported),
    )


def _unhealthy(coverage: Coverage) -> str:
    """The models whose graphs are not all there, failed ones first: a list that is cut must not hide those."""
    models = [model for model in coverage.ordered_models if model.diagnosis.health is not Health.OK]
    models.sort(key=lambda model: model.diagnosis.health is not Health.FAILED)
    lines = [_item(model.name, model.diagnosis.health.value, "; ".join(model.diagnosis.reasons)) for model in models]
    return _list(f"### Models that failed or are partial: {len(models)}", lines, _HEALTH_ROOM)


def _problems(coverage: Coverage) -> str:
    found = grouped(coverage.problems)
    lines = [_item(place, problem.slug.value, problem.message) for place, problem in found]
    return _list(f"### Problems: {len(found)}", lines, _PROBLEMS_ROOM)


# --- markup -----------------------------------------------------------------------------------------------------------


def _percent(part: int, whole: int) -> str:
    share = percentage(part, whole)
    return f"{share} %" if share else ""


def _item(place: str, kind: str, why: str) -> str:
    """An item of a list: where, what kind of news, and the news itself."""
    return f"- {': '.join(filter(None, (code(place), kind, code(why, _LONGEST_SENTENCE))))}"


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], most: int = _MOST_OPS, room: int = LIMIT
) -> list[str]:
    """The lines of a table, and one after it that says how many rows have no room.

    Args:
        columns: headings; one that starts with `>` is for numbers and set to the right.
        rows: cells as Markdown.
        most: rows that are shown.
        room: characters for all rows.
    """
    lines = [
        _row([column.lstrip("> ") for column in columns]),
        _row(["--:" if column.startswith(">") else "---" for column in columns]),
    ]
    shown = _fitting(map(_row, rows), most, room)
    return [*lines, *shown, *(["", f"and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else [])]


def _row(cells: Iterable[str]) -> str:
    # A table is taken apart before anything else: a bar ends a cell in a code span too, unless a backslash precedes it.
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"


_BAR = "\\|"


def _list(title: str, lines: Sequence[str], room: int) -> str:
    if not lines:
        return ""
    shown = _fitting(lines, _MOST_LINES, room)
    more = [f"- and {len(lines) - len(shown)} more"] if len(lines) > len(shown) else []
    return "\n".join([title, "", *shown, *more])


def _fitting(lines: Iterable[str], most: int, room: int) -> list[str]:
    """The first whole lines for which there is room, counted as GitHub's database may count them: in UTF-16."""
    shown = []
    for line in islice(lines, most):
        room -= len(line.encode("utf-16-le")) // 2 + 1
        if room < 0:
            break
        shown.append(line)
    return shown


REPORT = FileReport(
    "markdown",
    "a comment on a pull request or the summary of a CI job",
    lambda found: render(found.coverage, found.judgement),
)
