"""Parses Python text that may be damaged, leaving out as few lines as possible."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager

from opcov.problems import Problem, Slug

_MAX_REPAIRS = 24
"""How many lines of a file may be left out before the file is given up."""

_ASSIGNMENT = re.compile(r"""^(\s*)([A-Za-z_]\w*)(\s*:\s*"[^"\\]*")?\s*=[^=]""")
_NAMELESS_CLASS = re.compile(r"^(\s*class )<[^>]*>(?=\()", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses the garbage collector: a syntax tree is all live objects, and scanning them doubles the time to parse."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse(text: str) -> tuple[ast.Module | None, list[str], list[Problem]]:
    """Parses a file's text; nothing in it is compiled or run.

    A line that does not parse is left out and the rest is parsed again. Where the line assigns a name, the name and
    its annotation are kept with `...` as the value, so that a reader still sees that there was a node.

    Returns:
        The tree (None if the file had to be given up), the lines as parsed, and a problem for each line left out.
    """
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "<" in text:
        text = _NAMELESS_CLASS.sub(r"\1_unnamed", text)
    lines = text.split("\n")
    problems: list[Problem] = []
    with collector_paused():
        for _ in range(_MAX_REPAIRS):
            try:
                return ast.parse("\n".join(lines)), lines, problems
            except SyntaxError as error:
                line, slug, message = _culprit(error, lines), Slug.SYNTAX, f"this line does not parse ({error.msg})"
            except (RecursionError, MemoryError):
                line, slug, message = _deepest(lines), Slug.TOO_DEEP, "this line nests too deep"
            except ValueError as error:
                return None, lines, [Problem("", 0, Slug.NOT_TEXT, f"the file is no Python text ({error})")]
            if line is None or not lines[line - 1].strip():
                break
            problems.append(Problem("", line, slug, f"{message}; it is left out and the rest is read"))
            lines[line - 1] = _hollow(lines[line - 1])
    problems.append(Problem("", 0, Slug.SYNTAX, "the file does not parse as Python, also not without the lines named before"))
    return None, lines, problems


def _culprit(error: SyntaxError, lines: list[str]) -> int | None:
    """The line to leave out: where the error is, or the last line before it that says something."""
    line = min(error.lineno or 0, len(lines))
    while line > 0 and (not lines[line - 1].strip() or lines[line - 1].strip() == "pass"):
        line -= 1
    return line or None


def _deepest(lines: list[str]) -> int | None:
    """The line with the most brackets or signs: what makes Python's parser give up."""

    def weight(line: str) -> int:
        return sum(map(line.count, "([{-+~.")) if len(line) > 200 else 0

    heaviest = max(range(len(lines)), key=lambda position: weight(lines[position]), default=None)
    return None if heaviest is None or not weight(lines[heaviest]) else heaviest + 1


def _hollow(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    assignment = _ASSIGNMENT.match(line)
    if assignment is None:
        return f"{indent}pass"
    hollow = f"{indent}{assignment[2]}{assignment[3] or ''} = ..."
    return f"{indent}pass" if hollow == line else hollow
