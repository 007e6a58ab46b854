"""The summary that the command line prints: coloured tables on a terminal, plain aligned text in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opcov.corpus.health import Health
from opcov.coverage import Coverage, ModelRow, OpRow
from opcov.coverage.agreement import Agreement, check_itself
from opcov.judged import percentage
from opcov.problems import Problem, Slug
from opcov.reports.report import FileReport
from opcov.wording import counted, inert, one_line, source_place

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 12
_NARROW_BAR = 6
_NARROW = 110
"""Below this width of a terminal, in characters, what can be left out is left out."""
_MOST_OPS = 10
_MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table of the summary.

    Attributes:
        title: of the section.
        columns: headings; one that starts with `>` is for numbers and set to the right.
        rows: cells as text, on one line each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sections(coverage: Coverage, *, narrow: bool = False) -> list[Section]:
    """The tables of the summary: models, then the ops to look at first, then what went wrong.

    Args:
        coverage: what to tell.
        narrow: whether there is room for the most important columns only.
    """
    found = [_models(coverage, _NARROW_BAR if narrow else _BAR)]
    unsupported = [row for row in coverage.op_rows if row.counts.not_supported]
    if unsupported:
        title = f"Unsupported ops: {len(unsupported)}"
        if len(unsupported) > _MOST_OPS:
            title += f", the {_MOST_OPS} that touch most"
        columns: tuple[str, ...] = ("op", "reason", "> models", "> graphs", "> nodes", "commonest source")
        rows: list[tuple[str, ...]] = [_op_cells(row) for row in unsupported[:_MOST_OPS]]
        if narrow:
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        found.append(Section(title, columns, tuple(rows)))
    wrong = _wrong(coverage)
    if wrong:
        title = f"What went wrong: {len(wrong)}"
        if len(wrong) > _MOST_PROBLEMS:
            title += f", the first {_MOST_PROBLEMS}"
        found.append(Section(title, ("where", "what"), tuple(wrong[:_MOST_PROBLEMS])))
    return found


def headline(coverage: Coverage) -> str:
    """One sentence: how much is supported, of what, judged by whom."""
    counts = coverage.counts
    versions = ", ".join(f"{name} {version}" for name, version in sorted(coverage.versions.items()))
    judged = counts.supported + counts.not_supported
    nodes = "no nodes judged"
    if judged:
        nodes = f"{counts.supported} of {judged} nodes supported ({percentage(counts.supported, judged)} %)"
    unknown = f", {counts.unknown} unknown" if counts.unknown else ""
    return (
        f"{nodes}{unknown}; {coverage.covered} of {counted(len(coverage.files_by_body), 'distinct graph')} whole; "
        f"{counted(coverage.files, 'file')} of {counted(len(coverage.models), 'model')}; {versions}"
    )


def self_check_line(coverage: Coverage) -> str:
    """One sentence: how far the predicted placements agree with those that split graphs record; "" if none does."""
    check = check_itself(coverage)
    if not check.nodes:
        return ""
    agreeing = check.nodes - len(check.disagreements)
    text = (
        f"Self-check: {agreeing} of {counted(check.nodes, 'node')} placed as recorded "
        f"({percentage(agreeing, check.nodes)} %); {check.agreeing_graphs} of {counted(check.graphs, 'split graph')}"
    )
    kinds = [f"{number} {kind.value}" for kind in Agreement if (number := check.counts.get(kind))]
    return f"{text}; otherwise: {', '.join(kinds)}" if kinds else text


def plain_summary(coverage: Coverage) -> str:
    """The summary as plain aligned text, ended by a newline; a name in it is no command to the system of a CI job."""
    parts = ["\n".join(filter(None, (headline(coverage), self_check_line(coverage))))]
    parts += [f"{section.title}\n{_aligned(section.columns, section.rows)}" for section in sections(coverage)]
    return inert("\n\n".join(parts)) + "\n"


def print_rich(coverage: Coverage, console: Console) -> None:
    """Prints the summary as tables to a terminal."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(headline(coverage), style="bold"))
    if line := self_check_line(coverage):
        console.print(Text(line))
    for section in sections(coverage, narrow=console.width < _NARROW):
        table = Table(
            title=section.title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
        )
        for column in section.columns:
            heading = column.lstrip("> ")
            table.add_column(
                heading,
                justify="right" if column.startswith(">") else "left",
                overflow="fold",
                no_wrap=column.startswith(">") or heading in _WHOLE,
            )
        for row in section.rows:
            table.add_row(
                *[
                    Text(cell, style=_STYLES.get(cell, "") if column == "health" else "")
                    for column, cell in zip(section.columns, row, strict=True)
                ]
            )
        console.print()
        console.print(table)


