"""The list of unsupported ops as one Python file: report, review artefact and baseline at once."""

from __future__ import annotations

import ast
import warnings

from opcov.coverage import Coverage, OpRow
from opcov.reports.report import FileReport
from opcov.wording import counted, fold_files, one_line, source_place

COMMAND = "python -m opcov <corpus> --out all_ops.py"
_MAX_SOURCES = 3


def render(coverage: Coverage) -> str:
    """The text of all_ops.py: valid Python; two header lines, then an entry a variant that Thunder does not take.

    Entries: most models first, then most nodes, then the name. Nothing in it depends on where the corpus lies, on the
    order of its files or on the time.
    """
    rows = [row for row in coverage.variant_rows if row.counts.not_supported]
    entries = [_header(coverage, rows), *(_entry(row) for row in rows)]
    return "\n\n".join(entries) + "\n"


def _header(coverage: Coverage, rows: list[OpRow]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(coverage.versions.items()))
    counts = coverage.counts
    ops = len({row.op for row in rows})
    summary = (
        f"{counts.not_supported} of {counted(counts.nodes, 'node')} not supported: {counted(ops, 'op')} in "
        f"{counted(len(rows), 'variant')}, {counted(counts.unknown, 'node')} unknown; "
        f"{counted(len(coverage.files_by_body), 'distinct graph')} in {counted(coverage.files, 'file')} of "
        f"{counted(len(coverage.models), 'model')}"
    )
    return f"# {versions}. {summary}\n# Regenerate: {COMMAND}"


def _entry(row: OpRow) -> str:
    reason = row.reasons[0].value if row.reasons else row.status.value
    lines = [
        f"# {one_line(row.op)}: {reason}: {one_line(row.detail)}".rstrip(" :"),
        f"#  models: {len(row.models)}: {', '.join(row.models)}",
    ]
    lines += [
        f"#  source: {source_place(source.file, source.line, source.function)}" for source in row.sources[:_MAX_SOURCES]
    ]
    lines += [f"#  - {names}" for names in fold_files(row.files)]
    lines.append(_expression(row.example))
    return "\n".join(lines)


def _expression(text: str) -> str:
    """The expression as printed; one that is no Python by itself becomes a comment, so that the file stays valid."""
    if not text.isprintable():
        text = one_line(text)
    try:
        with warnings.catch_warnings():
            # An odd escape in a string is a matter of the file that it was printed in.
            warnings.simplefilter("ignore")
            is_statement = bool(ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        is_statement = False
    return text if is_statement else f"# {text}".rstrip()


REPORT = FileReport("all_ops", "unsupported ops as a Python file (all_ops.py)", lambda found: render(found.coverage))
