"""The judged nodes as JSON lines, an object a line, so that a stream of any length can be read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

from opcov.document import node_entries
from opcov.reports.json_document import encoded
from opcov.reports.report import FileReport, Findings


def render(findings: Findings) -> Iterator[str]:
    """A line a judged node of each distinct graph, in the order of nodes.csv, made while they are read.

    The schema of a line is `#/$defs/NodeEntry` in that of the document.
    """
    for entry in node_entries(findings.coverage):
        yield encoded(entry).decode() + "\n"


REPORT = FileReport("jsonl", "the judged nodes as JSON, one a line", render)
