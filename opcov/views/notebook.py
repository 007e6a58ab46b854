"""What a notebook shows of a scan: fragments of HTML without scripts, and a progress bar that goes away again."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from opcov.corpus.health import Health
from opcov.coverage import Coverage, ModelRow, OpRow
from opcov.judged import percentage
from opcov.reports.terminal import headline, self_check_line
from opcov.wording import counted, one_line, source_place

Progress: TypeAlias = Callable[[int, int], None]

_MOST_MODELS = 30
_MOST_OPS = 15
_MOST_ROWS = 10
_MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class _Markup:
    """HTML that is made here. All other text in a table is foreign, and escaped."""

    html: str


def scan_html(coverage: Coverage, matrix: str) -> str:
    """A scan as a fragment: headline, models with bars, ops not supported, matrix.

    Args:
        coverage: what the scan found.
        matrix: HTML of its matrix, "" for none.
    """
    rows = list(coverage.model_rows())
    parts = [f"<p><strong>{_text(headline(coverage), whole=True)}</strong></p>"]
    if line := self_check_line(coverage):
        parts.append(f"<p>{_text(line, whole=True)}</p>")
    columns: tuple[str, ...] = (
        "model",
        "health",
        "> files",
        "> graphs whole",
        "nodes supported",
        "what speaks against it",
    )
    if all(row.scan.diagnosis.health is Health.OK for row in rows):
        columns = columns[:-1]
    cells = [_model_cells(row)[: len(columns)] for row in rows[:_MOST_MODELS]]
    parts.append(_table("Models", columns, cells, len(rows), ".models"))
    unsupported = [row for row in coverage.op_rows if row.counts.not_supported]
    if unsupported:
        columns = ("op", "reason", "> models", "> graphs", "> nodes", "commonest source")
        cells = [_op_cells(row) for row in unsupported[:_MOST_OPS]]
        parts.append(_table(f"Ops not supported: {len(unsupported)}", columns, cells, len(unsupported), ".ops"))
    if coverage.problems:
        cells = [(str(problem),) for problem in coverage.problems[:_MOST_ROWS]]
        parts.append(_table("Problems", ("what",), cells, len(coverage.problems), ".problems"))
    return f"<div>{''.join(parts)}{matrix}</div>"


def op_html(row: OpRow, variants: Sequence[OpRow]) -> str:
    """An op as a fragment: why it is not supported, its variants, and the lines of code that it comes from.

    Args:
        row: the op over the whole corpus.
        variants: its variants.
    """
    counts = row.counts
    where = f"{counted(row.graphs, 'distinct graph')} of {counted(len(row.models), 'model')}"
    told = f"{row.status.value}; {counts.supported} of {counted(counts.nodes, 'node')} supported; {where}"
    parts = [f"<p><strong>{_text(row.op)}</strong>: {_text(told)}</p>"]
    if row.detail:
        parts.append(f"<p>{_text(f'{row.reasons[0].value}: {row.detail}')}</p>")
    cells = [
        (
            variant.variant,
            variant.status.value,
            variant.reasons[0].value if variant.reasons else "",
            _bar(variant.counts.supported, variant.counts.supported + variant.counts.not_supported),
        )
        for variant in variants[:_MOST_ROWS]
    ]
    parts.append(
        _table("Variants", ("variant", "status", "reason", "nodes supported"), cells, len(variants), ".variants")
    )
    sources = [
        (source_place(source.file, source.line, source.function), source.code, str(source.nodes))
        for source in row.sources[:_MOST_ROWS]
    ]
    if sources:
        parts.append(_table("Sources", ("where", "code", "> nodes"), sources, len(row.sources), ".sources"))
    return f"<div>{''.join(parts)}</div>"


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """A bar below the running cell of a notebook, which is gone afterwards; None where no IPython kernel runs."""
    shell = _shell()
    if shell is None:
        yield None
        return
    from IPython import display

    handle: Any = display.DisplayHandle()  # type: ignore[no-untyped-call]
    shown = -1

    def update(done: int, whole: int) -> None:
        nonlocal shown
        percent = 100 * done // max(1, whole)
        if percent == shown:
            return  # a message to the browser for each graph would take longer than many a graph
        told = f'<progress max="{whole}" value="{done}">{percent} %</progress> {done} of {counted(whole, "graph")}'
        bar: Any = display.HTML(told)  # type: ignore[no-untyped-call]
        (handle.display if shown < 0 else handle.update)(bar)
        shown = percent

    try:
        yield update
    finally:
        if shown >= 0:
            handle.update({"text/plain": ""}, raw=True)


def _shell() -> object | None:
    """The shell of a running kernel. Where nobody has imported IPython, there is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def _model_cells(row: ModelRow) -> tuple[str | _Markup, ...]:
    judged = row.counts.supported + row.counts.not_supported
    return (
        row.scan.name,
        row.scan.diagnosis.health.value,
        str(len(row.scan.files)),
        f"{row.covered}/{row.distinct}" if row.distinct else "-",
        _bar(row.counts.supported, judged) if judged else "no nodes" if row.distinct else "no graphs",
        "; ".join(row.scan.diagnosis.reasons),
    )


def _op_cells(row: OpRow) -> tuple[str, ...]:
    source = row.sources[0] if row.sources else None
    return (
        row.op,
        row.reasons[0].value if row.reasons else "",
        str(len(row.models)),
        str(row.graphs),
        str(row.counts.not_supported),
        source_place(source.file, source.line, source.function) if source else "",
    )


def _bar(part: int, whole: int) -> _Markup:
    if not whole:
        return _Markup("-")
    text = f"{part}/{whole} ({percentage(part, whole)} %)"
    return _Markup(f'<meter max="{whole}" value="{part}">{text}</meter> {text}')


def _table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str | _Markup]], all_rows: int, where: str
) -> str:
    """A table; a heading that starts with `>` is of numbers. Says where the rest is when not all rows are shown."""
    styles = [' style="text-align:right"' if name.startswith(">") else ' style="text-align:left"' for name in columns]
    heads = "".join(
        f'<th scope="col"{style}>{_text(name.lstrip("> "))}</th>' for name, style in zip(columns, styles, strict=True)
    )
    lines = []
    for row in rows:
        cells = (
            f'<td style="white-space:nowrap">{cell.html}</td>'
            if isinstance(cell, _Markup)
            else f"<td{style}>{_text(cell)}</td>"
            for cell, style in zip(row, styles, strict=True)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    more = f", {all_rows - len(lines)} more in {where}" if all_rows > len(lines) else ""
    return (
        f'<table><caption style="text-align:left"><strong>{_text(title + more)}</strong></caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _text(text: str, *, whole: bool = False) -> str:
    """Foreign text, escaped, on one line, and cut where it is long."""
    text = one_line(text)
    return html.escape(text if whole or len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…")
