"""The summary that the command line prints: coloured tables on a terminal, plain aligned text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opcov.coverage import Coverage, ModelRow, OpRow, percentage
from opcov.health import Health
from opcov.reports.wording import one_line, short_source

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 12
_MOST_OPS = 10
_MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table of the summary.

    Attributes:
        title: of the section.
        columns: headings; one that starts with `>` is for numbers and set to the right.
        rows: cells as text.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sections(coverage: Coverage) -> list[Section]:
    """The tables of the summary: models, then the ops to look at first, then what went wrong."""
    models = tuple(_model_cells(row) for row in coverage.model_rows())
    unsupported = [row for row in coverage.op_rows if row.counts.not_supported]
    found = [
        Section(
            "Models",
            ("model", "health", "> files", "> graphs", "covered", "nodes supported", "> crash", "> unknown"),
            models,
        )
    ]
    if unsupported:
        title = f"Unsupported ops: {len(unsupported)}"
        if len(unsupported) > _MOST_OPS:
            title += f", the {_MOST_OPS} that touch most"
        columns = ("op", "reason", "> models", "> graphs", "> nodes", "commonest source")
        found.append(Section(title, columns, tuple(_op_cells(row) for row in unsupported[:_MOST_OPS])))
    wrong = _wrong(coverage)
    if wrong:
        found.append(Section(f"What went wrong: {len(wrong)}", ("where", "what"), tuple(wrong[:_MOST_PROBLEMS])))
    return found


def headline(coverage: Coverage) -> str:
    """One sentence: how much is supported, of what, judged by whom."""
    counts = coverage.counts
    versions = ", ".join(f"{name} {version}" for name, version in sorted(coverage.versions.items()))
    share = percentage(counts.supported, counts.supported + counts.not_supported)
    unknown = f", {counts.unknown} unknown" if counts.unknown else ""
    return (
        f"{counts.supported} of {counts.supported + counts.not_supported} nodes supported ({share or '-'} %){unknown}; "
        f"{coverage.covered} of {len(coverage.files_by_body)} distinct graphs whole; "
        f"{coverage.files} files of {len(coverage.models)} models; {versions}"
    )


def plain_summary(coverage: Coverage) -> str:
    """The summary as plain aligned text, ended by a newline."""
    parts = [headline(coverage)]
    parts += [f"{section.title}\n{_aligned(section.columns, section.rows)}" for section in sections(coverage)]
    return "\n\n".join(parts) + "\n"


def print_rich(coverage: Coverage, console: Console) -> None:
    """Prints the summary as tables to a terminal."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(headline(coverage), style="bold"))
    for section in sections(coverage):
        table = Table(
            title=section.title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
        )
        for column in section.columns:
            table.add_column(
                column.lstrip("> "), justify="right" if column.startswith(">") else "left", overflow="fold"
            )
        for row in section.rows:
            table.add_row(*[Text(cell, style=_STYLES.get(cell, "")) for cell in row])
        console.print()
        console.print(table)


_STYLES = {Health.OK.value: "green", Health.PARTIAL.value: "yellow", Health.FAILED.value: "bold red"}


def _model_cells(row: ModelRow) -> tuple[str, ...]:
    counts = row.counts
    judged = counts.supported + counts.not_supported
    return (
        row.scan.name,
        row.scan.diagnosis.health.value,
        str(len(row.scan.files)),
        str(row.distinct),
        f"{row.covered}/{row.distinct}" if row.distinct else "-",
        f"{bar(counts.supported, judged)} {percentage(counts.supported, judged):>5} %" if judged else "no graphs",
        str(counts.crash),
        str(counts.unknown),
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
        row.op,
        row.reasons[0].value if row.reasons else "",
        str(len(row.models)),
        str(row.graphs),
        str(row.counts.not_supported),
        f"{one_line(short_source(source[0]))}:{source[1]}" if source else "",
    )


def _wrong(coverage: Coverage) -> list[tuple[str, str]]:
    """Unhealthy models with their reasons, then problems of files; equal ones of several ranks in one line."""
    found = [
        (row.scan.name, f"{row.scan.diagnosis.health.value}: {'; '.join(row.scan.diagnosis.reasons)}")
        for row in coverage.model_rows()
        if row.scan.diagnosis.health is not Health.OK
    ]
    places: dict[str, list[str]] = {}
    for problem in coverage.problems:
        places.setdefault(problem.message, []).append(
            f"{problem.file}:{problem.line}" if problem.line else problem.file
        )
    for message, where in places.items():
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        found.append((f"{where[0]}{more}", one_line(message)))
    return found


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
