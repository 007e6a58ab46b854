"""The list of unsupported ops as one Python file: report, review artefact and baseline at once."""

from __future__ import annotations

import ast

from opcov.coverage import Coverage, OpRow
from opcov.reports.wording import fold_files, one_line, short_source

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
        f"{counts.not_supported} of {counts.nodes} nodes are not supported: {ops} ops in {len(rows)} variants, "
        f"{counts.unknown} nodes unknown; {len(coverage.files_by_body)} distinct graphs in {coverage.files} files "
        f"of {len(coverage.models)} models"
    )
    return f"# {versions}. {summary}\n# Regenerate: {COMMAND}"


def _entry(row: OpRow) -> str:
    reason = row.reasons[0].value if row.reasons else row.status.value
    lines = [
        f"# {row.op}: {reason}: {one_line(row.detail)}",
        f"#  models: {len(row.models)}: {', '.join(row.models)}",
    ]
    for file, line, function, _ in row.sources[:_MAX_SOURCES]:
        lines.append(f"#  source: {one_line(short_source(file))}:{line} in {one_line(function)}")
    lines += [f"#  - {names}" for names in fold_files(row.files)]
    lines.append(_expression(row.example))
    return "\n".join(lines)


def _expression(text: str) -> str:
    """The expression as printed; one that is no Python by itself becomes a comment, so that the file stays valid."""
    text = one_line(text)
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return f"# {text}"
    return text