_WHOLE = frozenset({"health", "graphs whole", "nodes supported", "reason"})
"""Columns whose cells are short and useless in pieces."""
_STYLES = {Health.OK.value: "green", Health.PARTIAL.value: "yellow", Health.FAILED.value: "bold red"}


def _models(coverage: Coverage, bar_width: int) -> Section:
    rows = list(coverage.model_rows())
    columns = ["model", "health", "> files", "> graphs whole", "nodes supported"]
    cells = [_model_cells(row, bar_width) for row in rows]
    # Nearly always there is none of these, and a column of zeros hides what matters.
    for status in ("crash", "unknown"):
        numbers = [getattr(row.counts, status) for row in rows]
        if any(numbers):
            columns.append(f"> {status}")
            cells = [(*row, str(number)) for row, number in zip(cells, numbers, strict=True)]
    return Section("Models", tuple(columns), tuple(cells))


def _model_cells(row: ModelRow, bar_width: int) -> tuple[str, ...]:
    counts = row.counts
    judged = counts.supported + counts.not_supported
    share = f"{bar(counts.supported, judged, bar_width)} {percentage(counts.supported, judged):>5} %"
    return (
        one_line(row.scan.name),
        row.scan.diagnosis.health.value,
        str(len(row.scan.files)),
        f"{row.covered}/{row.distinct}" if row.distinct else "-",
        share if judged else "no nodes" if row.distinct else "no graphs",
    )


def bar(part: int, whole: int, width: int = _BAR) -> str:
    """A bar that is full or empty only when the share is exactly one or none.

    >>> bar(999, 1000, 4), bar(4, 4, 4), bar(1, 1000, 4)
    ('###-', '####', '#---')
    """
    if whole == 0:
        return "-" * width
    filled = width * part // whole
    if 0 < part < whole:
        filled = min(width - 1, max(1, filled))
    return "#" * filled + "-" * (width - filled)


def _op_cells(row: OpRow) -> tuple[str, ...]:
    source = row.sources[0] if row.sources else None
    return (
        one_line(row.op),
        row.reasons[0].value if row.reasons else "",
        str(len(row.models)),
        str(row.graphs),
        str(row.counts.not_supported),
        source_place(source.file, source.line, "") if source else "",
    )


def _wrong(coverage: Coverage) -> list[tuple[str, str]]:
    """Unhealthy models with their reasons, then problems of files."""
    found = []
    for row in coverage.model_rows():
        diagnosis = row.scan.diagnosis
        if diagnosis.health is not Health.OK:
            why = f"{diagnosis.health.value}: {'; '.join(diagnosis.reasons)}"
            found.append((one_line(row.scan.name), one_line(why)))
    return found + [(place, problem.message) for place, problem in grouped(coverage.problems)]


def grouped(problems: Iterable[Problem]) -> list[tuple[str, Problem]]:
    """Problems with the places that have them, those of several files with one message in one line."""
    places: dict[tuple[Slug, str], list[Problem]] = {}
    for problem in problems:
        places.setdefault((problem.slug, problem.message), []).append(problem)
    return [(_place(found), replace(found[0], message=one_line(found[0].message))) for found in places.values()]


def _place(problems: Sequence[Problem]) -> str:
    first = problems[0]
    place = f"{first.file}:{first.line}" if first.line else first.file
    return one_line(f"{place} and {len(problems) - 1} more" if len(problems) > 1 else place)


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    headings = [column.lstrip("> ") for column in columns]
    widths = [max(map(len, cells)) for cells in zip(headings, *rows, strict=True)]
    lines = []
    for row in (headings, *rows):
        cells = [
            cell.rjust(width) if column.startswith(">") else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


REPORT = FileReport("text", "the summary as plain text", lambda found: plain_summary(found.coverage))
