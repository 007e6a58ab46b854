"""Reads the comments that torch.fx prints before nodes: where in the model's code a node comes from."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from opcov.graph import Source

_PLACE = re.compile(r"(?P<file>.*?):(?P<line>[0-9]{1,9})(?: in (?P<function>.*))?")


class SourceComments:
    """The provenance comments of a file: each holds for all nodes up to the next comment.

    `torch.fx.graph.CodeGen._gen_python_code` prints a comment only where it differs from the one before, and
    `# No stacktrace found for following nodes` where a node has no stack trace.

    Args:
        lines: the lines of the file.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines: list[int] = []
        self._sources: list[Source | None] = []
        for number, line in enumerate(lines, 1):
            text = line.lstrip()
            if text.startswith("#"):
                self._lines.append(number)
                self._sources.append(read_source(text))

    def before(self, line: int, start: int) -> Source | None:
        """The source that holds at a line: from the last comment between the line `start` and it."""
        position = bisect_left(self._lines, line) - 1
        if position < 0 or self._lines[position] <= start:
            return None
        return self._sources[position]


def read_source(comment: str) -> Source | None:
    """The place that a comment names, None where it names none.

    `torch.fx.graph._ParsedStackTrace.get_summary_str` writes `File: <path>:<line> in <function>, code: <code>`;
    metadata, an annotation or a recompute tag may stand before it.
    """
    place, separator, code = comment.partition(", code: ")
    start = place.rfind("File: ")
    if not separator or start < 0:
        return None
    found = _PLACE.fullmatch(place, start + len("File: "))
    if found is None:
        return None
    return Source(found["file"], int(found["line"]), found["function"] or "", code.rstrip())
